// How aggregates are kept: as columns of Int64 over group numbers, each with an operation that merges two of them.
//
//   count                 one column, added
//   sum of int64          one column, added (wrapping: a total that fits is right whatever the order)
//   min, max              one column of sortable numbers; int64, timestamp and float64 alike
//   sum of float64        three columns: a 128-bit fixed-point number (64 bits before and 64 after the point), and how
//                         many values did not fit it
//   avg                   the sum and the number of values
//   of a nullable input   and one more column, the number of values that are not NULL
//
// Every operation is associative and commutative, floats included: that is why a sum of float64 is fixed-point. Blocks
// arrive in any order and partial groups are cut anywhere, and still a task that runs again gives the same bits, which
// the ledger's digest demands. A float that is not finite, or beyond 2^62, makes its sum NaN; what is below 2^-64 is lost.
//
// The columns are stored in state: their order and meaning belong to the format of deltas and snapshots.

struct AccumulatorLayout: Sendable {
    enum Merge: Sendable {
        case add
        case min
        case max
        /// The low word of a 128-bit number; the carry goes to the next column.
        case addWithCarry

        var identity: Int64 {
            switch self {
            case .add, .addWithCarry: 0
            case .min: .max
            case .max: .min
            }
        }
    }

    /// What a source row adds, to the column `column` (and the two after it for `wideSum`).
    struct Feed: Sendable {
        enum Kind: Sendable, Hashable { case rows, trueRows, known, sum, wideSum, min, max }
        var kind: Kind
        /// The input's slot; nil for `rows`.
        var slot: Int?
        var column: Int
    }

    /// How an aggregate's value comes out of the columns. `known` holds the number of values that are not NULL.
    struct Output: Sendable {
        enum Finish: Sendable {
            case plain(column: Int, known: Int?)
            case wide(column: Int, known: Int?)
            case mean(column: Int, known: Int)
            case wideMean(column: Int, known: Int)
        }
        var field: Field
        var finish: Finish
        var text: String
    }

    private(set) var merges: [Merge] = []
    private(set) var fields: [Field] = []
    private(set) var feeds: [Feed] = []
    private(set) var outputs: [Output] = []

    mutating func add(
        _ function: Aggregate.Function, of input: (slot: Int, type: ValueType, nullable: Bool)?, name: String,
        text: String
    ) {
        let finish: Output.Finish
        var type = ValueType.int64
        var nullable = false
        if function == .count {
            let kind: Feed.Kind = input.map { $0.type == .bool ? .trueRows : .known } ?? .rows
            finish = .plain(column: column(kind, input?.slot, name), known: nil)
        } else {
            guard let input else { preconditionFailure("\(function.rawValue) has no input") }
            nullable = input.nullable
            type = function == .avg ? .float64 : input.type
            let isFloat = input.type == .float64
            let known = nullable || function == .avg ? column(.known, input.slot, name) : nil
            switch function {
            case .sum:
                let sum = column(isFloat ? .wideSum : .sum, input.slot, name)
                finish = isFloat ? .wide(column: sum, known: known) : .plain(column: sum, known: known)
            case .avg:
                let sum = column(isFloat ? .wideSum : .sum, input.slot, name)
                finish = isFloat ? .wideMean(column: sum, known: known!) : .mean(column: sum, known: known!)
            case .min: finish = .plain(column: column(.min, input.slot, name), known: known)
            case .max: finish = .plain(column: column(.max, input.slot, name), known: known)
            case .count: preconditionFailure("count is handled above")
            }
        }
        outputs.append(Output(field: Field(name, type, nullable: nullable), finish: finish, text: text))
    }

    /// The column fed by `kind` from `slot`; two aggregates that need the same one share it.
    private mutating func column(_ kind: Feed.Kind, _ slot: Int?, _ name: String) -> Int {
        if let known = feeds.first(where: { $0.kind == kind && $0.slot == slot }) { return known.column }
        let first = merges.count
        let parts: [(String, Merge)] =
            switch kind {
            case .rows, .trueRows: [("rows", .add)]
            case .known: [("known", .add)]
            case .sum: [("sum", .add)]
            case .wideSum: [("low", .addWithCarry), ("high", .add), ("odd", .add)]
            case .min: [("min", .min)]
            case .max: [("max", .max)]
            }
        for (suffix, merge) in parts {
            merges.append(merge)
            fields.append(Field("\(name).\(suffix)", .int64))
        }
        feeds.append(Feed(kind: kind, slot: slot, column: first))
        return first
    }
}

/// Floats as 128-bit fixed-point numbers and as sortable integers.
enum FloatParts {
    /// Beyond this a value does not fit the fixed-point number with room for a sum.
    static let bound = 0x1p62

    /// `value` as high and low word; nil when it does not fit.
    @inline(__always)
    static func fixed(_ value: Double) -> (high: Int64, low: UInt64)? {
        let magnitude = value.magnitude
        guard magnitude < bound else { return nil }
        let whole = magnitude.rounded(.towardZero)
        let low = UInt64((magnitude - whole) * 0x1p64)
        let high = Int64(whole)
        if value >= 0 { return (high, low) }
        return low == 0 ? (-high, 0) : (-high - 1, 0 &- low)
    }

    static func float(high: Int64, low: UInt64) -> Double {
        if high >= 0 { return Double(high) + Double(low) * 0x1p-64 }
        let (negativeHigh, negativeLow) = low == 0 ? (0 &- high, 0) : (~high, 0 &- low)
        return -(Double(UInt64(bitPattern: negativeHigh)) + Double(negativeLow) * 0x1p-64)
    }

    /// An integer that sorts as the float does; NaN last, one zero.
    @inline(__always)
    static func sortable(_ value: Double) -> Int64 {
        let bits = Int64(bitPattern: RowHash.bits(value))
        return bits < 0 ? bits ^ Int64.max : bits
    }

    static func float(sortable: Int64) -> Double {
        Double(bitPattern: UInt64(bitPattern: sortable < 0 ? sortable ^ Int64.max : sortable))
    }
}
