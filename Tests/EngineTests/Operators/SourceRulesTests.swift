// Which rows of a range count: late, too far ahead, unmatched, and what the largest event time is taken from.

import Engine
import Jobs
import TestSupport
import Testing

private func event(_ type: String, ad: String = "ad-1", at: Int64) -> BenchRow {
    [
        "user_id": .text("u"), "page_id": .text("p"), "ad_id": .text(ad), "ad_type": .text("mail"),
        "event_type": .text(type), "event_time": .timestamp(at), "ip_address": .text("1.2.3.4"),
    ]
}

struct SourceRulesTests {
    private func views(watermark: Int64?, chunkRows: Int = 3) throws -> BenchRun {
        BenchRun(
            graph: try StageGraph(job: CampaignViews(), settings: [:]),
            lookups: ["ads": try lookupTable("ads", [("ad-1", "c-1")])], chunkRows: chunkRows,
            watermarkBeforeMillis: watermark, batchTimeMillis: 1_000_000, maxFutureMillis: 5_000)
    }

    private static let watermarks: [(watermark: Int64?, late: [Int64])] = [
        (nil, []), (9_999, []), (10_000, [0, 1]), (15_000, [0, 1]), (20_000, [0, 1, 2]),
    ]

    @Test(arguments: watermarks)
    func `a row is late when the watermark has passed the end of its window`(watermark: Int64?, late: [Int64]) throws {
        let rows = [
            event("view", at: 0), event("view", at: 9_999), event("view", at: 10_000), event("view", at: 20_000),
        ]
        let result = try views(watermark: watermark).source(rows)
        #expect(result.lateOffsets == late)
        #expect(result.late == late.count)
        #expect(result.rowsIn == 4)
        let grouped = result.blocks.compactMap { $0 }.reduce(0) { total, block in
            (0..<block.rowCount).reduce(total) { sum, row in
                if case .int64(let n) = block.columns[2].value(row) { sum + Int(n) } else { sum }
            }
        }
        #expect(grouped == 4 - late.count)
    }

    @Test func `a row that the filter drops is not late, and a late row of an unknown ad is not unmatched`() throws {
        let result = try views(watermark: 10_000).source([
            event("click", at: 0), event("view", ad: "unknown", at: 0), event("view", ad: "unknown", at: 10_000),
        ])
        #expect(result.late == 1)
        #expect(result.lateOffsets == [1])
        #expect(result.unmatched == 1)
    }

    @Test(arguments: [1, 2, 100])
    func `rows too far ahead are rejected one by one and move no event time`(chunkRows: Int) throws {
        let run = try views(watermark: nil, chunkRows: chunkRows)
        let rows = [
            event("view", at: 1_005_000), event("view", at: 1_005_001), event("click", at: 1_004_000),
            event("view", at: .max),
        ]
        var rejected: [Int64] = []
        let pipeline = SourcePipeline(
            graph: run.graph, context: run.context, lookups: run.lookups, keyGroups: 16, parts: 1)
        var first: Int64 = 100
        for chunk in chunks(rows, run.graph.source.neededSchema, chunkRows: chunkRows) {
            let offsets = (0..<Int64(chunk.rowCount)).map { first + $0 }
            pipeline.process(columns: chunk.columns, rowCount: chunk.rowCount, offsets: offsets) { row, reason in
                #expect(reason == .futureTime)
                rejected.append(offsets[row])
            }
            first += Int64(chunk.rowCount)
        }
        let result = pipeline.finish()
        #expect(rejected == [101, 103])
        #expect(result.futureRows == 2)
        #expect(result.rowsIn == 2)
        #expect(result.maxEventTimeMillis == 1_005_000)
    }

    @Test func `the largest event time is that of all rows, also of those that the filter drops`() throws {
        let result = try views(watermark: nil).source([event("view", at: 5), event("click", at: 77_000)])
        #expect(result.maxEventTimeMillis == 77_000)
        #expect(try views(watermark: nil).source([]).maxEventTimeMillis == nil)
    }

    @Test(arguments: [1, 4, 5000])
    func `purchases come out once each, with the coordinates of their records`(chunkRows: Int) throws {
        var random = SeededRandom(seed: 3)
        let rows = (0..<9000).map { event(random.pick(["view", "purchase"]), ad: "ad-\($0)", at: Int64($0)) }
        let run = BenchRun(graph: try StageGraph(job: Purchases(), settings: [:]), chunkRows: chunkRows)
        #expect(!run.graph.hasExchange)
        let result = run.source(rows, firstOffset: 1000)
        #expect(result.output.allSatisfy { $0.schema == run.graph.sink.schema && $0.selectedCount > 0 })
        var values: [[Value]] = []
        for chunk in result.output { chunk.forEachSelectedRow { values.append(chunk.values($0)) } }
        let expected = rows.indices.filter { rows[$0]["event_type"] == .text("purchase") }.map { index -> [Value] in
            [
                .text("ad-events"), .int64(3), .int64(Int64(1000 + index)), .text("u"), .text("ad-\(index)"),
                .timestamp(Int64(index)),
            ]
        }
        #expect(values == expected)
    }

    @Test func `the click rate is clicks by views, and NULL without views`() throws {
        let run = BenchRun(
            graph: try StageGraph(job: CampaignReport(), settings: [:]),
            lookups: ["ads": try lookupTable("ads", [("ad-1", "c-1"), ("ad-2", "c-2")])])
        let output = try run.batch(
            [
                [
                    event("view", at: 1), event("view", at: 59_999), event("click", at: 2), event("purchase", at: 3),
                    event("click", ad: "ad-2", at: 70_000), event("purchase", ad: "ad-2", at: 130_000),
                ]
            ], deltas: []
        ).output
        var table = BenchTable()
        table.upsert(output, keyColumns: 2)
        #expect(
            Set(table.rows.values) == [
                [.text("c-1"), .timestamp(0), .int64(2), .int64(1), .float64(0.5)],
                [.text("c-2"), .timestamp(60_000), .int64(0), .int64(1), .null],
            ])
    }

    @Test func `a lookup with one key and two answers is refused, with two equal rows it is not`() throws {
        #expect(throws: Never.self) { try lookupTable("ads", [("a", "x"), ("b", "y"), ("a", "x")]) }
        #expect {
            try lookupTable("ads", [("a", "x"), ("a", "y")])
        } throws: { ($0 as? Failure)?.code == .fileInvalid }
    }

    @Test func `a lookup file needs the declared columns, in any order, and may have more`() throws {
        let spec = try StageGraph(job: CampaignViews(), settings: [:]).lookups[0]
        let table = try spec.build(from: Array("note,campaign_id,ad_id\nx,c-9,ad-1\ny,c-8,ad-2\n".utf8))
        #expect(table.rowCount == 2)
        #expect {
            try spec.build(from: Array("ad_id,campaign\nad-1,c-9\n".utf8))
        } throws: { ($0 as? Failure)?.code == .fileInvalid }
    }
}
