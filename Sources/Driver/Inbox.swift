// How answers from many threads reach the one thread that decides: a queue behind a lock, and a semaphore to wait at.

import Engine
import Synchronization

/// Events from many threads for one reader.
final class Inbox<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    private let count = SteadySignal()

    func put(_ element: Element) {
        elements.withLock { $0.append(element) }
        count.give()
    }

    /// The oldest element, or nil after `timeoutMillis`.
    func next(timeoutMillis: Int) -> Element? {
        guard count.take(withinMillis: timeoutMillis) else { return nil }
        return elements.withLock { $0.removeFirst() }
    }
}
