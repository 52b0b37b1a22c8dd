// What Swift's own module of the C library leaves out: epoll; and CRC-32C by the processor's own instruction, for which
// Swift has no word. No library: headers only.
//
// One instruction takes 8 bytes and its result is there three cycles later, so one stream of them uses a third of what the
// processor could do. `sluice_crc32c_three` keeps three streams going over three adjacent blocks; Swift joins their results.
// Every function takes and gives the register as it is between two steps (not inverted).
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>

#if defined(__x86_64__)
#define SLUICE_CRC_TARGET __attribute__((target("sse4.2")))
#define SLUICE_CRC_BYTE(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), (byte))
#define SLUICE_CRC_WORD(crc, word) __builtin_ia32_crc32di((crc), (word))
static inline int sluice_crc32c_known(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") ? 1 : 0;
}
#elif defined(__aarch64__)
#define SLUICE_CRC_TARGET __attribute__((target("crc")))
#define SLUICE_CRC_BYTE(crc, byte) __builtin_arm_crc32cb((uint32_t)(crc), (byte))
#define SLUICE_CRC_WORD(crc, word) __builtin_arm_crc32cd((uint32_t)(crc), (word))
#include <sys/auxv.h>
// HWCAP_CRC32 of the kernel's headers.
static inline int sluice_crc32c_known(void) { return (getauxval(AT_HWCAP) & (1UL << 7)) != 0; }
#endif

#if defined(SLUICE_CRC_TARGET)
SLUICE_CRC_TARGET static inline uint32_t sluice_crc32c_one(uint32_t crc, const uint8_t *bytes, size_t count) {
    uint64_t state = crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        state = SLUICE_CRC_WORD(state, word);
        bytes += 8;
        count -= 8;
    }
    while (count > 0) {
        state = SLUICE_CRC_BYTE(state, *bytes);
        bytes += 1;
        count -= 1;
    }
    return (uint32_t)state;
}

// Three adjacent blocks of `block` bytes each, a multiple of 8; the second and the third begin with a register of 0.
SLUICE_CRC_TARGET static inline void sluice_crc32c_three(
    uint32_t *first, uint32_t *second, uint32_t *third, const uint8_t *bytes, size_t block) {
    uint64_t a = *first, b = 0, c = 0;
    for (size_t place = 0; place < block; place += 8) {
        uint64_t x, y, z;
        memcpy(&x, bytes + place, 8);
        memcpy(&y, bytes + block + place, 8);
        memcpy(&z, bytes + 2 * block + place, 8);
        a = SLUICE_CRC_WORD(a, x);
        b = SLUICE_CRC_WORD(b, y);
        c = SLUICE_CRC_WORD(c, z);
    }
    *first = (uint32_t)a;
    *second = (uint32_t)b;
    *third = (uint32_t)c;
}
#else
static inline int sluice_crc32c_known(void) { return 0; }
static inline uint32_t sluice_crc32c_one(uint32_t crc, const uint8_t *bytes, size_t count) { return crc; }
static inline void sluice_crc32c_three(
    uint32_t *first, uint32_t *second, uint32_t *third, const uint8_t *bytes, size_t block) {}
#endif

// A semaphore that is waited for by the clock that nobody sets. `sem_timedwait`, and with it every timed wait of Dispatch and
// Foundation, ends by the wall clock: one that is under way when that goes back two hours lasts two hours.
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t count;
} sluice_signal;

static inline sluice_signal *sluice_signal_make(void) {
    sluice_signal *made = (sluice_signal *)malloc(sizeof(sluice_signal));
    if (!made) abort();
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    made->count = 0;
    return made;
}

static inline void sluice_signal_end(sluice_signal *signal) {
    pthread_cond_destroy(&signal->changed);
    pthread_mutex_destroy(&signal->lock);
    free(signal);
}

static inline void sluice_signal_give(sluice_signal *signal) {
    pthread_mutex_lock(&signal->lock);
    signal->count += 1;
    pthread_cond_signal(&signal->changed);
    pthread_mutex_unlock(&signal->lock);
}

// 1 when one was taken, 0 after so many nanoseconds; less than 0 waits for ever.
static inline int sluice_signal_take(sluice_signal *signal, int64_t nanos) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (nanos > 0) {
        until.tv_sec += nanos / 1000000000;
        until.tv_nsec += nanos % 1000000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec += 1;
            until.tv_nsec -= 1000000000;
        }
    }
    pthread_mutex_lock(&signal->lock);
    while (signal->count == 0) {
        if (nanos < 0) {
            pthread_cond_wait(&signal->changed, &signal->lock);
        } else if (nanos == 0 || pthread_cond_timedwait(&signal->changed, &signal->lock, &until) == ETIMEDOUT) {
            break;
        }
    }
    int taken = signal->count > 0;
    if (taken) signal->count -= 1;
    pthread_mutex_unlock(&signal->lock);
    return taken;
}
