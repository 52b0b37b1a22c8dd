// The watermark of a job: the promise that nothing older is still expected.
//
// After a batch it is the minimum over partitions of (largest event time seen - lateness), and it never goes back
// (protocol 7). A partition that never held a record does not count; one that has backlog but was not read yet holds the
// watermark where it is. Lateness in batch N is judged by the watermark after N-1, which stands in N's plan, so an
// answer does not depend on how fast a partition drains. Pure.

import Engine

package struct WatermarkTracker: Sendable {
    package var latenessMillis: Int64
    package init(latenessMillis: Int64) { self.latenessMillis = latenessMillis }

    /// - Parameters:
    ///   - maxEventTimes: the largest event time of each partition that has delivered one.
    ///   - unread: partitions that hold records but have delivered no event time yet.
    package func watermark(
        before: Int64?, maxEventTimes: [TopicPartition: Int64], unread: Set<TopicPartition>
    ) -> Int64? {
        guard unread.isEmpty, let slowest = maxEventTimes.values.min() else { return before }
        let candidate = slowest - latenessMillis
        return max(before ?? candidate, candidate)
    }
}
