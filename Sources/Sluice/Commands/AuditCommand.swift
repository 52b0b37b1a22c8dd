// `sluice audit NAME`: proves from the log that every offset was counted once, or says exactly which was not.

import Driver
import Engine

enum AuditCommand {
    static let command = Command(
        "audit", .batches, summary: "prove that no offset is missing or counted twice",
        about: """
            Checks from the log that the ranges of all DONE batches are contiguous in every partition: no gap, no overlap. \
            Accepted losses and moves are listed as jumps; with --strict they fail, too. Exits with 1 and the exact offsets \
            otherwise. Kafka is not asked.
            """,
        positionals: [OneJob.positional],
        options: [Option(flag: "strict", help: "fail on declared jumps, too"), .json],
        settingFlags: .some([.catalog]),
        examples: [Command.Example("sluice audit campaign-views", "every batch since the job began")],
        run: run)

    private struct Line: Encodable {
        struct Partition: Encodable {
            var topic: String
            var partition: Int32
            var from: Int64
            var until: Int64
            var batches: Int64
        }
        struct Move: Encodable {
            var at: String
            var flag: String
            var topic: String
            var partition: Int32
            var oldPosition: Int64
            var newPosition: Int64
            var topicId: String?
            var afterBatch: BatchNumber
        }
        struct Finding: Encodable {
            var kind: String
            var topic: String?
            var partition: Int32?
            var from: Int64
            var until: Int64
            var afterBatch: BatchNumber?
            var atBatch: BatchNumber?
            var text: String
        }
        var job: String
        var passes: Bool
        var strict: Bool
        var batches: Int64
        var partitions: [Partition]
        var jumps: [Move]
        var findings: [Finding]

        init(_ report: AuditReport, job: String, strict: Bool) {
            self.job = job
            self.strict = strict
            passes = report.passes(strict: strict)
            batches = report.batches
            partitions = report.partitions.map {
                Partition(
                    topic: $0.range.topic, partition: $0.range.partition, from: $0.range.from, until: $0.range.until,
                    batches: $0.batches)
            }
            jumps = report.jumps.map {
                Move(
                    at: formatTime($0.atMillis), flag: $0.flag, topic: $0.topic, partition: $0.partition,
                    oldPosition: $0.oldPosition, newPosition: $0.newPosition, topicId: $0.topicID,
                    afterBatch: $0.afterBatch)
            }
            findings = report.findings.map {
                Finding(
                    kind: $0.kind.rawValue, topic: $0.topicPartition?.topic, partition: $0.topicPartition?.partition,
                    from: $0.from, until: $0.until, afterBatch: $0.afterBatch, atBatch: $0.atBatch,
                    text: $0.description)
            }
        }
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        try OneJob.look(parsed, terminal) { catalog, record, _ in
            let strict = parsed.flag("strict")
            let report = try catalog.audit(record.jobID)
            let passes = report.passes(strict: strict)
            if parsed.flag("json") {
                try terminal.json(Line(report, job: record.name, strict: strict))
                return passes ? 0 : 1
            }
            var table = Table([.text("partition"), .number("from"), .number("until"), .number("offsets"), .number("batches")])
            for partition in report.partitions {
                let range = partition.range
                table.add([
                    range.topicPartition.description, "\(range.from)", "\(range.until)", grouped(range.count),
                    grouped(partition.batches),
                ])
            }
            if !report.partitions.isEmpty { try terminal.table(table) }
            for jump in report.jumps {
                try terminal.line(
                    "jump in \(jump.topicPartition): from \(jump.oldPosition) to \(jump.newPosition) after batch "
                        + "\(jump.afterBatch), accepted with \(jump.flag) at \(formatTime(jump.atMillis))")
            }
            for finding in report.findings { try terminal.line(finding.description) }
            try terminal.line(verdict(report, job: record.name, strict: strict))
            return passes ? 0 : 1
        }
    }

    private static func verdict(_ report: AuditReport, job: String, strict: Bool) -> String {
        let batches = "\(grouped(report.batches)) DONE batch\(report.batches == 1 ? "" : "es")"
        let jumps = "\(report.jumps.count) declared jump\(report.jumps.count == 1 ? "" : "s")"
        if !report.findings.isEmpty {
            let findings = "\(report.findings.count) finding\(report.findings.count == 1 ? "" : "s")"
            return "FAILED: job \(job), \(batches): \(findings); what is in the sink is not every offset once"
        }
        if !report.passes(strict: strict) { return "FAILED: job \(job), \(batches): \(jumps), and --strict allows none" }
        let moved = report.jumps.isEmpty ? "" : ", apart from \(jumps)"
        return "ok: job \(job), \(batches), contiguous in every partition: no gap, no overlap\(moved)"
    }
}
