// The watermark of a job: the promise that nothing older is still expected. And which of it the next batch may act upon.
//
// After a batch it is the minimum over partitions, of all topics, of (largest event time seen - lateness), and it never goes back
// (protocol 7). Lateness in batch N is judged by the watermark in N's plan, so an answer does not depend on how fast a
// partition drains. What holds it where it is:
//
//   records that lie unread      in a partition that has told no event time yet
//   a partition that was found   while the job runs: until its first event time, at most `partitionWaitMillis` of batch time
//
// A partition that was empty up to its end at the job's first plan was not found: it holds nothing until its first record.
//
// A plan closes windows: their state goes, and later rows for them are late. A partition may have been added since the last
// look, with rows for just those windows. So before a plan closes windows that the last one left open, partitions are looked
// for (`needsLook`), and what such a look finds holds the plan at what is closed already (`closing`). Pure.

import Engine

package struct WatermarkTracker: Sendable {
    package var latenessMillis: Int64
    /// The same where a job reads several topics, of those whose rows have an event time; the others hold nothing. Nil for one topic.
    package var byTopic: [String: Int64]?
    /// How long an empty partition that was found holds the watermark, in batch time.
    package var partitionWaitMillis: Int64

    package init(latenessMillis: Int64, byTopic: [String: Int64]? = nil, partitionWaitMillis: Int64 = 60_000) {
        self.latenessMillis = latenessMillis
        self.byTopic = byTopic
        self.partitionWaitMillis = partitionWaitMillis
    }

    /// - Parameters:
    ///   - before: in the plan of the batch.
    ///   - positions: of all partitions, after the batch.
    ///   - unread: partitions that hold records behind the batch's ranges and had delivered no event time before it.
    package func watermark(
        before: Int64?, positions: some Sequence<PartitionPosition>, unread: Set<TopicPartition>, batchTimeMillis: Int64
    ) -> Int64? {
        var slowest: Int64?
        for position in positions {
            let lateness = byTopic.map { $0[position.topic] } ?? latenessMillis
            guard let lateness else { continue }
            guard let time = position.maxEventTimeMillis?.minus(lateness) else {
                let isUnread =
                    !unread.isEmpty
                    && unread.contains(TopicPartition(topic: position.topic, partition: position.partition))
                if isUnread || isHolding(position, batchTimeMillis: batchTimeMillis) { return before }
                continue
            }
            slowest = min(slowest ?? time, time)
        }
        guard let slowest else { return before }
        return max(before ?? slowest, slowest)
    }

    /// A partition that was found while the job runs and has told no event time yet.
    package func isHolding(_ position: PartitionPosition, batchTimeMillis: Int64) -> Bool {
        guard position.maxEventTimeMillis == nil, byTopic.map({ $0[position.topic] != nil }) ?? true, let found = position.foundMillis else { return false }
        return batchTimeMillis.minus(found) < partitionWaitMillis
    }

    /// Whether partitions must be looked for before the next plan.
    /// - Parameters:
    ///   - closed: the watermark in the last plan.
    ///   - reached: the watermark after its batch.
    ///   - windowMillis: nil for a job without windows, which closes nothing.
    package static func needsLook(closed: Int64?, reached: Int64?, windowMillis: Int64?) -> Bool {
        guard let windowMillis, let reached else { return false }
        guard let closed else { return true }
        func window(_ time: Int64) -> Int64 { (time >= 0 ? time : time.minus(windowMillis - 1)) / windowMillis }
        return window(reached) > window(closed)
    }

    /// The watermark for the next plan, once partitions were looked for.
    package func closing(
        closed: Int64?, reached: Int64?, positions: some Sequence<PartitionPosition>, batchTimeMillis: Int64
    ) -> Int64? {
        positions.contains { isHolding($0, batchTimeMillis: batchTimeMillis) } ? closed : reached
    }
}
