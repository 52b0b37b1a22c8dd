// Whether the topic that is read is still the one that the log knows (protocol 6): what was known and what brokers answer
// in, a verdict out. Pure; the shell asks `OffsetQueries.identity` and waits.
//
//   the id answered is another one                     -> other, at once: nobody answers a wrong id by accident
//   a partition ends before our position                -> asked again after a pause, then other: truncated, or made again
//   a leader's epoch is below one that we read, no id   -> asked again after a pause, then other
//   the id is equal                                     -> same
//   no id (an old broker, an old client)                -> unknown: the tail of a partition decides (`tail`)
//
// It is asked before a batch seals, at most once a second. An answer that is no longer ours stops the job before that
// seal; what was DONE since the last equal answer may have been read from the other topic and is named as suspect. A
// leader that was cut off may answer with an old end for a moment, so an end alone is believed when it is said twice.
//
// Survives nothing: a start compares with the log, and that is an equal answer or a stop.
//
// How a loop uses it:  if identity.isDue(now) { switch identity.answered(answer, of: positions, now) ... } then seal;
// `batchDone` after each DONE.

import Engine

package struct SourceIdentity: Sendable {
    package enum Verdict: Sendable, Equatable {
        /// Seal.
        case same
        /// Nobody can tell; seal, but nothing is proved by it.
        case unknown
        /// Do not seal yet: ask again.
        case askAgain(afterMillis: Int64)
        /// Do not seal: stop the job.
        case other(Failure)
    }

    package static let askAgainMillis: Int64 = 1000

    private let topic: String
    /// Nil while nobody has told one.
    private var topicID: String?
    private var askedMillis: Int64?
    private var doubtSinceMillis: Int64?
    private var lastDone: BatchNumber
    private var lastEqual: BatchNumber

    /// - Parameter topicID: as the start found it, equal to the log's.
    /// - Parameter lastDone: the last DONE batch at the start; 0 for none.
    package init(topic: String, topicID: String?, lastDone: BatchNumber) {
        self.topic = topic
        self.topicID = topicID
        self.lastDone = lastDone
        lastEqual = lastDone
    }

    /// Whether the brokers have to be asked before the next seal.
    package func isDue(nowMillis: Int64) -> Bool {
        guard let askedMillis, doubtSinceMillis == nil else { return true }
        return nowMillis - askedMillis >= Self.askAgainMillis
    }

    package mutating func batchDone(_ batch: BatchNumber) { lastDone = batch }

    /// Batches that are DONE and may have read another topic, should the next answer not be equal.
    package var suspects: ClosedRange<BatchNumber>? { lastEqual < lastDone ? lastEqual + 1...lastDone : nil }

    /// - Parameter positions: where the log stands, without the batch that waits for its seal.
    /// - Parameter reached: the ends of that batch's ranges, which its tasks have read.
    package mutating func answered(
        _ answer: SourceAnswer, positions: [PartitionPosition], reached: [TopicPartition: Int64] = [:], nowMillis: Int64
    ) -> Verdict {
        askedMillis = nowMillis
        if let known = topicID, let id = answer.topicID, known != id {
            return .other(
                changed("topic \(topic) was deleted and made again", "its id is \(id), the log knows \(known)"))
        }
        if topicID == nil { topicID = answer.topicID }
        if let doubt = doubt(answer, positions, reached) {
            let since = doubtSinceMillis ?? nowMillis
            doubtSinceMillis = since
            let left = since + Self.askAgainMillis - nowMillis
            return left > 0 ? .askAgain(afterMillis: left) : .other(doubt)
        }
        doubtSinceMillis = nil
        guard topicID != nil, answer.topicID != nil else { return .unknown }
        lastEqual = lastDone
        return .same
    }

    /// A record that was read for want of an id: equal content is as good as an equal id, other content proves another topic.
    package mutating func tail(of position: PartitionPosition, isEqual: Bool) -> Failure? {
        if isEqual {
            lastEqual = lastDone
            return nil
        }
        return changed(
            "\(position.topicPartition) holds another record at \(position.tailOffset ?? 0) than the log remembers",
            "the topic was deleted and made again, or truncated and written anew")
    }

    private func doubt(
        _ answer: SourceAnswer, _ positions: [PartitionPosition], _ reached: [TopicPartition: Int64]
    ) -> Failure? {
        for position in positions.sorted(by: { ($0.topic, $0.partition) < ($1.topic, $1.partition) }) {
            let partition = TopicPartition(topic: position.topic, partition: position.partition)
            let read = max(position.position, reached[partition] ?? 0)
            if let end = answer.ends[partition], end < read {
                if answer.topicID != nil, answer.topicID == topicID {
                    return changed(
                        "\(partition) was truncated: it ends at \(end), and \(read) was reached",
                        "the topic is the same one, so its brokers lost records that they had shown (an unclean election of a leader, or an older copy of their disks)")
                }
                return changed(
                    "\(partition) ends at \(end), before the offset \(read) that was reached",
                    "the topic was truncated, or deleted and made again")
            }
            if answer.topicID == nil, let known = position.leaderEpoch, let epoch = answer.leaderEpochs[partition], epoch < known {
                return changed(
                    "\(partition) has a leader of epoch \(epoch), before the epoch \(known) that was read",
                    "epochs only grow, so the topic was deleted and made again")
            }
        }
        return nil
    }

    private func changed(_ what: String, _ why: String) -> Failure {
        var now = "nothing of the open batch was sealed"
        if let suspects {
            now +=
                suspects.count == 1
                ? "; batch \(suspects.lowerBound) was DONE since the topic was last known to be ours: compare it"
                : "; batches \(suspects.lowerBound) to \(suspects.upperBound) were DONE since the topic was last known to be ours: compare them"
        }
        return Failure(
            .topicRecreated, what, why: why,
            now: now + "; to read the new topic run the job under another --name, and if it is the old one on another cluster start with --accept-topic")
    }
}

/// `--accept-topic`: a topic with another id is taken for the one that the log knows, when its records say so.
package enum TopicAcceptance {
    /// What lies at the offset of the last record that the log remembers.
    package enum Tail: Sendable, Equatable { case equal, different, gone }

    /// - Parameter tails: of every partition of the log that has a remembered record.
    /// - Throws: the reason why it cannot be the same topic, or cannot be shown to be.
    package static func check(
        topic: String, positions: [PartitionPosition], ends: [TopicPartition: Int64], tails: [TopicPartition: Tail]
    ) throws(Failure) {
        func refuse(_ why: String) -> Failure {
            Failure(
                .topicRecreated, "topic \(topic) cannot be accepted as the one that the log knows", why: why,
                now: "nothing was read; check that the whole topic was copied with its offsets, or run the job under another --name")
        }
        var proved = 0
        for position in positions.sorted(by: { ($0.topic, $0.partition) < ($1.topic, $1.partition) }) {
            let partition = TopicPartition(topic: position.topic, partition: position.partition)
            guard let end = ends[partition] else { throw refuse("\(partition) is not there") }
            guard end >= position.position else {
                throw refuse("\(partition) ends at \(end), before the position \(position.position)")
            }
            guard position.tailOffset != nil else { continue }
            switch tails[partition] {
            case .equal: proved += 1
            case .different: throw refuse("\(partition) holds another record at \(position.tailOffset!)")
            case .gone, nil: throw refuse("the record at \(position.tailOffset!) of \(partition) is gone, so nothing can be compared")
            }
        }
        guard proved > 0 || positions.allSatisfy({ $0.tailOffset == nil && $0.position == 0 }) else {
            throw refuse("no partition has a record that could be compared")
        }
    }
}
