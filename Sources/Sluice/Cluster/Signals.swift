// SIGTERM and SIGINT as an event: the first asks to drain, a second SIGINT ends at once.

import Dispatch
import Foundation
import Synchronization

/// Unchecked for the sources alone: dispatch sources may be used from any thread.
final class Signals: @unchecked Sendable {
    private let sources: [any DispatchSourceSignal]

    /// Calls `body` at the first signal, on a queue of its own.
    init(_ body: @escaping @Sendable () -> Void) {
        let queue = DispatchQueue(label: "sluice.signals")
        let count = Mutex(0)
        sources = [SIGTERM, SIGINT].map { number -> any DispatchSourceSignal in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                let hits = count.withLock { count in
                    count += 1
                    return count
                }
                if hits == 1 { body() }
                if hits > 1 && number == SIGINT { _exit(130) }
            }
            source.resume()
            return source
        }
    }

    func cancel() { for source in sources { source.cancel() } }
}
