// What Swift imports of libyaml, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <yaml.h>
