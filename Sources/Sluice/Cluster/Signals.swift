// SIGTERM and SIGINT as an event: the first asks to drain, a second SIGINT ends at once.
//
// A signal may come at any moment, also between the line that says that a command stands and the thing that is to be
// asked. So a command takes the signals before it says or starts anything, and names what is to be asked with `ask` as
// soon as it is there: a signal that came before is delivered then. What to check when changing this: nothing that a
// script may wait for (a line, a file, an address) is shown before the signals are taken.

import Dispatch
import Foundation
import Synchronization

/// Unchecked for the sources alone: dispatch sources may be used from any thread.
final class Signals: @unchecked Sendable {
    private struct State {
        var hits = 0
        var body: (@Sendable () -> Void)?
    }

    private let sources: [any DispatchSourceSignal]
    private let state: Shared

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    /// Takes the signals from here on. The first one calls `body`, on a queue of its own; without a body it is kept for
    /// the one that `ask` gives.
    init(_ body: (@Sendable () -> Void)? = nil) {
        let queue = DispatchQueue(label: "sluice.signals")
        let shared = Shared()
        shared.state.withLock { $0.body = body }
        state = shared
        sources = [SIGTERM, SIGINT].map { number -> any DispatchSourceSignal in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                let (hits, body) = shared.state.withLock { state in
                    state.hits += 1
                    return (state.hits, state.body)
                }
                if hits == 1 { body?() }
                if hits > 1 && number == SIGINT { _exit(130) }
            }
            source.resume()
            return source
        }
    }

    /// Calls `body` at the first signal, or now when that has come.
    func ask(_ body: @escaping @Sendable () -> Void) {
        let hasCome = state.state.withLock { state in
            state.body = body
            return state.hits > 0
        }
        if hasCome { body() }
    }

    func cancel() { for source in sources { source.cancel() } }
}
