// A word that one thread leaves for another, who may wait for it.

import Foundation

package final class Flag: Sendable {
    private let condition = NSCondition()
    nonisolated(unsafe) private var word: String?

    package init() {}

    package func set(_ word: String) {
        condition.lock()
        self.word = word
        condition.broadcast()
        condition.unlock()
    }

    package var value: String? {
        condition.lock()
        defer { condition.unlock() }
        return word
    }

    /// The word, or nil when none came within `seconds`.
    package func wait(seconds: Double = 30) -> String? {
        let deadline = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while word == nil, condition.wait(until: deadline) {}
        return word
    }
}
