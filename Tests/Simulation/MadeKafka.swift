// A made Kafka: a topic with an id, partitions of records with holes and leaders' epochs, ends, committed positions of one group; up
// or away. The topic can be deleted, be gone for a while, be made again and filled; an unclean election can cut a partition short.
//
// `prefix` tells what lies below an offset: by it the world knows whether what a job read once is still what it stands on, whatever
// ids and epochs say.

import Driver
import Engine

final class MadeKafka {
    struct Record {
        var offset: Int64
        var key: Int64
        var eventMillis: Int64
        /// Whoever computes with it dies.
        var isFatal = false
        /// Of all records that ever were.
        var number: Int
        var hash: String { "\(number)" }
    }
    static let topic = "made"

    private(set) var records: [TopicPartition: [Record]] = [:]
    private(set) var ends: [TopicPartition: Int64] = [:]
    private(set) var committed: [TopicPartition: Int64] = [:]
    /// Leaders of a partition, ascending: each one's epoch and where its log began.
    private var leaders: [TopicPartition: [(epoch: Int32, from: Int64)]] = [:]
    private var incarnation = 1
    private var appended = 0
    /// When records were lost that somebody may have read.
    private(set) var lossMillis: [Int64] = []
    private(set) var wasTruncated = false
    var isUp = true
    /// Deleted, and not made again yet.
    private(set) var isMissing = false
    /// No more records come.
    var isClosed = false

    init(partitions: Int) { for _ in 0..<partitions { addPartition() } }

    var partitions: [TopicPartition] { ends.keys.sorted() }
    var topicID: String { "made-\(incarnation)" }

    /// Why it does not answer.
    var trouble: Failure? { isMissing ? Self.missing : isUp ? nil : Self.away }

    func addPartition() {
        let partition = TopicPartition(topic: Self.topic, partition: Int32(ends.count))
        ends[partition] = 0
        records[partition] = []
        leaders[partition] = [(0, 0)]
    }

    // MARK: records

    func append(key: Int64, eventMillis: Int64, isFatal: Bool = false, _ random: inout Draws) {
        guard let partition = partitions.isEmpty ? nil : partitions[Int(random.below(Int64(ends.count)))] else { return }
        append(key: key, eventMillis: eventMillis, isFatal: isFatal, to: partition, &random)
    }

    func append(key: Int64, eventMillis: Int64, isFatal: Bool = false, to partition: TopicPartition, _ random: inout Draws) {
        // Markers and aborted rows leave holes.
        let offset = (ends[partition] ?? 0) + (random.chance(0.1) ? 1 + random.below(3) : 0)
        appended += 1
        records[partition, default: []].append(
            Record(offset: offset, key: key, eventMillis: eventMillis, isFatal: isFatal, number: appended))
        ends[partition] = offset + 1 + (random.chance(0.05) ? 1 : 0)
    }

    func read(_ range: OffsetRange) -> [Record] {
        (records[range.topicPartition] ?? []).filter { $0.offset >= range.from && $0.offset < range.until }
    }

    func commit(_ offsets: [TopicPartition: Int64]) { if !isMissing { committed.merge(offsets) { $1 } } }

    /// What lies below `offset`; the same text only for the same records.
    func prefix(_ partition: TopicPartition, _ offset: Int64) -> String {
        (records[partition] ?? []).lazy.filter { $0.offset < offset }.map(\.hash).joined(separator: " ")
    }

    // MARK: identity

    /// - Throws: what brokers say of a partition that is not there.
    func identity(_ known: [TopicPartition]) throws(Failure) -> SourceAnswer {
        guard known.allSatisfy({ ends[$0] != nil }) else { throw Self.missing }
        return SourceAnswer(
            topicID: topicID, ends: ends.filter { known.contains($0.key) }, leaderEpochs: leaders.compactMapValues { $0.last?.epoch })
    }

    /// The epoch of the leader that wrote just below `offset`.
    func leaderEpoch(_ partition: TopicPartition, before offset: Int64) -> Int32? {
        leaders[partition]?.last { $0.from < offset }?.epoch
    }

    /// What a leader finds that is asked for records from `offset` on, by who read up to there in `epoch`; nil for nothing wrong.
    func diverges(_ partition: TopicPartition, _ offset: Int64, epoch: Int32?) -> Failure? {
        guard let epoch, let known = leaders[partition]?.lastIndex(where: { $0.epoch <= epoch }), let all = leaders[partition] else { return nil }
        let end = known + 1 < all.count ? all[known + 1].from : ends[partition] ?? 0
        guard all[known].epoch < epoch || end < offset else { return nil }
        return Failure(.topicRecreated, "\(partition) was truncated", why: "its leader agrees up to \(end) only", now: "look")
    }

    // MARK: faults

    func fall(_ world: World, _ millis: Int64) {
        isUp = false
        world.after(millis) { self.isUp = true }
    }

    /// Deleted, gone for a while, made again, filled.
    func recreate(_ world: World, goneForMillis millis: Int64) {
        guard !isMissing else { return }
        isMissing = true
        lossMillis.append(world.nowMillis)
        let fewer = ends.count > 1 && world.random.chance(0.2)
        let count = ends.count - (fewer ? 1 : 0)
        let filled = world.random.chance(0.3) ? 0 : world.random.below(60)
        (records, ends, leaders, committed) = ([:], [:], [:], [:])
        world.after(millis) { [unowned self, unowned world] in
            incarnation += 1
            for _ in 0..<count { addPartition() }
            isMissing = false
            for _ in 0..<filled { append(key: world.random.below(world.scenario.keys), eventMillis: world.nowMillis, &world.random) }
        }
    }

    /// A leader that lacks the newest records was elected, and takes others.
    func truncate(_ world: World) {
        guard let partition = partitions.filter({ (ends[$0] ?? 0) > 0 }).randomElement(using: &world.random) else { return }
        let end = ends[partition] ?? 0
        let cut = max(0, end - 1 - world.random.below(12))
        wasTruncated = true
        lossMillis.append(world.nowMillis)
        records[partition]?.removeAll { $0.offset >= cut }
        ends[partition] = cut
        let epoch = (leaders[partition]?.last?.epoch ?? 0) + 1
        leaders[partition]?.removeAll { $0.from >= cut && $0.from > 0 }
        leaders[partition]?.append((epoch, cut))
        for _ in 0..<(world.random.chance(0.4) ? 0 : world.random.below(20)) {
            append(key: world.random.below(world.scenario.keys), eventMillis: world.nowMillis, to: partition, &world.random)
        }
    }

    static let away = Failure(.brokerUnreachable, "no broker answers", why: "made so", now: "wait")
    static let missing = Failure(.topicMissing, "brokers know no such partition", why: "made so", now: "check the topic's name")
}
