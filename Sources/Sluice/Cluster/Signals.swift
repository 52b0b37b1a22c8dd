// SIGTERM and SIGINT as an event: the first asks to drain, a second SIGINT ends at once.

import Dispatch
import Foundation
import Synchronization

final class Signals: Sendable {
    private let sources: [any DispatchSourceSignal & Sendable]

    /// Calls `body` at the first signal, on a queue of its own.
    init(_ body: @escaping @Sendable () -> Void) {
        let queue = DispatchQueue(label: "sluice.signals")
        let count = Mutex(0)
        sources = [SIGTERM, SIGINT].map { number in
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
            return source as! any DispatchSourceSignal & Sendable
        }
    }

    func cancel() { for source in sources { source.cancel() } }
}
