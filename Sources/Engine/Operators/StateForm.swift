// State as earlier builds wrote it, in the form of this one.
//
// Until sums were exact a sum of int64 was one column `NAME.sum` that wrapped, and a sum of float64 was `low` and `high` with 64
// bits after the point. Both become the numbers that they stood for: what had wrapped or was lost by then stays so. The
// columns of a file say by their names which form it has; it is read a file at a time, so files of both kinds make one state.

extension AccumulatorLayout {
    /// The columns of earlier builds.
    var earlierFields: [Field] {
        feeds.flatMap { feed -> [Field] in
            let suffixes: [String] =
                switch feed.kind {
                case .rows, .trueRows: ["rows"]
                case .known: ["known"]
                case .sum: ["sum"]
                case .exactSum: ["low", "high", "odd"]
                case .min: ["min"]
                case .max: ["max"]
                }
            return suffixes.map { Field("\(feed.name).\($0)", .int64) }
        }
    }

    /// Columns of `earlierFields`, as `fields` has them.
    fileprivate func widened(_ columns: [FixedColumn<Int64>], count: Int) -> [Column] {
        var from = columns[...]
        func column(_ value: (Int) -> Int64) -> FixedColumn<Int64> {
            let made = FixedColumn<Int64>(rows: count, filler: 0)
            for row in 0..<count { made.values[row] = value(row) }
            return made
        }
        var numbers: [FixedColumn<Int64>] = []
        for feed in feeds {
            switch feed.kind {
            case .rows, .trueRows, .known, .min, .max: numbers.append(from.removeFirst())
            case .sum:
                let sum = from.removeFirst()
                numbers += [sum, column { sum.values[$0] >> 63 }]
            case .exactSum:
                let (low, high, odd) = (from.removeFirst(), from.removeFirst(), from.removeFirst())
                numbers += [column { _ in 0 }, low, high, odd]
            }
        }
        return numbers.map { .int64($0) } + restFields.map { _ in .text(ExactRests().texts(count: count)) }
    }
}

extension StageGraph {
    /// Rows of a state file, whichever build wrote it.
    /// - Throws: `stateMissing` when they are rows of another plan.
    package func state(_ chunk: Chunk) throws -> Chunk {
        guard let layout = grouping?.layout else { preconditionFailure("a job without groups has no state") }
        func isSame(_ fields: [Field]) -> Bool {
            zip(chunk.schema.fields, fields).allSatisfy { $0.name == $1.name && $0.type == $1.type }
                && chunk.schema.fields.count == fields.count
        }
        if isSame(accumulatorSchema.fields) {
            let isWhole = chunk.withSelectedRows { rows in
                Accumulators(chunk.columns[keySchema.fields.count...], rows, layout) != nil
            }
            if isWhole { return chunk }
        } else if isSame(keySchema.fields + layout.earlierFields) {
            let whole = chunk.compacted()
            let keyCount = keySchema.fields.count
            return Chunk(
                schema: accumulatorSchema,
                columns: Array(whole.columns[..<keyCount])
                    + layout.widened(whole.columns[keyCount...].map { Kernels.int($0) }, count: whole.rowCount),
                rowCount: whole.rowCount)
        }
        throw Failure(
            .stateMissing, "a state file of job \(job) cannot be read",
            why: "it holds \(chunk.schema.names.joined(separator: ", ")); the plan keeps "
                + accumulatorSchema.names.joined(separator: ", "),
            now: "run the job with the build that wrote it, or under another --name, with empty state")
    }
}
