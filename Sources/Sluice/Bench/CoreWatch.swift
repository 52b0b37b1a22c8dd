// How busy all processors of the machine are while something runs: looked at every 20 ms, asked for a span afterwards.
//
// Whatever runs is counted, the broker too: with rows waiting, what is left is rest that somebody should have used. Time that a
// hypervisor gave to others is in neither part. The kernel counts in steps of 10 ms, so a span should be longer than half a second.

import Engine
import Foundation
import Synchronization

final class CoreWatch: Sendable {
    private struct State {
        var samples: [(wallMillis: Int64, ticks: CoreTicks)] = []
        var isOver = false
    }
    private let state = Mutex(State())

    init() {
        let thread = Thread { [self] in
            while true {
                let now = wallMillis()
                guard let text = kernelText("/proc/stat"), let ticks = CoreTicks(inStat: text) else { return }
                let isOver = state.withLock { state in
                    state.samples.append((now, ticks))
                    return state.isOver
                }
                if isOver { return }
                usleep(20_000)
            }
        }
        thread.name = "core watch"
        thread.start()
    }

    /// Ends the watch.
    func end() { state.withLock { $0.isOver = true } }

    /// The part of all processors that was busy, 0 to 1; nil when too few looks lie within the span.
    func share(fromMillis: Int64, untilMillis: Int64) -> Double? {
        let within = state.withLock { $0.samples.filter { fromMillis <= $0.wallMillis && $0.wallMillis <= untilMillis } }
        guard let first = within.first, let last = within.last else { return nil }
        return last.ticks.share(since: first.ticks)
    }
}

/// Time of all processors since the machine's start, in the kernel's steps.
package struct CoreTicks: Sendable, Equatable {
    package var busy: Int64
    package var idle: Int64

    /// The line of all processors in /proc/stat: user, nice, system, idle, waiting for a disk, interrupts, soft ones.
    package init?(inStat text: String) {
        guard let all = text.split(separator: "\n").first(where: { $0.hasPrefix("cpu ") }) else { return nil }
        let numbers = all.split(separator: " ").dropFirst().compactMap { Int64($0) }
        guard numbers.count >= 7 else { return nil }
        idle = numbers[3] + numbers[4]
        busy = numbers[0] + numbers[1] + numbers[2] + numbers[5] + numbers[6]
    }

    package func share(since earlier: CoreTicks) -> Double? {
        let (work, rest) = (busy - earlier.busy, idle - earlier.idle)
        return work + rest > 0 ? Double(work) / Double(work + rest) : nil
    }
}
