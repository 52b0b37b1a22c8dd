// The way into Kafka: topics, room, pace and files, on the embedded broker; the speed on a real one.

import Engine
import Foundation
import Sluice
import TestSupport
import Testing

@Suite(.waits) struct TrafficRunTests {
    private func request(
        _ broker: EmbeddedBroker, _ folder: TemporaryDirectory, topic: String, events: Int,
        format: AdEventFormat = .avro
    ) throws -> GenerateRequest {
        GenerateRequest(
            kafka: try KafkaConfiguration(bootstrap: broker.bootstrap), topic: topic,
            traffic: traffic(format, events: events), adsPath: folder.file("ads.csv"),
            expectedPath: folder.file("expected.csv"))
    }

    @Test(arguments: AdEventFormat.allCases)
    func `all events reach the topic and the files tell their answer`(format: AdEventFormat) throws {
        let broker = try EmbeddedBroker(topics: [("ads", 3)])
        let folder = try TemporaryDirectory("generate")
        let wanted = try request(broker, folder, topic: "ads", events: 10_000, format: format)
        var reports: [GenerateProgress] = []
        let summary = try TrafficRun.run(wanted) { reports.append($0) }
        #expect(summary.partitionEvents == [3_334, 3_333, 3_333] && summary.counts.events == 10_000)
        #expect(summary.recordsBefore == 0 && !summary.madeTopic)
        #expect(reports.last?.events == 10_000 && reports.last?.bytes == summary.counts.bytes)

        let queries = try OffsetQueries(wanted.kafka)
        let ends = try queries.ends((0..<3).map { TopicPartition(topic: "ads", partition: $0) })
        #expect(ends.sorted { $0.key < $1.key }.map { Int($0.value) } == summary.partitionEvents)

        let generator = try AdEventGenerator(wanted.traffic)
        #expect(try Data(contentsOf: URL(filePath: folder.file("ads.csv"))) == Data(generator.directory.csv))
        let tally = try ViewTally(wanted.traffic, generator.directory)
        var counts = TrafficCounts()
        _ = records(of: generator, partitions: 1, tally: tally, counts: &counts)
        #expect(try Data(contentsOf: URL(filePath: folder.file("expected.csv"))) == Data(tally.csv().bytes))
        #expect(summary.counts == counts && summary.expectedRows == tally.csv().rows)

        let again = try TrafficRun.run(wanted) { _ in }
        #expect(again.recordsBefore == 10_000)
    }

    @Test func `what the embedded broker would drop is refused before anything is sent`() throws {
        let broker = try EmbeddedBroker(topics: [("ads", 2)])
        let folder = try TemporaryDirectory("generate")
        let wanted = try request(broker, folder, topic: "ads", events: 100_000, format: .json)
        let failure = try #require(throws: Failure.self) { _ = try TrafficRun.run(wanted) { _ in } }
        #expect(failure.code == .notPossible && failure.now.contains("5 partitions"), "\(failure)")
        let queries = try OffsetQueries(wanted.kafka)
        #expect(try queries.ends([TopicPartition(topic: "ads", partition: 0)]).values.first == 0)
        #expect(!FileManager.default.fileExists(atPath: folder.file("ads.csv")))
    }

    @Test(
        arguments: [
            (100_000, 151.0, 4, 0, 4), (100_000, 244.0, 4, 0, 5), (1_000_000, 151.0, 4, 0, 32),
            (100_000, 151.0, 4, 40_000, 5),
            (1, 151.0, 1, 0, 1),
        ] as [(Int, Double, Int, Int64, Int)])
    func `the room of the embedded broker is counted in partitions`(
        events: Int, bytes: Double, partitions: Int, before: Int64, needed: Int
    ) {
        let room = EmbeddedRoom(recordsBefore: before, events: events, meanBytes: bytes, partitions: partitions)
        #expect(room.neededPartitions == needed)
        if needed > partitions {
            #expect(throws: Failure.self) { try room.check(topic: "t") }
        } else {
            #expect(throws: Never.self) { try room.check(topic: "t") }
        }
    }

    @Test func `a topic with other partitions than asked for is not written`() throws {
        let broker = try EmbeddedBroker(topics: [("ads", 2)])
        let folder = try TemporaryDirectory("generate")
        var wanted = try request(broker, folder, topic: "ads", events: 10)
        wanted.partitions = 3
        let failure = try #require(throws: Failure.self) { _ = try TrafficRun.run(wanted) { _ in } }
        #expect(failure.code == .notPossible && failure.why.contains("2 partitions"))
    }

