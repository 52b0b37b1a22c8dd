// What Swift imports of xxHash, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <xxhash.h>
