// A bounded number of threads for calls that block: to workers, to a sink, to a server that may hang.
//
// A thread is started when a call finds none at rest, up to `most`; further calls wait in order. One that finds nothing to
// do for a while ends. So a call begins at once as long as there is room, and what hangs costs at most `most` threads,
// whoever made it hang. Nobody waits here for a result: a call puts it where its caller looks.

import Foundation
import Synchronization

package final class CallerThreads: Sendable {
    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var threads = 0
        var resting = 0
    }

    private let name: String
    private let most: Int
    private let restMillis: Int
    private let state = Mutex(State())
    private let count = SteadySignal()

    package init(_ name: String, most: Int, restMillis: Int = 30_000) {
        precondition(most > 0)
        self.name = name
        self.most = most
        self.restMillis = restMillis
    }

    /// Threads that are there now, at rest or not.
    package var threadCount: Int { state.withLock { $0.threads } }

    package func run(_ call: @escaping @Sendable () -> Void) {
        let starts = state.withLock { state in
            state.waiting.append(call)
            guard state.waiting.count > state.resting, state.threads < most else { return false }
            state.threads += 1
            return true
        }
        count.give()
        if starts { start() }
    }

    /// Runs `call` on a thread that first waits for `afterMillis`.
    package func run(afterMillis: Int, _ call: @escaping @Sendable () -> Void) {
        guard afterMillis > 0 else { return run(call) }
        run {
            usleep(UInt32(clamping: afterMillis * 1000))
            call()
        }
    }

    private func start() {
        let thread = Thread { [self] in
            while let call = next() { call() }
        }
        thread.name = name
        thread.stackSize = 2 << 20
        thread.start()
    }

    private func next() -> (@Sendable () -> Void)? {
        state.withLock { $0.resting += 1 }
        while true {
            let isSignalled = count.take(withinMillis: restMillis)
            let (call, ends) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
                // A signal that came too late for the wait is another's to take: looking at the list is enough.
                if !state.waiting.isEmpty, isSignalled {
                    state.resting -= 1
                    return (state.waiting.removeFirst(), false)
                }
                guard state.waiting.isEmpty else { return (nil, false) }
                state.resting -= 1
                state.threads -= 1
                return (nil, true)
            }
            if let call { return call }
            if ends { return nil }
        }
    }
}
