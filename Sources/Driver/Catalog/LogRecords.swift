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

extension Collection<BatchRecord> {
    /// What an offset of their ranges took in Kafka, as fetched; nil where nothing was read.
    package var bytesPerOffset: Double? {
        var (bytes, offsets) = (Int64(0), Int64(0))
        for batch in self {
            guard let outcome = batch.outcome else { continue }
            bytes = bytes.plus(outcome.bytesIn)
            offsets = batch.plan.ranges.reduce(offsets) { $0.plus($1.count) }
        }
        return offsets > 0 ? Double(bytes) / Double(offsets) : nil
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
    /// When its bytes were erased by a person; then `raw` is empty.
    package var erasedAtMillis: Int64?

    package init(batch: BatchNumber, record: QuarantinedRecord, erasedAtMillis: Int64? = nil) {
        self.batch = batch
        self.record = record
        self.erasedAtMillis = erasedAtMillis
    }
}

/// Totals of the batches that were folded away.
package struct FoldedTotals: Sendable, Codable, Equatable {
    package var untilBatch: BatchNumber = 0
    /// The batch up to which the hours were folded in turn.
    package var checkpointUntil: BatchNumber = 0
    package var rowsIn: Int64 = 0
    package var rowsOut: Int64 = 0
    package var late: Int64 = 0
    package var rejected: Int64 = 0
    package var unmatched: Int64 = 0

    package init() {}
}

/// Batches of one hour and kind that were folded into one row (`LogKeeping`).
package struct LogHour: Sendable, Codable, Equatable {
    /// Start of the hour in which they were done, by the database's clock.
    package var hourMillis: Int64
    /// `live` for all that read on where their partitions stood, except a backfill's.
    package var kind: BatchKind
    package var firstBatch, lastBatch: BatchNumber
    package var batches: Int64
    package var rowsIn: Int64 = 0
    package var rowsOut: Int64 = 0
    package var late: Int64 = 0
    package var rejected: Int64 = 0
    package var unmatched: Int64 = 0
    /// Where each partition stood before and after them, jumps between them included; of other kinds, what they read.
    package var ranges: [OffsetRange]

    package init(
        hourMillis: Int64, kind: BatchKind, firstBatch: BatchNumber, lastBatch: BatchNumber, batches: Int64,
        ranges: [OffsetRange]
    ) {
        self.hourMillis = hourMillis
        self.kind = kind
        self.firstBatch = firstBatch
        self.lastBatch = lastBatch
        self.batches = batches
        self.ranges = ranges
    }

    init(row: [SQLValue]) throws {
        var cells = CellReader(row, of: "sluice_hours")
        self.init(
            hourMillis: try cells.int(), kind: try cells.named(BatchKind.self), firstBatch: try cells.int(),
            lastBatch: try cells.int(), batches: try cells.int(), ranges: [])
        rowsIn = try cells.int()
        rowsOut = try cells.int()
        late = try cells.int()
        rejected = try cells.int()
        unmatched = try cells.int()
        ranges = try cells.ranges()
    }

    /// Adds the batches that follow in the same hour.
    mutating func add(_ later: LogHour) {
        lastBatch = later.lastBatch
        batches += later.batches
        rowsIn += later.rowsIn
        rowsOut += later.rowsOut
        late += later.late
        rejected += later.rejected
        unmatched += later.unmatched
        ranges = kind.movesPositions ? Self.joined(ranges, later.ranges) : Self.union(ranges + later.ranges)
    }

    /// Where each partition stood before the first and behind the second.
    private static func joined(_ first: [OffsetRange], _ second: [OffsetRange]) -> [OffsetRange] {
        var joined = Dictionary(uniqueKeysWithValues: first.map { ($0.topicPartition, $0) })
        for range in second {
            if joined[range.topicPartition] == nil { joined[range.topicPartition] = range }
            joined[range.topicPartition]?.until = range.until
        }
        return joined.values.sorted { $0.topicPartition < $1.topicPartition }
    }

    /// The offsets of all, each once.
    static func union(_ ranges: [OffsetRange]) -> [OffsetRange] {
        var union: [OffsetRange] = []
        for range in ranges.sorted(by: { ($0.topicPartition, $0.from) < ($1.topicPartition, $1.from) }) {
            if let last = union.last, last.topicPartition == range.topicPartition, last.until >= range.from {
                union[union.count - 1].until = max(last.until, range.until)
            } else {
                union.append(range)
            }
        }
        return union
    }
}

extension BatchKind {
    /// The kind under which an hour keeps what these batches covered.
    var ofHour: BatchKind { movesPositions && self != .backfill ? .live : self }
}
