// What Swift imports of zlib, and static inline functions for what it cannot import (macros).
#pragma once
#include <zlib.h>

// inflateInit2 is a macro that adds the version and the size of the structure. 16 + 15: gzip members, the largest window.
static inline int sluice_inflate_start(z_stream *stream) { return inflateInit2(stream, 16 + MAX_WBITS); }
