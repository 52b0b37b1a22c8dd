// Running a bound expression over a chunk: one loop per node and chunk, over the selected rows only.
//
// Every node gives a column aligned with the chunk; rows outside the selection hold filler. A conjunction in a filter
// narrows the selection step by step, so its second condition looks only at the rows that the first one kept.
//
// Cost per selected row and node: about 1 ns for numbers, 2-4 ns for comparing a text with a literal, plus one
// allocation a node and chunk.

extension BoundExpression {
    /// The expression's values for the selected rows.
    func evaluate(_ frame: Frame, _ rows: SelectedRows) -> Column {
        switch node {
        case .slot(let slot): return frame.column(slot)
        case .literal(let value): return Kernels.repeated(value, frame.rowCount)
        case .compare, .compareLiteral, .and, .or, .not, .isNull: return .bool(evaluateBool(frame, rows))
        case .integer(let operation, let left, let right):
            let result = Kernels.arithmetic(
                operation, Kernels.int(left.evaluate(frame, rows)), Kernels.int(right.evaluate(frame, rows)),
                frame.rowCount, rows)
            return type == .timestamp ? .timestamp(Kernels.times(result, frame.rowCount, rows)) : .int64(result)
        case .float(let operation, let left, let right):
            return .float64(
                Kernels.arithmetic(
                    operation, Kernels.float(left.evaluate(frame, rows)), Kernels.float(right.evaluate(frame, rows)),
                    frame.rowCount, rows))
        case .nullWhere(let value, let condition):
            return Kernels.nullWhere(
                value.evaluate(frame, rows), condition.evaluateBool(frame, rows), frame.rowCount, rows)
        case .intToFloat(let inner):
            return .float64(
                Kernels.map(Kernels.int(inner.evaluate(frame, rows)), 0.0, frame.rowCount, rows) { Double($0) })
        case .floatToInt(let inner):
            return .int64(
                Kernels.mapOrNull(Kernels.float(inner.evaluate(frame, rows)), frame.rowCount, rows) {
                    Int64(exactly: $0.rounded(.towardZero))
                })
        case .boolToInt(let inner):
            return .int64(Kernels.map(inner.evaluateBool(frame, rows), 0, frame.rowCount, rows) { $0 ? 1 : 0 })
        case .retype(let inner):
            let column = Kernels.int(inner.evaluate(frame, rows))
            return type == .timestamp ? .timestamp(Kernels.times(column, frame.rowCount, rows)) : .int64(column)
        case .tumble(let inner, let lengthMillis):
            return .timestamp(
                Kernels.map(Kernels.int(inner.evaluate(frame, rows)), 0, frame.rowCount, rows) {
                    // The first window of all starts where times do.
                    max(Kernels.windowStart($0, lengthMillis), rowTimes.lowerBound)
                })
        }
    }

