// What the planner asks of a relation, and what it gets.

import SQLBinding
import Values

/// What is wanted of a relation.
struct Ask {
    /// Its columns that somebody reads.
    var columns: Set<Int>
    /// Columns that complete an order are wanted, too.
    var isOrdered = false
    /// Rows are wanted once, when the watermark has passed them.
    var isFinal = false
    /// Rows in which one of these columns is above its number are not wanted.
    var limits: [Int: Int] = [:]

    init(_ columns: Set<Int>) { self.columns = columns }
}

/// Rows of a node with steps still to be put behind it.
struct Stream {
    let node: Int
    var steps: [MapStep] = []
    /// Behind the steps.
    var columns: [PlanColumn]
    /// Where each wanted column of the relation is among them.
    var places: [Int: Int]
    /// Columns that complete an order of its rows.
    var order: [Int]
    /// A row is one record, or some that were joined: there is somebody to blame.
    var isRecord: Bool
    /// An operator has judged lateness.
    var isJudged = false
    /// Rows come once.
    var isFinal = false

    init(node: Int, columns: [PlanColumn], places: [Int: Int], order: [Int], isRecord: Bool, isJudged: Bool = false, isFinal: Bool = false) {
        self.node = node
        self.columns = columns
        self.places = places
        self.order = order
        self.isRecord = isRecord
        self.isJudged = isJudged
        self.isFinal = isFinal
    }

    /// An expression over the relation as one over the stream.
    func over(_ expression: BoundExpression) -> BoundExpression { expression.mapColumns { number, type in .column(places[number]!, type) } }

    /// What is known of a column that an expression over the stream makes.
    func column(for expression: BoundExpression) -> PlanColumn {
        switch expression {
        case .column(let number, _): return columns[number]
        case .call(let overload, let arguments, _) where overload.name == "date_bin" || overload.name == "date_trunc":
            guard arguments.count > 1, case .column(let number, let type) = arguments[1], let watermark = columns[number].watermark,
                arguments.indices.allSatisfy({ $0 == 1 || arguments[$0].isConstant })
            else { break }
            return PlanColumn(expression.type, watermark: .function(watermark, expression.placeless.mapColumns { _, _ in .column(0, type) }))
        default: break
        }
        return PlanColumn(expression.type)
    }
}

extension BoundExpression {
    /// The sides of an equality, and whether NULL equals NULL in it.
    var equality: (left: BoundExpression, right: BoundExpression, meetsNull: Bool)? {
        switch self {
        case .call(let overload, let sides, _) where overload.name == "=" && sides.count == 2 && sides[0].type == sides[1].type: (sides[0], sides[1], false)
        case .not(.distinct(let left, let right)): (left, right, true)
        default: nil
        }
    }

    /// A column that must not be above a number.
    var limit: (column: Int, limit: Int)? {
        guard case .call(let overload, let sides, _) = self, sides.count == 2 else { return nil }
        let names = ["<=": 0, "<": -1, "=": 0]
        let turned = [">=": 0, ">": -1, "=": 0]
        if let column = sides[0].plainColumn, let number = sides[1].wholeNumber, let more = names[overload.name] { return (column, max(number, 0) + more) }
        if let column = sides[1].plainColumn, let number = sides[0].wholeNumber, let more = turned[overload.name] { return (column, max(number, 0) + more) }
        return nil
    }

    private var plainColumn: Int? { if case .column(let number, .int8) = self { number } else { nil } }

    private var wholeNumber: Int? {
        switch self {
        case .constant(.word(let word), .int2), .constant(.word(let word), .int4), .constant(.word(let word), .int8): Int(exactly: word)
        case .call(let overload, let arguments, _) where overload.name == "cast" && arguments.count == 1: arguments[0].wholeNumber
        default: nil
        }
    }
}
