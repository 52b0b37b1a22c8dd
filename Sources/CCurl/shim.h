// What Swift imports of libcurl, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <curl/curl.h>
