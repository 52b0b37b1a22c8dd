// What the share of bad records in a batch says about a job: go on, say so, or stop before anything is written.
//
// Decides, before a batch is sealed:
//   - more than `max_rejected_share` bad, and at least `max_rejected_min` of them (in the first batch of a job however few: a
//     wrong format shows at once): stop;
//   - nothing could be read: say so, with an example; `max_rejected_batches` such batches in a row: stop;
//   - records of two writer schemas under one schema file: stop, since one of them would be read as the other.
// Tombstones are no records here: what a compacted topic deletes was not bad (protocol 11).
//
// Pure. `verdict` changes nothing, since a batch may be tried again; `done` is told of each batch that is DONE. It begins
// anew with each start of a job.

import Engine

package struct RejectWatch: Sendable, Equatable {
    /// What one batch read.
    package struct Batch: Sendable, Equatable {
        package var number: BatchNumber
        package var records: Int64
        package var rejected: Int64
        package var tombstones: Int64
        package var topic: String
        package var example: RejectExample?
        package var schemaIDs: [UInt32]

        package init(
            number: BatchNumber, records: Int64, rejected: Int64, tombstones: Int64 = 0, topic: String = "",
            example: RejectExample? = nil, schemaIDs: [UInt32] = []
        ) {
            self.number = number
            self.records = records
            self.rejected = rejected
            self.tombstones = tombstones
            self.topic = topic
            self.example = example
            self.schemaIDs = schemaIDs
        }

        /// Records that had a value.
        var judged: Int64 { records - tombstones }
        var isUnreadable: Bool { judged > 0 && rejected >= judged }
    }

    package struct Limits: Sendable, Equatable {
        package var share: Double
        package var minimum: Int64
        package var batchesInARow: Int64
        package var format: RecordFormat

        package init(share: Double, minimum: Int64, batchesInARow: Int64, format: RecordFormat) {
            self.share = share
            self.minimum = minimum
            self.batchesInARow = batchesInARow
            self.format = format
        }
    }

    package struct Verdict: Sendable, Equatable {
        /// The reason to stop the job; nothing of the batch is written.
        package var failure: Failure?
        /// What to say at once: a batch of which nothing could be read.
        package var warning: String?
        package init() {}
    }

    private var unreadableInARow: Int64 = 0
    private var schemaIDs: Set<UInt32> = []

    package init() {}

    package func verdict(_ batch: Batch, _ limits: Limits, nowMillis: Int64) -> Verdict {
        var verdict = Verdict()
        let example = batch.example.map { "; the first is \(batch.topic)/\($0.text(format: limits.format, nowMillis: nowMillis))" } ?? ""
        if batch.isUnreadable {
            verdict.warning = "no record of batch \(batch.number) could be read, of \(batch.judged)\(example)"
        }
        let ids = schemaIDs.union(batch.schemaIDs).sorted()
        if ids.count > 1 {
            verdict.failure = Failure(
                .schemaMismatch, "batch \(batch.number) holds records of more than one writer schema",
                why: "the ids in their framings are \(ids.map { "\($0)" }.joined(separator: ", ")), and the setting schema names one schema for all",
                now: "give each id its schema with --schema \(ids[0])=FILE,\(ids[1])=FILE, or --schema-id ID to reject the others. Nothing of this batch was written")
            return verdict
        }
        let isShare = Double(batch.rejected) > limits.share * Double(batch.judged)
        if batch.rejected > 0, isShare, batch.rejected >= limits.minimum || batch.number == 1 {
            verdict.failure = Failure(
                .tooManyRejected, "\(batch.rejected) of \(batch.judged) records of batch \(batch.number) could not be decoded",
                why: "more than the share \(limits.share) that max_rejected_share allows\(example)",
                now: "check `format` and `schema`; nothing of this batch was written. Raise max_rejected_share to go on")
        } else if batch.isUnreadable, limits.share < 1, unreadableInARow + 1 >= limits.batchesInARow {
            verdict.failure = Failure(
                .tooManyRejected, "no record of the last \(unreadableInARow + 1) batches could be decoded",
                why: "max_rejected_batches allows fewer in a row\(example)",
                now: "check `format` and `schema`; nothing of batch \(batch.number) was written. Raise max_rejected_batches to go on")
        }
        return verdict
    }

    package mutating func done(_ batch: Batch) {
        schemaIDs.formUnion(batch.schemaIDs)
        if batch.isUnreadable { unreadableInARow += 1 } else if batch.judged > 0 { unreadableInARow = 0 }
    }
}
