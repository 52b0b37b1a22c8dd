// Counts what this thread asks of the heap, in C, in Foundation and in Swift alike: all of it ends in malloc and its like.
#pragma once
#include <stdint.h>

/// Begins to count the calling thread's allocations, from zero.
void allocations_begin(void);

/// Ends it.
/// - Returns: how many blocks were asked for since `allocations_begin`; moved ones count, freed ones do not.
int64_t allocations_end(void);
