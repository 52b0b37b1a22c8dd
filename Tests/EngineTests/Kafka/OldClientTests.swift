// The whole path once more on the distribution's client library, which may be older than the one we run on.
//
// A process cannot change the library it has loaded. So the test starts this test program again, with the folder of the
// distribution's library before the run path, and has it run the one test below that is disabled everywhere else. The
// parent asserts that exactly this test ran and passed.

import Engine
import Foundation
import TestSupport
import Testing

private let bootstrapVariable = "SLUICE_OLD_CLIENT_BOOTSTRAP"

private let distributionFolder: String? = {
    #if arch(arm64)
        let folder = "/usr/lib/aarch64-linux-gnu"
    #else
        let folder = "/usr/lib/x86_64-linux-gnu"
    #endif
    return FileManager.default.fileExists(atPath: folder + "/librdkafka.so.1") ? folder : nil
}()

@Suite(.waits) struct OldClientTests {
    @Test(.enabled(if: distributionFolder != nil, "the distribution's librdkafka is not in its usual place"))
    func `the distribution's client library reads and writes exactly, too`() throws {
        let broker = KafkaFixture.isAvailable ? nil : try EmbeddedBroker()
        let bootstrap = try broker?.bootstrap ?? KafkaFixture.shared().bootstrap
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let (status, output) = try runTool(
            program, ["--testing-library", "swift-testing", "--filter", "OldClientChild"],
            environment: ["LD_LIBRARY_PATH": distributionFolder, bootstrapVariable: bootstrap])
        #expect(status == 0, "\(output)")
        #expect(output.contains("Test run with 1 test in 1 suite passed"), "\(output)")
    }
}

@Suite(.waits, .enabled(if: ProcessInfo.processInfo.environment[bootstrapVariable] != nil, "runs inside OldClientTests"))
struct OldClientChild {
    @Test func `ranges, ends and positions on the library of the headers`() throws {
        #expect(KafkaVersion.loaded == KafkaVersion.built)
        #expect(KafkaVersion.loaded.knownDefects.isEmpty == (KafkaVersion.loaded >= KafkaVersion.minimum))
        let bootstrap = try #require(ProcessInfo.processInfo.environment[bootstrapVariable])
        let configuration = try KafkaConfiguration(bootstrap: bootstrap)
        let topic = "old-client-\(getpid())"
        try TopicAdmin(configuration).createTopic(topic, partitions: 4, replication: 1)
        let producer = try KafkaProducer(configuration)
        for partition in 0..<4 as Range<Int32> { try producer.sendNumbers(20_000, topic: topic, partition: partition) }
        let queries = try OffsetQueries(configuration)
        let partitions = (0..<4).map { TopicPartition(topic: topic, partition: $0) }
        #expect(try queries.ends(partitions).values.sorted() == Array(repeating: 20_000, count: 4))
        if KafkaVersion.loaded < KafkaVersion(2, 3, 0) { #expect(try queries.topicID(of: topic) == nil) }
        let reader = RangeReader(configuration, budgetBytes: 8 << 20)
        try reader.follow(partitions.map { OffsetRange(topic: topic, partition: $0.partition, from: 0, until: 0) })
        // In steps, then from places that were read or prefetched before.
        let steps: [(Int64, Int64)] = [(0, 4_000), (4_000, 12_000), (12_000, 12_001), (12_001, 20_000)]
        let again: [(Int64, Int64)] = [(0, 10), (19_990, 20_000), (7, 9_000)]
        for (from, until) in steps + again {
            for partition in 0..<4 as Range<Int32> {
                let seen = try reader.records(topic, partition: partition, from, until, timeoutMillis: 60_000)
                #expect(seen == (from..<until).map { SeenRecord(offset: $0, text: String($0)) })
            }
        }
        try queries.commit(group: "old", [KafkaPosition(partitions[1], offset: 5, metadata: "batch=1")])
        let committed = try queries.committed(group: "old", partitions)
        #expect(committed[partitions[1]]?.offset == 5)
        #expect(committed[partitions[1]]?.metadata == "batch=1")
    }
}
