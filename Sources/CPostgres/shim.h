// What Swift imports of libpq, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <libpq-fe.h>
