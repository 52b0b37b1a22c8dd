// Sessions: rows of a key that are less than the gap apart.
//
// Each key has its rows in the order of time; a session is a run of them. A row leaves with the bounds of its session, and again with other
// bounds when the session grows, is joined with another one or falls apart. A session is closed when its last row plus the gap is not after
// the watermark: its rows go, and what it gave stays. A row before the watermark is late.

import SQLBinding
import Values

final class SessionOperator: Operator {
    private(set) var counts = OperatorCounts()
    private let plan: SessionPlan
    private let kept: KeyedRows
    private let pool: BufferPool
    private let shown: [Int]
    private var batch: UInt32 = 0
    private var watermark: Int64?
    private var before: [Int32: [(GivenRows.Given, Int64)]] = [:]
    private var rows = Scratch<Int32>()

    init(_ plan: SessionPlan, pool: BufferPool) {
        self.plan = plan
        self.pool = pool
        shown = Array(0..<plan.types.count - plan.keys.count)
        let time = plan.time
        kept = KeyedRows(plan.types, keys: plan.keys, pool: pool) { rows, a, b in
            let words = rows.store.columns[time].words
            return words[a] != words[b] ? words[a] < words[b] : rows.store.compare(a, b) < 0
        }
    }

    var stateBytes: Int { kept.byteCount }

    func begin(_ moment: BatchMoment) {
        counts = OperatorCounts()
        batch &+= 1
        watermark = plan.watermark?.value(at: moment)
    }

    func take(_ chunk: Chunk, input: Int, into output: ChunkList) throws(RowStop) {
        let cells = ChunkCells([chunk.columns[plan.time]], count: chunk.count)
        let list = rows.room(chunk.count)
        var count = 0
        for row in 0..<chunk.count {
            guard !cells.views[0].isNull(row), TimeWindow.holds(cells.views[0].word(row)) else {
                try WindowOperator.note(chunk, row, isNull: cells.views[0].isNull(row), plan.policy, &counts)
                continue
            }
            if plan.judges, let watermark, cells.views[0].word(row) < watermark {
                counts.late += 1
                continue
            }
            list[count] = Int32(truncatingIfNeeded: row)
            count += 1
        }
        kept.add(chunk, list, count: count, batch: batch) { group in before[Int32(group)] = given(group) }
        withExtendedLifetime(cells) {}
    }

    private func given(_ group: Int) -> [(GivenRows.Given, Int64)] {
        let list = kept.list(group)
        var found: [(GivenRows.Given, Int64)] = []
        forEachSession(group) { range, start, end in
            for place in range { found.append((.init(entry: list[place], numbers: [start, end]), kept.weights[Int(list[place])])) }
        }
        return found
    }

    private func forEachSession(_ group: Int, _ body: (_ places: Range<Int>, _ start: Int64, _ end: Int64) -> Void) {
        let (list, words) = (kept.list(group), kept.store.columns[plan.time].words)
        var first = 0
        for place in list.indices where place + 1 == list.count || words[Int(list[place + 1])] - words[Int(list[place])] >= plan.gap {
            body(first..<place + 1, words[Int(list[first])], words[Int(list[place])] + plan.gap)
            first = place + 1
        }
    }

    func end(into output: ChunkList) {
        var rows = GivenRows()
        for group in kept.sortedGroups() { rows.add(old: before[group] ?? [], new: given(Int(group))) }
        before.removeAll(keepingCapacity: true)
        if !rows.entries.isEmpty {
            let type = plan.types[plan.time]
            output.emit(rows.chunk(kept.store, shown, numberTypes: [type, type], pool: pool))
        }
        guard let watermark else { return }
        for group in kept.allGroups {
            var closed = 0
            forEachSession(group) { places, _, end in if end <= watermark && places.lowerBound == closed { closed = places.upperBound } }
            if closed > 0 { kept.drop(kept.list(group)[..<closed], of: group, batch: batch) }
        }
    }

    func finish(into delta: inout StateDelta?) { kept.finish(into: &delta) }
    func load(_ entries: [StateDelta.Entry]) throws(StateFault) { try kept.load(entries) }
}
