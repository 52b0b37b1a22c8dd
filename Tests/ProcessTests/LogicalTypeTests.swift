import Engine
import Foundation
import TestSupport
import Testing

/// What a schema says of a value beyond its type, from the record to the sink.
@Suite(.waits, .serialized) struct LogicalTypeTests {
    /// 2026-03-01T12:00:00Z
    private static let millis: Int64 = 1_772_366_400_000

    private static func logical(_ base: String, _ name: String, _ more: String = "") -> String {
        #"{"type":"\#(base)","logicalType":"\#(name)"\#(more)}"#
    }

    /// The schema of ad events with other types for two of its fields.
    private func schema(adID: String = #""string""#, time: String) -> String {
        let types = [("user_id", #""string""#), ("ad_id", adID), ("event_type", #""string""#), ("event_time", time)]
        let fields = types.map { #"{"name":"\#($0.0)","type":\#($0.1)}"# }.joined(separator: ",")
        return #"{"type":"record","name":"AdEvent","fields":[\#(fields)]}"#
    }

    private func long(_ value: Int64) -> [UInt8] {
        var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        var bytes: [UInt8] = []
        while rest >= 128 {
            bytes.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    private func sized(_ bytes: [UInt8]) -> [UInt8] { long(Int64(bytes.count)) + bytes }

    private func send(_ harness: JobHarness, type: String, adID: [UInt8], time: Int64) throws {
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        let record = [0, 0, 0, 0, 1] + sized(Array("u".utf8)) + sized(adID) + sized(Array(type.utf8)) + long(time)
        try record.withUnsafeBufferPointer { try producer.send(topic: harness.topic, partition: 0, value: $0, timestampMillis: Self.millis) }
        try producer.flush()
    }

    private func prepared(_ schema: String) throws -> JobHarness {
        let harness = try JobHarness(partitions: 1)
        try schema.write(toFile: harness.directory.file("own.avsc"), atomically: true, encoding: .utf8)
        try "ad_id,campaign_id\n0.65,c1\n".write(toFile: harness.directory.file("ads.csv"), atomically: true, encoding: .utf8)
        return harness
    }

    struct Unit: Sendable, CustomTestStringConvertible {
        var type: String
        var perMilli: Int64
        var testDescription: String { type }
    }

    @Test(arguments: [
        Unit(type: logical("long", "timestamp-micros"), perMilli: 1000),
        Unit(type: logical("long", "timestamp-nanos"), perMilli: 1_000_000),
        Unit(type: logical("long", "local-timestamp-micros"), perMilli: 1000),
    ])
    func `event times of another unit were 1,000 times wrong, and a decimal read as text was a letter`(unit: Unit) throws {
        let decimal = Self.logical("bytes", "decimal", #","precision":10,"scale":2"#)
        let harness = try prepared(schema(adID: decimal, time: unit.type))
        try send(harness, type: "view", adID: [65], time: (Self.millis + 3000) * unit.perMilli)
        try harness.run(workers: 0, extra: ["--schema", "own.avsc"])
        #expect(try harness.campaignViews() == ["c1,2026-03-01T12:00:00.000Z,1"])
    }

    @Test(arguments: [logical("long", "time-micros"), logical("long", "nonsense")])
    func `an event time of a logical type that is none is refused by name before the first batch`(type: String) throws {
        let harness = try prepared(schema(time: type))
        try send(harness, type: "view", adID: Array("0.65".utf8), time: Self.millis * 1000)
        let refused = try harness.run(workers: 0, extra: ["--schema", "own.avsc"], expecting: 1)
        #expect(refused.errors.contains("event_time") && refused.errors.contains(type.contains("micros") ? "time-micros" : "nonsense"), "\(refused.errors)")
        #expect(!refused.output.contains("batch 1 "))
    }

    @Test func `microseconds taken for milliseconds are rejected, and the time that came out is said`() throws {
        let harness = try prepared(schema(time: #""long""#))
        try send(harness, type: "view", adID: Array("0.65".utf8), time: Self.millis * 1000)
        let refused = try harness.run(workers: 0, extra: ["--schema", "own.avsc"], expecting: 1)
        #expect(refused.errors.contains("1 of 1 records") && refused.errors.contains("came out"), "\(refused.errors)")
        #expect(try harness.count("SELECT count(*) FROM campaign_views") == 0)
    }
}
