// The watermark of a column of an edge: the least value that the column can still bring, out of what the plan of the batch says of sources.
//
// It is a small expression over the watermarks of tables: none as long as one of them has none, and it never falls while they do not. The
// greatest number stands for the end of all time, and stays what it is.

import SQLBinding
import Values

package indirect enum ColumnWatermark: Sendable, Hashable {
    case source(String)
    /// The start or end of the first window that a row at the watermark can fall into.
    case windowStart(ColumnWatermark, TimeWindow)
    case windowEnd(ColumnWatermark, TimeWindow)
    /// What a monotone function makes of it: of its column 0.
    case function(ColumnWatermark, BoundExpression)
    case least(ColumnWatermark, ColumnWatermark)
    /// Less so many microseconds.
    case before(ColumnWatermark, Int64)

    /// What it is in a batch.
    package func value(at moment: BatchMoment) -> Int64? {
        switch self {
        case .source(let table): return moment.watermarks[table]
        case .windowStart(let time, let window): return time.value(at: moment).map { window.firstOpen(at: $0).start }
        case .windowEnd(let time, let window): return time.value(at: moment).map { window.firstOpen(at: $0).end }
        case .function(let time, let expression):
            guard let time = time.value(at: moment), time != .max else { return time.value(at: moment) }
            let pool = BufferPool()
            let errors = RowErrors()
            var results: [Vector] = []
            let type = expression.columnType ?? .timestamptz
            let column = Vector.flat([.word(time)], type, pool: pool)
            Program([expression], context: moment.context, pool: pool).run([column], count: 1, .all(1), into: &results, errors: errors)
            if case .word(let word) = results[0].datum(0) { return word }
            return nil
        case .least(let a, let b):
            guard let a = a.value(at: moment), let b = b.value(at: moment) else { return nil }
            return min(a, b)
        case .before(let time, let micros):
            guard let time = time.value(at: moment), time != .max else { return time.value(at: moment) }
            let (earlier, isOver) = time.subtractingReportingOverflow(micros)
            return isOver ? (micros > 0 ? .min : .max) : earlier
        }
    }

    /// Of several columns that close, the one that closes earliest: the end of a window, which in `cumulate` comes before its start does.
    var isWindowEnd: Bool {
        switch self {
        case .windowEnd: true
        case .least(let a, let b): a.isWindowEnd && b.isWindowEnd
        case .before(let inner, _): inner.isWindowEnd
        case .source, .windowStart, .function: false
        }
    }

    /// It moves from window to window, and not with each row.
    var isOfWindow: Bool {
        switch self {
        case .windowStart, .windowEnd: true
        case .least(let a, let b): a.isOfWindow && b.isOfWindow
        case .before(let inner, _): inner.isOfWindow
        case .source, .function: false
        }
    }

    /// The tables whose watermarks it needs.
    package var tables: Set<String> {
        switch self {
        case .source(let table): [table]
        case .windowStart(let inner, _), .windowEnd(let inner, _), .function(let inner, _), .before(let inner, _): inner.tables
        case .least(let a, let b): a.tables.union(b.tables)
        }
    }
}

extension BoundExpression {
    fileprivate var columnType: SQLType? {
        if case .column(_, let type) = self { return type }
        return parts.lazy.compactMap(\.columnType).first
    }
}
