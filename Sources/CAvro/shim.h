// What Swift imports of libavro, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <avro.h>
