// What a job's operators know between two batches, as files of state in memory: what a cluster keeps in its volume, without the volume.
//
// Each part writes what it changed in a batch as one file. Some files make one (a delta, that still says what is gone), and when the deltas
// are as large as what lies below them, all make one snapshot. A part loads from all files what lies in its key groups.

/// The state of a job's operators.
package struct StoredState {
    /// Deltas that lie beside each other before they become one.
    private static let mostDeltas = 6
    private var snapshot: [UInt8] = []
    /// The oldest first.
    private var deltas: [[UInt8]] = []

    package init() {}

    /// - Parameter changes: of one part in one batch.
    mutating func apply(_ changes: [(id: OperatorID, delta: StateDelta)]) {
        let changes = changes.filter { !$0.delta.entries.isEmpty }
        if changes.isEmpty { return }
        deltas.append(StateFileBytes.write(changes))
        if deltas.count <= Self.mostDeltas { return }
        do {
            var merge = try Self.merge(deltas, 0..<KeyGroup.count)
            deltas = [merge.delta().bytes]
            if deltas[0].count < snapshot.count { return }
            merge = try self.merge(0..<KeyGroup.count)
            (snapshot, deltas) = (merge.snapshot().bytes, [])
        } catch {
            preconditionFailure("state that was written here cannot be read: \(error)")
        }
    }

    private static func merge(_ files: [[UInt8]], _ groups: Range<Int>) throws(StateFault) -> StateMerge {
        var merge = StateMerge()
        for file in files { try merge.add(file, groups: [groups]) }
        return merge
    }

    /// Everything in some key groups.
    func merge(_ groups: Range<Int>) throws(StateFault) -> StateMerge { try Self.merge((snapshot.isEmpty ? [] : [snapshot]) + deltas, groups) }

    /// How many entries there are.
    package var count: Int {
        get throws(StateFault) {
            var merge = try merge(0..<KeyGroup.count)
            return merge.counts().entries
        }
    }
}
