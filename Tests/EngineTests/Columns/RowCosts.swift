// Nanoseconds per row of what works on whole chunks: runs only with SLUICE_BENCH=1, means something only in a release
// build. The best of eleven rounds, warm, with the work repeated until a round takes about 20 ms.

import Dispatch
import Engine
import Foundation
import Jobs
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["SLUICE_BENCH"] != nil))
struct RowCosts {
    /// What `campaign-views` sends: a text of 36 bytes, a window, a count.
    private func groups(_ rows: Int) -> Chunk {
        var chunk = Chunk(schema: Schema([Field("campaign_id", .text), Field("window_start", .timestamp), Field("views", .int64)]))
        for row in 0..<rows {
            chunk.columns[0].append(.text(Wire.adID(row % 100)))
            chunk.columns[1].append(.timestamp(1_760_000_000_000 + Int64(row / 100) * 10_000))
            chunk.columns[2].append(.int64(Int64(row * 7919 % 1000)))
        }
        chunk.rowCount = rows
        return chunk
    }

    private func best(_ rows: Int, _ body: () throws -> Void) rethrows -> Double {
        let repeats = max(1, 400_000 / rows)
        var best = Double.infinity
        for _ in 0..<11 {
            let start = DispatchTime.now().uptimeNanoseconds
            for _ in 0..<repeats { try body() }
            best = min(best, Double(DispatchTime.now().uptimeNanoseconds - start) / Double(repeats * rows))
        }
        return best
    }

    private func show(_ name: String, _ nanoseconds: Double) {
        print("\(name): \((nanoseconds * 10).rounded() / 10) ns a row")
    }

    @Test func `copying, hashing and encoding`() throws {
        for rows in [1200, 8192, 100_000] {
            let chunk = groups(rows)
            let half = Selection(capacity: rows)
            for row in 0..<rows / 2 { half.rows[row] = Int32(row * 2) }
            half.commit(rows / 2)
            var selected = chunk
            selected.selection = half
            show("\(rows) rows: copy all, 3 columns", best(rows) { _ = chunk.compacted() })
            show("\(rows) rows: copy every second, 3 columns", best(rows / 2) { _ = selected.compacted() })
            for (name, column) in [("number", 2), ("text of 36 bytes", 0)] {
                show("\(rows) rows: hash a \(name)", best(rows) { _ = RowHash.hashes([chunk.columns[column]], of: chunk) })
            }
            show(
                "\(rows) rows: digest of 3 columns",
                best(rows) {
                    var digest = RowDigest()
                    digest.add(chunk)
                })
            for compressing in [false, true] {
                let bytes = ChunkCodec.encode(chunk, compressing: compressing)
                let how = compressing ? "zstd" : "plain"
                print("\(rows) rows: \(bytes.count) bytes \(how), \(Double(bytes.count * 10 / rows) / 10) a row")
                show("\(rows) rows: encode \(how)", best(rows) { _ = ChunkCodec.encode(chunk, compressing: compressing) })
                show("\(rows) rows: decode \(how)", try best(rows) { _ = try ChunkCodec.decode(bytes) })
            }
        }
    }

    @Test func `filtering, looking up, grouping and merging`() throws {
        let ads = (0..<1000).map { (Wire.adID($0), "campaign-\($0 / 10)") }
        let fields = [Field("ad_id", .text), Field("event_type", .text), Field("event_time", .timestamp), Field("n", .int64)]
        let rows = 8192
        let lookups = ["ads": try lookupTable("ads", ads)]
        let chunk = Chunk(schema: Schema(fields))
        for row in 0..<rows {
            chunk.columns[0].append(.text(Wire.adID(row * 7919 % 1000)))
            chunk.columns[1].append(.text(["view", "click", "purchase"][row % 3]))
            chunk.columns[2].append(.timestamp(Int64(row)))
            chunk.columns[3].append(.int64(Int64(row)))
        }
        func cost(_ name: String, _ body: @escaping @Sendable (JobContext, RowStream) throws -> Void) throws {
            let job = try graph { job in try body(job, job.stream(.kafka("t", format: .json, schema: fields))) }
            let columns = job.source.neededSchema.names.map { name in chunk.columns[fields.firstIndex { $0.name == name }!] }
            let bench = BenchRun(graph: job)
            let pipeline = SourcePipeline(graph: job, context: bench.context, lookups: lookups, keyGroups: 128, parts: 2)
            show(name, best(rows) { pipeline.process(columns: columns, rowCount: rows, offsets: nil) })
            _ = pipeline.finish()
        }
        try cost("filter number > literal, keeping none") { _, s in
            try s.filter(col("n") > 1_000_000).select(col("n")).write(to: .append("o"))
        }
        try cost("filter text == literal, keeping none") { _, s in
            try s.filter(col("event_type") == "purchases").select(col("event_type")).write(to: .append("o"))
        }
        try cost("two sums and a comparison, keeping none") { _, s in
            try s.filter(col("n") + 1 + col("n") < 0).select(col("n")).write(to: .append("o"))
        }
        try cost("group by number, count") { _, s in
            try s.groupBy(col("n")).agg(count().as("c")).write(to: .table("o", key: ["n"]))
        }
        try cost("group by text of 36 bytes, count") { _, s in
            try s.groupBy(col("ad_id")).agg(count().as("c")).write(to: .table("o", key: ["ad_id"]))
        }
        try cost("group by text of 36 bytes, count, sum, min, avg") { _, s in
            try s.groupBy(col("ad_id")).agg(count().as("c"), sum(col("n")).as("s"), min(col("n")).as("m"), avg(col("n")).as("a"))
                .write(to: .table("o", key: ["ad_id"]))
        }
        try cost("look up text of 36 bytes, group by its code") { job, s in
            let table = job.table(.file("ads.csv"), name: "ads", columns: ["ad_id", "campaign_id"])
            try s.join(table, on: "ad_id").groupBy(col("campaign_id")).agg(count().as("c"))
                .write(to: .table("o", key: ["campaign_id"]))
        }

        let merging = BenchRun(
            graph: try graph { job in
                try job.stream(.kafka("t", format: .json, schema: fields)).groupBy(col("ad_id"), col("n"))
                    .agg(count().as("c")).write(to: .table("o", key: ["ad_id", "n"]))
            }, chunkRows: rows)
        let block = try #require(
            merging.source((0..<50_000).map { ["ad_id": .text(Wire.adID($0 % 1000)), "n": .int64(Int64($0))] }).blocks[0])
        show(
            "merge and sort 50,000 groups of text and number",
            try best(block.rowCount) {
                let pipeline = MergePipeline(graph: merging.graph, context: merging.context, keyGroups: 16)
                try pipeline.process(block: block)
                _ = try pipeline.finish(state: KeyedState(graph: merging.graph, keyGroups: 16))
            })
        let state = KeyedState(graph: merging.graph, keyGroups: 16)
        state.apply(delta: block, groups: 0..<16)
        show(
            "the same onto 50,000 groups of state",
            try best(block.rowCount) {
                let pipeline = MergePipeline(graph: merging.graph, context: merging.context, keyGroups: 16)
                try pipeline.process(block: block)
                _ = try pipeline.finish(state: state)
            })
        show("apply a delta of 50,000 groups", best(block.rowCount) { state.apply(delta: block, groups: 0..<16) })
    }
}
