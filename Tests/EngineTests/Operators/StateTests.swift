// State between batches: what a delta does, what the watermark drops, and what a snapshot holds.

import Engine
import TestSupport
import Testing

private func viewsGraph() throws -> StageGraph {
    try graph { job in
        try job.stream(.kafka("t", format: .json, schema: [Field("who", .text), Field("at", .timestamp)]))
            .withWatermark("at", delay: .seconds(1))
            .groupBy(col("who"), tumble("at", .seconds(10)))
            .agg(count().as("n"))
            .write(to: .table("views", key: ["who", "window_start"]))
    }
}

private func row(_ who: String, _ at: Int64) -> BenchRow { ["who": .text(who), "at": .timestamp(at)] }

private func rows(_ chunk: Chunk) -> Set<[Value]> {
    var result: Set<[Value]> = []
    chunk.forEachSelectedRow { result.insert(chunk.values($0)) }
    return result
}

struct StateTests {
    private let run: BenchRun
    private let all = 0..<16

    init() throws { run = BenchRun(graph: try viewsGraph()) }

    private func delta(_ input: [BenchRow], on state: KeyedState) throws -> Chunk {
        try run.merge(run.source(input).blocks.compactMap { $0 }, state: state).delta
    }

    @Test func `finishing a batch changes no state, applying its delta twice changes it once`() throws {
        let state = KeyedState(graph: run.graph, keyGroups: 16)
        let first = try delta([row("a", 1), row("a", 2), row("b", 3)], on: state)
        #expect(state.groupCount == 0)
        state.apply(delta: first, groups: all)
        let before = rows(state.snapshot())
        state.apply(delta: first, groups: all)
        #expect(rows(state.snapshot()) == before)
        #expect(before == [[.text("a"), .timestamp(0), .int64(2)], [.text("b"), .timestamp(0), .int64(1)]])
        let second = try delta([row("a", 5)], on: state)
        #expect(rows(second) == [[.text("a"), .timestamp(0), .int64(3)]])
        #expect(rows(state.snapshot()) == before)
    }

    @Test func `a range of key groups takes only its own keys`() throws {
        let state = KeyedState(graph: run.graph, keyGroups: 16)
        let whole = try delta((0..<500).map { row("user \($0)", 0) }, on: state)
        let parts = [0..<5, 5..<6, 6..<16].map { groups in
            let part = KeyedState(graph: run.graph, keyGroups: 16)
            part.apply(delta: whole, groups: groups)
            return part
        }
        #expect(parts.allSatisfy { $0.groupCount > 0 && $0.groupCount < 500 })
        #expect(parts.reduce(into: Set()) { $0.formUnion(rows($1.snapshot())) } == rows(whole))
        #expect(parts.reduce(0) { $0 + $1.groupCount } == 500)
    }

    @Test(arguments: [
        (watermark: Int64(9_999), left: 3), (10_000, 2), (19_999, 2), (20_000, 1), (30_000, 0), (-1, 3),
    ])
    func `a window leaves the state when the watermark reaches its end`(watermark: Int64, left: Int) throws {
        let state = KeyedState(graph: run.graph, keyGroups: 16)
        state.apply(delta: try delta([row("a", 0), row("a", 10_000), row("a", 29_999)], on: state), groups: all)
        let bytes = state.byteCount
        state.evict(watermarkMillis: watermark)
        #expect(state.groupCount == left)
        #expect(state.byteCount <= bytes)
        // What is left is still found.
        let again = try delta([row("a", 29_000)], on: state)
        #expect(rows(again) == [[.text("a"), .timestamp(20_000), .int64(left > 0 ? 2 : 1)]])
    }

    @Test func `a snapshot with a delta is the state after the delta, and the state stays as it was`() throws {
        let state = KeyedState(graph: run.graph, keyGroups: 16)
        state.apply(delta: try delta([row("a", 0), row("b", 0)], on: state), groups: all)
        let next = try delta([row("b", 1), row("c", 1)], on: state)
        let snapshot = state.snapshot(with: next)
        #expect(state.groupCount == 2)
        state.apply(delta: next, groups: all)
        #expect(rows(snapshot) == rows(state.snapshot()))
        #expect(snapshot.selectedCount == 3)
    }

    @Test func `a backfill sees only rows with event times of its span`() throws {
        var bounded = run
        bounded.eventTimes = 10_000..<30_000
        let state = KeyedState(graph: run.graph, keyGroups: 16)
        let input = (0..<5).map { row("a", Int64($0) * 10_000) }
        let result = try bounded.merge(bounded.source(input).blocks.compactMap { $0 }, state: state)
        #expect(result.output.map(rows) == [[[.text("a"), .timestamp(10_000), .int64(1)], [.text("a"), .timestamp(20_000), .int64(1)]]])
        #expect(bounded.source(input).futureRows == 0)
    }

    @Test func `what is written follows the plan: the changes, nothing, or the whole state`() throws {
        let state = KeyedState(graph: run.graph, keyGroups: 16)
        state.apply(delta: try delta([row("a", 0), row("b", 0)], on: state), groups: all)
        let blocks = run.source([row("b", 1), row("c", 1)]).blocks.compactMap { $0 }
        let changes = try run.merge(blocks, state: state)
        #expect(changes.rowsOut == 2)
        let nothing = try run.merge(blocks, state: state, output: .nothing)
        #expect(nothing.output.isEmpty && nothing.rowsOut == 0 && nothing.delta.selectedCount == 2)
        let complete = try run.merge(blocks, state: state, output: .complete)
        #expect(complete.rowsOut == 3)
        #expect(
            complete.output.map(rows) == [
                [
                    [.text("a"), .timestamp(0), .int64(1)], [.text("b"), .timestamp(0), .int64(2)],
                    [.text("c"), .timestamp(0), .int64(1)],
                ]
            ])
    }

    @Test func `a block of another plan is refused`() throws {
        let other = Chunk(schema: Schema([Field("who", .text)]))
        #expect {
            try run.merge([other], state: KeyedState(graph: run.graph, keyGroups: 16))
        } throws: { ($0 as? Failure)?.code == .schemaMismatch }
    }
}
