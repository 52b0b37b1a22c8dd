// What the batch log holds beside plans and outcomes, as values.

import Engine

package enum BatchState: String, Sendable, Codable { case planned, done }

/// One row of the log. A DONE batch has an outcome, a PLANNED one has none.
package struct BatchRecord: Sendable, Codable, Equatable {
    package var plan: BatchPlan
    package var state: BatchState
    package var outcome: BatchOutcome?
    /// By the database's clock.
    package var plannedAtMillis: Int64
    package var doneAtMillis: Int64?

    package init(
        plan: BatchPlan, state: BatchState, outcome: BatchOutcome?, plannedAtMillis: Int64, doneAtMillis: Int64?
    ) {
        self.plan = plan
        self.state = state
        self.outcome = outcome
        self.plannedAtMillis = plannedAtMillis
        self.doneAtMillis = doneAtMillis
    }
}

/// An accepted loss or move of one topic partition (protocol 8).
package struct Jump: Sendable, Codable, Equatable {
    package var jobID: JobID
    /// By the database's clock; set by the catalog.
    package var atMillis: Int64
    /// The flag by which a person accepted it.
    package var flag: String
    package var topic: String
    package var partition: Int32
    package var oldPosition: Int64
    package var newPosition: Int64
    /// The topic's incarnation after the jump, where the client can tell it.
    package var topicID: String?
    /// The last DONE batch before the jump; set by the catalog.
    package var afterBatch: BatchNumber

    package init(
        jobID: JobID, flag: String, topic: String, partition: Int32, oldPosition: Int64, newPosition: Int64,
        topicID: String? = nil, atMillis: Int64 = 0, afterBatch: BatchNumber = 0
    ) {
        self.jobID = jobID
        self.atMillis = atMillis
        self.flag = flag
        self.topic = topic
        self.partition = partition
        self.oldPosition = oldPosition
        self.newPosition = newPosition
        self.topicID = topicID
        self.afterBatch = afterBatch
    }

    package var topicPartition: TopicPartition { TopicPartition(topic: topic, partition: partition) }
}

/// A range and the batch that read it.
package struct LoggedRange: Sendable, Codable, Hashable {
    package var batch: BatchNumber
    package var range: OffsetRange

    package init(batch: BatchNumber, range: OffsetRange) {
        self.batch = batch
        self.range = range
    }
}

/// A small state delta that is stored with DONE.
package struct InlineState: Sendable, Equatable {
    package var name: String
    package var bytes: [UInt8]

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }
}

/// A quarantined record and the batch that rejected it.
package struct QuarantineEntry: Sendable, Codable, Equatable {
    package var batch: BatchNumber
    package var record: QuarantinedRecord

    package init(batch: BatchNumber, record: QuarantinedRecord) {
        self.batch = batch
        self.record = record
    }
}

/// Totals of the batches that were folded away.
package struct FoldedTotals: Sendable, Codable, Equatable {
    package var untilBatch: BatchNumber = 0
    package var rowsIn: Int64 = 0
    package var rowsOut: Int64 = 0
    package var late: Int64 = 0
    package var rejected: Int64 = 0
    package var unmatched: Int64 = 0

    package init() {}
}
