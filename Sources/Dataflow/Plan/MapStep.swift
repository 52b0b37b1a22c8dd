// What a map is asked for: filters and projections, each with what becomes of a row that fails in it.

import Values

/// What becomes of a row that fails.
package enum FaultPolicy: String, Sendable, Hashable { case quarantine, null, stop }

/// One step of a map.
package struct MapStep: Sendable, Hashable {
    package enum Work: Sendable, Hashable {
        /// Keeps the rows for which it is true.
        case filter(BoundExpression)
        /// Other columns in place of those before.
        case compute([BoundExpression])
        /// Further columns behind those before.
        case extend([BoundExpression])
    }

    package let work: Work
    package let policy: FaultPolicy
}
