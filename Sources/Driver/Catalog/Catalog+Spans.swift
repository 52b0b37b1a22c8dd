// The log as a walk through time: which offsets each DONE batch read, and the watermark before and after it.

import Engine

/// One DONE batch as a backfill looks at it.
package struct LoggedSpan: Sendable, Equatable {
    package var batch: BatchNumber
    package var ranges: [OffsetRange]
    package var watermarkBeforeMillis: Int64?
    package var watermarkAfterMillis: Int64?
    /// Rows behind the watermark.
    package var late: Int64
    /// The greatest event time of any record that was read up to it; nil where the log does not tell.
    package var newestEventMillis: Int64?

    package init(
        batch: BatchNumber, ranges: [OffsetRange], watermarkBeforeMillis: Int64?, watermarkAfterMillis: Int64?, late: Int64 = 0,
        newestEventMillis: Int64? = nil
    ) {
        self.newestEventMillis = newestEventMillis
        self.batch = batch
        self.ranges = ranges
        self.watermarkBeforeMillis = watermarkBeforeMillis
        self.watermarkAfterMillis = watermarkAfterMillis
        self.late = late
    }
}

/// Of an outcome's text no more than this is looked at.
private struct NewestEvent: Decodable { var newestEventMillis: Int64? }

extension Catalog {
    /// Hands every DONE batch that the log still has one by one, and that moved positions, to `body`, oldest first. Hours that
    /// were folded tell no watermarks.
    package func spans(_ jobID: JobID, _ body: (LoggedSpan) throws -> Void) throws {
        let pageBatches = 64
        var after: BatchNumber = 0
        while true {
            let behind = after
            let page = try read { database in
                try database.execute(
                    """
                    SELECT batch, ranges, watermark_before_millis, watermark_after_millis, late, outcome FROM sluice_batches
                    WHERE job_id = $1 AND batch > $2 AND state = 'done' AND kind IN (\(Self.moving))
                    ORDER BY batch LIMIT \(pageBatches)
                    """, [.text(jobID), .int(behind)])
            }
            for row in page {
                var cells = CellReader(row, of: "sluice_batches")
                after = try cells.int()
                try body(
                    LoggedSpan(
                        batch: after, ranges: try cells.ranges(), watermarkBeforeMillis: try cells.optionalInt(),
                        watermarkAfterMillis: try cells.optionalInt(), late: try cells.optionalInt() ?? 0,
                        newestEventMillis: try cells.optionalJSON(NewestEvent.self)?.newestEventMillis))
            }
            if page.count < pageBatches { return }
        }
    }
}
