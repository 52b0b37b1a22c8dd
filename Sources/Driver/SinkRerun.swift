// From which batch on every recorded batch can run again, so that a sink which was put back gets what it lacks.
//
// A batch can run again when the log still has its plan, Kafka still has its records, and the state before it is kept. The
// answer is one number, because a sink lacks everything behind a moment: the first batch of the unbroken rest of the log.
// Pure: what is deleted and what is kept are facts.

import Engine

package struct SinkRerun: Sendable, Equatable {
    /// nil: not even the last one.
    package var from: BatchNumber?
    /// Why the one before cannot, as a part of a sentence; nil when there is none before.
    package var lacks: String?

    package init(from: BatchNumber?, lacks: String?) {
        self.from = from
        self.lacks = lacks
    }

    /// - Parameters:
    ///   - plans: of the batches that are done and still in the log one by one, ascending.
    ///   - last: the last batch that is done; 0 for none.
    ///   - starts: the first offset that Kafka still has of each partition.
    ///   - isKept: whether all files of a state are there.
    package init(
        plans: [BatchPlan], last: BatchNumber, starts: [TopicPartition: Int64], isKept: (StateManifest) throws -> Bool
    ) rethrows {
        var wanted = last
        for plan in plans.reversed() where plan.batch <= last {
            guard plan.batch == wanted else { break }
            if let range = plan.ranges.first(where: { (starts[$0.topicPartition] ?? .max) > $0.from }) {
                lacks = "Kafka has deleted records of \(range.topicPartition) that batch \(plan.batch) read"
                break
            }
            if let state = plan.stateBefore, try !isKept(state) {
                lacks = "the state before batch \(plan.batch) is not kept any more"
                break
            }
            from = plan.batch
            wanted -= 1
        }
        if lacks == nil, wanted > 0 { lacks = "batch \(wanted) is not in the log one by one any more" }
        // A repair runs again only with all the batches that it was made of.
        for plan in plans where plan.kind == .repair && plan.output != .nothing {
            guard let needed = plan.repairs?.first, let first = from, plan.batch >= first, needed < first else { continue }
            from = plan.batch < last ? plan.batch + 1 : nil
            lacks = "batch \(needed), which batch \(plan.batch) repaired, cannot run again"
        }
    }
}

extension Catalog {
    /// Every seal with rows of the batches since `batch` that the log still has one by one, and their plans: what a verdict
    /// on a sink that is behind needs.
    package func seals(_ jobID: JobID, since batch: BatchNumber, last: BatchNumber) throws -> (
        history: [SealMark], plans: [BatchPlan]
    ) {
        // One more for the batch that is planned.
        let count = Int(clamping: last - batch + 2)
        let done = try batches(jobID, last: max(count, 1)).filter { $0.outcome != nil && $0.plan.batch >= batch }
        let history = done.flatMap { logged in
            (logged.outcome?.parts ?? []).filter { $0.rows > 0 }.map {
                SealMark(sink: $0.sink ?? 0, part: $0.part, batch: logged.plan.batch, digest: $0.digest)
            }
        }
        return (history, done.map(\.plan))
    }
}
