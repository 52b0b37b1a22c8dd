// What a job runs as: a graph of operators, each described by a value, with what flows between them.
//
// A plan is made by `Planner` and computes nothing. Nodes stand in an order in which each comes behind those that it reads; equal ones
// are one node, whatever output they belong to. An operator's id is a digest of all that decides what it keeps: its functions and keys,
// and everything above it that decides its rows; names and places in the text do not count. Tables are read once: a `read` node picks
// its columns out of the ones that the table's scan brings.
//
// An exchange says to which part a row goes on its way into a node: to stay (`none`), by the key group of some columns (`hash`), to the
// part that owns the empty key (`single`), or to all (`broadcast`).

import SQLBinding
import Values

/// The digest of what decides an operator's state.
package struct OperatorID: Sendable, Hashable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package var description: String {
        [high, low].map { word in String(repeating: "0", count: word.leadingZeroBitCount / 4 - (word == 0 ? 1 : 0)) + String(word, radix: 16) }.joined()
    }
}

package enum EdgeKind: String, Sendable, Hashable {
    /// Rows only come.
    case append
    /// Rows have weights.
    case changes
}

package enum Exchange: Sendable, Hashable {
    case none, single, broadcast
    case hash([Int])
}

package struct PlanInput: Sendable, Hashable {
    /// Number of the node that is read.
    package let node: Int
    package let exchange: Exchange
}

/// One column of what a node gives.
package struct PlanColumn: Sendable, Hashable {
    package let type: SQLType
    package var watermark: ColumnWatermark?
    /// The digits behind the point that its column was declared with.
    package var scale: Int?

    package init(_ type: SQLType, watermark: ColumnWatermark? = nil, scale: Int? = nil) {
        self.type = type
        self.watermark = watermark
        self.scale = scale
    }
}

package enum PlanOperation: Sendable, Hashable {
    /// Columns of a table's scan, by number among those that it can read.
    case read(table: Int, columns: [Int])
    case values([[BoundExpression]], policy: FaultPolicy)
    case map([MapStep])
    /// The last row of each key, of records that put and delete.
    case latest(key: [Int])
    case aggregate(AggregatePlan, policy: FaultPolicy)
    case join(JoinPlan)
    case union
    case rank(RankPlan)
    case window(WindowPlan)
    case session(SessionPlan)
    /// Holds rows until the watermark has passed them.
    case hold(ClosingColumn)
}

extension PlanOperation {
    /// It knows something from one batch to the next.
    package var keepsState: Bool {
        switch self {
        case .read, .map, .union, .window: false
        case .values, .latest, .aggregate, .rank, .session, .hold: true
        // Rows that are looked up are those of the batch.
        case .join(let plan): !plan.isLookup
        }
    }

    /// Its changes leave added up, each key's out of one part.
    package var consolidates: Bool {
        switch self {
        case .latest, .aggregate, .rank, .session, .hold: true
        // A join's rows leave by its keys, which the shown columns need not tell apart: two parts may give equal ones.
        case .read, .values, .map, .union, .window, .join: false
        }
    }
}

/// What keeps an operator's state from growing.
package enum StateBound: Sendable, Hashable, CustomStringConvertible {
    case none
    /// So many rows a key, and the keys grow.
    case watermark
    case grows(with: String)

    package var description: String {
        switch self {
        case .none: "no state"
        case .watermark: "bounded by the watermark"
        case .grows(let what): "grows with \(what)"
        }
    }
}

package struct PlanNode: Sendable, Hashable {
    package let id: OperatorID
    package let operation: PlanOperation
    package let inputs: [PlanInput]
    package let columns: [PlanColumn]
    package let kind: EdgeKind
    package let bound: StateBound
}

package struct PlanSource: Sendable, Hashable {
    package let table: TableDefinition
    /// What any query of the job reads of it, by number among `table.readable`, ascending.
    package let columns: [Int]
}

package struct PlanOutput: Sendable, Hashable {
    package let target: JobOutput.Target
    package let node: Int
    package let columns: [OutputColumn]
}

