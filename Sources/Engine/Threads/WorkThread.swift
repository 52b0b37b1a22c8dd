// One thread that does what is put into its inbox, in order. It is started with its first work.
//
// Work that blocks (a read from Kafka, a seal) has a thread of its own that is there. A dispatch queue borrows one from a
// pool of as many as there are cores, and while those block the pool grows by one a second: what else waits for it, a
// lease to be renewed, waits as long.

import Dispatch
import Foundation
import Synchronization

package final class WorkThread: Sendable {
    private let works = Works()
    private let name: String
    private let stackBytes: Int

    private final class Works: Sendable {
        struct State {
            var works: [@Sendable () -> Void] = []
            var isStarted = false
        }
        let state = Mutex(State())
        let count = DispatchSemaphore(value: 0)

        /// An empty inbox behind a signal is the word to end.
        func next() -> (@Sendable () -> Void)? {
            count.wait()
            return state.withLock { $0.works.isEmpty ? nil : $0.works.removeFirst() }
        }
    }

    package init(_ name: String, stackBytes: Int = 2 << 20) {
        self.name = name
        self.stackBytes = stackBytes
    }

    /// The thread ends behind what was put in before.
    deinit { works.count.signal() }

    package func put(_ work: @escaping @Sendable () -> Void) {
        let isFirst = works.state.withLock { state in
            state.works.append(work)
            defer { state.isStarted = true }
            return !state.isStarted
        }
        works.count.signal()
        guard isFirst else { return }
        let thread = Thread { [works] in
            while let work = works.next() { work() }
        }
        thread.name = name
        thread.stackSize = stackBytes
        thread.start()
    }
}
