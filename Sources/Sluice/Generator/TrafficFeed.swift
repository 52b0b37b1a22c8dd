// Sends made records to a topic, at full speed or at a pace; and the topic, found or made.
//
// Block after block, each filled and sent partition by partition, then `flush`: when `send` returns, the broker has all of
// it. What kind of traffic it is has no say: whoever calls fills the buffer.
//
// What it does not decide: what the records are, whether a mock cluster has room (`EmbeddedRoom`).

import Engine
import Foundation
import Glibc

struct TrafficFeed {
    var events: Int
    /// What the longest record takes in an `EventBuffer`.
    var recordRoom: Int
    /// nil: as fast as the broker takes them.
    var eventsPerSecond: Double?

    /// What went out, and how long that took.
    struct Sent {
        var seconds: Double
        var partitionEvents: [Int]
    }

    /// - Parameter progress: called a few times a second, on the calling thread.
    /// - Parameter fill: puts those of the events `[from, until)` that go to a partition of so many into the buffer.
    func send(
        to topic: TrafficTopic, _ kafka: KafkaConfiguration, progress: (GenerateProgress) throws -> Void,
        fill: (_ buffer: EventBuffer, _ from: Int, _ until: Int, _ partition: Int, _ partitions: Int) -> Void
    ) throws -> Sent {
        let producer = try KafkaProducer(kafka)
        let partitions = topic.partitions.count
        let pace = Pace(eventsPerSecond: eventsPerSecond)
        // Small enough for the processor's cache, and no partition runs far ahead of the others.
        let perPartition = max(16, 4096 / partitions)
        let block = pace.block(most: perPartition * partitions)
        let buffer = EventBuffer(capacity: perPartition, recordRoom: recordRoom)
        var partitionEvents = [Int](repeating: 0, count: partitions)
        var bytes = 0
        let began = ContinuousClock.now
        func seconds() -> Double { (ContinuousClock.now - began) / .seconds(1) }
        var nextReport = 0.0
        var from = 0
        func report() throws {
            try progress(GenerateProgress(events: from, eventsInAll: events, bytes: bytes, seconds: seconds()))
        }
        while from < events {
            let until = min(from + block, events)
            if pace.eventsPerSecond != nil { Self.rest(pace.dueSeconds(event: until - 1) - seconds()) }
            for partition in 0..<partitions {
                fill(buffer, from, until, partition, partitions)
                partitionEvents[partition] += buffer.count
                bytes += buffer.byteCount
                for index in 0..<buffer.count {
                    try producer.send(
                        topic: topic.name, partition: topic.partitions[partition], value: buffer.record(index),
                        timestampMillis: buffer.timestampMillis(index))
                }
            }
            from = until
            if seconds() >= nextReport {
                try report()
                nextReport = seconds() + 0.2
            }
        }
        try producer.flush(timeoutMillis: 120_000)
        let took = seconds()
        try report()
        return Sent(seconds: took, partitionEvents: partitionEvents)
    }

    private static func rest(_ seconds: Double) {
        guard seconds > 0 else { return }
        let whole = seconds.rounded(.down)
        var time = timespec(tv_sec: Int(whole), tv_nsec: Int((seconds - whole) * 1e9))
        var left = timespec()
        // A signal ends the rest early.
        while nanosleep(&time, &left) != 0 && errno == EINTR { time = left }
    }
}

/// The topic, found or made, and known to have room.
struct TrafficTopic {
    let name: String
    let partitions: [Int32]
    private(set) var isNew = false
    private(set) var recordsBefore: Int64 = 0

    /// What every broker keeps.
    private static let usualAgeMillis: Int64 = 3_600_000

    /// - Parameter bytes: of so many events, the first ones.
    init(
        _ kafka: KafkaConfiguration, _ name: String, partitions asked: Int?, events: Int, startMillis: Int64, bytes: (_ sample: Int) -> Int
    ) throws {
        self.name = name
        /// Judged by the mean length of the first events.
        func checkRoom(partitions: Int, recordsBefore: Int64) throws {
            let sample = min(events, 1000)
            try EmbeddedRoom(
                recordsBefore: recordsBefore, events: events, meanBytes: Double(bytes(sample)) / Double(sample), partitions: partitions
            ).check(topic: name)
        }
        let queries = try OffsetQueries(kafka)
        let isEmbedded = try queries.isEmbeddedBroker()
        if try !queries.exists(name) {
            let wanted = asked ?? GenerateRequest.usualPartitions
            guard wanted > 0, wanted <= 100_000 else {
                throw Failure(
                    .invalidSetting, "no topic can be made with this --partitions", why: "\(wanted) is no such number",
                    now: "give a number such as 4")
            }
            if isEmbedded { try checkRoom(partitions: wanted, recordsBefore: 0) }
            // Kafka counts a record's age from its time stamp: events of last year would be gone within minutes.
            let ageMillis = Int64(Date().timeIntervalSince1970 * 1000) - startMillis
            let config = ageMillis > Self.usualAgeMillis ? ["retention.ms": "-1"] : [:]
            try TopicAdmin(kafka).createTopic(name, partitions: wanted, config: config)
            isNew = true
        }
        partitions = try queries.partitions(of: name)
        if let asked, asked != partitions.count {
            throw Failure(
                .notPossible, "topic \(name) was not written",
                why: "it has \(partitions.count) partitions, and --partitions says \(asked)",
                now: "leave --partitions out, or name another topic")
        }
        let all = partitions.map { TopicPartition(topic: name, partition: $0) }
        let (starts, ends) = (try queries.starts(all), try queries.ends(all))
        recordsBefore = all.reduce(0) { $0 + max(0, (ends[$1] ?? 0) - (starts[$1] ?? 0)) }
        if isEmbedded { try checkRoom(partitions: partitions.count, recordsBefore: recordsBefore) }
    }
}