package struct Plan: Sendable, Hashable {
    package let sources: [PlanSource]
    package let nodes: [PlanNode]
    package let outputs: [PlanOutput]

    /// Some query goes by event times: rows without one have no place in it.
    package var goesByTime: Bool {
        nodes.contains {
            switch $0.operation {
            case .window, .session, .hold: true
            // A group without a time would never be over.
            case .aggregate(let plan, _): plan.closing != nil
            case .join(let plan): plan.closing != nil
            case .read, .values, .map, .latest, .union, .rank: false
            }
        }
    }

    /// The shortest step in which the watermark closes something, in milliseconds; nil where it closes nothing.
    package var closingMillis: Int64? {
        // Where something else than a window closes, how far apart its ends are cannot be said.
        let second: Int64 = 1_000_000
        func step(_ closing: ClosingColumn?) -> Int64? { closing.flatMap { $0.watermark.isOfWindow ? nil : second } }
        let steps = nodes.compactMap { node -> Int64? in
            switch node.operation {
            case .window(let plan):
                switch plan.window.shape {
                case .tumble(let size): size
                case .hop(let slide, _): slide
                case .cumulate(let step, _): step
                case .session(let gap, _): gap
                }
            case .session(let plan): plan.gap
            case .hold: second
            case .aggregate(let plan, _): step(plan.closing)
            case .join(let plan): step(plan.closing)
            case .read, .values, .map, .latest, .union, .rank: nil
            }
        }
        return steps.min().map { max($0 / 1000, 1) }
    }

    /// There are rows before the first record comes.
    package var givesAtStart: Bool {
        nodes.contains {
            switch $0.operation {
            case .aggregate(let plan, _): plan.isGlobal
            case .values: true
            case .read, .map, .hold, .latest, .join, .union, .rank, .window, .session: false
            }
        }
    }

    /// Some rows leave when the watermark passes them, and no sooner.
    package var givesWhenClosed: Bool {
        nodes.contains {
            switch $0.operation {
            case .aggregate(let plan, _): plan.emission == .final
            case .hold: true
            case .read, .values, .map, .latest, .join, .union, .rank, .window, .session: false
            }
        }
    }
}

// MARK: what operators are asked for

package struct JoinPlan: Sendable, Hashable {
    package struct Side: Sendable, Hashable {
        package let types: [SQLType]
        package let keys: [Int]
        /// Columns that leave the join.
        package let shown: [Int]
        package let isChanging: Bool
    }

    package let type: Relation.JoinType
    package let left: Side
    package let right: Side
    /// For each key whether NULL meets NULL.
    package let meetsNull: [Bool]
    /// Over the left columns and then the right ones.
    package let condition: BoundExpression?
    package let policy: FaultPolicy
    /// Rows of the right side are looked up as they are, and what was given is not corrected later.
    package let isLookup: Bool
    /// Rows whose key here is below its watermark meet nobody any more.
    package let closing: ClosingColumn?

    package var givesAppend: Bool {
        if isLookup { return !left.isChanging }
        return !left.isChanging && !right.isChanging && (type == .inner || type == .semi)
    }
}

package struct RankPlan: Sendable, Hashable {
    package struct Order: Sendable, Hashable {
        package let column: Int
        package let isDescending: Bool
        package let nullsFirst: Bool
    }

    package let types: [SQLType]
    package let keys: [Int]
    /// Total but for equal rows.
    package let order: [Order]
    /// How many of `order` say which rows are of one rank; what is behind completes the order.
    package let ranked: Int
    /// What leaves: columns of the input, then the ranks.
    package let shown: [Int]
    package let functions: [RankCall.Function]
    /// Rows beyond this place do not leave; of which function, where there are several.
    package let limit: Int?
    package let limitFunction: RankCall.Function
    package let isOverChanges: Bool
}

package struct WindowPlan: Sendable, Hashable {
    /// Never a session.
    package let window: TimeWindow
    /// Number of the time's column.
    package let time: Int
    package let policy: FaultPolicy
}

package struct SessionPlan: Sendable, Hashable {
    package let types: [SQLType]
    package let keys: [Int]
    package let time: Int
    package let gap: Int64
    package let isOverChanges: Bool
    package let watermark: ColumnWatermark?
    package let judges: Bool
    package let policy: FaultPolicy
}
