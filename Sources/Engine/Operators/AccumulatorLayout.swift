// How aggregates are kept: as columns of Int64 over group numbers, each with an operation that merges two of them.
//
//   count                 one column, added
//   sum of int64          two columns: 128 bits, so that no total ever wraps
//   min, max              one column of sortable numbers; int64, timestamp and float64 alike
//   sum of float64        three columns: an `ExactWindow`, exact for totals of ordinary numbers; a fourth that counts the
//                         values that are not finite; and a text, empty but for groups that the window cannot hold, which
//                         is then their whole total as an `ExactNumber`
//   avg                   the sum and the number of values
//   of a nullable input   and one more column, the number of values that are not NULL
//
// Every operation is exact, associative and commutative, floats included. Blocks arrive in any order and partial groups are
// cut anywhere, and still a task that runs again gives the same bits, which the ledger's digest demands. Where a total
// stands, in window or text, depends on the total alone: `Accumulators.settle` sees to that before rows leave.
//
// A result is rounded once, at the end. One that does not fit its type (a sum beyond int64, beyond the largest double) is
// NULL, as with expressions: one row must not stop a stream, and a wrapped number is worse than none. A float that is not
// finite makes its sum NaN.
//
// The columns are stored in state: their order and meaning belong to the format of deltas and snapshots. Earlier builds
// kept one wrapping column for a sum of int64, and 128 bits for one of float64; `StateForm` reads those.

struct AccumulatorLayout: Sendable {
    enum Merge: Sendable {
        case add
        case min
        case max
        /// The low word of a 128-bit number; the carry goes to the next column, which is added by itself.
        case addWithCarry
        /// The first word of an `ExactWindow`, merged with the two columns behind it and the rest of this number.
        case window(rest: Int)
        /// Merged by the column before it.
        case ofWindow

        var identity: Int64 {
            switch self {
            case .add, .addWithCarry, .window, .ofWindow: 0
            case .min: .max
            case .max: .min
            }
        }
    }

    /// What a source row adds, to the column `column` (and those behind it that belong to it).
    struct Feed: Sendable {
        enum Kind: Sendable, Hashable { case rows, trueRows, known, sum, exactSum, min, max }
        var kind: Kind
        /// The input's slot; nil for `rows`.
        var slot: Int?
        var column: Int
        /// Among `restFields`, for `exactSum`.
        var rest: Int
        /// Of the aggregate that asked for it first.
        var name: String
    }

    /// How an aggregate's value comes out of the columns. `known` holds the number of values that are not NULL.
    struct Output: Sendable {
        enum Finish: Sendable {
            case plain(column: Int, known: Int?)
            case sum(column: Int, known: Int?)
            case exactSum(column: Int, rest: Int, known: Int?)
            case mean(column: Int, known: Int)
            case exactMean(column: Int, rest: Int, known: Int)
        }
        var field: Field
        var finish: Finish
        var text: String
    }

    private(set) var merges: [Merge] = []
    private(set) var numberFields: [Field] = []
    /// Texts of totals that no window holds; behind the numbers in blocks and state.
    private(set) var restFields: [Field] = []
    private(set) var feeds: [Feed] = []
    private(set) var outputs: [Output] = []

    var fields: [Field] { numberFields + restFields }

    mutating func add(
        _ function: Aggregate.Function, of input: (slot: Int, type: ValueType, nullable: Bool)?, name: String,
        text: String
    ) {
        let finish: Output.Finish
        var type = ValueType.int64
        var nullable = false
        if function == .count {
            let kind: Feed.Kind = input.map { $0.type == .bool ? .trueRows : .known } ?? .rows
            finish = .plain(column: feed(kind, input?.slot, name).column, known: nil)
        } else {
            guard let input else { preconditionFailure("\(function.rawValue) has no input") }
            // A sum may be beyond its type.
            nullable = input.nullable || function == .sum
            type = function == .avg ? .float64 : input.type
            let isFloat = input.type == .float64
            let known = input.nullable || function == .avg ? feed(.known, input.slot, name).column : nil
            switch function {
            case .sum:
                let sum = feed(isFloat ? .exactSum : .sum, input.slot, name)
                finish =
                    isFloat
                    ? .exactSum(column: sum.column, rest: sum.rest, known: known) : .sum(column: sum.column, known: known)
            case .avg:
                let sum = feed(isFloat ? .exactSum : .sum, input.slot, name)
                finish =
                    isFloat
                    ? .exactMean(column: sum.column, rest: sum.rest, known: known!)
                    : .mean(column: sum.column, known: known!)
            case .min: finish = .plain(column: feed(.min, input.slot, name).column, known: known)
            case .max: finish = .plain(column: feed(.max, input.slot, name).column, known: known)
            case .count: preconditionFailure("count is handled above")
            }
        }
        outputs.append(Output(field: Field(name, type, nullable: nullable), finish: finish, text: text))
    }

    /// What `kind` feeds from `slot`; two aggregates that need the same columns share them.
    private mutating func feed(_ kind: Feed.Kind, _ slot: Int?, _ name: String) -> Feed {
        if let known = feeds.first(where: { $0.kind == kind && $0.slot == slot }) { return known }
        let feed = Feed(kind: kind, slot: slot, column: merges.count, rest: restFields.count, name: name)
        let parts: [(String, Merge)] =
            switch kind {
            case .rows, .trueRows: [("rows", .add)]
            case .known: [("known", .add)]
            case .sum: [("low", .addWithCarry), ("high", .add)]
            case .exactSum:
                [("low", .window(rest: feed.rest)), ("middle", .ofWindow), ("high", .ofWindow), ("odd", .add)]
            case .min: [("min", .min)]
            case .max: [("max", .max)]
            }
        for (suffix, merge) in parts {
            merges.append(merge)
            numberFields.append(Field("\(name).\(suffix)", .int64))
        }
        if kind == .exactSum { restFields.append(Field("\(name).rest", .text)) }
        feeds.append(feed)
        return feed
    }
}

/// Floats as integers that sort alike.
enum FloatParts {
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
