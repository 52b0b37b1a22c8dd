// The loops over accumulator columns: feeding rows, merging partial groups, and turning them into results.
//
// All are given group numbers by position and work on one column at a time. What an operation means is in
// `AccumulatorLayout`.

extension AccumulatorLayout {
    /// Feeds the selected rows into the columns; `groups[p]` is the group of position p.
    func feed(
        _ accumulators: Accumulators, _ frame: Frame, _ rows: SelectedRows, groups: UnsafePointer<Int32>
    ) {
        let numbers = accumulators.numbers
        for feed in feeds {
            let column = numbers[feed.column].values
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
                let high = numbers[feed.column + 1].values
                AccumulatorLayout.each(rows, input.validity, groups) { row, group in
                    let value = values[row]
                    let (low, carry) = UInt64(bitPattern: column[group])
                        .addingReportingOverflow(UInt64(bitPattern: value))
                    column[group] = Int64(bitPattern: low)
                    high[group] &+= (value &>> 63) &+ (carry ? 1 : 0)
                }
            case .exactSum:
                let input = Kernels.float(frame.column(feed.slot!))
                let values = input.values
                let (middle, high) = (numbers[feed.column + 1].values, numbers[feed.column + 2].values)
                let odd = numbers[feed.column + 3].values
                AccumulatorLayout.each(rows, input.validity, groups) { row, group in
                    let value = values[row]
                    if ExactWindow.fits(value) {
                        var window = ExactWindow(
                            low: UInt64(bitPattern: column[group]), middle: UInt64(bitPattern: middle[group]),
                            high: high[group])
                        if window.add(value) {
                            column[group] = Int64(bitPattern: window.low)
                            middle[group] = Int64(bitPattern: window.middle)
                            high[group] = window.high
                            return
                        }
                    }
                    if !value.isFinite {
                        odd[group] &+= 1
                    } else if value != 0 {
                        accumulators.rests[feed.rest].add(value, to: group)
                    }
                }
            case .min: extreme(feed, frame, rows, groups) { if $1 < column[$0] { column[$0] = $1 } }
            case .max: extreme(feed, frame, rows, groups) { if $1 > column[$0] { column[$0] = $1 } }
            }
        }
    }

    /// Merges `from` into `into`: the value of position p's row into group `groups[p]`; positions without a group
    /// (negative) are passed over.
    func merge(_ from: Accumulators, _ rows: SelectedRows, into: Accumulators, groups: UnsafePointer<Int32>) {
        for (index, merge) in merges.enumerated() {
            let (values, column) = (from.numbers[index].values, into.numbers[index].values)
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
                let high = into.numbers[index + 1].values
                rows.forEach { position, row in
                    let group = Int(groups[position])
                    if group < 0 { return }
                    let (low, carry) = UInt64(bitPattern: column[group])
                        .addingReportingOverflow(UInt64(bitPattern: values[row]))
                    column[group] = Int64(bitPattern: low)
                    if carry { high[group] &+= 1 }
                }
            case .window(let rest):
                let (ours, theirs) = (into.rests[rest], from.rests[rest])
                rows.forEach { position, row in
                    let group = Int(groups[position])
                    if group < 0 { return }
                    var window = into.window(index, group)
                    if window.add(from.window(index, row)) {
                        into.set(window, index, group)
                    } else {
                        ours.add(from.window(index, row), to: group)
                    }
                    if let number = theirs[row] { ours.add(number, to: group) }
                }
            case .ofWindow: break
            }
        }
    }

    /// The aggregates of `count` groups, one column an output.
    func finish(_ accumulators: Accumulators, count: Int) -> [Column] {
        let numbers = accumulators.numbers
        return outputs.map { output in
            switch output.finish {
            case .plain(let column, let known):
                let values = numbers[column]
                if output.field.type == .float64 {
                    return AccumulatorLayout.floats(count, known.map { numbers[$0] }) {
                        FloatParts.float(sortable: values.values[$0])
                    }
                }
                let result = FixedColumn<Int64>(capacity: count)
                result.append(SelectedRows(count: count), of: values)
                if let known = known.map({ numbers[$0] }) {
                    let valid = result.validityForWriting()
                    for group in 0..<count where known.values[group] == 0 {
                        valid[group] = 0
                        result.values[group] = 0
                    }
                }
                return output.field.type == .timestamp ? .timestamp(result) : .int64(result)
            case .sum(let column, let known):
                let result = FixedColumn<Int64>(rows: count, filler: 0)
                for group in 0..<count {
                    let total = AccumulatorLayout.total(numbers, column, group)
                    if let known, numbers[known].values[group] <= 0 {
                        result.validityForWriting()[group] = 0
                    } else if let value = Int64(exactly: total) {
                        result.values[group] = value
                    } else {
                        result.validityForWriting()[group] = 0
                    }
                }
                return .int64(result)
            case .exactSum(let column, let rest, let known):
                return AccumulatorLayout.floats(count, known.map { numbers[$0] }) {
                    AccumulatorLayout.exact(accumulators, column, rest, $0, dividedBy: 1)
                }
            case .mean(let column, let known):
                let counts = numbers[known]
                return AccumulatorLayout.floats(count, counts) {
                    let total = AccumulatorLayout.total(numbers, column, $0)
                    let magnitude = total.magnitude
                    return ExactRounding.nearest(
                        [UInt64(truncatingIfNeeded: magnitude), UInt64(truncatingIfNeeded: magnitude >> 64)],
                        lowestExponent: 0, isNegative: total < 0, dividedBy: UInt64(counts.values[$0]))
                }
            case .exactMean(let column, let rest, let known):
                let counts = numbers[known]
                return AccumulatorLayout.floats(count, counts) {
                    AccumulatorLayout.exact(accumulators, column, rest, $0, dividedBy: UInt64(counts.values[$0]))
                }
            }
        }
    }

    private static func total(_ numbers: [FixedColumn<Int64>], _ column: Int, _ group: Int) -> Int128 {
        Int128(numbers[column + 1].values[group]) << 64 | Int128(UInt64(bitPattern: numbers[column].values[group]))
    }

    /// A total of floats; NaN where a value was not finite, nil where it is beyond the largest double.
    private static func exact(
        _ accumulators: Accumulators, _ column: Int, _ rest: Int, _ group: Int, dividedBy count: UInt64
    ) -> Double? {
        if accumulators.numbers[column + 3].values[group] != 0 { return .nan }
        if let number = accumulators.rests[rest][group] { return number.rounded(dividedBy: count) }
        return accumulators.window(column, group).rounded(dividedBy: count)
    }

    /// A float column, NULL where no value was known or the result is none. Runs once a result row, not once a source row.
    private static func floats(_ count: Int, _ known: FixedColumn<Int64>?, _ value: (Int) -> Double?) -> Column {
        let result = FixedColumn<Double>(rows: count, filler: 0)
        for group in 0..<count {
            let isUnknown = known.map { $0.values[group] <= 0 } ?? false
            if let number = isUnknown ? nil : value(group) {
                result.values[group] = number
            } else {
                result.validityForWriting()[group] = 0
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
