// What a fetching reader holds: two budgets that do not take from each other, and what is taken ahead while nobody reads.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits) struct FetchMemoryTests {
    /// A broker that gives the first partition that has something one batch, as a real one does with batches beyond the limit.
    private func broker(partitions: Int, _ batches: [RecordBatchBytes]) throws -> ScriptedBroker {
        let log = ScriptedBroker.Log(batches)
        let logs = Dictionary(uniqueKeysWithValues: (0..<partitions).map { (Int32($0), log) })
        return try ScriptedBroker(logs: logs) { request in
            guard request.call == .fetch else { return .usual }
            var isGiven = false
            let answers = ScriptedBroker.asked(request).map { asked in
                var rest = log.from(asked.offset)
                rest.batches = isGiven ? [] : Array(rest.batches.prefix(1))
                isGiven = isGiven || !rest.batches.isEmpty
                return (asked.partition, rest)
            }
            return isGiven ? .body(ScriptedBroker.fetched(answers, version: request.version)) : .usual
        }
    }

    private func batches(_ count: Int, bytes: Int) -> [RecordBatchBytes] {
        (0..<count).map { RecordBatchBytes(at: Int64($0), [[UInt8](repeating: UInt8($0), count: bytes)]) }
    }

    @Test func `batches beyond the limit do not gather in all partitions`() throws {
        let (partitions, bytes) = (12, 3 << 20)
        let broker = try broker(partitions: partitions, batches(2, bytes: bytes))
        defer { broker.end() }
        let reader = FetchReader(try KafkaConfiguration(bootstrap: broker.bootstrap), budgetBytes: 4 << 20)
        var most = 0
        for cut in [0, 1] as [Int64] {
            let ranges = (0..<partitions).map { OffsetRange(topic: "t", partition: Int32($0), from: cut, until: cut + 1) }
            try reader.follow(ranges)
            for range in ranges {
                let result = try reader.read(range, chunkRecords: 10, timeoutMillis: 10_000) { records in
                    most = max(most, reader.memoryBytes)
                    #expect(records.count == 1 && records[0].length == bytes)
                }
                #expect(result.records == 1)
                // A worker that rests between two batches.
                for _ in 0..<5 { _ = try reader.prefetch(waitMillis: 2) }
                most = max(most, reader.memoryBytes)
            }
        }
        // Both budgets, one batch that is beyond, and one under way on each connection.
        #expect(most <= 4 << 20 + 4 << 20 + 3 * bytes, "\(most)")
        reader.close()
        #expect(reader.memoryBytes == 0, "what was lent came back")
    }

    @Test func `what a chunk of records unpacks to is bounded, however small it was packed`() throws {
        let bytes = 2 << 20
        let packed = batches(30, bytes: bytes).map { batch in
            var batch = batch
            batch.body = Packing.zstd(batch.records)
            batch.attributes = 4
            return batch
        }
        let broker = try ScriptedBroker(logs: [0: .init(packed)])
        defer { broker.end() }
        let reader = FetchReader(try KafkaConfiguration(bootstrap: broker.bootstrap), budgetBytes: 4 << 20)
        var (most, seen) = (0, 0)
        let result = try reader.read(
            OffsetRange(topic: "t", partition: 0, from: 0, until: 30), chunkRecords: 1000, timeoutMillis: 10_000
        ) { records in
            most = max(most, reader.memoryBytes)
            for record in records {
                #expect(record.length == bytes && record.payload?[bytes - 1] == UInt8(seen))
                seen += 1
            }
        }
        #expect(result.records == 30 && seen == 30)
        #expect(most <= 16 << 20, "\(most)")
    }

    @Test func `an answer that breaks off in the midst of records gives its memory back`() throws {
        let batch = RecordBatchBytes(at: 0, [[UInt8](repeating: 1, count: 200_000)])
        let whole = ScriptedBroker.fetched([(0, .init([batch]))])
        let broker = try ScriptedBroker(logs: [0: .init([batch])]) { request in
            request.call == .fetch && request.number < 20 ? .cut(Array(ScriptedBroker.frame(request, whole).prefix(100_000))) : .usual
        }
        defer { broker.end() }
        let configuration = try KafkaConfiguration(
            bootstrap: broker.bootstrap, properties: ["reconnect.backoff.ms": "1", "reconnect.backoff.max.ms": "1", "fetch.error.backoff.ms": "1"])
        let reader = FetchReader(configuration, budgetBytes: 4 << 20)
        let range = OffsetRange(topic: "t", partition: 0, from: 0, until: 1)
        _ = try reader.read(range, chunkRecords: 10, timeoutMillis: 10_000) { _ in #expect(reader.memoryBytes < 1 << 20) }
        #expect(broker.count(.fetch) > 20)
    }

    @Test func `what is taken ahead while nobody reads is there without a question, and is no more than may wait`() throws {
        let (count, bytes) = (60, 100_000)
        let broker = try broker(partitions: 1, batches(count, bytes: bytes))
        defer { broker.end() }
        let budget = 1 << 20
        let reader = FetchReader(try KafkaConfiguration(bootstrap: broker.bootstrap), budgetBytes: budget)
        #expect(try reader.prefetch(waitMillis: 1) == false, "nothing is followed")
        func read(_ from: Int64, _ until: Int64) throws -> Int64 {
            try reader.read(OffsetRange(topic: "t", partition: 0, from: from, until: until), chunkRecords: 10, timeoutMillis: 5_000) { _ in }.records
        }
        #expect(try read(0, 1) == 1)
        let before = broker.count(.fetch)
        let deadline = ContinuousClock.now + .seconds(20)
        while try reader.prefetch(waitMillis: 20), ContinuousClock.now < deadline {}
        #expect(broker.count(.fetch) >= before + 4)
        #expect(reader.memoryBytes > budget / 2 - bytes && reader.memoryBytes <= budget * 2, "\(reader.memoryBytes)")
        broker.end()
        // Four are here at least: half of the budget.
        #expect(try read(1, 5) == 4)
    }

    @Test func `at the log's end nothing is taken ahead`() throws {
        let broker = try broker(partitions: 1, batches(2, bytes: 10))
        defer { broker.end() }
        let reader = FetchReader(try KafkaConfiguration(bootstrap: broker.bootstrap), budgetBytes: 1 << 20)
        _ = try reader.read(OffsetRange(topic: "t", partition: 0, from: 0, until: 2), chunkRecords: 10, timeoutMillis: 5_000) { _ in }
        #expect(try reader.prefetch(waitMillis: 1000) == false)
    }
}

