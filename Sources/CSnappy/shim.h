// What Swift imports of libsnappy: its C interface.
#pragma once
#include <snappy-c.h>
