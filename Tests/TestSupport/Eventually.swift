// Waits for something that another process or thread will bring about: asks again until it holds or the time is over.

import Foundation

/// - Returns: whether the condition held before the deadline.
package func eventually(withinSeconds limit: Double = 20, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = ContinuousClock.now + .milliseconds(Int(limit * 1000))
    while true {
        if try condition() { return true }
        if ContinuousClock.now > deadline { return false }
        usleep(2_000)
    }
}
