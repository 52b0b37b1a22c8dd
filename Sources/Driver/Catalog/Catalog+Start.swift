// Where a job begins: positions that no batch has led to, and batches found by where they ended.
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
                    INSERT INTO sluice_positions (job_id, topic, partition, position) VALUES ($1, $2, $3, $4)
                    ON CONFLICT (job_id, topic, partition) DO NOTHING
                    """,
                    [
                        .text(jobID), .text(position.topic), .int(Int64(position.partition)), .int(position.position),
                    ])
            }
        }
    }

    /// The newest DONE batch after which every partition stood exactly where `target` says, if one is kept.
    package func batch(_ jobID: JobID, whosePositionsAre target: [TopicPartition: Int64]) throws -> BatchRecord? {
        var first: [TopicPartition: Int64] = [:]
        try doneRanges(jobID) { logged in
            let partition = logged.range.topicPartition
            if first[partition] == nil { first[partition] = logged.range.from }
        }
        var ends = first
        var found: BatchNumber?
        var current: BatchNumber = 0
        func compare() {
            if current > 0, target.allSatisfy({ ends[$0.key] == $0.value }) { found = current }
        }
        try doneRanges(jobID) { logged in
            if logged.batch != current {
                compare()
                current = logged.batch
            }
            ends[logged.range.topicPartition] = logged.range.until
        }
        compare()
        return try found.flatMap { try batch(jobID, $0) }
    }
}
