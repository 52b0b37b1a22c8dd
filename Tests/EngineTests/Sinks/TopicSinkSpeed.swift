// Rows a second of the Kafka sink alone: runs only with SLUICE_BENCH=1, and means something only in a release build.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["SLUICE_BENCH"] != nil && KafkaFixture.isAvailable))
struct TopicSinkSpeed {
    @Test(arguments: [RecordFormat.avro, .json]) func `purchases into a topic`(format: RecordFormat) throws {
        let kafka = try KafkaFixture.shared()
        let table = SinkTable(
            name: "purchases",
            schema: Schema([
                Field("topic", .text), Field("partition", .int64), Field("offset", .int64), Field("user_id", .text),
                Field("ad_id", .text), Field("event_time", .timestamp),
            ]), key: ["topic", "partition", "offset"], mode: .append)
        let id = "61ad09fe-68c8-46a0-a762-036bd1dae3ab"
        let chunks = (0..<32).map { chunk in
            rows(
                table,
                (0..<8192).map {
                    [.text("ad-events"), .int64(1), .int64(Int64(chunk * 8192 + $0)), .text(id), .text(id), .timestamp(1_795_276_920_000)]
                })
        }
        let encoder: any RowEncoder =
            switch format {
            case .json: JSONRowEncoder(columns: table.schema)
            case .avro:
                try AvroEncoder(
                    schema: AvroSchema(text: AvroSchema.text(name: table.name, columns: table.schema)),
                    columns: table.schema, schemaID: 1)
            }
        let buffer = RecordBuffer(capacity: 1 << 21)
        var best = Double.infinity
        for _ in 0..<11 {
            let start = ContinuousClock.now
            for chunk in chunks {
                buffer.removeAll()
                try encoder.encode(chunk, into: buffer)
            }
            best = min(best, (ContinuousClock.now - start) / .nanoseconds(Double(chunks.count * 8192)))
        }
        print("\(format): encoding \(Int(best)) ns a row of \(buffer.byteCount / buffer.count) bytes")
        for parts in [1, 2] {
            let topic = try kafka.topic(partitions: parts)
            let identity = table.identity(job: "speed-\(topic)")
            let sink = try #require(
                try openSink(
                    address: "kafka:\(topic)", table: table, topic: TopicSinkSettings(kafka: kafka.configuration(), format: format))
                    as? any ParallelSink)
            let claimStart = ContinuousClock.now
            try sink.claim(identity, adopt: false)
            print("\(format), \(parts) parts: claim \((ContinuousClock.now - claimStart) / .milliseconds(1)) ms")
            for batch: Int64 in 1...6 {
                let isSmall = batch > 4
                let start = ContinuousClock.now
                let cpuStart = clock()
                let outcomes = sink.seal(
                    identity, batch: batch,
                    parts: (0..<parts).map { SealPart(part: $0, digest: "\(batch)", after: .unknown, rows: isSmall ? [chunks[0]] : chunks) })
                for outcome in outcomes { #expect(try outcome.get() == .written) }
                let seconds = (ContinuousClock.now - start) / .seconds(1)
                let count = Double(parts * (isSmall ? 1 : chunks.count) * 8192)
                let cpu = Double(clock() - cpuStart) / Double(CLOCKS_PER_SEC)
                print("\(format), \(parts) parts, batch \(batch): \(Int(seconds * 1000)) ms, \(Int(count / seconds)) rows/s, \(Int(cpu / count * 1e9)) ns cpu a row")
            }
        }
    }
}
