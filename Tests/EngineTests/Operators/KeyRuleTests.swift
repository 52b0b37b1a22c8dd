// Keys that no table finds a row by: refused where the types tell, else rejected row by row, and the good rows go on.

import Engine
import TestSupport
import Testing

private let fields = [
    Field("user", .text, nullable: true), Field("n", .int64), Field("m", .int64), Field("price", .float64), Field("at", .timestamp),
]

private func keyed(_ keys: @escaping @Sendable () -> Expression, filter: Expression? = nil) throws -> StageGraph {
    try graph { job in
        let rows = job.stream(.kafka("t", format: .json, schema: fields))
        try (filter.map { rows.filter($0) } ?? rows).groupBy(keys()).agg(count().as("c")).write(to: .table("o", key: ["k"]))
    }
}

private func row(_ user: Value, n: Int64 = 1, m: Int64 = 1, price: Double = 1) -> BenchRow {
    ["user": user, "n": .int64(n), "m": .int64(m), "price": .float64(price), "at": .timestamp(0)]
}

struct KeyRuleTests {
    @Test func `a nullable column as a key is refused before the first batch, with its name`() {
        for key in [col("user").as("k"), nullIf(col("n"), 5).as("k")] {
            #expect { try keyed { key } } throws: { error in
                guard let failure = error as? Failure else { return false }
                return failure.code == .schemaMismatch && failure.what.contains("column k") && failure.what.contains("NULL")
            }
        }
        #expect {
            try graph { job in
                try job.stream(.kafka("t", format: .json, schema: fields)).select(col("user"), col("n"))
                    .write(to: .append("o", uniqueKey: ["user"]))
            }
        } throws: { ($0 as? Failure)?.what.contains("column user") == true }
    }

    @Test(arguments: [!col("user").isNull, col("user") != "nobody", col("n") > 0 && !col("user").isNull])
    private func `a nullable column is a key once a filter has taken out its NULLs`(_ filter: Expression) throws {
        let run = BenchRun(graph: try keyed({ col("user").as("k") }, filter: filter))
        let source = run.source([row(.text("a")), row(.null), row(.text("b"))])
        #expect(source.rowsIn == 3)
        var table = BenchTable()
        let output = try run.merge(source.blocks.compactMap { $0 }, state: KeyedState(graph: run.graph, keyGroups: 16)).output
        table.upsert(output, keyColumns: 1)
        #expect(table.rows.count == 2)
        #expect(run.graph.keySchema.fields[0].nullable == false)
    }

    @Test func `a row whose computed key does not fit its type is rejected, and the others are counted`() throws {
        let run = BenchRun(graph: try keyed { (col("n") / col("m")).as("k") })
        let rows = [row(.null, n: 6, m: 2), row(.null, n: 1, m: 0), row(.null, n: .min, m: -1), row(.null, n: 7, m: 2)]
        let (rejected, result) = reject(run, rows)
        #expect(rejected == [1: "nullKey", 2: "nullKey"])
        #expect(result.keylessRows == 2 && result.rowsIn == 2)
        let output = try run.merge(result.blocks.compactMap { $0 }, state: KeyedState(graph: run.graph, keyGroups: 16)).output
        #expect(output.map { $0.values(0) } == [[.int64(3), .int64(2)]])
    }

    @Test func `a row with NaN or infinity in its key is rejected, and the others are counted`() throws {
        let run = BenchRun(graph: try keyed { col("price").as("k") })
        let rows = [row(.null, price: .nan), row(.null, price: 2.5), row(.null, price: -.infinity), row(.null, price: -0.0)]
        let (rejected, result) = reject(run, rows)
        #expect(rejected == [0: "notFiniteKey", 2: "notFiniteKey"])
        #expect(result.blocks.compactMap { $0 }.reduce(0) { $0 + $1.selectedCount } == 2)
    }

    @Test func `the unique key of an append sink is held to the same rules`() throws {
        let run = BenchRun(
            graph: try graph { job in
                try job.stream(.kafka("t", format: .json, schema: fields)).select((col("n") + col("m")).as("id"), col("price"))
                    .write(to: .append("o", uniqueKey: ["id", "price"]))
            })
        let (rejected, result) = reject(run, [row(.null, n: .max), row(.null, price: .nan), row(.null)])
        #expect(rejected == [0: "nullKey", 1: "notFiniteKey"])
        #expect(result.output.reduce(0) { $0 + $1.selectedCount } == 1)
    }

    @Test func `a computed time outside the years 1 to 9999 is NULL, and so is a number that is none`() throws {
        let run = BenchRun(
            graph: try graph { job in
                try job.stream(.kafka("t", format: .json, schema: fields))
                    .select((col("at") + col("n")).as("later"), col("n").cast(to: .timestamp).as("cast")).write(to: .append("o"))
            })
        let far = 253_402_300_799_999 as Int64
        let output = run.source([row(.null, n: far), row(.null, n: far + 1), row(.null, n: .max), row(.null, n: .min)]).output
        #expect(output[0].values(0) == [.timestamp(far), .timestamp(far)])
        for index in 1...3 { #expect(output[0].values(index) == [.null, .null]) }
    }

    @Test func `the rows with good keys are stored in PostgreSQL, where NULL and NaN stopped the whole batch`() throws {
        let run = BenchRun(
            graph: try graph { job in
                try job.stream(.kafka("t", format: .json, schema: fields))
                    .groupBy((col("n") / col("m")).as("k"), col("price").as("p"), col("at").as("at"))
                    .agg(sum(col("n")).as("total"), avg(col("price")).as("mean")).write(to: .table("keys", key: ["k", "p", "at"]))
            })
        let rows = [
            row(.null, n: 6, m: 2), row(.null, n: 6, m: 0), row(.null, price: .nan), row(.null, n: .max, m: 1), row(.null, n: .max, m: 1),
            row(.null, price: .infinity),
        ]
        let (rejected, result) = reject(run, rows)
        #expect(rejected == [1: "nullKey", 2: "notFiniteKey", 5: "notFiniteKey"])
        let output = try run.merge(result.blocks.compactMap { $0 }, state: KeyedState(graph: run.graph, keyGroups: 16)).output
        let place = try SinkPlace(.postgres)
        let identity = run.graph.sink.identity()
        let sink = try place.claimed(run.graph.sink, identity)
        defer { sink.close() }
        _ = try sink.seal(identity, part: 0, batch: 1, digest: "d", rows: output)
        #expect(try place.ask("SELECT k, total IS NULL FROM keys ORDER BY k").count == 2)
        #expect(try place.ask("SELECT count(*) FROM keys WHERE total IS NULL AND k = 9223372036854775807") == [[.int(1)]])
        #expect(try place.ask("SELECT count(*) FROM information_schema.columns WHERE table_name = 'keys' AND is_nullable = 'NO'") == [[.int(3)]])
    }

    private func reject(_ run: BenchRun, _ rows: [BenchRow]) -> ([Int: String], SourceResult) {
        let pipeline = SourcePipeline(graph: run.graph, context: run.context, lookups: [:], keyGroups: 16, parts: 1)
        var rejected: [Int: String] = [:]
        for chunk in chunks(rows, run.graph.source.neededSchema, chunkRows: 1000) {
            pipeline.process(columns: chunk.columns, rowCount: chunk.rowCount, offsets: nil) { rejected[$0] = $1.rawValue }
        }
        return (rejected, pipeline.finish())
    }
}
