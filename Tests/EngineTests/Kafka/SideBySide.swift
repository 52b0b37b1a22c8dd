// Several things at the same time, where each waits for most of its time and one after the other would take too long.

import Dispatch
import Foundation

private struct Unchecked<Value>: @unchecked Sendable {
    let value: Value
}

/// - Returns: what became of each, in their order.
func sideBySide<Outcome>(_ works: [() throws -> Outcome]) -> [Result<Outcome, any Error>] {
    let outcomes = UnsafeMutableBufferPointer<Result<Outcome, any Error>?>.allocate(capacity: works.count)
    outcomes.initialize(repeating: nil)
    defer {
        outcomes.deinitialize()
        outcomes.deallocate()
    }
    let shared = Unchecked(value: (works: works, outcomes: outcomes))
    let group = DispatchGroup()
    for index in works.indices {
        group.enter()
        Thread.detachNewThread {
            shared.value.outcomes[index] = Result(catching: shared.value.works[index])
            group.leave()
        }
    }
    group.wait()
    return outcomes.map { $0! }
}
