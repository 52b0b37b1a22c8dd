import Driver
import Engine
import Testing

private func place(_ number: Int32) -> TopicPartition { TopicPartition(topic: "t", partition: number) }

private func span(
    _ batch: BatchNumber, _ ranges: [(Int32, Int64, Int64)], _ before: Int64?, _ after: Int64?, late: Int64 = 0
) -> LoggedSpan {
    LoggedSpan(
        batch: batch, ranges: ranges.map { OffsetRange(topic: "t", partition: $0.0, from: $0.1, until: $0.2) },
        watermarkBeforeMillis: before, watermarkAfterMillis: after, late: late)
}

/// Four batches, watermarks 100, 200, 300, 400 after them.
private let log = [
    span(1, [(0, 0, 10), (1, 0, 5)], nil, 100), span(2, [(0, 10, 20)], 100, 200), span(3, [(0, 20, 30), (1, 5, 9)], 200, 300),
    span(4, [(0, 30, 40)], 300, 400),
]

@Suite struct BackfillPlanTests {
    private func plan(
        _ from: Int64, _ until: Int64, log spans: [LoggedSpan] = log, starts: [TopicPartition: Int64] = [:],
        stamped: [TopicPartition: Int64] = [:]
    ) throws -> BackfillPlan {
        var plan = try BackfillPlan.bounds(
            fromMillis: from, untilMillis: until, windowMillis: 10, latenessMillis: 10, slackMillis: 0,
            liveWatermarkMillis: 400, writesLiveSink: false)
        var reach = BackfillReach(fromMillis: plan.bounds.fromMillis - 10, untilMillis: plan.bounds.untilMillis)
        for span in spans { reach.add(span) }
        try plan.take(reach, live: [place(0): 40, place(1): 9], starts: starts, stamped: stamped)
        return plan
    }

    private func ranges(_ plan: BackfillPlan) -> [String] { plan.ranges.map(\.description) }

    @Test func `offsets come from the batches around the span`() throws {
        let found = try plan(220, 290)
        #expect(found.firstBatch == 2 && found.endBatch == 4)
        #expect(ranges(found) == ["t/0 [10, 30)", "t/1 [5, 9)"])
        #expect(found.truncated.isEmpty)
    }

    @Test func `a partition that ran ahead of the watermark is read from where its records of the span begin`() throws {
        // Partition 0 was read to its end by the first batch, the watermark followed partition 1.
        var uneven = [
            span(1, [(0, 0, 40), (1, 0, 2)], nil, 100), span(2, [(1, 2, 5)], 100, 200), span(3, [(1, 5, 7)], 200, 300), span(4, [(1, 7, 9)], 300, 400),
        ]
        for index in uneven.indices { uneven[index].newestEventMillis = 410 }
        #expect(ranges(try plan(220, 290, log: uneven)) == ["t/0 [0, 40)", "t/1 [0, 7)"])
        // Read evenly, the span is read and little else.
        var even = log
        for (index, newest) in [110, 209, 310, 410].enumerated() { even[index].newestEventMillis = Int64(newest) }
        #expect(ranges(try plan(220, 290, log: even)) == ["t/0 [10, 30)", "t/1 [5, 9)"])
        #expect(ranges(try plan(210, 290, log: even)) == ["t/0 [0, 30)", "t/1 [0, 9)"])
    }

    @Test func `a record that is stamped an hour ahead does not end the reading`() throws {
        // Stamps are asked for the beginning only, and a late one does not move it.
        let found = try plan(220, 290, stamped: [place(0): 40, place(1): 9])
        #expect(ranges(found) == ["t/0 [10, 30)", "t/1 [5, 9)"])
    }

    @Test func `stamps only help to start earlier`() throws {
        #expect(ranges(try plan(220, 290, stamped: [place(0): 3])) == ["t/0 [3, 30)", "t/1 [5, 9)"])
    }

    @Test func `where the log does not reach it is the earliest offset and the live position`() throws {
        let found = try plan(50, 390, starts: [place(0): 0, place(1): 0])
        #expect(found.firstBatch == nil && found.endBatch == nil)
        #expect(ranges(found) == ["t/0 [0, 40)", "t/1 [0, 9)"])
        let later = try plan(350, 10_000)
        #expect(later.firstBatch == 3 && later.endBatch == nil)
        #expect(ranges(later) == ["t/0 [20, 40)", "t/1 [5, 9)"])
    }

    @Test func `history that was loaded later is in the batches that had late rows`() throws {
        let loaded = log + [span(5, [(0, 40, 50)], 400, 400), span(6, [(1, 9, 99)], 400, 400, late: 90)]
        let found = try plan(220, 290, log: loaded)
        #expect(found.readsLate)
        #expect(ranges(found) == ["t/0 [10, 30)", "t/1 [5, 99)"])
    }

    @Test func `a job that went back is read from where it began again`() throws {
        let again = log + [span(5, [(0, 5, 15)], 100, 150), span(6, [(0, 15, 25)], 150, 250), span(7, [(0, 25, 40)], 250, 400)]
        let found = try plan(170, 200, log: again)
        #expect(found.firstBatch == 5 && found.endBatch == 7)
        #expect(ranges(found) == ["t/0 [5, 25)"])
    }

    @Test func `records that Kafka has deleted are named`() throws {
        let found = try plan(220, 290, starts: [place(0): 15, place(1): 0])
        #expect(found.truncated == [place(0)])
        #expect(ranges(found) == ["t/0 [15, 30)", "t/1 [5, 9)"])
        #expect(try plan(50, 290, starts: [place(0): 1, place(1): 0]).truncated == [place(0)])
    }

    @Test func `an empty range is an error and not a success over nothing`() throws {
        // A log without a batch, of a job that stands at its first offsets.
        var empty = try BackfillPlan.bounds(
            fromMillis: 220, untilMillis: 290, windowMillis: 10, latenessMillis: 10, slackMillis: 0, liveWatermarkMillis: nil,
            writesLiveSink: false)
        let failure = try #require(throws: Failure.self) {
            try empty.take(BackfillReach(fromMillis: 210, untilMillis: 290), live: [place(0): 0], starts: [:], stamped: [:])
        }
        #expect(failure.code == .notPossible && failure.why.contains("read no record"))
        let deleted = try #require(throws: Failure.self) { try plan(220, 290, starts: [place(0): 40, place(1): 9]) }
        #expect(deleted.why.contains("deleted"))
    }
}
