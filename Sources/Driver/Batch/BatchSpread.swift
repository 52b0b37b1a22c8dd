// Whether a batch is shared out over all workers or done by one of them: by its size, with inertia.
//
// A batch of a few thousand rows is done in a few milliseconds by one slot. Shared out it costs a call to each worker and
// stage, an exchange over the network, and a sink transaction for each part: more than the rows. So after some small
// batches in a row the job's batches go to one worker as a whole, with one part; the first larger one is shared out
// again. The number of parts stands in the plan, so a replay sees the same; state moves between one part and many
// without being rewritten (protocol 5), only the worker that had not got it loads it.
//
// Measured at 10,000 events a second on two workers: 14 ms of processor time a batch shared out, see `sluice bench
// latency` for now.

package struct BatchSpread: Sendable {
    /// About 10 ms of one slot's work.
    package static let smallRecords: Int64 = 4_096
    /// A stray small batch of a busy job changes nothing.
    package static let smallInARow = 4

    private var small = 0
    package init() {}

    /// Takes the next batch's size; true when it goes to one worker.
    package mutating func isGathered(records: Int64) -> Bool {
        small = records <= Self.smallRecords ? min(small + 1, Self.smallInARow) : 0
        return small == Self.smallInARow
    }
}
