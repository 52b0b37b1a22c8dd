// What must hold after every event, and what at rest: by the log, the sink and the topic as they are, not by what anybody
// believes of them.

import Driver
import Engine

enum Invariants {
    /// The first rule that does not hold; nil when all do.
    static func broken(in world: World) -> String? {
        let (catalog, sink) = (world.catalog, world.sink)
        for (partition, offset) in world.kafka.committed where offset > catalog.positions[partition]?.position ?? 0 {
            return "Kafka is told \(offset) of \(partition), the log stands at \(catalog.positions[partition]?.position ?? 0)"
        }
        let last = catalog.done.last?.plan.batch ?? 0
        for (part, ledger) in sink.content.ledger where ledger.batch > max(last, catalog.openPlan?.batch ?? 0) {
            return "part \(part) of the sink is at batch \(ledger.batch), which the log does not know"
        }
        if !sink.wasRestored, world.mutant != .noLedger {
            for mark in catalog.seals {
                guard let ledger = sink.content.ledger[mark.part], ledger.batch >= mark.batch else {
                    return "batch \(mark.batch) is done and part \(mark.part) is not in the sink"
                }
                if ledger.batch == mark.batch, ledger.digest != mark.digest {
                    return "part \(mark.part) of batch \(mark.batch) holds other rows than the log says"
                }
            }
        }
        for (row, count) in sink.content.rows where count > 1 { return "row \(row) is in the sink \(count) times" }
        return nil
    }

    /// The sink against a fold of the topic by itself.
    static func atRest(_ world: World) -> String? {
        if world.isRefused { return nil }
        // A sink that was put back behind its last seal is found by the next one, or the next start, which never came.
        let sink = world.sink
        if sink.wasRestored, world.catalog.seals.contains(where: { (sink.content.ledger[$0.part]?.batch ?? 0) < $0.batch }) { return nil }
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
        // Nothing but what is fatal is left out.
        for batch in world.catalog.done {
            for range in batch.plan.excluded ?? [] where !world.kafka.read(range).contains(where: \.isFatal) || range.count != 1 {
                return "batch \(batch.plan.batch) leaves \(range) out"
            }
        }
        var totals: [Int64: Int64] = [:]
        var rows: [String: Int] = [:]
        for (partition, records) in world.kafka.records {
            for record in records where !record.isFatal {
                totals[record.key, default: 0] += 1
                rows["\(partition.partition)/\(record.offset)"] = 1
            }
        }
        let content = world.sink.content
        if world.scenario.isStateful {
            guard content.totals == totals else { return "totals differ: \(difference(content.totals, totals))" }
        } else {
            guard content.rows == rows else { return "rows differ: \(difference(content.rows, rows))" }
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
