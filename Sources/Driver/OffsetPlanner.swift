// Cuts the offset ranges of the next batch: from where the log stands to where the topic ends, bounded by a rate.
//
// Pure: positions, starts and ends in, ranges out. With a bound, every partition first gets an equal share and what a
// short partition leaves goes to the longer ones, so a partition that is far behind cannot starve the others and the
// bound is met exactly while there is backlog. A partition that is new starts at its earliest offset, through the log.

import Engine

package struct OffsetPlanner: Sendable {
    /// Most offsets in a batch over all partitions; nil for no bound.
    package var maxRecords: Int64?

    package init(maxRecords: Int64?) { self.maxRecords = maxRecords }

    /// - Parameters:
    ///   - positions: the next offset of every partition of the job, from the log.
    ///   - ends: where each partition ends now (last stable offset under read_committed).
    /// - Returns: non-empty ranges sorted by partition.
    package func ranges(positions: [TopicPartition: Int64], ends: [TopicPartition: Int64]) -> [OffsetRange] {
        let waiting = positions.compactMap { partition, position -> (partition: TopicPartition, from: Int64, count: Int64)? in
            guard let end = ends[partition], end > position else { return nil }
            return (partition, position, end.minus(position))
        }.sorted { ($0.count, $0.partition) < ($1.count, $1.partition) }

        var left = maxRecords ?? .max
        var ranges: [OffsetRange] = []
        for (index, entry) in waiting.enumerated() {
            let remaining = Int64(waiting.count - index)
            // The shortest first: what it leaves of its share is shared by the rest.
            let share = left == .max ? entry.count : max(1, left / remaining + (left % remaining > 0 ? 1 : 0))
            let take = min(entry.count, share)
            if take <= 0 || left <= 0 { break }
            ranges.append(
                OffsetRange(
                    topic: entry.partition.topic, partition: entry.partition.partition, from: entry.from,
                    until: entry.from + take))
            if left != .max { left -= take }
        }
        return ranges.sorted { $0.topicPartition < $1.topicPartition }
    }
}
