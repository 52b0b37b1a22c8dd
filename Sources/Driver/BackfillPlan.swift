// What a backfill reads and may write, decided before anything runs (protocol 9). Pure.
//
//   event times asked for    [from ............ to)        rounded outwards to window bounds
//   offsets read             out of the live job's log:
//       from   the newest batch up to which every record read was older than from - lateness, by the greatest event time that
//              the log tells with each batch; Kafka's earliest offset where it does not reach so far back. The watermark would
//              not do: it follows the slowest partition, and one that ran ahead was read in earlier batches. Rows of earlier
//              builds tell the watermark alone
//       until  before the first batch whose watermark before it was at `to` or past it; the live position where there is none.
//              Batches behind it that had late rows are read, too: history that was loaded later is in them
//
// Records are never left out for the times that Kafka stamped on them: stamps stray from event times by hours, and a topic may
// stamp when it stores. They only help to start earlier. What is written are windows wholly
// inside `[from, to)` that the live job has closed; a `to` past the live watermark is refused unless the rows go to another
// sink. A range that holds nothing is an error: nobody asks for nothing.

import Engine
import Foundation

package struct BackfillPlan: Sendable {
    package var bounds: BackfillBounds
    /// True when `from` and `to` were moved to window bounds.
    package var isRounded: Bool
    /// Records stamped from here on are read, also where the log would begin later.
    package var readFromMillis: Int64
    package var ranges: [OffsetRange] = []
    /// Partitions whose records before this range's start are deleted although they may belong to it.
    package var truncated: [TopicPartition] = []
    /// Batches of the live log that bound the reading; nil where it does not reach.
    package var firstBatch: BatchNumber?
    package var endBatch: BatchNumber?
    /// Some of the batches behind `endBatch` had late rows.
    package var readsLate = false

    package static func bounds(
        fromMillis: Int64, untilMillis: Int64, windowMillis: Int64?, latenessMillis: Int64, slackMillis: Int64,
        liveWatermarkMillis: Int64?, writesLiveSink: Bool
    ) throws -> BackfillPlan {
        let step = windowMillis ?? 1
        func floor(_ value: Int64) -> Int64 { value - ((value % step) + step) % step }
        let from = floor(fromMillis)
        let until = floor(untilMillis + step - 1)
        guard from < until else {
            throw Failure(
                .wrongUsage, "a backfill from \(formatTime(fromMillis)) to \(formatTime(untilMillis)) has no time in it",
                why: "--to must be after --from", now: "correct the times")
        }
        if writesLiveSink {
            guard let watermark = liveWatermarkMillis, until <= watermark else {
                throw Failure(
                    .notPossible, "the live job has not closed everything before \(formatTime(until))",
                    why: liveWatermarkMillis.map { "its watermark is \(formatTime($0))" } ?? "it has no watermark yet",
                    now: "choose an earlier --to, or write beside it with another --sink")
            }
        }
        return BackfillPlan(
            bounds: BackfillBounds(fromMillis: from, untilMillis: until),
            isRounded: from != fromMillis || until != untilMillis, readFromMillis: from - latenessMillis - slackMillis)
    }

    /// Takes the ranges out of the log.
    /// - Parameters:
    ///   - reach: after it was shown every batch of the live log.
    ///   - live: where the live job stands.
    ///   - starts: where each partition begins in Kafka.
    ///   - stamped: the first record of each partition that is stamped `readFromMillis` or later.
    /// - Throws: when there is nothing to read.
    package mutating func take(
        _ reach: BackfillReach, live: [TopicPartition: Int64], starts: [TopicPartition: Int64],
        stamped: [TopicPartition: Int64]
    ) throws(Failure) {
        firstBatch = reach.firstBatch
        endBatch = reach.endBatch
        readsLate = reach.readsLate
        for (partition, position) in live.sorted(by: { $0.key < $1.key }) {
            let start = starts[partition] ?? 0
            let logged = reach.covered[partition]
            let until = reach.endBatch == nil ? position : logged?.until ?? start
            // Without a beginning in the log everything that Kafka has may belong to it.
            var from = reach.firstBatch == nil ? start : logged?.from ?? until
            if let stamp = stamped[partition] { from = min(from, stamp) }
            if from < start || reach.firstBatch == nil && start > 0 { truncated.append(partition) }
            let range = OffsetRange(
                topic: partition.topic, partition: partition.partition, from: max(start, from), until: until)
            if !range.isEmpty { ranges.append(range) }
        }
        guard ranges.isEmpty else { return }
        let span = "\(formatTime(bounds.fromMillis)) and \(formatTime(bounds.untilMillis))"
        throw Failure(
            .notPossible, "there is nothing to read between \(span)",
            why: truncated.isEmpty
                ? "the live job has read no record of that time"
                : "Kafka has deleted the records of that time",
            now: "check --from and --to against `sluice batches`, which shows the watermark of each batch")
    }
}

