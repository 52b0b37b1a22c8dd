// How a fetching reader takes records that come all the time: one answer a look, and all of it.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits) struct GatheringTests {
    private static let batch: Int64 = 5
    private static let rounds = 20

    private func appended(_ broker: ScriptedBroker, _ number: Int64) {
        let batch = RecordBatchBytes(numbers: number * Self.batch..<(number + 1) * Self.batch)
        broker.change(0) { log in
            log.batches.append(((number + 1) * Self.batch, batch.bytes))
            log.end = (number + 1) * Self.batch
        }
    }

    @Test func `what came until a look is in it, also when its answer comes in pieces, and costs one request`() throws {
        // A request that waits for company is told from the others by how long it waits.
        let broker = try ScriptedBroker { request in
            guard request.call == .fetch else { return .usual }
            let waitMillis = request.body[4..<8].reduce(0) { $0 << 8 | Int($1) }
            guard waitMillis == RangeReader.gatheringMillis else { return .usual }
            // Until the test has appended what it is to find.
            usleep(3000)
            return .halves(pauseMillis: 5)
        }
        defer { broker.end() }
        let bell = ArrivalBell()
        let reader = FetchReader(
            try KafkaConfiguration(bootstrap: broker.bootstrap), budgetBytes: 4 << 20, isolation: .readUncommitted, bell: bell)
        defer { reader.close() }
        var position: Int64 = 0
        func look() throws -> Int64 {
            let range = OffsetRange(topic: "t", partition: 0, from: position, until: position)
            let end = try #require(try reader.arrived([range], most: 1000)?.first)
            if end > position {
                let read = OffsetRange(topic: "t", partition: 0, from: position, until: end)
                #expect(try reader.read(read, chunkRecords: 1000, timeoutMillis: 5000) { _ in }.records == end - position)
            }
            defer { position = end }
            return end - position
        }
        appended(broker, 0)
        #expect(try eventually { try look() == Self.batch })
        appended(broker, 1)
        _ = try look()
        let before = broker.count(.fetch)
        var whole = 0
        for round in 0..<Self.rounds {
            // What the request of this look finds, which rings with its first half.
            appended(broker, Int64(round + 2))
            guard bell.wait(millis: 5000) else { break }
            if try look() > 0 { whole += 1 }
        }
        // Without the wait for the second half every other look has nothing. A machine that is busy may take longer than a look waits.
        #expect(whole > Self.rounds * 3 / 4, "of \(Self.rounds) looks \(whole) had what had come")
        #expect(broker.count(.fetch) - before <= Self.rounds * 3 / 2, "\(broker.count(.fetch) - before) requests")
    }
}
