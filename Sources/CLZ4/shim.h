// What Swift imports of liblz4: its frame format.
#pragma once
#include <lz4frame.h>
