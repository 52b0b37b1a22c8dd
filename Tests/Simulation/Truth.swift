// What was really read, whatever ids, epochs and ends say: for each partition what lay below the log's position when that was read, and of
// which topic the rows are that reach the sink. A topic that was made again, or cut short and written again, shows by it.
//
// The rule (protocol 6): rows of another topic than the log stands on reach the sink only out of batches that were let go within a
// second of the last equal answer; and whoever refuses then names those batches.

import Driver
import Engine

final class Truth {
    private struct Try: Hashable {
        var batch: BatchNumber
        var epoch: Epoch
    }
    private struct Order: Hashable {
        var of: Try
        var part: Int
        var digest: String
    }

    /// Below the position that the log has.
    private var known: [TopicPartition: (position: Int64, prefix: String)] = [:]
    private var read: [Try: [TopicPartition: String]] = [:]
    private var sealed: [BatchNumber: [TopicPartition: String]] = [:]
    private var ordered: [Order: (isForeign: Bool, slackMillis: Int64)] = [:]
    /// Batches with rows of another topic in the sink.
    private(set) var foreign: Set<BatchNumber> = []
    private(set) var violation: String?

    /// Whether the topic still is what the log stands on.
    func holds(_ kafka: MadeKafka) -> Bool {
        kafka.lossMillis.isEmpty || known.allSatisfy { kafka.ends[$0.key] != nil && kafka.prefix($0.key, $0.value.position) == $0.value.prefix }
    }

    func read(_ batch: BatchNumber, _ epoch: Epoch, _ partition: TopicPartition, _ reading: MadeReading) {
        read[Try(batch: batch, epoch: epoch), default: [:]][partition] = reading.until
    }

    func done(_ plan: BatchPlan, epoch: Epoch, _ kafka: MadeKafka) {
        for range in plan.ranges {
            let partition = range.topicPartition
            let seen = sealed[plan.batch]?[partition] ?? read[Try(batch: plan.batch, epoch: epoch)]?[partition]
            known[partition] = (range.until, seen ?? kafka.prefix(partition, range.until))
        }
    }

    private func isForeign(_ rows: MadeRows, _ batch: BatchNumber) -> Bool {
        rows.readings.contains { partition, reading in
            known[partition].map { $0.prefix != reading.before } ?? false || sealed[batch]?[partition].map { $0 != reading.until } ?? false
        }
    }

    /// The driver lets the batch go.
    /// - Parameter slackMillis: since the last answer that was truly equal.
    func letGo(_ batch: BatchNumber, _ epoch: Epoch, slackMillis: Int64, _ parts: [(part: Int, digest: String, rows: MadeRows)]) {
        for part in parts {
            let order = Order(of: Try(batch: batch, epoch: epoch), part: part.part, digest: part.digest)
            ordered[order] = (isForeign(part.rows, batch), slackMillis)
        }
    }

    /// Rows have reached the sink.
    func written(_ rows: MadeRows, part: Int, digest: String, batch: BatchNumber, epoch: Epoch) {
        let isForeign = isForeign(rows, batch)
        sealed[batch, default: [:]].merge(rows.readings.mapValues(\.until)) { $1 }
        guard isForeign else { return }
        // The same rows as those that were let go, computed again.
        let order = ordered[Order(of: Try(batch: batch, epoch: epoch), part: part, digest: digest)]
        if let order, !order.isForeign { return }
        foreign.insert(batch)
        let slack = order?.slackMillis ?? .max
        if slack > SourceIdentity.askAgainMillis, violation == nil {
            let when = order == nil ? "computed after it was let go" : slack == .max ? "let go unasked" : "let go \(slack) ms after the last equal answer"
            violation = "part \(part) of batch \(batch) is of another topic, \(when)"
        }
    }

    /// Whether a refusal names every batch of `done` that has rows of another topic.
    func isNamed(by reason: Failure, of done: Set<BatchNumber>) -> Bool {
        let suspects = foreign.intersection(done)
        guard !suspects.isEmpty else { return true }
        let words = reason.now.split(whereSeparator: { !$0.isNumber }).compactMap { BatchNumber($0) }
        guard let first = words.first else { return false }
        let named = first...max(first, words.count > 1 ? words[1] : first)
        return suspects.allSatisfy(named.contains)
    }
}
