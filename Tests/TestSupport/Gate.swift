// A meeting point: each thread waits until all have come, or half a minute has passed.

import Foundation

package final class Gate: Sendable {
    private let condition = NSCondition()
    nonisolated(unsafe) private var missing: Int

    package init(_ count: Int) { missing = count }

    package func wait() {
        condition.lock()
        defer { condition.unlock() }
        missing -= 1
        if missing <= 0 { condition.broadcast() }
        let deadline = Date(timeIntervalSinceNow: 30)
        while missing > 0, condition.wait(until: deadline) {}
    }
}
