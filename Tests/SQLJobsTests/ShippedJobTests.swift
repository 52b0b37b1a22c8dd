import Dataflow
import Engine
import Foundation
import SQLBinding
import SQLSyntax
import TestSupport
import Testing
import Values

/// The files of conf/jobs, over records of Avro that are written with the schema beside them.
@Suite struct ShippedJobTests {
    private struct Event {
        let user: String
        let ad: String
        let type: String
        let millis: Int64

        /// As Avro by conf/jobs/ad_event.avsc, framed with an id.
        var bytes: [UInt8] {
            var bytes: [UInt8] = [0, 0, 0, 0, 1]
            func append(_ number: Int64) {
                var rest = UInt64(bitPattern: number << 1 ^ number >> 63)
                while rest >= 128 {
                    bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
                    rest >>= 7
                }
                bytes.append(UInt8(rest))
            }
            func append(_ text: String) {
                append(Int64(text.utf8.count))
                bytes += Array(text.utf8)
            }
            for text in [user, "page", ad, "banner", type] { append(text) }
            append(millis)
            append("10.0.0.1")
            return bytes
        }
    }

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    private static let start: Int64 = 1_772_366_400_000

    /// Runs batches of random events, some behind the watermark; gives each with the watermark of its batch.
    private static func run(_ name: String, seed: UInt64) throws -> (rig: JobRig, events: [(event: Event, place: (Int32, Int64), watermark: Int64?)]) {
        let text = try String(contentsOfFile: root + "/conf/jobs/\(name).sql", encoding: .utf8)
        let rig = try JobRig(text, .init(seed: seed, settings: ["directory": root]))
        var random = SeededRandom(seed: seed)
        var lookups: [String: [UInt8]] = [:]
        if let spec = rig.graph.lookups.first {
            let pool = BufferPool()
            let ads = ["a", "b", "c", "d"]
            let columns = [ads, ads.map { $0 < "c" ? "shoes" : "hats" }].map { Vector.flat($0.map { .text($0) }, .text, pool: pool) }
            var bytes: [UInt8] = []
            ChunkBytes.append(Dataflow.Chunk(columns: columns, count: 4), to: &bytes)
            lookups[spec.name] = bytes
        }
        var all: [(event: Event, place: (Int32, Int64), watermark: Int64?)] = []
        var offsets: [Int64] = [0, 0, 0]
        var watermark: Int64?
        for batch in 0..<8 as Range<Int64> {
            var records: [MadeRecord] = []
            for _ in 0..<random.below(40) {
                let event = Event(
                    user: "u\(random.below(9))", ad: random.pick(["a", "b", "c", "d", "nobody's"]), type: random.pick(["view", "view", "click", "purchase"]),
                    millis: start + batch * 20_000 + Int64(random.below(60_000)))
                let partition = random.below(3)
                var record = MadeRecord(partition: Int32(partition), offset: offsets[partition], nil)
                record.value = event.bytes
                records.append(record)
                all.append((event, (Int32(partition), offsets[partition]), watermark))
                offsets[partition] += 1
            }
            try rig.run(records, watermarkMillis: watermark, lookups: lookups)
            watermark = rig.newestMillis.map { max(watermark ?? .min, $0 - 10_000) } ?? watermark
        }
        return (rig, all)
    }

    private static func window(_ millis: Int64, _ size: Int64) -> Int64 { millis / size * size }
    private static func moment(_ millis: Int64) -> String { TypeText.text(.word(millis * 1000), as: .timestamptz) ?? "" }

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func `campaign-views counts`(seed: UInt64) throws {
        let (rig, events) = try Self.run("campaign-views", seed: seed)
        var counts: [String: Int] = [:]
        for (event, _, watermark) in events where event.type == "view" && event.ad.count == 1 {
            let start = Self.window(event.millis, 10_000)
            if let watermark, start + 10_000 <= watermark { continue }
            counts["\(event.ad < "c" ? "shoes" : "hats")|\(Self.moment(start))", default: 0] += 1
        }
        #expect(rig.lines == counts.map { "\($0.key)|\($0.value)" }.sorted())
        #expect(counts.count > 10 && rig.graph.work.mostParts == nil)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func `campaign-report has rates`(seed: UInt64) throws {
        let (rig, events) = try Self.run("campaign-report", seed: seed)
        var counts: [String: (views: Int, clicks: Int)] = [:]
        for (event, _, watermark) in events where event.type != "purchase" && event.ad.count == 1 {
            let start = Self.window(event.millis, 60_000)
            if let watermark, start + 60_000 <= watermark { continue }
            let key = "\(event.ad < "c" ? "shoes" : "hats")|\(Self.moment(start))"
            counts[key, default: (0, 0)].views += event.type == "view" ? 1 : 0
            counts[key]!.clicks += event.type == "click" ? 1 : 0
        }
        let wanted = counts.map { key, count in
            let rate = count.views == 0 ? "\\N" : TypeText.text(.float(Double(count.clicks) / Double(count.views)), as: .float8)!
            return "\(key)|\(count.views)|\(count.clicks)|\(rate)"
        }
        #expect(rig.lines == wanted.sorted() && counts.count > 3)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func `purchases are added once, each at its place`(seed: UInt64) throws {
        let (rig, events) = try Self.run("purchases", seed: seed)
        let wanted = events.filter { $0.event.type == "purchase" }.map { event, place, _ in
            "ad-events|\(place.0)|\(place.1)|\(event.user)|\(event.ad)|\(Self.moment(event.millis))"
        }
        #expect(rig.lines == wanted.sorted() && wanted.count > 10)
        #expect(rig.graph.sink.mode == .append && rig.graph.sink.key == ["topic", "partition", "offset"] && !rig.graph.hasExchange)
    }
}
