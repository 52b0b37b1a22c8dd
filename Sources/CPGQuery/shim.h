// What Swift imports of libpg_query: PostgreSQL's own parser, and its tree as C structs.
//
// The static library is linked: it brings the protobuf-c that its generated code was made for. It also brings a copy of xxHash, so
// libxxhash stands before it: whoever comes first is taken, and the engine's hashes stay with the library that they were measured with.
#pragma once
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
