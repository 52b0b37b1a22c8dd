// What Swift imports of SQLite, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <sqlite3.h>
