// `sluice retention NAME`: when Kafka deletes what the job has not read yet.

import Driver
import Engine
import Foundation

enum RetentionCommand {
    private static let timeoutMillis: Int32 = 5_000

    static let command = Command(
        "retention", .batches, summary: "show when Kafka deletes unread records",
        about: """
            Shows for each partition how many offsets are not read yet, how old the oldest is, and from when on Kafka deletes it: \
            by the topic's retention.ms, or by its retention.bytes at the rate at which the partition grows. Kafka deletes whole \
            segments, so it may keep more, never less. Exits with 1 when records are lost or will be soon (within a day, or a \
            quarter of the topic's retention).
            """,
        positionals: [OneJob.positional],
        options: [.json],
        settingFlags: .some([.catalog, .bootstrap, .kafka]),
        examples: [Command.Example("sluice retention campaign-views", "how long the job may rest")],
        run: run)

    /// One partition, as `--json` shows it.
    struct Line: Encodable {
        var job: String
        var topic: String
        var partition: Int32
        var position: Int64
        var start: Int64
        var end: Int64
        var unread: Int64
        /// `nothing-unread`, `lost`, `never`, `due` or `unknown`.
        var state: String
        var lost: Int64?
        var deletedFrom: String?
        var cause: String?
        var isUrgent: Bool
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        try OneJob.look(parsed, terminal) { catalog, record, settings in
            let positions = try catalog.positions(record.jobID)
            guard let topic = record.settings["topic"], !positions.isEmpty else {
                try terminal.line("job \(record.name) has no position in the log yet")
                return 0
            }
            let queries = try OffsetQueries(try JobKafka.configuration(of: record, settings), timeoutMillis: timeoutMillis)
            let recent = try catalog.batches(record.jobID, last: 20)
            let nowMillis = wallMillis()
            let health = try SourceHealth.look(
                queries, topic: topic,
                positions: Dictionary(
                    uniqueKeysWithValues: positions.map {
                        (TopicPartition(topic: $0.topic, partition: $0.partition), $0.position)
                    }), bytesPerOffset: recent.bytesPerOffset, nowMillis: nowMillis)
            if parsed.flag("json") {
                for partition in health.partitions { try terminal.json(line(record.name, partition, nowMillis)) }
            } else {
                try terminal.table(table(health, nowMillis))
                for partition in health.partitions {
                    if let warning = partition.warning(nowMillis: nowMillis) { try terminal.line(warning) }
                }
            }
            return health.partitions.contains { $0.retention.isUrgent(nowMillis: nowMillis) } ? 1 : 0
        }
    }

    private static func line(_ job: String, _ found: PartitionHealth, _ nowMillis: Int64) -> Line {
        var line = Line(
            job: job, topic: found.partition.topic, partition: found.partition.partition, position: found.position,
            start: found.start, end: found.highWatermark, unread: max(0, found.highWatermark - max(found.position, found.start)),
            state: "unknown", isUrgent: found.retention.isUrgent(nowMillis: nowMillis))
        switch found.retention.state {
        case .nothingUnread: line.state = "nothing-unread"
        case .never: line.state = "never"
        case .unknown: break
        case .lost(let count):
            line.state = "lost"
            line.lost = count
        case .from(let time, let cause):
            line.state = "due"
            line.deletedFrom = formatTime(time)
            line.cause = cause.rawValue
        }
        return line
    }

    private static func table(_ health: SourceHealth, _ nowMillis: Int64) -> Table {
        var table = Table([.text("partition"), .number("position"), .number("unread"), .text("deleted from"), .text("in"), .text("by")])
        for found in health.partitions {
            let line = line("", found, nowMillis)
            var (when, left, cause) = ("-", "-", "-")
            switch found.retention.state {
            case .nothingUnread: when = "nothing is unread"
            case .never: when = "never"
            case .unknown: when = "unknown"
            case .lost(let count): when = "\(count) offsets are lost"
            case .from(let time, let by):
                when = formatTime(time)
                left = time <= nowMillis ? "now" : roughDuration(time - nowMillis)
                cause = by.rawValue
            }
            table.add([found.partition.description, "\(found.position)", grouped(line.unread), when, left, cause])
        }
        return table
    }
}
