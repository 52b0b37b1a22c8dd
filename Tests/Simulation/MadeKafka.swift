// A made Kafka: partitions of records with holes, ends, committed positions of one group; up or away.

import Engine

final class MadeKafka {
    struct Record {
        var offset: Int64
        var key: Int64
        var eventMillis: Int64
        /// Whoever computes with it dies.
        var isFatal = false
    }
    static let topic = "made"

    private(set) var records: [TopicPartition: [Record]] = [:]
    private(set) var ends: [TopicPartition: Int64] = [:]
    private(set) var committed: [TopicPartition: Int64] = [:]
    var isUp = true
    /// No more records come.
    var isClosed = false

    init(partitions: Int) { for _ in 0..<partitions { addPartition() } }

    var partitions: [TopicPartition] { ends.keys.sorted() }

    func addPartition() {
        let partition = TopicPartition(topic: Self.topic, partition: Int32(ends.count))
        ends[partition] = 0
        records[partition] = []
    }

    func append(key: Int64, eventMillis: Int64, isFatal: Bool = false, _ random: inout Draws) {
        let partition = partitions[Int(random.below(Int64(ends.count)))]
        // Markers and aborted rows leave holes.
        let offset = (ends[partition] ?? 0) + (random.chance(0.1) ? 1 + random.below(3) : 0)
        records[partition, default: []].append(Record(offset: offset, key: key, eventMillis: eventMillis, isFatal: isFatal))
        ends[partition] = offset + 1 + (random.chance(0.05) ? 1 : 0)
    }

    func read(_ range: OffsetRange) -> [Record] {
        (records[range.topicPartition] ?? []).filter { $0.offset >= range.from && $0.offset < range.until }
    }

    func commit(_ offsets: [TopicPartition: Int64]) { committed.merge(offsets) { $1 } }

    func fall(_ world: World, _ millis: Int64) {
        isUp = false
        world.after(millis) { self.isUp = true }
    }

    static let away = Failure(.brokerUnreachable, "no broker answers", why: "made so", now: "wait")
}
