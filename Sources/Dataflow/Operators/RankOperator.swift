// Places of rows among those with their keys: row_number, rank, dense_rank, and with them LIMIT and DISTINCT ON.
//
// Each key has its rows in order. What a key gives is its rows up to the limit, each with its places; when the batch ends, what the touched
// keys give is compared with what they gave. Over an edge on which rows only come, rows beyond the limit can never come back, and go.

import SQLBinding
import Values

final class RankOperator: Operator {
    private(set) var counts = OperatorCounts()
    private let plan: RankPlan
    private let kept: KeyedRows
    private let pool: BufferPool
    private var batch: UInt32 = 0
    private var before: [Int32: [(GivenRows.Given, Int64)]] = [:]

    init(_ plan: RankPlan, pool: BufferPool) {
        self.plan = plan
        self.pool = pool
        kept = KeyedRows(plan.types, keys: plan.keys, pool: pool) { rows, a, b in
            let order = Self.compare(rows.store, a, b, plan.order)
            return order != 0 ? order < 0 : rows.store.compare(a, b) < 0
        }
    }

    var stateBytes: Int { kept.byteCount }

    private static func compare(_ store: RowStore, _ a: Int, _ b: Int, _ orders: some Collection<RankPlan.Order>) -> Int {
        for order in orders {
            let column = store.columns[order.column]
            let (noA, noB) = (column.isNull(a), column.isNull(b))
            if noA || noB {
                if noA && noB { continue }
                return noA == order.nullsFirst ? -1 : 1
            }
            let found = column.compare(a, b)
            if found != 0 { return order.isDescending ? -found : found }
        }
        return 0
    }

    func begin(_ moment: BatchMoment) { batch &+= 1 }

    func take(_ chunk: Chunk, input: Int, into output: ChunkList) {
        kept.add(chunk, nil, count: chunk.count, batch: batch) { group in before[Int32(group)] = given(group) }
    }

    /// What a key gives, and how many of its rows that takes.
    private func given(_ group: Int) -> [(GivenRows.Given, Int64)] { walk(group).given }

    private func walk(_ group: Int) -> (given: [(GivenRows.Given, Int64)], rows: Int) {
        var found: [(GivenRows.Given, Int64)] = []
        let list = kept.list(group)
        let limit = plan.limit.map(Int64.init) ?? .max
        let numbersRows = plan.functions.contains(.rowNumber)
        var (number, rank, dense): (Int64, Int64, Int64) = (0, 0, 0)
        for (place, entry) in list.enumerated() {
            if place == 0 || Self.compare(kept.store, Int(list[place - 1]), Int(entry), plan.order.prefix(plan.ranked)) != 0 {
                rank = number + 1
                dense += 1
            }
            let weight = kept.weights[Int(entry)]
            let room: Int64 =
                switch plan.limitFunction {
                case .rowNumber: limit - number
                case .rank: rank <= limit ? weight : 0
                case .denseRank: dense <= limit ? weight : 0
                }
            if room <= 0 { return (found, place) }
            let count = min(weight, room)
            func numbers(_ row: Int64) -> [Int64] {
                plan.functions.map { function in
                    switch function {
                    case .rowNumber: row
                    case .rank: rank
                    case .denseRank: dense
                    }
                }
            }
            if numbersRows {
                for copy in 0..<count { found.append((.init(entry: entry, numbers: numbers(number + 1 + copy)), 1)) }
            } else {
                found.append((.init(entry: entry, numbers: numbers(0)), count))
            }
            number += weight
        }
        return (found, list.count)
    }

    func end(into output: ChunkList) {
        var rows = GivenRows()
        for group in kept.sortedGroups() {
            let (new, count) = walk(Int(group))
            rows.add(old: before[group] ?? [], new: new)
            if !plan.isOverChanges {
                let list = kept.list(Int(group))
                if count < list.count { kept.drop(list[count...], of: Int(group), batch: batch) }
            }
        }
        before.removeAll(keepingCapacity: true)
        if rows.entries.isEmpty { return }
        output.emit(rows.chunk(kept.store, plan.shown, numberTypes: plan.functions.map { _ in .int8 }, pool: pool))
    }

    func finish(into delta: inout StateDelta?) { kept.finish(into: &delta) }
    func load(_ entries: [StateDelta.Entry]) throws(StateFault) { try kept.load(entries) }
}
