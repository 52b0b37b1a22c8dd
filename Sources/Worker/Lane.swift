// Who may touch a slot now: one at a time, in the order in which they came.
//
// Whoever has work for a slot and waits for its end does it on its own thread, inside the lane: handing it to another
// thread and waiting for that would cost a small batch two wake-ups. What nobody waits for (closing a consumer) is put
// in: it is done at once when the lane is free, else by whoever leaves it. So the lane needs no thread of its own.

import Dispatch
import Synchronization

package final class Lane: Sendable {
    private struct State {
        var isTaken = false
        var waiting: [DispatchSemaphore] = []
        var put: [@Sendable () -> Void] = []
    }
    private let state = Mutex(State())

    package init() {}

    package func perform<Result>(_ body: () throws -> Result) rethrows -> Result {
        let turn = state.withLock { state -> DispatchSemaphore? in
            guard state.isTaken else {
                state.isTaken = true
                return nil
            }
            let turn = DispatchSemaphore(value: 0)
            state.waiting.append(turn)
            return turn
        }
        turn?.wait()
        defer { leave() }
        return try body()
    }

    package func put(_ work: @escaping @Sendable () -> Void) {
        let isFree = state.withLock { state in
            state.put.append(work)
            defer { state.isTaken = true }
            return !state.isTaken
        }
        if isFree { leave() }
    }

    /// Whether somebody waits for the lane, or something was put in.
    package var isWaitedFor: Bool { state.withLock { !$0.waiting.isEmpty || !$0.put.isEmpty } }

    /// Does what was put in, then hands the lane to the next who waits.
    private func leave() {
        while true {
            let works = state.withLock { state -> [@Sendable () -> Void] in
                let works = state.put
                state.put = []
                if works.isEmpty {
                    if state.waiting.isEmpty { state.isTaken = false } else { state.waiting.removeFirst().signal() }
                }
                return works
            }
            if works.isEmpty { return }
            for work in works { work() }
        }
    }
}
