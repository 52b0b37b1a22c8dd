// A counting signal between threads whose waits end by the clock that nobody sets.
//
// Timed waits of Dispatch and Foundation end by the wall clock here: one that is under way when the clock is set back two hours lasts
// two hours, and a lease is not renewed meanwhile. So whatever waits for a time waits at one of these.

import CLinux

package final class SteadySignal: @unchecked Sendable {
    private let signal: UnsafeMutablePointer<sluice_signal>

    package init() { signal = sluice_signal_make() }

    deinit { sluice_signal_end(signal) }

    /// Lets one waiter go on, now or later.
    package func give() { sluice_signal_give(signal) }

    /// Waits for a signal, which is used up.
    package func take() { _ = sluice_signal_take(signal, -1) }

    /// - Returns: false when none came in that time.
    package func take(withinMillis millis: Int) -> Bool { take(within: .milliseconds(millis)) }

    package func take(within time: Duration) -> Bool {
        let (seconds, attoseconds) = time.components
        let (whole, wraps) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let nanos = wraps ? Int64.max / 2 : min(whole, .max / 2) + attoseconds / 1_000_000_000
        return sluice_signal_take(signal, max(0, nanos)) == 1
    }

    /// The same for a signal that stays: whoever waits afterwards goes on, too.
    package func isGiven(withinMillis millis: Int) -> Bool {
        guard take(withinMillis: millis) else { return false }
        give()
        return true
    }
}
