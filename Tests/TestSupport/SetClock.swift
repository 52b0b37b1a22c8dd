// A clock that a test sets back and on under a running process: some lines of C before the system's own, compiled when the first
// test asks.
//
// Only what the process takes for the time of day is false, by nanoseconds in a file that both have mapped; clocks that cannot be
// set go on as they are, as on a real host. Waits end by those: the system's wait until a time of day would compare a false time
// with the true one.

import Foundation

package final class SetClock: Sendable {
    private static let source = """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <fcntl.h>
        #include <pthread.h>
        #include <semaphore.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <threads.h>
        #include <time.h>
        #include <unistd.h>
        static long long none;
        static volatile long long *shift = &none;
        __attribute__((constructor)) static void begin(void) {
            const char *file = getenv("SET_CLOCK_FILE");
            int descriptor = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
            void *mapped = descriptor < 0 ? MAP_FAILED : mmap(0, sizeof(long long), PROT_READ, MAP_SHARED, descriptor, 0);
            if (mapped != MAP_FAILED) shift = mapped;
            if (descriptor >= 0) close(descriptor);
        }
        static struct timespec moved(struct timespec time, long long by) {
            long long nanos = time.tv_sec * 1000000000LL + time.tv_nsec + by;
            return (struct timespec){nanos / 1000000000, nanos % 1000000000};
        }
        int clock_gettime(clockid_t clock, struct timespec *time) {
            int code = syscall(SYS_clock_gettime, clock, time);
            if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *time = moved(*time, *shift);
            return code;
        }
        int gettimeofday(struct timeval *restrict time, void *restrict zone) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
            return 0;
        }
        time_t time(time_t *result) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (result) *result = now.tv_sec;
            return now.tv_sec;
        }
        int timespec_get(struct timespec *time, int base) { return clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0; }
        static struct timespec steady(const struct timespec *until) {
            struct timespec now, end;
            clock_gettime(CLOCK_REALTIME, &now);
            clock_gettime(CLOCK_MONOTONIC, &end);
            long long left = (until->tv_sec - now.tv_sec) * 1000000000LL + until->tv_nsec - now.tv_nsec;
            return moved(end, left > 0 ? left : 0);
        }
        int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
            struct timespec end = steady(until);
            return sem_clockwait(semaphore, CLOCK_MONOTONIC, &end);
        }
        int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
            struct timespec end = steady(until);
            return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &end);
        }
        int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
            int code = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
            return code == 0 ? thrd_success : code == ETIMEDOUT ? thrd_timedout : thrd_error;
        }
        """

    private static let compiled = Result {
        let directory = try TemporaryDirectory("clock")
        let file = directory.file("clock.c")
        try source.write(toFile: file, atomically: true, encoding: .utf8)
        let result = try runTool("/usr/bin/env", ["clang", "-shared", "-fPIC", "-O1", "-o", directory.file("clock.so"), file])
        guard result.status == 0 else { throw ToolError(text: "clang: \(result.output)") }
        return directory
    }

    private let file: String
    private let library: TemporaryDirectory

    /// - Parameter file: where the shift is kept; at first there is none.
    package init(file: String) throws {
        self.file = file
        library = try Self.compiled.get()
        try set(hours: 0)
    }

    /// What a process with this clock needs to have in its environment.
    package var environment: [String: String] { ["LD_PRELOAD": library.file("clock.so"), "SET_CLOCK_FILE": file] }

    /// - Parameter hours: from the true time.
    package func set(hours: Int64) throws {
        var shift = hours * 3_600_000_000_000
        let descriptor = open(file, O_WRONLY | O_CREAT, 0o600)
        defer { close(descriptor) }
        // In place: processes have the file mapped.
        guard pwrite(descriptor, &shift, MemoryLayout<Int64>.size, 0) == MemoryLayout<Int64>.size else {
            throw ToolError(text: "the clock's file \(file) cannot be written")
        }
    }
}
