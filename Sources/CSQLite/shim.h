// What Swift imports of SQLite, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <sqlite3.h>

// SQLITE_TRANSIENT and SQLITE_STATIC are casts that Swift does not import. `copied` lets the caller free its bytes at
// once; `borrowed` asks it to keep them until the statement is reset.
static inline int sluice_bind_text_copied(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 length) {
    return sqlite3_bind_text64(statement, index, (const char *)bytes, length, SQLITE_TRANSIENT, SQLITE_UTF8);
}
static inline int sluice_bind_text_borrowed(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 length) {
    return sqlite3_bind_text64(statement, index, (const char *)bytes, length, SQLITE_STATIC, SQLITE_UTF8);
}
static inline int sluice_bind_blob_copied(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 length) {
    return sqlite3_bind_blob64(statement, index, bytes, length, SQLITE_TRANSIENT);
}
