// Windows of time: each row once for each window that it falls into, with the window's bounds.
//
// A row whose time is NULL, or too far from 1970, is in no window; it counts as one that failed. A row that comes out several times has no
// origin any more: where one of them fails, the others stay, and what it came of must not be run again as a whole.

import SQLBinding
import Values

final class WindowOperator: Operator {
    private static let withoutTime = RowFault("22004", "the event time is NULL, so the row is in no window")

    private static let tooFar = RowFault("22008", "the event time is too far from 1970, so the row is in no window")

    private(set) var counts = OperatorCounts()
    private let plan: WindowPlan
    private let pool: BufferPool

    init(_ plan: WindowPlan, pool: BufferPool) {
        self.plan = plan
        self.pool = pool
    }

    func begin(_ moment: BatchMoment) { counts = OperatorCounts() }
    func end(into output: ChunkList) {}

    func take(_ chunk: Chunk, input: Int, into output: ChunkList) throws(RowStop) {
        let type = chunk.columns[plan.time].type
        let cells = ChunkCells([chunk.columns[plan.time]], count: chunk.count)
        let view = cells.views[0]
        let most: Int =
            switch plan.window.shape {
            case .tumble: 1
            case .hop(let slide, let size): Int((size + slide - 1) / slide)
            case .cumulate(let step, let size): Int(size / step)
            case .session: preconditionFailure("a session is an operator of its own")
            }
        let room = max(chunk.count * most, 1)
        let (rowMemory, startMemory, endMemory) = (pool.take(room * 4), pool.take(room * 8), pool.take(room * 8))
        let rows = rowMemory.base.assumingMemoryBound(to: Int32.self)
        let starts = startMemory.base.assumingMemoryBound(to: Int64.self)
        let ends = endMemory.base.assumingMemoryBound(to: Int64.self)
        var count = 0
        let origin = plan.window.origin
        for row in 0..<chunk.count {
            guard !view.isNull(row), TimeWindow.holds(view.word(row)) else {
                try Self.note(chunk, row, isNull: view.isNull(row), plan.policy, &counts)
                continue
            }
            let time = view.word(row)
            switch plan.window.shape {
            case .tumble(let size):
                let start = TimeWindow.floor(time, origin, size)
                rows[count] = Int32(truncatingIfNeeded: row)
                starts[count] = start
                ends[count] = start &+ size
                count &+= 1
            case .hop(let slide, let size):
                let last = TimeWindow.floor(time, origin, slide)
                var start = TimeWindow.floor(time &- size, origin, slide) &+ slide
                while start <= last {
                    rows[count] = Int32(truncatingIfNeeded: row)
                    starts[count] = start
                    ends[count] = start &+ size
                    count &+= 1
                    start &+= slide
                }
            case .cumulate(let step, let size):
                let start = TimeWindow.floor(time, origin, size)
                var end = start &+ (time &- start) / step &* step &+ step
                while end <= start &+ size {
                    rows[count] = Int32(truncatingIfNeeded: row)
                    starts[count] = start
                    ends[count] = end
                    count &+= 1
                    end &+= step
                }
            case .session: break
            }
        }
        let isOnce: Bool = if case .tumble = plan.window.shape { true } else { false }
        let isWhole = isOnce && count == chunk.count
        let below = isWhole ? chunk : chunk.rows(rows, count: count, pool: pool)
        let bounds = [Vector(type, count: count, values: startMemory), Vector(type, count: count, values: endMemory)]
        output.emit(Chunk(columns: below.columns + bounds, count: count, weights: below.weights, origins: isOnce ? below.origins : nil))
        withExtendedLifetime((cells, rowMemory)) {}
    }

    /// A row that is in no window for its time.
    static func note(_ chunk: Chunk, _ row: Int, isNull: Bool, _ policy: FaultPolicy, _ counts: inout OperatorCounts) throws(RowStop) {
        guard chunk.weight(row) > 0 else { return }
        let error = RowError(row: row, position: 0, fault: isNull ? withoutTime : tooFar)
        if policy == .stop { throw RowStop(error: error) }
        counts.note(error, times: Int(chunk.weight(row)), origin: policy == .null ? nil : chunk.origin(row))
    }
}
