// Where a job goes when a person moved its offsets and says `--offsets kafka` (protocol 4 and 8). Pure.
//
//   no state, rows replace themselves        exactly there
//   no state, rows would be doubled          forward only
//   state, every partition forward           exactly there: what lies between is declared lost, the state stays
//   state, any partition back                to the newest kept version at or before all of them, so that state and positions
//                                            fit; it says how much earlier that is
//
// Version 0 is the empty state, before everything that the job ever read; from there the answer is whole whatever was
// asked, as long as Kafka still has the records. A version that would need deleted records is none.
//
// What survives: the jumps in the log. A crash before the next batch finds the version again by `restored`.

import Engine

/// What a DONE batch left, if its state is still kept.
package struct KeptVersion: Sendable, Equatable {
    /// 0 for the empty state at the job's beginning.
    package var batch: BatchNumber
    package var positions: [TopicPartition: Int64]
    package var state: StateManifest?
    package var watermarkMillis: Int64?
    /// Partitions of which the version has read nothing.
    package var untouched: Set<TopicPartition>

    package init(
        batch: BatchNumber, positions: [TopicPartition: Int64], state: StateManifest? = nil, watermarkMillis: Int64? = nil,
        untouched: Set<TopicPartition> = []
    ) {
        self.batch = batch
        self.positions = positions
        self.state = state
        self.watermarkMillis = watermarkMillis
        self.untouched = untouched
    }
}

package struct OffsetJump: Sendable, Equatable {
    package struct Move: Sendable, Equatable {
        package var partition: TopicPartition
        package var from: Int64
        package var to: Int64
        /// Where the person asked to go.
        package var wanted: Int64
    }
    /// Sorted by partition; only those that move.
    package var moves: [Move]
    /// The state to go on from; nil to keep the one there is.
    package var version: KeptVersion?

    /// Where the version must not lie behind; nil when the jump needs none.
    package static func needsVersion(_ facts: RecoveryPlan.Facts) -> [TopicPartition: Int64]? {
        let wanted = facts.wanted
        guard facts.isStateful, wanted.contains(where: { $0.value < facts.positions[$0.key]! }) else { return nil }
        // Where one partition goes back, what others would skip is read once more.
        return facts.positions.merging(wanted) { min($0, $1) }
    }

    init(_ facts: RecoveryPlan.Facts) throws(Failure) {
        let wanted = facts.wanted
        let names = wanted.sorted { $0.key < $1.key }.map { "\($0.key) at \($0.value)" }.joined(separator: ", ")
        func refuse(_ why: String, _ now: String) -> Failure {
            Failure(.notPossible, "job \(facts.job) cannot go back to where Kafka stands", why: why, now: now)
        }
        let isBack = wanted.contains { $0.value < facts.positions[$0.key]! }
        guard !isBack || facts.replacesRows else {
            throw refuse("its sink appends without a unique key, so rows would be doubled", "go on with --offsets log")
        }
        var target = wanted
        if isBack && facts.isStateful {
            guard let version = facts.version else {
                throw refuse(
                    "no state is kept of a batch at or before \(names), or Kafka has deleted the records behind it",
                    "set the group to a later offset (`sluice batches \(facts.job)` lists the ends of batches), or go on with --offsets log; state_keep and state_keep_time say how long versions are kept"
                )
            }
            self.version = version
            target = version.positions
        }
        moves = target.compactMap { partition, offset in
            guard let position = facts.positions[partition], offset != position else { return nil }
            return Move(partition: partition, from: position, to: offset, wanted: wanted[partition] ?? position)
        }.sorted { $0.partition < $1.partition }
    }

    /// One line for each partition that goes elsewhere than asked, or loses records; for people.
    package var says: [String] {
        moves.compactMap { move in
            if move.to < move.wanted, let version {
                let which = version.batch == 0 ? "everything is counted anew" : "the newest kept state before it is that of batch \(version.batch)"
                return "\(move.partition) goes to \(move.to), \(move.wanted - move.to) before \(move.wanted): \(which)"
            }
            if move.to > move.from { return "\(move.partition) goes to \(move.to): \(move.to - move.from) offsets are left unread" }
            return nil
        }
    }

    /// The positions after the jump. The last record that was read lies elsewhere now. Event times are the version's: with its
    /// watermark, no partition is known to have been further than that.
    package func after(_ positions: [PartitionPosition], latenessMillis: Int64) -> [PartitionPosition] {
        let targets = Dictionary(uniqueKeysWithValues: moves.map { ($0.partition, $0.to) })
        return positions.compactMap { position in
            let partition = TopicPartition(topic: position.topic, partition: position.partition)
            guard version != nil || targets[partition] != nil else { return nil }
            var position = position
            if let target = targets[partition] {
                position.position = target
                position.tailOffset = nil
                position.tailHash = nil
                position.leaderEpoch = nil
            }
            if let version {
                let isRead = !version.untouched.contains(partition)
                position.maxEventTimeMillis = isRead ? version.watermarkMillis.map { $0 + latenessMillis } : nil
                position.foundMillis = nil
            }
            return position
        }
    }

    /// The positions that a jump back led to after `lastBatch`, when no batch has followed it yet: state and watermark are those
    /// of the version that stood there, or empty where no batch did.
    package static func restored(
        _ jumps: [Jump], after lastBatch: BatchNumber, positions: [TopicPartition: Int64]
    ) -> [TopicPartition: Int64]? {
        let recent = jumps.filter { $0.afterBatch == lastBatch }
        guard let back = recent.lastIndex(where: { $0.newPosition < $0.oldPosition }) else { return nil }
        var target = positions
        // A loss that was accepted since lies behind it.
        for jump in recent[(back + 1)...].reversed() { target[jump.topicPartition] = jump.oldPosition }
        return target
    }
}
