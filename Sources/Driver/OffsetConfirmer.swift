// Tells Kafka, after the fact, how far a job is: group `sluice.<job>`, metadata naming batch and epoch.
//
// Advice, never truth (protocol 4): it runs behind the loop, only the newest position is worth sending, and a failure
// is logged and made good by the next batch. `drain` waits for the last one, so that a job that stopped cleanly shows no
// lag of its own.

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
        if start { queue.async { self.send() } }
    }

    /// Waits until everything confirmed so far was sent or failed.
    func drain() { queue.sync {} }

    private func send() {
        let (offsets, metadata) = pending.withLock { pending in
            defer { pending = Pending() }
            return (pending.offsets, pending.metadata)
        }
        guard !offsets.isEmpty else { return }
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
