// The loops over accumulator columns: feeding rows, merging partial groups, and turning them into results.
//
// All are given group numbers by position and work on one column at a time. What an operation means is in
// `AccumulatorLayout`.

extension AccumulatorLayout {
    /// Feeds the selected rows into the columns; `groups[p]` is the group of position p.
    func feed(
        _ accumulators: [FixedColumn<Int64>], _ frame: Frame, _ rows: SelectedRows,
        groups: UnsafePointer<Int32>
    ) {
        for feed in feeds {
            let column = accumulators[feed.column].values
            switch feed.kind {
            case .rows: for position in 0..<rows.count { column[Int(groups[position])] &+= 1 }
            case .trueRows:
                guard case .bool(let input) = frame.column(feed.slot!) else { preconditionFailure("not a condition") }
                let values = input.values
                AccumulatorLayout.each(rows, input.validity, groups) { row, group in
                    column[group] &+= values[row] ? 1 : 0
                }
            case .known:
                AccumulatorLayout.each(rows, frame.column(feed.slot!).validity, groups) { _, group in
                    column[group] &+= 1
                }
            case .sum:
                let input = Kernels.int(frame.column(feed.slot!))
                let values = input.values
                AccumulatorLayout.each(rows, input.validity, groups) { row, group in column[group] &+= values[row] }
            case .wideSum:
                let input = Kernels.float(frame.column(feed.slot!))
                let values = input.values
                let (high, odd) = (accumulators[feed.column + 1].values, accumulators[feed.column + 2].values)
                AccumulatorLayout.each(rows, input.validity, groups) { row, group in
                    guard let parts = FloatParts.fixed(values[row]) else {
                        odd[group] &+= 1
                        return
                    }
                    let (low, carry) = UInt64(bitPattern: column[group]).addingReportingOverflow(parts.low)
                    column[group] = Int64(bitPattern: low)
                    high[group] &+= parts.high &+ (carry ? 1 : 0)
                }
            case .min: extreme(feed, frame, rows, groups) { if $1 < column[$0] { column[$0] = $1 } }
            case .max: extreme(feed, frame, rows, groups) { if $1 > column[$0] { column[$0] = $1 } }
            }
        }
    }

    /// Merges `from` into `into`: the value of position p's row into group `groups[p]`; positions without a group
    /// (negative) are passed over.
    func merge(
        _ from: [FixedColumn<Int64>], _ rows: SelectedRows, into: [FixedColumn<Int64>], groups: UnsafePointer<Int32>
    ) {
        for (index, merge) in merges.enumerated() {
            let (values, column) = (from[index].values, into[index].values)
            switch merge {
            case .add:
                rows.forEach { position, row in
                    let group = Int(groups[position])
                    if group >= 0 { column[group] &+= values[row] }
                }
            case .min:
                rows.forEach { position, row in
                    let group = Int(groups[position])
                    if group >= 0, values[row] < column[group] { column[group] = values[row] }
                }
            case .max:
                rows.forEach { position, row in
                    let group = Int(groups[position])
                    if group >= 0, values[row] > column[group] { column[group] = values[row] }
                }
            case .addWithCarry:
                let high = into[index + 1].values
                rows.forEach { position, row in
                    let group = Int(groups[position])
                    if group < 0 { return }
                    let (low, carry) = UInt64(bitPattern: column[group])
                        .addingReportingOverflow(UInt64(bitPattern: values[row]))
                    column[group] = Int64(bitPattern: low)
                    if carry { high[group] &+= 1 }
                }
            }
        }
    }

    /// The aggregates of `count` groups, one column an output.
    func finish(_ accumulators: [FixedColumn<Int64>], count: Int) -> [Column] {
        outputs.map { output in
            switch output.finish {
            case .plain(let column, let known):
                let values = accumulators[column]
                if output.field.type == .float64 {
                    return AccumulatorLayout.floats(count, known.map { accumulators[$0] }) {
                        FloatParts.float(sortable: values.values[$0])
                    }
                }
                let result = FixedColumn<Int64>(capacity: count)
                result.append(SelectedRows(count: count), of: values)
                if let known = known.map({ accumulators[$0] }) {
                    let valid = result.validityForWriting()
                    for group in 0..<count where known.values[group] == 0 {
                        valid[group] = 0
                        result.values[group] = 0
                    }
                }
                return output.field.type == .timestamp ? .timestamp(result) : .int64(result)
            case .wide(let column, let known):
                return AccumulatorLayout.floats(count, known.map { accumulators[$0] }) {
                    AccumulatorLayout.wide(accumulators, column, $0)
                }
            case .mean(let column, let known):
                let (sums, counts) = (accumulators[column], accumulators[known])
                return AccumulatorLayout.floats(count, counts) {
                    Double(sums.values[$0]) / Double(counts.values[$0])
                }
            case .wideMean(let column, let known):
                let counts = accumulators[known]
                return AccumulatorLayout.floats(count, counts) {
                    AccumulatorLayout.wide(accumulators, column, $0) / Double(counts.values[$0])
                }
            }
        }
    }

    private static func wide(_ accumulators: [FixedColumn<Int64>], _ column: Int, _ group: Int) -> Double {
        if accumulators[column + 2].values[group] != 0 { return .nan }
        return FloatParts.float(
            high: accumulators[column + 1].values[group],
            low: UInt64(bitPattern: accumulators[column].values[group]))
    }

    /// A float column, NULL where no value was known. Runs once a result row, not once a source row.
    private static func floats(_ count: Int, _ known: FixedColumn<Int64>?, _ value: (Int) -> Double) -> Column {
        let result = FixedColumn<Double>(rows: count, filler: 0)
        for group in 0..<count {
            if let known, known.values[group] == 0 {
                result.validityForWriting()[group] = 0
            } else {
                result.values[group] = value(group)
            }
        }
        return .float64(result)
    }

    @inline(__always)
    private func extreme(
        _ feed: Feed, _ frame: Frame, _ rows: SelectedRows, _ groups: UnsafePointer<Int32>,
        _ body: (Int, Int64) -> Void
    ) {
        switch frame.column(feed.slot!) {
        case .int64(let input), .timestamp(let input):
            let values = input.values
            AccumulatorLayout.each(rows, input.validity, groups) { row, group in body(group, values[row]) }
        case .float64(let input):
            let values = input.values
            AccumulatorLayout.each(rows, input.validity, groups) { row, group in
                body(group, FloatParts.sortable(values[row]))
            }
        case .bool, .text: preconditionFailure("min and max were bound to a type without numbers")
        }
    }

    /// Calls `body(row, group)` for the selected rows that are not NULL.
    @inline(__always)
    private static func each(
        _ rows: SelectedRows, _ validity: UnsafeMutablePointer<UInt8>?, _ groups: UnsafePointer<Int32>,
        _ body: (Int, Int) -> Void
    ) {
        if let validity {
            rows.forEach { position, row in if validity[row] != 0 { body(row, Int(groups[position])) } }
        } else {
            rows.forEach { position, row in body(row, Int(groups[position])) }
        }
    }
}
