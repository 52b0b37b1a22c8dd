// What a backfill reads and may write, decided before anything runs (protocol 9). Pure but for `find`, which asks Kafka.
//
//   event times asked for      [from ............ to)            rounded outwards to window bounds
//   record times read     [from - lateness - slack ... to + lateness + slack)
//
// Records are found by their Kafka timestamps, which stray from event times by lateness and, beyond that, by `slack`.
// What is written are windows wholly inside `[from, to)` that the live job has closed; a `to` past the live watermark is
// refused unless the rows go to another sink.

import Engine
import Foundation

package struct BackfillPlan: Sendable {
    package var bounds: BackfillBounds
    /// True when `from` and `to` were moved to window bounds.
    package var isRounded: Bool
    package var readFromMillis: Int64
    package var readUntilMillis: Int64
    package var ranges: [OffsetRange] = []
    /// Partitions whose records before this range's start are deleted although they may belong to it.
    package var truncated: [TopicPartition] = []

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
            isRounded: from != fromMillis || until != untilMillis, readFromMillis: from - latenessMillis - slackMillis,
            readUntilMillis: until + latenessMillis + slackMillis)
    }

    /// Finds the offset ranges by record timestamp.
    package mutating func find(_ queries: OffsetQueries, topic: String) throws {
        let partitions = try queries.partitions(of: topic).map { TopicPartition(topic: topic, partition: $0) }
        let starts = try queries.starts(partitions)
        let ends = try queries.ends(partitions)
        let from = try queries.offsets(atTimeMillis: readFromMillis, partitions)
        let until = try queries.offsets(atTimeMillis: readUntilMillis, partitions)
        for partition in partitions {
            let start = starts[partition] ?? 0
            let end = ends[partition] ?? start
            let range = OffsetRange(
                topic: topic, partition: partition.partition, from: max(start, from[partition] ?? end),
                until: min(end, until[partition] ?? end))
            if range.from == start && start > 0 { truncated.append(partition) }
            if !range.isEmpty { ranges.append(range) }
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

    /// Keys whose whole-number values would become smaller.
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
                    guard case .int64(let old) = stored[column], case .int64(let new) = chunk.columns[column].value(row),
                        new < old
                    else { continue }
                    let key = table.key.map { name in
                        text(chunk.columns[table.schema.index(of: name)!].value(row))
                    }.joined(separator: " ")
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
