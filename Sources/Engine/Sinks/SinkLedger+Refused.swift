// Rows that a database refused (`RefusedRows`), found again by who repairs: which records they were of, and what ends an entry.
//
// A redrive ends the entries of the records that it has looked at, a repair those of the batches whose keys it has written; what
// is refused again stands there anew, under the batch that tried.

extension SinkLedger {
    func refusedRecords(_ identity: SinkIdentity) throws -> [(batch: BatchNumber, record: OffsetRange)] {
        guard try hasTable("sluice_refused") else { return [] }
        return try database.execute(
            """
            SELECT batch, topic, "partition", "offset" FROM sluice_refused
            WHERE job_id = $1 AND sink = $2 AND topic IS NOT NULL AND "partition" IS NOT NULL AND "offset" IS NOT NULL
            """, key(identity)
        ).compactMap { row in
            guard case .int(let batch) = row[0], case .text(let topic) = row[1], case .int(let partition) = row[2],
                case .int(let offset) = row[3]
            else { return nil }
            return (
                batch,
                OffsetRange(topic: topic, partition: Int32(truncatingIfNeeded: partition), from: offset, until: offset.plus(1))
            )
        }
    }

    func closeRefused(_ identity: SinkIdentity, _ records: [OffsetRange], before batch: BatchNumber) throws {
        guard try hasTable("sluice_refused") else { return }
        for range in records {
            try database.execute(
                """
                DELETE FROM sluice_refused WHERE job_id = $1 AND sink = $2 AND batch < $3 AND topic = $4 AND "partition" = $5
                    AND "offset" >= $6 AND "offset" < $7
                """,
                key(identity) + [.int(batch), .text(range.topic), .int(Int64(range.partition)), .int(range.from), .int(range.until)])
        }
    }

    func closeRefused(_ identity: SinkIdentity, batches: ClosedRange<BatchNumber>) throws {
        guard try hasTable("sluice_refused") else { return }
        try database.execute(
            "DELETE FROM sluice_refused WHERE job_id = $1 AND sink = $2 AND batch BETWEEN $3 AND $4",
            key(identity) + [.int(batches.lowerBound), .int(batches.upperBound)])
    }
}
