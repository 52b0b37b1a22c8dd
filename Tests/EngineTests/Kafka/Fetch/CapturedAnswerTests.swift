// What real brokers of two releases answered, byte for byte, read without any broker: `scripts/capture` made the files and knows from
// Kafka's own tools what is in them.

import Engine
import Foundation
import TestSupport
import Testing

struct CapturedAnswerTests {
    struct Expected: Decodable {
        struct Record: Decodable, Hashable {
            var offset: Int64
            var key: String
            var value: String
        }
        var port: Int32
        var topicID: String
        var end: Int64
        var records: [Record]
    }

    static let releases = ["4.3", "3.9"]
    private let partition = TopicPartition(topic: "captured", partition: 0)

    private func file(_ release: String, _ name: String) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../Fixtures/wire/\(release)")
        return Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    private func expected(_ release: String) throws -> Expected {
        try JSONDecoder().decode(Expected.self, from: Data(file(release, "expected.json")))
    }

    /// Reads an answer as a line does: behind its length and its number, to its end.
    private func read<Answer>(
        _ release: String, _ call: WireCall, _ name: String, _ version: Int16, _ body: (inout WireCursor) throws(WireError) -> Answer
    ) throws -> Answer {
        try file(release, "\(name)-\(version).bin").withUnsafeBytes { bytes in
            var cursor = WireCursor(bytes)
            #expect(try Int(cursor.int32()) == bytes.count - 4)
            #expect(try cursor.int32() == 1)
            if call != .apiVersions { try cursor.tags(call.isFlexible(version)) }
            return try body(&cursor)
        }
    }

    @Test(arguments: releases, [0, 3] as [Int16]) func `versions agreed on with a real broker are the newest of both`(release: String, version: Int16) throws {
        let answer = try read(release, .apiVersions, "ApiVersions", version) { cursor throws(WireError) in
            try BrokerVersions.answer(&cursor, version: version)
        }
        guard case .versions(let agreed) = answer else { Issue.record("\(answer)"); return }
        #expect(agreed.lacking() == nil)
        #expect(agreed.version(.fetch) == 16 && agreed.version(.listOffsets) == 7 && agreed.version(.offsetForLeaderEpoch) == 4)
        #expect(agreed.version(.metadata) == (release == "4.3" ? 13 : 12))
    }

    @Test(arguments: releases, [4, 8, 12] as [Int16]) func `a real broker's metadata name the leader, its address and the topic's id`(
        release: String, version: Int16
    ) throws {
        let expected = try expected(release)
        let view = try read(release, .metadata, "Metadata", version) { cursor throws(WireError) in try ClusterView(&cursor, version: version) }
        #expect(view.brokers == [1: BrokerAddress(host: "127.0.0.1", port: expected.port)])
        let topic = try #require(view.topics["captured"])
        #expect(topic.error == 0 && topic.leaders.keys.sorted() == [0])
        // Epochs before version 9 do not count.
        #expect(view.leader(of: partition).map { [Int($0.broker), Int($0.epoch)] } == [1, version >= 9 ? 0 : -1])
        let id = hexadecimal(topic.id.high) + hexadecimal(topic.id.low)
        #expect(version >= 10 ? id == expected.topicID : topic.id == .none)
    }

    @Test(arguments: releases, [1, 5, 7] as [Int16]) func `a real broker's end is where its records end`(release: String, version: Int16) throws {
        let partition = partition
        let found = try read(release, .listOffsets, "ListOffsets", version) { cursor throws(WireError) in
            try OffsetLookup(&cursor, version: version, partition)
        }
        #expect(try found.error == 0 && found.offset == expected(release).end && found.leaderEpoch == (version >= 4 ? 0 : -1))
    }

    @Test(arguments: releases, [3, 4] as [Int16]) func `a real broker's epoch ends where its records end`(release: String, version: Int16) throws {
        let partition = partition
        let found = try read(release, .offsetForLeaderEpoch, "OffsetForLeaderEpoch", version) { cursor throws(WireError) in
            try EpochEnd(&cursor, version: version, partition)
        }
        #expect(try found.error == 0 && found.leaderEpoch == 0 && found.endOffset == expected(release).end)
    }

    @Test(arguments: releases, [4, 11, 12, 16] as [Int16])
    func `records that Kafka's own producer packed are those that its consumer prints, aborted ones hidden`(release: String, version: Int16) throws {
        let expected = try expected(release)
        let frame = try file(release, "Fetch-\(version).bin")
        for piece in [1, 100, 100_000] {
            let parsed = parse(frame, version: version, correlation: 1, piece: piece)
            #expect(parsed.error == nil && parsed.isDone)
            let part = try #require(parsed.sink.parts.first)
            #expect(parsed.sink.parts.count == 1 && part.error == 0 && part.highWatermark == expected.end)
            #expect(part.aborted.count == 1, "one transaction was aborted")
            #expect(version > 12 ? hexadecimal(part.topicID.high) + hexadecimal(part.topicID.low) == expected.topicID : part.topic == "captured")
            #expect(try walk(part, until: expected.end) == expected.records)
        }
    }

    /// What a reader makes of it, a record at a time.
    private func walk(_ part: AnswerSink.Part, until: Int64) throws -> [Expected.Record] {
        let shop = FetchShop(answerBytes: 1 << 20, extraBytes: 1 << 20, mostUnpackedBytes: 1 << 20, checksCRC: true)
        let stand = FetchStand(partition)
        stand.start(at: 0, shop)
        let buffer = shop.takeForAnswer(part.records.count, usual: part.records.count)
        part.records.withUnsafeBytes { bytes in buffer.room(most: bytes.count).copyMemory(from: bytes) }
        buffer.count = part.records.count
        buffer.seal()
        var answer = FetchedPartition()
        (answer.highWatermark, answer.lastStableOffset, answer.aborted) = (part.highWatermark, part.highWatermark, part.aborted)
        stand.came(answer, buffer, isolation: .readCommitted, shop)
        var passage = RangePassage(from: 0, until: until)
        var (bytes, last) = (0, RecordRun.Last())
        var seen: [Expected.Record] = []
        func text(_ start: UnsafePointer<UInt8>?, _ count: Int) -> String { String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self) }
        try withUnsafeTemporaryAllocation(of: RawRecord.self, capacity: 1) { room in
            while try stand.take(into: room, &passage, bytes: &bytes, last: &last, shop) == 1 {
                #expect(last.offset == room[0].offset && last.value == room[0].payload)
                seen.append(.init(offset: last.offset, key: text(last.key, last.keyBytes), value: text(last.value, last.valueBytes)))
            }
        }
        #expect(passage.isComplete)
        return seen
    }
}
