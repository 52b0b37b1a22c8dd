// What Swift imports of xxHash, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <xxhash.h>

// Asks for the memory at an address that is read soon: Swift has no word for it, and a hash table lives on it.
static inline void sluice_prefetch(const void *address) { __builtin_prefetch(address); }
