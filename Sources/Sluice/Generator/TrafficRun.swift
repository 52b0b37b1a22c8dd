// Sends generated traffic to Kafka: the shell around `AdEventGenerator`.
//
// Order: the list of ads first (a job that starts beside us needs it), then the topic, then block after block, each
// filled and sent partition by partition, then `flush`, and only when every record is confirmed the expected answer.
// So a file with an expected answer always belongs to traffic that is whole in Kafka. A run that is killed leaves its
// records in the topic and no new answer; it is run again on a fresh topic.
//
// What it does not decide: what the events are (`AdTraffic`), whether a mock cluster has room (`EmbeddedRoom`).

import Engine
import Foundation
import Glibc

package enum TrafficRun {
    /// Makes the traffic and waits until the broker has all of it.
    /// - Parameter progress: called a few times a second, on the calling thread.
    package static func run(
        _ request: GenerateRequest, progress: (GenerateProgress) throws -> Void
    ) throws -> GenerateSummary {
        if let rate = request.eventsPerSecond, !(rate > 0 && rate <= 1e9) {
            throw Failure(
                .invalidSetting, "no traffic can be made with this --rate", why: "\(rate) events a second is no speed",
                now: "give a number such as 10000, or leave it out for full speed")
        }
        let generator = try AdEventGenerator(request.traffic)
        let traffic = generator.traffic
        let tally = try request.expectedPath.map { _ in try ViewTally(traffic, generator.directory) }
        let topic = try Destination(request, generator)
        try generator.directory.write(to: request.adsPath)

        let producer = try KafkaProducer(request.kafka)
        let partitions = topic.partitions.count
        let pace = Pace(eventsPerSecond: request.eventsPerSecond)
        // Small enough for the processor's cache, and no partition runs far ahead of the others.
        let perPartition = max(16, 4096 / partitions)
        let block = pace.block(most: perPartition * partitions)
        let buffer = EventBuffer(capacity: perPartition)
        var counts = TrafficCounts()
        var partitionEvents = [Int](repeating: 0, count: partitions)
        let began = ContinuousClock.now
        func seconds() -> Double { (ContinuousClock.now - began) / .seconds(1) }
        func report() throws {
            try progress(
                GenerateProgress(
                    events: counts.events, eventsInAll: traffic.events, bytes: counts.bytes, seconds: seconds()))
        }
        var nextReport = 0.0
        var from = 0
        while from < traffic.events {
            let until = min(from + block, traffic.events)
            if pace.eventsPerSecond != nil { rest(pace.dueSeconds(event: until - 1) - seconds()) }
            for partition in 0..<partitions {
                counts += generator.fill(
                    buffer, from: from, until: until, partition: partition, of: partitions, tally: tally)
                partitionEvents[partition] += buffer.count
                for index in 0..<buffer.count {
                    try producer.send(
                        topic: request.topic, partition: topic.partitions[partition], value: buffer.record(index),
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

        var expectedRows: Int?
        if let tally, let path = request.expectedPath {
            let answer = tally.csv()
            try writeFile(answer.bytes, to: path)
            expectedRows = answer.rows
        }
        return GenerateSummary(
            topic: request.topic, madeTopic: topic.isNew, recordsBefore: topic.recordsBefore, format: traffic.format,
            seed: traffic.seed, start: formatTime(traffic.startMillis),
            until: formatTime(traffic.startMillis + traffic.spanMillis), counts: counts, seconds: took,
            eventsPerSecond: took > 0 ? Double(traffic.events) / took : 0, partitionEvents: partitionEvents,
            adsFile: request.adsPath, expectedFile: request.expectedPath, expectedRows: expectedRows)
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
private struct Destination {
    var partitions: [Int32]
    var isNew = false
    var recordsBefore: Int64 = 0

    /// What every broker keeps.
    private static let usualAgeMillis: Int64 = 3_600_000

    init(_ request: GenerateRequest, _ generator: AdEventGenerator) throws {
        let queries = try OffsetQueries(request.kafka)
        let isEmbedded = try queries.isEmbeddedBroker()
        if try !queries.exists(request.topic) {
            let wanted = request.partitions ?? GenerateRequest.usualPartitions
            guard wanted > 0, wanted <= 100_000 else {
                throw Failure(
                    .invalidSetting, "no topic can be made with this --partitions", why: "\(wanted) is no such number",
                    now: "give a number such as 4")
            }
            if isEmbedded { try Self.checkRoom(request, generator, partitions: wanted, recordsBefore: 0) }
            // Kafka counts a record's age from its time stamp: events of last year would be gone within minutes.
            let ageMillis = Int64(Date().timeIntervalSince1970 * 1000) - generator.traffic.startMillis
            let config = ageMillis > Self.usualAgeMillis ? ["retention.ms": "-1"] : [:]
            try TopicAdmin(request.kafka).createTopic(request.topic, partitions: wanted, config: config)
            isNew = true
        }
        partitions = try queries.partitions(of: request.topic)
        if let wanted = request.partitions, wanted != partitions.count {
            throw Failure(
                .notPossible, "topic \(request.topic) was not written",
                why: "it has \(partitions.count) partitions, and --partitions says \(wanted)",
                now: "leave --partitions out, or name another topic")
        }
        let all = partitions.map { TopicPartition(topic: request.topic, partition: $0) }
        let (starts, ends) = (try queries.starts(all), try queries.ends(all))
        recordsBefore = all.reduce(0) { $0 + max(0, (ends[$1] ?? 0) - (starts[$1] ?? 0)) }
        if isEmbedded {
            try Self.checkRoom(request, generator, partitions: partitions.count, recordsBefore: recordsBefore)
        }
    }

    /// Judged by the mean length of the first events.
    private static func checkRoom(
        _ request: GenerateRequest, _ generator: AdEventGenerator, partitions: Int, recordsBefore: Int64
    ) throws {
        let sample = min(generator.traffic.events, 1000)
        let counts = generator.fill(
            EventBuffer(capacity: sample), from: 0, until: sample, partition: 0, of: 1, tally: nil)
        try EmbeddedRoom(
            recordsBefore: recordsBefore, events: generator.traffic.events,
            meanBytes: Double(counts.bytes) / Double(sample), partitions: partitions
        ).check(topic: request.topic)
    }
}
