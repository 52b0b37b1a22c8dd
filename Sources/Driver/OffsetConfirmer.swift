// Tells Kafka, after the fact, how far a job is: group `sluice.<job>`, metadata naming batch and epoch.
//
// Advice, never truth (protocol 4): it runs behind the loop, only the newest position is worth sending, and a failure
// is logged and made good by the next batch. Batches that end closer together than `pauseMillis` are told together: who
// looks at a lag looks by the second, and fifty commits a second cost broker and driver more than they say. `drain` sends
// what is left, so that a job that stopped cleanly shows no lag of its own.

import Dispatch
import Engine
import Foundation
import Synchronization

final class OffsetConfirmer: Sendable {
    private struct Pending {
        var offsets: [TopicPartition: Int64] = [:]
        var metadata = ""
        var isScheduled = false
    }
    /// At least this long between two commits.
    private static let pauseMillis = 500
    private let lastSent = Mutex(ContinuousClock.now - .seconds(1))
    private let queries: OffsetQueries
    private let group: String
    private let pending = Mutex(Pending())
    private let queue = DispatchQueue(label: "sluice.confirm")

    init(queries: OffsetQueries, group: String) {
        self.queries = queries
        self.group = group
    }

    func confirm(_ offsets: [TopicPartition: Int64], batch: BatchNumber, epoch: Epoch) {
        let start = pending.withLock { pending in
            pending.offsets.merge(offsets) { $1 }
            pending.metadata = "batch=\(batch) epoch=\(epoch)"
            defer { pending.isScheduled = true }
            return !pending.isScheduled
        }
        guard start else { return }
        let rest = lastSent.withLock { $0 } + .milliseconds(Self.pauseMillis) - .now
        if rest <= .zero {
            queue.async { self.send() }
        } else {
            queue.asyncAfter(deadline: .now() + .microseconds(Int(rest / .microseconds(1)))) { self.send() }
        }
    }

    /// Returns when everything confirmed so far was sent or failed.
    func drain() { queue.sync { send() } }

    private func send() {
        let (offsets, metadata) = pending.withLock { pending in
            defer { pending = Pending() }
            return (pending.offsets, pending.metadata)
        }
        guard !offsets.isEmpty else { return }
        lastSent.withLock { $0 = .now }
        do {
            try queries.commit(
                group: group,
                offsets.sorted { $0.key < $1.key }.map { KafkaPosition($0.key, offset: $0.value, metadata: metadata) })
        } catch {
            Log.warning(
                "offsets not confirmed in Kafka", [("group", group), ("why", failure(error).why), ("then", "the next batch sends them again")])
        }
    }
}
