// What must hold after every event, and what at rest: by the log, the sink, the disk and the topic as they are, not by what anybody
// believes of them.

import Driver
import Engine

enum Invariants {
    /// The first rule that does not hold; nil when all do.
    static func broken(in world: World) -> String? {
        let catalog = world.catalog
        for (partition, offset) in world.kafka.committed where offset > catalog.positions[partition]?.position ?? 0 {
            return "Kafka is told \(offset) of \(partition), the log stands at \(catalog.positions[partition]?.position ?? 0)"
        }
        let ledger = world.ledger
        let last = catalog.done.last?.plan.batch ?? 0
        for (part, found) in ledger where found.batch > max(last, catalog.openPlan?.batch ?? 0) {
            return "part \(part) of the sink is at batch \(found.batch), which the log does not know"
        }
        if !world.sink.wasRestored, !(world.topic?.wasForgotten ?? false), world.mutant != .noLedger {
            for mark in catalog.seals {
                guard let found = ledger[mark.part], found.batch >= mark.batch else {
                    return "batch \(mark.batch) is done and part \(mark.part) is not in the sink"
                }
                if found.batch == mark.batch, found.digest != mark.digest {
                    return "part \(mark.part) of batch \(mark.batch) holds other rows than the log says"
                }
            }
        }
        if let row = world.topic?.doubled { return "row \(row) is in the topic twice" }
        for (row, count) in world.sink.content.rows where count > 1 { return "row \(row) is in the sink \(count) times" }
        for worker in world.workers { if let stray = worker.strayHold { return stray } }
        return refused(in: world) ?? world.lostState()
    }

    /// What the log says of refused rows is what the sink keeps of them.
    private static func refused(in world: World) -> String? {
        guard world.topic == nil, !world.sink.wasRestored, let done = world.catalog.done.last else { return nil }
        for part in done.outcome?.parts ?? [] {
            let kept = world.sink.content.refused[MadeSink.Refused(part: part.part, batch: done.plan.batch)]?.count ?? 0
            if kept != part.refused ?? 0 {
                return "part \(part.part) of batch \(done.plan.batch) has \(kept) rows refused, the log says \(part.refused ?? 0)"
            }
        }
        return nil
    }

    /// The sink against a fold of the topic by itself.
    static func atRest(_ world: World) -> String? {
        if world.isRefused { return nil }
        // A sink that was put back behind its last seal is found by the next one, or the next start, which never came.
        if world.sink.wasRestored, world.catalog.seals.contains(where: { (world.ledger[$0.part]?.batch ?? 0) < $0.batch }) { return nil }
        guard world.isHealed else { return "the world ended before it was healed" }
        var expected: [TopicPartition: Int64] = [:]
        for batch in world.catalog.done {
            for range in batch.plan.ranges {
                if let end = expected[range.topicPartition], end != range.from {
                    return "batch \(batch.plan.batch) begins at \(range.from) of \(range.topicPartition), the one before ended at \(end)"
                }
                expected[range.topicPartition] = range.until
            }
        }
        // Nothing but what is fatal is left out; what an election put in its place afterwards is another record.
        var leftOut: Set<String> = []
        for batch in world.catalog.done {
            for range in batch.plan.excluded ?? [] {
                let records = world.kafka.read(range)
                if !records.contains(where: \.isFatal), !world.kafka.wasTruncated || range.count != 1 {
                    return "batch \(batch.plan.batch) leaves \(range) out"
                }
                leftOut.formUnion(records.map(\.hash))
            }
        }
        var totals: [Int64: Int64] = [:]
        var rows: [String: Int] = [:]
        for (partition, records) in world.kafka.records {
            for record in records where !leftOut.contains(record.hash) && !record.isFatal {
                totals[record.key, default: 0] += 1
                rows[MadeWorker.row(Int(partition.partition), record)] = 1
            }
        }
        if world.scenario.isStateful {
            guard world.totals == totals else { return "totals differ: \(difference(world.totals, totals))" }
        } else {
            guard world.rows == rows else { return "rows differ: \(difference(world.rows, rows))" }
        }
        return nil
    }

    private static func difference<Key: Hashable & Comparable, Value: Equatable>(
        _ found: [Key: Value], _ expected: [Key: Value]
    ) -> String {
        Set(found.keys).union(expected.keys).sorted().filter { found[$0] != expected[$0] }.prefix(5).map {
            "\($0): \(found[$0].map { "\($0)" } ?? "nothing") for \(expected[$0].map { "\($0)" } ?? "nothing")"
        }.joined(separator: ", ")
    }
}

extension World {
    /// How far each part has come, by the sink.
    var ledger: [Int: (batch: BatchNumber, digest: String)] {
        if let topic { return topic.markers.filter { $0.value.batch > 0 && !$0.value.digest.isEmpty }.mapValues { ($0.batch, $0.digest) } }
        return sink.content.ledger.mapValues { ($0.batch, $0.digest) }
    }

    /// Of every key the newest total, those included that the sink refused.
    var totals: [Int64: Int64] { topic?.totals.mapValues(\.total) ?? sink.content.allTotals }
    /// How often each row came, those included that the sink refused.
    var rows: [String: Int] { topic?.rows ?? sink.content.allRows }
}