    @Test func `a paced run takes its time and never sends an event before its moment`() throws {
        let broker = try EmbeddedBroker(topics: [("ads", 2)])
        let folder = try TemporaryDirectory("generate")
        var wanted = try request(broker, folder, topic: "ads", events: 400)
        wanted.eventsPerSecond = 1000
        var reports: [GenerateProgress] = []
        let summary = try TrafficRun.run(wanted) { reports.append($0) }
        #expect(summary.seconds >= 0.399 && summary.counts.events == 400)
        #expect(reports.allSatisfy { Double($0.events - 1) / 1000 <= $0.seconds })
    }

    @Test func `a missing topic is made on the embedded broker, with the partitions that it can make`() throws {
        let broker = try EmbeddedBroker()
        let folder = try TemporaryDirectory("generate")
        for (topic, partitions) in [("four", 4), ("usual", nil)] as [(String, Int?)] {
            var wanted = try request(broker, folder, topic: topic, events: 1000)
            wanted.partitions = partitions
            let summary = try TrafficRun.run(wanted) { _ in }
            #expect(summary.madeTopic && summary.partitionEvents == [250, 250, 250, 250])
        }
        var wanted = try request(broker, folder, topic: "three", events: 1000)
        wanted.partitions = 3
        let failure = try #require(throws: Failure.self) { _ = try TrafficRun.run(wanted) { _ in } }
        #expect(failure.code == .notPossible && failure.now.contains("--topic three:3"), "\(failure)")
        #expect(try !OffsetQueries(wanted.kafka).exists("three"))
    }

    @Test func `an address where nobody answers is an error that names it`() throws {
        let folder = try TemporaryDirectory("generate")
        let wanted = GenerateRequest(
            kafka: try KafkaConfiguration(bootstrap: "127.0.0.1:1"), topic: "ads", traffic: traffic(.avro, events: 10),
            adsPath: folder.file("ads.csv"))
        let failure = try #require(throws: Failure.self) { _ = try TrafficRun.run(wanted) { _ in } }
        #expect(failure.code == .brokerUnreachable && "\(failure)".contains("127.0.0.1:1"), "\(failure)")
    }

    @Test(.enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
    func `on a real Kafka the missing topic is made, has room, and records carry their event time`() throws {
        let folder = try TemporaryDirectory("generate")
        let kafka = try KafkaFixture.shared().configuration()
        let wanted = GenerateRequest(
            kafka: kafka, topic: "made-\(UUID().uuidString)", partitions: 2, traffic: traffic(.json, events: 60_000),
            adsPath: folder.file("ads.csv"))
        let summary = try TrafficRun.run(wanted) { _ in }
        #expect(summary.madeTopic && summary.expectedFile == nil)
        let queries = try OffsetQueries(kafka)
        let all = try queries.partitions(of: wanted.topic).map { TopicPartition(topic: wanted.topic, partition: $0) }
        #expect(all.count == 2)
        #expect(try queries.ends(all).values.allSatisfy { $0 == 30_000 })
        // Without disorder event 20,000 of 60,000 is the first at a third of the span.
        let third = wanted.traffic.startMillis + wanted.traffic.spanMillis / 3
        #expect(try queries.offsets(atTimeMillis: third, all).values.allSatisfy { $0 == 10_000 })
    }

    private static let benchBootstrap = ProcessInfo.processInfo.environment["SLUICE_BENCH_BOOTSTRAP"]

    @Test(
        .enabled(if: benchBootstrap != nil, "SLUICE_BENCH_BOOTSTRAP names no broker"), .serialized,
        arguments: AdEventFormat.allCases)
    func `bench of sending events`(format: AdEventFormat) throws {
        let folder = try TemporaryDirectory("generate")
        for turn in 0..<3 {
            let wanted = GenerateRequest(
                kafka: try KafkaConfiguration(bootstrap: try #require(Self.benchBootstrap)),
                topic: "bench-\(format)-\(turn)-\(UUID().uuidString.prefix(8))",
                traffic: traffic(format, events: 3_000_000), adsPath: folder.file("ads.csv"),
                expectedPath: folder.file("expected.csv"))
            let before = (cpuSeconds(CLOCK_PROCESS_CPUTIME_ID), cpuSeconds(CLOCK_THREAD_CPUTIME_ID))
            let summary = try TrafficRun.run(wanted) { _ in }
            let all = (cpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - before.0) / 3
            let own = (cpuSeconds(CLOCK_THREAD_CPUTIME_ID) - before.1) / 3
            print(
                "\(format): \(Int(summary.eventsPerSecond)) events/s; CPU us an event: \(all) in all, "
                    + "\(own) in the sending thread"
            )
        }
    }

    private func cpuSeconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
