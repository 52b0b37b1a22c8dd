// How answers from many threads reach the one thread that decides: a queue behind a lock, and a semaphore to wait at.

import Dispatch
import Synchronization

/// Events from many threads for one reader.
final class Inbox<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    private let count = DispatchSemaphore(value: 0)

    func put(_ element: Element) {
        elements.withLock { $0.append(element) }
        count.signal()
    }

    /// The oldest element, or nil after `timeoutMillis`.
    func next(timeoutMillis: Int) -> Element? {
        guard count.wait(timeout: .now() + .milliseconds(timeoutMillis)) == .success else { return nil }
        return elements.withLock { $0.removeFirst() }
    }
}
