// Why a partition does not have an offset that a range begins with: what it holds now in, the failure out. Pure.
//
//   it ends before the offset           the topic is another one, or was truncated
//   it begins behind the offset         retention, or somebody who deleted records: a loss that can be accepted
//   it holds the offset all the same    the client's question was refused at that offset and now is not: the log of the leader
//                                       changed under it, by truncation or because the topic was made again
//
// Only the second is a loss. The others must never be answered with "accept the loss": what lies there is not what was lost.

package enum GoneOffsets {
    /// - Parameters:
    ///   - held: the first offset that the partition holds now and the one behind the last; nil when Kafka does not tell.
    package static func failure(_ range: OffsetRange, held: Range<Int64>?) -> Failure {
        guard let held else {
            return Failure(
                .kafkaTransient, "Kafka does not give \(range) now", why: "it does not tell what it still holds of it",
                now: "nothing, if it passes by itself; else check the brokers")
        }
        if range.from > held.upperBound {
            return Failure(
                .topicRecreated, "\(range.topicPartition) ends before the range \(range)",
                why: "it now holds the offsets [\(held.lowerBound), \(held.upperBound)): the topic was deleted and made again, or truncated",
                now: "find out what happened to the topic; records of another topic must not be taken for ours")
        }
        if range.from >= held.lowerBound {
            return Failure(
                .topicRecreated, "\(range.topicPartition) no longer has the record before the range \(range)",
                why:
                    "its leader refused the offset \(range.from), though it now holds [\(held.lowerBound), \(held.upperBound)): the topic was deleted and made again, or truncated and written anew",
                now: "start the job again: a start compares the topic and the last records that were read, and goes on when they are the same")
        }
        let lost = min(held.lowerBound, range.until) - range.from
        return Failure(
            .offsetsGone, "Kafka no longer holds all of \(range)",
            why: "the partition now begins at offset \(held.lowerBound): \(lost) offsets of the range were deleted",
            now: "start the job with --accept-loss to go on behind what is gone; sluice audit will list it")
    }
}
