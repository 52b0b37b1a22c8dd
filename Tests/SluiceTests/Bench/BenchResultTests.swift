import Driver
import Engine
import Foundation
import Sluice
import Testing

@Suite struct BenchResultTests {
    @Test(arguments: [
        (values: [3.0], median: 3.0, least: 3.0, most: 3.0),
        ([5, 1, 3], 3, 1, 5),
        ([4, 1, 3, 2], 2.5, 1, 4),
        ([1, 1, 1, 1, 100], 1, 1, 100),
        ([2, 2], 2, 2, 2),
    ])
    func `a spread has the middle of its numbers and both ends`(
        _ row: (values: [Double], median: Double, least: Double, most: Double)
    ) throws {
        let spread = try #require(Spread(row.values))
        #expect(spread.median == row.median)
        #expect(spread.least == row.least)
        #expect(spread.most == row.most)
    }

    @Test func `no numbers are no spread`() { #expect(Spread([]) == nil) }

    @Test(arguments: [
        (values: [1.0, 2, 3], budget: 5.0 as Double?, verdict: BenchResult.Verdict.ok as BenchResult.Verdict?),
        // One disturbed run decides nothing.
        ([4, 4, 900], 5, .ok),
        ([1, 6, 7], 5, .over),
        // A budget says "below".
        ([5], 5, .over),
        ([900], nil, nil),
    ])
    func `the median is held against the budget`(
        _ row: (values: [Double], budget: Double?, verdict: BenchResult.Verdict?)
    ) throws {
        let measurement = BenchResult(
            "x", workers: 2, .millis, try #require(Spread(row.values)), below: row.budget)
        #expect(measurement.verdict == row.verdict)
    }

    @Test func `the table shows median, spread, budget and verdict`() throws {
        let lines = BenchResult.table([
            BenchResult("start", workers: 0, .millis, try #require(Spread([412.4, 398, 1455])), below: 500),
            BenchResult("worker", workers: 2, .mebibytes, try #require(Spread([96.04])), below: 96),
            BenchResult("commit", workers: 2, .millis, try #require(Spread([0.004, 7.5]))),
        ]).lines
        #expect(lines.count == 4)
        #expect(lines[1].contains(" one ") && lines[1].contains("412 ms  [398..1,455]"))
        #expect(lines[1].hasSuffix("below 500 ms  ok"))
        #expect(lines[2].contains("96.04 MiB") && lines[2].hasSuffix("below 96 MiB  over"))
        #expect(lines[3].hasSuffix("3.75 ms  [0.00..7.50]"))
    }

    @Test func `a measurement is one flat object for programs`() throws {
        let verdict = #""unit":"ms","verdict":"ok","what":"start","workers":2}"#
        let judged = BenchResult("start", workers: 2, .millis, try #require(Spread([1, 2.00049])), below: 500)
        #expect(
            try Terminal.jsonText(judged)
                == #"{"budget":500,"max":2,"median":1.5,"min":1,"# + verdict)
        let shown = BenchResult("commit", workers: 0, .mebibytes, try #require(Spread([3.25])))
        #expect(
            try Terminal.jsonText(shown)
                == #"{"max":3.25,"median":3.25,"min":3.25,"unit":"MiB","what":"commit","workers":0}"#)
    }

    @Test func `the work of a batch is everything but the catalog's commit`() throws {
        var timings = BatchTimings()
        (timings.planMillis, timings.runMillis, timings.sealMillis, timings.commitMillis) = (1, 2, 4, 800)
        let steps = try #require(
            BatchSteps.steps(
                timings: timings, rowsOut: 0, plannedAt: "2026-03-01T12:00:00.000Z",
                doneAt: "2026-03-01T12:00:00.016Z", sentToSeenMillis: 32))
        #expect(steps.map(\.millis) == [1, 2, 4, 7, 800, 16, 32])
        #expect(steps[3].name == BatchSteps.workName)
    }

    @Test func `a batch that makes a row is not counted as an empty one`() throws {
        var timings = BatchTimings()
        (timings.planMillis, timings.runMillis, timings.sealMillis, timings.commitMillis) = (1, 2, 4, 800)
        let steps = try #require(
            BatchSteps.steps(
                timings: timings, rowsOut: 1, plannedAt: "2026-03-01T12:00:00.000Z",
                doneAt: "2026-03-01T12:00:00.016Z", sentToSeenMillis: 32))
        #expect(steps.map(\.millis) == [4, 7])
        #expect(!steps.contains { $0.name == BatchSteps.workName })
    }

    @Test func `a batch that is not done has no steps`() {
        #expect(
            BatchSteps.steps(
                timings: BatchTimings(), rowsOut: 0, plannedAt: "2026-03-01T12:00:00.000Z", doneAt: nil,
                sentToSeenMillis: 1) == nil)
        #expect(
            BatchSteps.steps(
                timings: nil, rowsOut: 0, plannedAt: "2026-03-01T12:00:00.000Z",
                doneAt: "2026-03-01T12:00:00.000Z", sentToSeenMillis: 1) == nil)
    }
}
