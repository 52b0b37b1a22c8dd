// Two clocks of the kernel for measuring across processes: one that all of them share, and what this one has used.

import Glibc

package enum ProcessClocks {
    /// Nanoseconds of the clock that never jumps; the same for all processes of a machine.
    package static func steadyNanos() -> Int64 { nanos(CLOCK_MONOTONIC) }

    /// Processor time of all threads of this process.
    package static func usedNanos() -> Int64 { nanos(CLOCK_PROCESS_CPUTIME_ID) }

    private static func nanos(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// Milliseconds of a clock that never jumps.
package func steadyMillis() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}

/// Milliseconds since 1970 by the wall clock.
package func wallMillis() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}
