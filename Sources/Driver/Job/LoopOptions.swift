// What a start is asked for beside what the job's row says: flags of commands, bounds of a backfill.

import Engine

package struct LoopOptions: Sendable {
    /// Stop when everything that was there at the start is done.
    package var untilCaughtUp = false
    package var adopt = false
    package var offsets: OffsetsFlag?
    /// Accept that retention deleted records which were not read yet.
    package var acceptLoss = false
    /// Accept a topic with another id, when its records are those that the log remembers.
    package var acceptTopic = false
    /// Accept that the next batch's time lies before the last one's, because that one's clock was wrong.
    package var resetTime = false
    /// Records that the open batch is to leave out, because they end the process that reads them.
    package var excluded: [OffsetRange] = []
    /// Settings that the job gets before it starts, if they are others than it has.
    package var settings: (values: [String: String], digest: String)?
    /// Those of them that hold for this start alone, and stand in its plans; nil where the job keeps them.
    package var once: [String: String]?
    /// Workers that are starting beside the driver: the first batch is planned for all of them, unless they take long.
    package var expectedWorkers = 0
    /// Wait for the lease instead of refusing.
    package var waitForLease = false
    /// For a backfill: where each partition ends.
    package var targets: [TopicPartition: Int64]?
    package var starts: [TopicPartition: Int64]?
    package var backfill: BackfillBounds?
    /// Put the sink right, then end; nothing new is read.
    package var repair: RepairOrder?
    /// Process bad records again, then end; nothing new is read.
    package var redrive: RedrivePlan?
    /// Looks at the rows of a backfill's last batch before they may be sealed.
    package var checkRows: (@Sendable ([Chunk]) throws -> Void)?
    package init() {}
}
