// What a repair writes of each key: what the newest batch did to it, be it a row or its end; and what a backfill would take away.

import Driver
import Engine
import TestSupport
import Testing

@Suite struct NewestRowsTests {
    static let table = SinkTable(
        name: "views", schema: Schema([Field("n", .int64), Field("id", .text, nullable: true), Field("day", .int64)]), key: ["day", "id"],
        mode: .keyedUpsert)
    static let only = SinkTable(name: "total", schema: Schema([Field("n", .int64)]), key: [], mode: .keyedUpsert)

    private func chunk(_ schema: Schema, _ rows: [[Value]], isDelete: Bool = false) -> Chunk {
        var chunk = Chunk(schema: schema)
        for row in rows {
            for (column, value) in zip(chunk.columns, row) { column.append(value) }
        }
        chunk.rowCount = rows.count
        chunk.isDelete = isDelete
        return chunk
    }

    private func written(_ rows: (String?, Int64)...) -> Chunk {
        chunk(Self.table.schema, rows.map { [.int64($0.1), $0.0.map { .text($0) } ?? .null, .int64(7)] })
    }

    private func gone(_ ids: String?...) -> Chunk {
        chunk(Schema([Self.table.schema.fields[2], Self.table.schema.fields[1]]), ids.map { [.int64(7), $0.map { .text($0) } ?? .null] }, isDelete: true)
    }

    /// `+` or `-` and the values of what is left.
    private func left(_ table: SinkTable, _ batches: [[Chunk]], adding: Int) -> [String] {
        var newest = NewestRows(table)
        for (number, chunks) in batches.enumerated() {
            for chunk in chunks { newest.add(chunk, addsKeys: number < adding) }
        }
        return newest.chunks.flatMap { chunk in
            var texts: [String] = []
            chunk.forEachSelectedRow { row in texts.append((chunk.isDelete ? "-" : "+") + chunk.values(row).map(text).joined(separator: " ")) }
            return texts
        }
    }

    private func text(_ value: Value) -> String {
        switch value {
        case .null: "NULL"
        case .int64(let number): "\(number)"
        case .text(let text): text
        default: "?"
        }
    }

    @Test func `a delete wins over an earlier row, and a row over an earlier delete`() {
        let batches = [
            [written(("a", 1), ("b", 1), (nil, 1)), gone("c")], [gone("a", nil), written(("c", 2))], [written((nil, 3), ("later", 3)), gone("later too")],
        ]
        #expect(left(Self.table, batches, adding: 1) == ["+1 b 7", "-7 a", "+2 c 7", "+3 NULL 7"])
        #expect(left(Self.table, Array(batches[..<2]), adding: 1) == ["+1 b 7", "-7 a", "-7 NULL", "+2 c 7"])
        #expect(left(Self.table, batches, adding: 3) == ["+1 b 7", "-7 a", "+2 c 7", "+3 NULL 7", "+3 later 7", "-7 later too"])
    }

    @Test func `of the empty key the last batch is left`() {
        let row = chunk(Self.only.schema, [[.int64(1)]])
        var end = Chunk(schema: Schema([]), columns: [], rowCount: 1)
        end.isDelete = true
        #expect(left(Self.only, [[row], [end]], adding: 1) == ["-"])
        #expect(left(Self.only, [[end], [row]], adding: 1) == ["+1"])
    }

    @Test func `a repair leaves in the sink what all batches in their order would`() throws {
        let batches: [[Chunk]] = [
            [written(("a", 1), ("b", 1), ("c", 1), (nil, 1))], [gone("a", nil), written(("b", 2))], [written(("a", 3)), gone("c", "missing")],
            [gone("b"), written(("c", 4), (nil, 4))],
        ]
        func contents(missing: ClosedRange<Int>?) throws -> [[SQLValue]] {
            let directory = try TemporaryDirectory("repair")
            let address = "sqlite:" + directory.file("sink.db")
            let sink = try openSink(address: address, table: Self.table)
            let identity = SinkIdentity(job: "job", jobID: JobID(text: "a"), epoch: 1, sink: Self.table.name)
            try sink.claim(identity, adopt: false)
            func seal(_ batch: Int, part: Int, _ rows: [Chunk]) throws {
                _ = try sink.seal(identity, part: part, batch: Int64(batch), digest: "d\(batch)", after: .unknown, rows: rows)
            }
            for (number, rows) in batches.enumerated() where missing?.contains(number) != true { try seal(number + 1, part: 0, rows) }
            if let missing {
                var newest = NewestRows(Self.table)
                for number in missing.lowerBound..<batches.count {
                    for chunk in batches[number] { newest.add(chunk, addsKeys: missing.contains(number)) }
                }
                try seal(batches.count + 1, part: BatchPlan.repairPart, newest.chunks)
            }
            // No part is thought to have lost its rows.
            let again = try openSink(address: address, table: Self.table)
            let sight = try #require(try again.sight(identity))
            #expect(sight.parts.values.allSatisfy { $0.witness != .gone }, "\(sight)")
            return try sinkContents(address: address, table: Self.table)
        }
        let whole = try contents(missing: nil)
        #expect(whole == [[.int(3), .text("a"), .int(7)], [.int(4), .null, .int(7)], [.int(4), .text("c"), .int(7)]])
        for first in 0..<batches.count {
            for last in first..<batches.count { #expect(try contents(missing: first...last) == whole, "\(first)...\(last)") }
        }
    }

    @Test func `a backfill that would take rows away says so`() throws {
        let directory = try TemporaryDirectory("shrink")
        let sink = try openSink(address: "sqlite:" + directory.file("sink.db"), table: Self.table)
        let identity = SinkIdentity(job: "job", jobID: JobID(text: "a"), epoch: 1, sink: Self.table.name)
        try sink.claim(identity, adopt: false)
        _ = try sink.seal(identity, part: 0, batch: 1, digest: "d", after: .unknown, rows: [written(("a", 5), (nil, 3), ("c", 2))])
        let shrunk = try ShrinkCheck.shrunk([gone(nil, "missing"), written(("a", 4), ("c", 2))], in: sink, table: Self.table)
        #expect(shrunk.map { "\($0.key): \($0.column) \($0.stored) -> \($0.computed)" } == ["7 NULL: n 3 -> 0", "7 a: n 5 -> 4"])
    }
}
