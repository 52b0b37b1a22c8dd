// Grouping against the slow, obvious version: dictionaries over boxed values, from all rows at once.
//
// What varies: how rows are cut into chunks, ranges, parts and batches, how many are NULL, how keys are spread.

import Engine
import TestSupport
import Testing

private let fields = [
    Field("kind", .text), Field("ad", .text), Field("user", .text), Field("at", .timestamp),
    Field("price", .int64, nullable: true), Field("weight", .float64, nullable: true), Field("unused", .text),
]

private func groupingGraph() throws -> StageGraph {
    try graph { job in
        let ads = job.table(.file("ads.csv"), name: "ads", columns: ["ad", "campaign"])
        try job.stream(.kafka("t", format: .json, schema: fields))
            .withWatermark("at", delay: .seconds(10))
            .filter(col("kind") != "noise")
            .join(ads, on: "ad")
            .groupBy(col("campaign"), col("user"), tumble("at", .seconds(10)))
            .agg(
                count().as("rows"), count(where: col("kind") == "view").as("views"), sum(col("price")).as("total"),
                min(col("price")).as("least"), max(col("at")).as("last"), sum(col("weight")).as("weight"),
                min(col("weight")).as("lightest"), avg(col("price")).as("mean"), avg(col("weight")).as("meanWeight")
            )
            .write(to: .table("groups", key: ["campaign", "user", "window_start"]))
    }
}

private func makeRows(_ random: inout SeededRandom, count: Int, nullShare: Double, ads: Int, users: Int) -> [BenchRow] {
    (0..<count).map { _ in
        func orNull(_ value: Value) -> Value { random.chance(nullShare) ? .null : value }
        // The square makes a few ads frequent and most rare.
        let skew = Double.random(in: 0..<1, using: &random)
        return [
            "kind": .text(random.pick(["view", "click", "noise"])),
            "ad": .text("ad-\(Int(skew * skew * Double(ads)))-with-a-tail-as-long-as-a-uuid"),
            "user": .text(random.pick(["", "ü", "user \(random.below(users))"])),
            "at": .timestamp(Int64(random.below(60_000)) - 20_000),
            "price": orNull(.int64(Int64(random.below(2000)) - 1000)),
            "weight": orNull(.float64(Double(random.below(4000) - 2000) / 256)),
        ]
    }
}

private func campaigns(_ ads: Int) -> [(String, String)] {
    // Every tenth ad is unknown; five ads share a campaign.
    (0..<ads).filter { $0 % 10 != 9 }.map { ("ad-\($0)-with-a-tail-as-long-as-a-uuid", "campaign \($0 / 5)") }
}

private func oracle(_ rows: [BenchRow], _ campaigns: [(String, String)]) -> (table: BenchTable, unmatched: Int) {
    let campaignOf = Dictionary(uniqueKeysWithValues: campaigns)
    var members: [[Value]: [BenchRow]] = [:]
    var unmatched = 0
    for row in rows where row["kind"] != .text("noise") {
        guard case .text(let ad)? = row["ad"], let campaign = campaignOf[ad] else {
            unmatched += 1
            continue
        }
        guard case .timestamp(let at)? = row["at"] else { continue }
        let start = Int64((Double(at) / 10_000).rounded(.down)) * 10_000
        members[[.text(campaign), row["user"]!, .timestamp(start)], default: []].append(row)
    }
    var table = BenchTable()
    for (key, rows) in members {
        let prices = rows.compactMap { row in if case .int64(let v)? = row["price"] { v } else { nil } }
        let weights = rows.compactMap { row in if case .float64(let v)? = row["weight"] { v } else { nil } }
        let times = rows.compactMap { row in if case .timestamp(let v)? = row["at"] { v } else { nil } }
        func int(_ value: Int64?) -> Value { value.map { .int64($0) } ?? .null }
        func float(_ value: Double?) -> Value { value.map { .float64($0) } ?? .null }
        table.rows[key] =
            key + [
                .int64(Int64(rows.count)), .int64(Int64(rows.count { $0["kind"] == .text("view") })),
                int(prices.isEmpty ? nil : prices.reduce(0, +)), int(prices.min()), .timestamp(times.max()!),
                float(weights.isEmpty ? nil : weights.reduce(0, +)), float(weights.min()),
                float(prices.isEmpty ? nil : Double(prices.reduce(0, +)) / Double(prices.count)),
                float(weights.isEmpty ? nil : weights.reduce(0, +) / Double(weights.count)),
            ]
    }
    return (table, unmatched)
}

private struct Shape: Sendable, CustomTestStringConvertible {
    var chunkRows: Int
    var nullShare: Double
    var parts: Int
    var ranges: Int
    var batches: Int
    var ads: Int
    var testDescription: String {
        "chunks of \(chunkRows), \(nullShare) NULL, \(parts) parts, \(ranges) ranges, \(batches) batches, \(ads) ads"
    }
}

private let shapes: [Shape] = [
    Shape(chunkRows: 1, nullShare: 0.3, parts: 2, ranges: 1, batches: 1, ads: 40),
    Shape(chunkRows: 7, nullShare: 0, parts: 1, ranges: 3, batches: 1, ads: 40),
    Shape(chunkRows: 64, nullShare: 0.3, parts: 5, ranges: 2, batches: 4, ads: 200),
    Shape(chunkRows: 1000, nullShare: 1, parts: 3, ranges: 2, batches: 2, ads: 3),
    Shape(chunkRows: 4096, nullShare: 0.05, parts: 16, ranges: 4, batches: 3, ads: 2000),
    Shape(chunkRows: 65_536, nullShare: 0.5, parts: 4, ranges: 1, batches: 5, ads: 500),
]

