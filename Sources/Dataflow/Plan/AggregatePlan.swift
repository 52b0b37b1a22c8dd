// What an aggregate is asked for: columns of its input by number, the keys first.

import SQLBinding
import Values

/// When an operator's rows leave it.
package enum Emission: String, Sendable, Hashable {
    /// As they change.
    case changes
    /// Once, when the watermark has passed them.
    case final
}

/// A column that the watermark closes: rows below it are complete.
package struct ClosingColumn: Sendable, Hashable {
    /// Number of the column among the keys.
    package let column: Int
    package let watermark: ColumnWatermark
    /// Rows that come when they are closed are dropped and counted here; an operator behind another that did takes what comes.
    package let judges: Bool
}

package struct AggregatePlan: Sendable, Hashable {
    package struct Call: Sendable, Hashable {
        package let function: AggregateFunction
        /// Number of the input's column; nil for `count(*)`.
        package let argument: Int?
        package let isDistinct: Bool
        package let type: SQLType
    }

    /// Types of the input's columns, the keys first.
    package let inputTypes: [SQLType]
    package let keyCount: Int
    /// For each column the digits behind the point that equal numbers are shown with; below zero the shortest.
    package let scales: [Int]
    package let calls: [Call]
    package let isOverChanges: Bool
    package let emission: Emission
    package let closing: ClosingColumn?

    /// Without keys there is one row, always.
    package var isGlobal: Bool { keyCount == 0 }
    /// Rows only come: a key that was there stays.
    package var givesAppend: Bool { emission == .final || (calls.isEmpty && !isOverChanges && !isGlobal) }
    package var types: [SQLType] { Array(inputTypes.prefix(keyCount)) + calls.map(\.type) }
}
