// What other threads may tell a job's loop, and what they may see of it: two small values behind a lock.
//
// The loop looks at the wishes between steps; nothing here interrupts it. `stop` and `pause` drain: the open batch is
// finished first. `kill` gives the batch up where it is; the log keeps it PLANNED and the next start finishes it.

import Engine
import Synchronization

/// What a job was asked to do.
package enum JobWish: Sendable, Equatable {
    case run, drain(JobState), kill, lost(Failure)

    /// A stronger wish replaces a weaker one, never the other way round.
    package var rank: Int {
        switch self {
        case .run: 0
        case .drain: 1
        case .kill: 2
        case .lost: 3
        }
    }
}

/// The catalog's clock as it was read at a moment of this process.
package struct CatalogClock: Sendable, Equatable {
    /// Since 1970.
    package var millis: Int64
    package var steadyNanos: Int64

    package init(millis: Int64, steadyNanos: Int64) {
        self.millis = millis
        self.steadyNanos = steadyNanos
    }

    /// What it says now, by what has passed since.
    package func now(_ moment: Moment) -> Int64 { millis + (moment.steadyNanos - steadyNanos) / 1_000_000 }
}

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
    package var tombstonesDone: Int64 = 0
    package var retries: Int64 = 0
    /// What the job waits for, while it waits for the outside.
    package var waitsFor: Failure?

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
        var silence: Failure?
        var catalogClock: CatalogClock?
    }
    private let state = Mutex(State())

    package init() {}

    package var wish: JobWish { state.withLock { $0.wish } }
    package var status: JobStatus { state.withLock { $0.status } }

    package func ask(_ wish: JobWish) { state.withLock { if wish.rank > $0.wish.rank { $0.wish = wish } } }

    /// What the catalog's clock said last.
    package var catalogClock: CatalogClock? { state.withLock { $0.catalogClock } }
    package func hearCatalogClock(_ millis: Int64) {
        let clock = CatalogClock(millis: millis, steadyNanos: ProcessClocks.steadyNanos())
        state.withLock { $0.catalogClock = clock }
    }

    /// The catalog has not answered for the lease's length; cleared when the lease was taken again.
    package var silence: Failure? { state.withLock { $0.silence } }
    package func fellSilent(_ reason: Failure?) { state.withLock { $0.silence = reason } }

    package func show(_ change: (inout JobStatus) -> Void) { state.withLock { change(&$0.status) } }
}
