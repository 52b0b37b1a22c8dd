// What a task keeps of bad records: bounded in number, bytes and ranges, and tombstones apart.

import Engine
import Testing
import Worker

private let range = OffsetRange(topic: "t", partition: 2, from: 0, until: 1_000_000)

private func collect(_ offsets: [Int64], bytes: Int = 10, reason: RejectReason = .framing, left: Int = 1 << 20, records: Int = 100) -> RejectCollector {
    var collector = RejectCollector(
        range: range, limits: QuarantineLimits(recordsPerPartition: records, bytesPerRecord: 64, bytesPerBatch: 1 << 20), bytesLeft: left, listed: 1000)
    let payload = [UInt8](repeating: 7, count: bytes)
    payload.withUnsafeBufferPointer { payload in
        for (number, offset) in offsets.enumerated() {
            collector.add(RawRecord(payload: payload.baseAddress, length: bytes, offset: offset), reason: reason)
            if number % 100 == 99 { collector.endChunk() }
        }
    }
    collector.endChunk()
    return collector
}

struct RejectCollectorTests {
    @Test func `the ranges of a task are bounded, and every offset is counted`() {
        let scattered = collect((0..<50_000).map { $0 * 2 })
        #expect(scattered.count == 50_000 && scattered.offsets.ranges.count == 1000)
        #expect(scattered.offsets.rest.offsets == 49_000 && scattered.offsets.unlisted == 0)
        let dense = collect((0..<50_000).map { $0 })
        #expect(dense.offsets.ranges == [OffsetRange(topic: "t", partition: 2, from: 0, until: 50_000)] && dense.offsets.rest.isEmpty)
        // Within a chunk the decoder's come before the pipeline's.
        #expect(collect([5, 7, 9, 6, 8]).offsets.ranges == [OffsetRange(topic: "t", partition: 2, from: 5, until: 10)])
    }

    @Test func `what the tasks before left of the bytes is all that is kept`() {
        let collector = collect((0..<50).map { $0 }, bytes: 1000, left: 200)
        #expect(collector.kept.count == 3 && collector.bytesLeft == 8 && collector.kept.allSatisfy { $0.raw.count == 64 })
        #expect(collect([1, 2], left: 0).kept.isEmpty && collect([1, 2], left: 0).count == 2)
    }

    @Test func `an example is there even where nothing is kept`() {
        let collector = collect([41, 42], records: 0)
        #expect(collector.kept.isEmpty && collector.example?.offset == 41 && collector.example?.head == [7, 7, 7, 7, 7])
    }

    @Test func `a tombstone is no bad record`() {
        var collector = collect([1])
        collector.add(RawRecord(payload: nil, length: 0, offset: 2), reason: .tombstone)
        collector.endChunk()
        #expect(collector.tombstones == 1 && collector.count == 1 && collector.kept.count == 1 && collector.offsets.ranges.count == 1)
    }
}