    /// For expressions of type bool.
    func evaluateBool(_ frame: Frame, _ rows: SelectedRows) -> FixedColumn<Bool> {
        let count = frame.rowCount
        switch node {
        case .compareLiteral(let comparison, let inner, let value):
            switch (inner.evaluate(frame, rows), value) {
            case (.int64(let c), .int64(let v)), (.timestamp(let c), .timestamp(let v)):
                return Kernels.compare(comparison, c, v, count, rows)
            case (.float64(let c), .float64(let v)): return Kernels.compare(comparison, c, v, count, rows)
            case (.bool(let c), .bool(let v)):
                return Kernels.map(c, false, count, rows) { ($0 == v) == (comparison == .equal) }
            case (.text(let c), .text(let v)): return Kernels.compare(comparison, c, v, count, rows)
            default: preconditionFailure("a comparison was bound with two types")
            }
        case .compare(let comparison, let left, let right):
            switch (left.evaluate(frame, rows), right.evaluate(frame, rows)) {
            case (.int64(let a), .int64(let b)), (.timestamp(let a), .timestamp(let b)):
                return Kernels.compare(comparison, a, b, count, rows)
            case (.float64(let a), .float64(let b)): return Kernels.compare(comparison, a, b, count, rows)
            case (.bool(let a), .bool(let b)):
                return Kernels.zip(a, b, false, count, rows) { ($0 == $1) == (comparison == .equal) }
            case (.text(let a), .text(let b)): return Kernels.compare(comparison, a, b, count, rows)
            default: preconditionFailure("a comparison was bound with two types")
            }
        case .and(let left, let right):
            return Kernels.and(left.evaluateBool(frame, rows), right.evaluateBool(frame, rows), count, rows)
        case .or(let left, let right):
            return Kernels.or(left.evaluateBool(frame, rows), right.evaluateBool(frame, rows), count, rows)
        case .not(let inner):
            return Kernels.map(inner.evaluateBool(frame, rows), false, count, rows) { !$0 }
        case .isNull(let inner): return Kernels.isNull(inner.evaluate(frame, rows), count, rows)
        case .slot, .literal, .nullWhere, .integer, .float, .intToFloat, .floatToInt, .boolToInt, .retype, .tumble:
            guard case .bool(let column) = evaluate(frame, rows) else {
                preconditionFailure("a condition was bound to a \(type) expression")
            }
            return column
        }
    }

    /// The rows for which the condition is TRUE, written to `kept`, which has room for all of `rows` and may be the
    /// memory of `rows` itself (a row is read before its place is written).
    /// - Returns: how many.
    func filter(_ frame: Frame, _ rows: SelectedRows, kept: UnsafeMutablePointer<Int32>) -> Int {
        if case .and(let left, let right) = node {
            let count = left.filter(frame, rows, kept: kept)
            return right.filter(frame, SelectedRows(kept, count: count), kept: kept)
        }
        if case .compareLiteral(.equal, let inner, .text(let literal)) = node,
            case .text(let column) = inner.evaluate(frame, rows)
        {
            return Kernels.keepEqual(column, literal, rows, kept: kept)
        }
        return Kernels.keepTrue(evaluateBool(frame, rows), rows, kept: kept)
    }
}

enum Kernels {
    static func int(_ column: Column) -> FixedColumn<Int64> {
        switch column {
        case .int64(let c), .timestamp(let c): return c
        case .float64, .bool, .text: preconditionFailure("an integer kernel was given a \(column.type) column")
        }
    }

    static func float(_ column: Column) -> FixedColumn<Double> {
        guard case .float64(let c) = column else {
            preconditionFailure("a float kernel was given a \(column.type) column")
        }
        return c
    }

    /// The start of the window of `lengthMillis` that `time` falls into; windows count from 1970, before it too. Stops at the
    /// lowest number rather than wrap to a far future.
    @inline(__always)
    static func windowStart(_ time: Int64, _ lengthMillis: Int64) -> Int64 {
        let rest = time % lengthMillis
        return rest < 0 ? (time &- rest).minus(lengthMillis) : time &- rest
    }

    /// The same numbers, NULL where they are no time that a row may hold.
    static func times(_ column: FixedColumn<Int64>, _ count: Int, _ rows: SelectedRows) -> FixedColumn<Int64> {
        mapOrNull(column, count, rows) { $0.isRowTime ? $0 : nil }
    }

    static func repeated(_ value: Value, _ count: Int) -> Column {
        switch value {
        case .int64(let v): return .int64(FixedColumn(rows: count, filler: v))
        case .timestamp(let v): return .timestamp(FixedColumn(rows: count, filler: v))
        case .float64(let v): return .float64(FixedColumn(rows: count, filler: v))
        case .bool(let v): return .bool(FixedColumn(rows: count, filler: v))
        case .text(let v): return .text(repeatedText(v, count))
        case .null: preconditionFailure("a bare NULL passed the binder")
        }
    }

