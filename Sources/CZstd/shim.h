// What Swift imports of libzstd, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <zstd.h>
#include <zstd_errors.h>