struct GroupingOracleTests {
    @Test(arguments: shapes)
    private func `grouping gives what dictionaries give, however the rows are cut`(_ shape: Shape) throws {
        var random = SeededRandom(seed: UInt64(shape.chunkRows))
        let rows = makeRows(&random, count: 6000, nullShare: shape.nullShare, ads: shape.ads, users: 4)
        let pairs = campaigns(shape.ads)
        let run = BenchRun(
            graph: try groupingGraph(), lookups: ["ads": try lookupTable("ads", pairs)], parts: shape.parts,
            chunkRows: shape.chunkRows)
        let expected = oracle(rows, pairs)

        var table = BenchTable()
        var deltas: [Chunk] = []
        let size = (rows.count + shape.batches - 1) / shape.batches
        for start in stride(from: 0, to: rows.count, by: size) {
            let part = Array(rows[start..<min(start + size, rows.count)])
            let ranges = (0..<shape.ranges).map { range in
                part.indices.filter { $0 % shape.ranges == range }.map { part[$0] }
            }
            let result = try run.batch(ranges, deltas: deltas)
            table.upsert(result.output, keyColumns: 3)
            deltas += result.deltas
        }
        #expect(table.rows.count == expected.table.rows.count)
        #expect(table == expected.table)
        let source = run.source(rows)
        #expect(source.unmatched == expected.unmatched)
        #expect(source.rowsIn == rows.count)
    }

    @Test func `one batch on many parts writes the same rows as on one part`() throws {
        var random = SeededRandom(seed: 11)
        let rows = makeRows(&random, count: 5000, nullShare: 0.2, ads: 300, users: 9)
        let lookups = ["ads": try lookupTable("ads", campaigns(300))]
        let digests = try [1, 2, 3, 7, 16].map { parts in
            let run = BenchRun(graph: try groupingGraph(), lookups: lookups, parts: parts)
            var digest = RowDigest()
            for chunk in try run.batch([rows], deltas: []).output { digest.add(chunk) }
            return digest
        }
        #expect(digests[0].count > 500)
        #expect(Set(digests).count == 1)
    }

    @Test func `the order of blocks and the cuts between chunks leave no trace in the output or the delta`() throws {
        var random = SeededRandom(seed: 12)
        // Numbers whose float sum depends on the order, if one adds them as floats.
        let rows = makeRows(&random, count: 3000, nullShare: 0.2, ads: 40, users: 2).map { row in
            row.merging(["weight": .float64(random.pick([1e15, -1e15, 1e-3, 0.1, 3e5, -0.7]))]) { $1 }
        }
        let lookups = ["ads": try lookupTable("ads", campaigns(40))]
        func bytes(chunkRows: Int, reversed: Bool) throws -> [[UInt8]] {
            let run = BenchRun(graph: try groupingGraph(), lookups: lookups, chunkRows: chunkRows)
            let blocks = stride(from: 0, to: 3000, by: 500).compactMap {
                run.source(Array(rows[$0..<$0 + 500])).blocks[0]
            }
            let state = KeyedState(graph: run.graph, keyGroups: run.keyGroups)
            let result = try run.merge(reversed ? blocks.reversed() : blocks, state: state)
            return result.output.map { ChunkCodec.encode($0) } + [ChunkCodec.encode(result.delta)]
        }
        let expected = try bytes(chunkRows: 500, reversed: false)
        #expect(expected.count == 2)
        #expect(try bytes(chunkRows: 1, reversed: true) == expected)
        #expect(try bytes(chunkRows: 77, reversed: true) == expected)
    }

    @Test func `more groups than a task holds go out in pieces and come together again`() throws {
        let run = BenchRun(
            graph: try graph { job in
                try job.stream(.kafka("t", format: .json, schema: [Field("id", .int64)]))
                    .groupBy(col("id")).agg(count().as("n")).write(to: .table("ids", key: ["id"]))
            }, keyGroups: 128, parts: 3, chunkRows: 150_000)
        let schema = run.graph.source.neededSchema
        let pipeline = SourcePipeline(
            graph: run.graph, context: run.context, lookups: [:], keyGroups: 128, parts: 3)
        // 3,000,000 keys twice, beyond 96 MiB: the second time they meet a table that was emptied in between.
        for start in (0..<40).map({ $0 % 20 * 150_000 }) {
            let ids = FixedColumn<Int64>()
            for id in start..<start + 150_000 { ids.append(Int64(id)) }
            pipeline.process(columns: [.int64(ids)], rowCount: 150_000, offsets: nil)
        }
        #expect(schema.names == ["id"])
        let blocks = pipeline.finish().blocks
        let partial = blocks.reduce(0) { $0 + ($1?.selectedCount ?? 0) }
        #expect(partial > 3_000_000)
        var total = 0
        for part in 0..<3 {
            let result = try run.merge([blocks[part]!], state: KeyedState(graph: run.graph, keyGroups: 128))
            total += result.rowsOut
            guard case .int64(let counts) = result.output[0].columns[1] else {
                Issue.record("the count is not int64")
                return
            }
            #expect((0..<counts.count).allSatisfy { counts.values[$0] == 2 })
        }
        #expect(total == 3_000_000)
    }
}
