// Where a job begins: positions that no batch has led to, and kept versions found by where they stand.
//
// A job without a log, and a partition that is new to it, get their first positions here, before anything is planned,
// so that a crash in between starts at the same offsets again. A position that is already known is never moved by this;
// moving is a jump.

import Engine

extension Catalog {
    /// Writes the first position of each of these partitions. Needs the lease's epoch.
    package func startAt(_ jobID: JobID, epoch: Epoch, positions: [PartitionPosition]) throws {
        try write { database in
            try requireLease(jobID, epoch, in: database)
            for position in positions {
                try database.execute(
                    """
                    INSERT INTO sluice_positions (job_id, topic, partition, position, found_millis)
                    VALUES ($1, $2, $3, $4, $5)
                    ON CONFLICT (job_id, topic, partition) DO NOTHING
                    """,
                    [
                        .text(jobID), .text(position.topic), .int(Int64(position.partition)), .int(position.position),
                        .int(position.foundMillis),
                    ])
            }
        }
    }

    /// The newest version whose state is kept and whose positions are all at or before `target` and not before `starts`; the
    /// empty state at the job's beginning counts as version 0, at the target where that lies before the beginning.
    /// - Parameter starts: where each partition begins in Kafka now; what lies before is deleted.
    /// - Parameter isKept: whether every file of a manifest can still be read.
    package func version(
        _ jobID: JobID, atOrBefore target: [TopicPartition: Int64], starts: [TopicPartition: Int64],
        isKept: (StateManifest) throws -> Bool
    ) throws -> KeptVersion? {
        let places = Set(target.keys)
        let begun = try beginnings(jobID, of: places)
        func fits(_ place: TopicPartition, _ offset: Int64?) -> Bool {
            guard let offset else { return true }
            return offset <= target[place]! && offset >= starts[place] ?? 0
        }
        // Walks the log forward; a batch fits when no partition stands in the way.
        var ends = begun.whole
        var unfit = places.filter { !fits($0, ends[$0]) }
        var candidates: [BatchNumber] = []
        var current: BatchNumber = 0
        try doneRanges(jobID) { logged in
            if logged.batch != current {
                if current > 0, unfit.isEmpty { candidates.append(current) }
                current = logged.batch
            }
            let place = logged.range.topicPartition
            guard places.contains(place) else { return }
            ends[place] = logged.range.until
            if fits(place, ends[place]) { unfit.remove(place) } else { unfit.insert(place) }
        }
        if current > 0, unfit.isEmpty { candidates.append(current) }
        for number in candidates.reversed() {
            guard let found = try batch(jobID, number), let outcome = found.outcome, var state = outcome.state,
                try isKept(state)
            else { continue }
            state.keyGroups = state.keyGroups ?? found.plan.keyGroups
            var positions = begun.whole
            var read = begun.folded
            try doneRanges(jobID, until: number) { logged in
                positions[logged.range.topicPartition] = logged.range.until
                read.insert(logged.range.topicPartition)
            }
            return KeptVersion(
                batch: number, positions: positions.filter { places.contains($0.key) }, state: state,
                watermarkMillis: outcome.watermarkAfterMillis, untouched: places.subtracting(read))
        }
        let empty = target.merging(begun.first) { min($0, $1) }
        guard empty.allSatisfy({ $0.value >= starts[$0.key] ?? 0 }) else { return nil }
        return KeptVersion(batch: 0, positions: empty, untouched: places)
    }

    /// Where partitions stood before the first batch that the log still has one by one, and before the first one ever.
    private func beginnings(
        _ jobID: JobID, of places: Set<TopicPartition>
    ) throws -> (whole: [TopicPartition: Int64], first: [TopicPartition: Int64], folded: Set<TopicPartition>) {
        var whole: [TopicPartition: Int64] = [:]
        var first: [TopicPartition: Int64] = [:]
        var folded: Set<TopicPartition> = []
        for range in try checkpoints(jobID) where places.contains(range.topicPartition) {
            whole[range.topicPartition] = range.until
            first[range.topicPartition] = range.from
            folded.insert(range.topicPartition)
        }
        for hour in try hours(jobID) where hour.kind.movesPositions {
            for range in hour.ranges where places.contains(range.topicPartition) {
                whole[range.topicPartition] = range.until
                first[range.topicPartition] = min(first[range.topicPartition] ?? range.from, range.from)
                folded.insert(range.topicPartition)
            }
        }
        try doneRanges(jobID) { logged in
            let place = logged.range.topicPartition
            guard places.contains(place) else { return }
            if whole[place] == nil { whole[place] = logged.range.from }
            first[place] = min(first[place] ?? logged.range.from, logged.range.from)
        }
        // In no batch yet: it stands where it began.
        for position in try positions(jobID) {
            let place = TopicPartition(topic: position.topic, partition: position.partition)
            guard places.contains(place), whole[place] == nil else { continue }
            whole[place] = position.position
            first[place] = position.position
        }
        return (whole, first, folded)
    }
}
