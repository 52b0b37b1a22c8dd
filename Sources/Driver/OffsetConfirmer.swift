// Tells Kafka, after the fact, how far a job is: group `sluice.<job>`, every partition, marked with batch and epoch.
//
// Advice, never truth (protocol 4): it runs behind the loop, only the newest positions are worth sending, and a failure
// is logged and made good by the next batch. Every partition is named each time: one that rests would expire, and one without our mark
// looks as if it had been moved. Batches that end closer together than `ConfirmPace` allows are told together: who
// looks at a lag looks by the second, and fifty commits a second cost broker and driver more than they say. `drain` sends
// what is left, so that a job that stopped cleanly shows no lag of its own.

import Engine
import Foundation
import Synchronization

/// How often all positions are sent. Pure.
package enum ConfirmPace {
    /// At least this long between two commits: a commit of 10,000 partitions is as many records in Kafka.
    package static func pauseMillis(partitions: Int) -> Int64 { max(500, Int64(partitions)) }
}

final class OffsetConfirmer: Sendable {
    private struct Pending {
        var offsets: [TopicPartition: Int64] = [:]
        var mark: OffsetMark?
        var isScheduled = false
    }
    private let lastSent = Mutex(ContinuousClock.now - .seconds(3600))
    private let queries: OffsetQueries
    private let group: String
    private let pending = Mutex(Pending())
    private let thread = WorkThread("offsets to Kafka")
    /// Ends a pause before its time.
    private let hurry = SteadySignal()

    init(queries: OffsetQueries, group: String) {
        self.queries = queries
        self.group = group
    }

    /// - Parameter offsets: of every partition of the job.
    func confirm(_ offsets: [TopicPartition: Int64], batch: BatchNumber, epoch: Epoch) {
        let start = pending.withLock { pending in
            pending.offsets = offsets
            pending.mark = OffsetMark(batch: batch, epoch: epoch)
            defer { pending.isScheduled = true }
            return !pending.isScheduled
        }
        guard start else { return }
        let pause = Duration.milliseconds(ConfirmPace.pauseMillis(partitions: offsets.count))
        let rest = lastSent.withLock { $0 } + pause - .now
        thread.put { [self] in
            if rest > .zero { _ = hurry.take(within: rest) }
            send()
        }
    }

    /// Returns when everything confirmed so far was sent or failed.
    func drain() {
        let isSent = SteadySignal()
        hurry.give()
        thread.put { [self] in
            send()
            isSent.give()
        }
        isSent.take()
    }

    private func send() {
        let (offsets, mark) = pending.withLock { pending in
            defer { pending = Pending() }
            return (pending.offsets, pending.mark)
        }
        guard !offsets.isEmpty, let mark else { return }
        lastSent.withLock { $0 = .now }
        do {
            try queries.commit(group: group, positions: offsets, mark: mark)
        } catch {
            let failure = failure(error)
            Log.warning(
                "offsets not confirmed in Kafka",
                [("group", group), ("why", "\(failure.what): \(failure.why)"), ("then", "the next batch sends them again")])
        }
    }
}

extension OffsetQueries {
    /// Writes positions with the mark by which a start knows them for ours.
    package func commit(group: String, positions: [TopicPartition: Int64], mark: OffsetMark) throws {
        try commit(
            group: group,
            positions.sorted { $0.key < $1.key }.map { KafkaPosition($0.key, offset: $0.value, metadata: mark.text) })
    }
}
