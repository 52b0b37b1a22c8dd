// What other threads may tell a job's loop, and what they may see of it: two small values behind a lock.
//
// The loop looks at the wishes between steps; nothing here interrupts it. `stop` and `pause` drain: the open batch is
// finished first. `kill` gives the batch up where it is; the log keeps it PLANNED and the next start finishes it.

import Engine
import Synchronization

/// What a job was asked to do.
package enum JobWish: Sendable, Equatable { case run, drain(JobState), kill, lost(Failure) }

/// What a loop shows of itself.
package struct JobStatus: Sendable {
    package var state: JobState = .starting
    package var reason: Failure?
    package var lastBatch: BatchRecord?
    package var jobID: JobID?
    package var epoch: Epoch = 0
    package var positions: [PartitionPosition] = []
    package var ends: [TopicPartition: Int64] = [:]
    /// What the last look at the topic told beside its ends; nil before the first.
    package var health: SourceHealth?
    package var batchesDone: Int64 = 0
    package var recordsDone: Int64 = 0
    package var rejectedDone: Int64 = 0
    package var retries: Int64 = 0

    package init() {}

    /// Offsets that are not read yet, over all partitions.
    package var lagOffsets: Int64 {
        positions.reduce(0) { sum, position in
            let end = ends[TopicPartition(topic: position.topic, partition: position.partition)] ?? position.position
            return sum + max(0, end - position.position)
        }
    }
}

package final class JobControl: Sendable {
    private struct State {
        var wish = JobWish.run
        var status = JobStatus()
        var leaseHeardMillis: Int64 = 0
    }
    private let state = Mutex(State())

    package init() {}

    package var wish: JobWish { state.withLock { $0.wish } }
    package var status: JobStatus { state.withLock { $0.status } }

    /// A stronger wish replaces a weaker one, never the other way round: run < drain < kill < lost.
    package func ask(_ wish: JobWish) {
        func rank(_ wish: JobWish) -> Int {
            switch wish {
            case .run: 0
            case .drain: 1
            case .kill: 2
            case .lost: 3
            }
        }
        state.withLock { if rank(wish) > rank($0.wish) { $0.wish = wish } }
    }

    package func show(_ change: (inout JobStatus) -> Void) { state.withLock { change(&$0.status) } }
}