/// Finds the offsets of a span of event time in a log that is walked through from its oldest batch. Pure.
package struct BackfillReach: Sendable {
    package private(set) var firstBatch: BatchNumber?
    package private(set) var endBatch: BatchNumber?
    package private(set) var readsLate = false
    /// What the batches from the first one to the end read, per partition.
    package private(set) var covered: [TopicPartition: (from: Int64, until: Int64)] = [:]

    private let fromMillis: Int64
    private let untilMillis: Int64

    /// - Parameter fromMillis: the first event time, less the lateness.
    package init(fromMillis: Int64, untilMillis: Int64) {
        self.fromMillis = fromMillis
        self.untilMillis = untilMillis
    }

    package mutating func add(_ span: LoggedSpan) {
        let isOlder = span.newestEventMillis.map { $0 < fromMillis } ?? span.watermarkAfterMillis.map { $0 <= fromMillis } ?? false
        if isOlder {
            // All before it is older. A job that went back begins here again.
            firstBatch = span.batch
            endBatch = nil
            readsLate = false
            covered = [:]
        } else if endBatch == nil, let before = span.watermarkBeforeMillis, before >= untilMillis {
            endBatch = span.batch
        }
        if endBatch != nil {
            guard span.late > 0 else { return }
            readsLate = true
        }
        for range in span.ranges {
            let known = covered[range.topicPartition] ?? (range.from, range.until)
            covered[range.topicPartition] = (min(known.from, range.from), max(known.until, range.until))
        }
    }
}

/// Compares what a backfill would write with what the sink holds.
package enum ShrinkCheck {
    package struct Shrunk: Sendable {
        package var key: String
        package var column: String
        package var stored: Int64
        package var computed: Int64
    }

    /// Keys whose whole-number values would become smaller; those of a key whose row goes become nothing.
    package static func shrunk(_ rows: [Chunk], in sink: any Sink, table: SinkTable) throws -> [Shrunk] {
        guard table.mode == .keyedUpsert else { return [] }
        var result: [Shrunk] = []
        for chunk in rows {
            let existing = try sink.existing(keysOf: chunk)
            var index = 0
            chunk.forEachSelectedRow { row in
                defer { index += 1 }
                guard let stored = existing[index] else { return }
                for (column, field) in table.schema.fields.enumerated() where !table.key.contains(field.name) {
                    guard case .int64(let old) = stored[column],
                        case .int64(let new) = chunk.isDelete ? .int64(0) : chunk.columns[column].value(row), new < old
                    else { continue }
                    let key = table.key.map { name in text(stored[table.schema.index(of: name)!]) }.joined(separator: " ")
                    result.append(Shrunk(key: key, column: field.name, stored: old, computed: new))
                }
            }
        }
        return result
    }

    private static func text(_ value: Value) -> String {
        switch value {
        case .null: "NULL"
        case .int64(let value): "\(value)"
        case .timestamp(let value): formatTime(value)
        case .float64(let value): "\(value)"
        case .bool(let value): "\(value)"
        case .text(let value): value
        }
    }
}
