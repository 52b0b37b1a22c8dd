// What Swift imports of librdkafka, and static inline functions for what it cannot import (macros, variadic calls).
#pragma once
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
