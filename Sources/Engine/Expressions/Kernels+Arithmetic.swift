// Numbers: + - * / over int64 and float64, and NULL where a condition holds.
//
// An int64 result that does not fit, and any division by zero, is NULL (see `Expression`); int64 division drops the
// fraction, as SQL's does.

extension Kernels {
    static func arithmetic(
        _ operation: Arithmetic, _ a: FixedColumn<Int64>, _ b: FixedColumn<Int64>, _ count: Int, _ rows: SelectedRows
    ) -> FixedColumn<Int64> {
        let result = FixedColumn<Int64>(rows: count, filler: 0)
        let valid = result.validityForWriting()
        let (left, right, to) = (a.values, b.values, result.values)
        switch operation {
        case .add:
            rows.forEach { _, row in store(left[row].addingReportingOverflow(right[row]), row, to, valid) }
        case .subtract:
            rows.forEach { _, row in store(left[row].subtractingReportingOverflow(right[row]), row, to, valid) }
        case .multiply:
            rows.forEach { _, row in store(left[row].multipliedReportingOverflow(by: right[row]), row, to, valid) }
        case .divide:
            rows.forEach { _, row in store(left[row].dividedReportingOverflow(by: right[row]), row, to, valid) }
        }
        combine(a.validity, b.validity, rows, valid)
        return result
    }

    static func arithmetic(
        _ operation: Arithmetic, _ a: FixedColumn<Double>, _ b: FixedColumn<Double>, _ count: Int, _ rows: SelectedRows
    ) -> FixedColumn<Double> {
        switch operation {
        case .add: return zip(a, b, 0, count, rows) { $0 + $1 }
        case .subtract: return zip(a, b, 0, count, rows) { $0 - $1 }
        case .multiply: return zip(a, b, 0, count, rows) { $0 * $1 }
        case .divide:
            let result = FixedColumn<Double>(rows: count, filler: 0)
            let valid = result.validityForWriting()
            let (left, right, to) = (a.values, b.values, result.values)
            rows.forEach { _, row in
                if right[row] == 0 { valid[row] = 0 } else { to[row] = left[row] / right[row] }
            }
            combine(a.validity, b.validity, rows, valid)
            return result
        }
    }

    /// `value`, NULL where `condition` is TRUE.
    static func nullWhere(
        _ value: Column, _ condition: FixedColumn<Bool>, _ count: Int, _ rows: SelectedRows
    ) -> Column {
        // A copy, because the column may be the decoder's own.
        let result = value.gathered(SelectedRows(count: count))
        let valid: UnsafeMutablePointer<UInt8>
        switch result {
        case .int64(let c), .timestamp(let c): valid = c.validityForWriting()
        case .float64(let c): valid = c.validityForWriting()
        case .bool(let c): valid = c.validityForWriting()
        case .text(let c): valid = c.validityForWriting()
        }
        let (hit, known) = (condition.values, condition.validity)
        rows.forEach { _, row in if hit[row] && (known?[row] ?? 1) != 0 { valid[row] = 0 } }
        return result
    }

    @inline(__always)
    private static func store(
        _ outcome: (partialValue: Int64, overflow: Bool), _ row: Int, _ to: UnsafeMutablePointer<Int64>,
        _ valid: UnsafeMutablePointer<UInt8>
    ) {
        to[row] = outcome.overflow ? 0 : outcome.partialValue
        if outcome.overflow { valid[row] = 0 }
    }

    private static func combine(
        _ a: UnsafeMutablePointer<UInt8>?, _ b: UnsafeMutablePointer<UInt8>?, _ rows: SelectedRows,
        _ valid: UnsafeMutablePointer<UInt8>
    ) {
        if a == nil && b == nil { return }
        rows.forEach { _, row in valid[row] &= (a?[row] ?? 1) & (b?[row] ?? 1) }
    }
}