@Suite(.waits) struct FetchBuffersTests {
    @Test func `what is kept free makes room for what is lent, and beyond the budget nothing is kept`() {
        var buffers = FetchBuffers(budgetBytes: 64 << 10)
        let lent = (0..<4).map { _ in buffers.take(16 << 10) }
        #expect(buffers.lentBytes == 64 << 10 && buffers.isSpent)
        for buffer in lent { buffers.put(buffer) }
        #expect(buffers.bytes == 64 << 10 && buffers.lentBytes == 0)
        let large = buffers.take(48 << 10)
        #expect(large.capacity == 64 << 10)
        #expect(buffers.bytes == 64 << 10, "the free ones went")
        let beyond = buffers.take(16 << 10)
        #expect(buffers.bytes == 80 << 10)
        buffers.put(large)
        #expect(buffers.bytes == 16 << 10, "it would be too much beside what is lent")
        buffers.put(beyond)
        #expect(buffers.bytes == 16 << 10 && buffers.lentBytes == 0)
    }

    @Test func `a buffer that grew is counted back as what it was lent as`() {
        var buffers = FetchBuffers(budgetBytes: 1 << 20)
        let buffer = buffers.take(4096)
        buffers.count(buffer, as: 300_000)
        #expect(buffers.lentBytes == 300_000)
        buffer.grow(keeping: 0, to: 2 << 20)
        buffers.put(buffer)
        #expect(buffers.bytes == 0)
    }
}