    static func repeatedText(_ text: String, _ count: Int) -> TextColumn {
        let length = text.utf8.count
        let column = TextColumn(capacity: count, byteCapacity: count * length)
        column.reserve(rows: count, bytes: count * length)
        let (bytes, offsets) = (column.bytes, column.offsets)
        var text = text
        text.withUTF8 { utf8 in
            for row in 0..<count {
                if let base = utf8.baseAddress { (bytes + row * length).update(from: base, count: length) }
                offsets[row + 1] = Int32(truncatingIfNeeded: (row + 1) * length)
            }
        }
        column.commitWritten(count)
        return column
    }

    @inline(__always)
    static func map<A, R: BitwiseCopyable & Sendable>(
        _ a: FixedColumn<A>, _ filler: R, _ count: Int, _ rows: SelectedRows, _ body: (A) -> R
    ) -> FixedColumn<R> {
        let result = FixedColumn<R>(rows: count, filler: filler)
        let from = a.values
        let to = result.values
        rows.forEach { _, row in to[row] = body(from[row]) }
        if let theirs = a.validity { result.validityForWriting().update(from: theirs, count: count) }
        return result
    }

    @inline(__always)
    static func mapOrNull<A>(
        _ a: FixedColumn<A>, _ count: Int, _ rows: SelectedRows, _ body: (A) -> Int64?
    ) -> FixedColumn<Int64> {
        let result = FixedColumn<Int64>(rows: count, filler: 0)
        let valid = result.validityForWriting()
        if let theirs = a.validity { valid.update(from: theirs, count: count) }
        let from = a.values
        let to = result.values
        rows.forEach { _, row in
            if valid[row] != 0 { if let value = body(from[row]) { to[row] = value } else { valid[row] = 0 } }
        }
        return result
    }

    @inline(__always)
    static func zip<A, B, R: BitwiseCopyable & Sendable>(
        _ a: FixedColumn<A>, _ b: FixedColumn<B>, _ filler: R, _ count: Int, _ rows: SelectedRows,
        _ body: (A, B) -> R
    ) -> FixedColumn<R> {
        let result = FixedColumn<R>(rows: count, filler: filler)
        let (left, right, to) = (a.values, b.values, result.values)
        rows.forEach { _, row in to[row] = body(left[row], right[row]) }
        mergeValidity(a.validity, b.validity, rows) { result.validityForWriting() }
        return result
    }

    /// NULL where either side is.
    static func mergeValidity(
        _ a: UnsafeMutablePointer<UInt8>?, _ b: UnsafeMutablePointer<UInt8>?, _ rows: SelectedRows,
        _ target: () -> UnsafeMutablePointer<UInt8>
    ) {
        if a == nil && b == nil { return }
        let valid = target()
        rows.forEach { _, row in valid[row] = (a?[row] ?? 1) & (b?[row] ?? 1) }
    }

    static func isNull(_ column: Column, _ count: Int, _ rows: SelectedRows) -> FixedColumn<Bool> {
        let result = FixedColumn<Bool>(rows: count, filler: false)
        let to = result.values
        if let validity = column.validity { rows.forEach { _, row in to[row] = validity[row] == 0 } }
        return result
    }

    static func keepTrue(
        _ column: FixedColumn<Bool>, _ rows: SelectedRows, kept: UnsafeMutablePointer<Int32>
    ) -> Int {
        let values = column.values
        var count = 0
        if let validity = column.validity {
            rows.forEach { _, row in
                kept[count] = Int32(truncatingIfNeeded: row)
                count &+= values[row] && validity[row] != 0 ? 1 : 0
            }
        } else {
            rows.forEach { _, row in
                kept[count] = Int32(truncatingIfNeeded: row)
                count &+= values[row] ? 1 : 0
            }
        }
        return count
    }
}

extension Column {
    var validity: UnsafeMutablePointer<UInt8>? {
        switch self {
        case .int64(let c), .timestamp(let c): c.validity
        case .float64(let c): c.validity
        case .bool(let c): c.validity
        case .text(let c): c.validity
        }
    }
}
