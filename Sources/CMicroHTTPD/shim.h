// What Swift imports of libmicrohttpd, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <microhttpd.h>
