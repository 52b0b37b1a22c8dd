// `sluice quarantine NAME`: the records that did not become rows, with their raw bytes.
//
// Bytes are shown as text when all of them are printable UTF-8, otherwise in hexadecimal, so that whatever stood in a
// record can neither drive a terminal nor be taken for something else. Long ones are cut in the table, never in JSON.
//
// `--forget` erases the bytes, and nothing else: what was rejected stays listed by its coordinates and counted.

import Driver
import Engine

enum QuarantineCommand {
    private static let shownBytes = 48

    static let command = Command(
        "quarantine", .batches, summary: "show records that could not be read",
        about: """
            Shows bad records that a job has put aside, newest batch first: where they stand in Kafka, why they were rejected, \
            and their bytes. Of many bad records only some are kept; every one is counted by its batch. Bytes are kept for \
            quarantine_keep; --forget erases them now, and --plan says how many without doing it.
            """,
        positionals: [OneJob.positional],
        options: [
            Option("batch", .integer(1...Int64.max), help: "only of this batch"),
            Option("offsets", .choice(["rejected", "late"]), help: "all such offsets as ranges, instead of the records that are kept"),
            Option("limit", .integer(1...100_000), fallback: "50", help: "how many to show"),
            Option(flag: "forget", help: "erase the bytes instead of showing them"),
            Option(flag: "plan", help: "with --forget: say what would be erased, and erase nothing"),
            .json,
        ],
        settingFlags: .some([.catalog]),
        examples: [
            Command.Example("sluice quarantine campaign-views --limit 5", "the five newest"),
            Command.Example("sluice quarantine campaign-views --batch 3 --json", "those of batch 3, with all their bytes"),
            Command.Example("sluice quarantine campaign-views --offsets rejected", "which offsets were rejected, every one of them"),
            Command.Example("sluice quarantine campaign-views --forget", "erase all bytes; offsets and reasons stay"),
        ],
        run: run)

    private struct Line: Encodable {
        var job: String
        var batch: BatchNumber
        var topic: String
        var partition: Int32
        var offset: Int64
        var reason: String
        var bytes: Int
        /// Only when all bytes are printable.
        var text: String?
        var hex: String
        /// When the bytes were erased.
        var erasedAt: String?
    }

    private struct Erased: Encodable {
        var job: String
        var batch: BatchNumber?
        var records: Int64
        var bytes: Int64
        /// False for a plan.
        var isErased: Bool
    }

    private static func forget(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let settings = try parsed.settings()
        let isPlan = parsed.flag("plan")
        let catalog = try ExistingCatalog.open(settings, isPlan ? .readOnly : .readWrite)
        defer { catalog.close() }
        let record = try JobView.record(parsed.required(OneJob.positional.name), catalog)
        let batch = parsed.integer("batch").map { BatchNumber($0) }
        let (records, bytes) = try catalog.quarantinedBytes(record.jobID, batch: batch)
        if !isPlan { try catalog.forgetQuarantine(record.jobID, batch: batch) }
        if parsed.flag("json") {
            try terminal.json(Erased(job: record.name, batch: batch, records: records, bytes: bytes, isErased: !isPlan))
            return 0
        }
        let what =
            "\(grouped(bytes)) bytes of \(grouped(records)) record\(records == 1 ? "" : "s") of job \(record.name)"
            + (batch.map { ", batch \($0)," } ?? "")
        try terminal.line(
            isPlan ? "would erase \(what)" : "erased \(what); offsets and reasons stay. Kafka still has what its retention keeps")
        return 0
    }

    private struct RangeLine: Encodable {
        var batch: BatchNumber
        var topic: String
        var partition: Int32
        var from: Int64
        var until: Int64
    }

    /// Batch by batch out of the log and the files that it names; those of folded batches are gone.
    private static func showOffsets(_ content: OffsetFile.Content, _ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        try OneJob.look(parsed, terminal) { catalog, record, settings in
            let batch = parsed.integer("batch").map { BatchNumber($0) }
            let store = try StateStore(address: record.settings["state"] ?? settings.text(.state))
            let isJSON = parsed.flag("json")
            var table = Table([.number("batch"), .text("partition"), .number("from"), .number("until")])
            var (offsets, unlisted) = (Int64(0), Int64(0))
            for logged in try content == .rejected ? catalog.rejecting(record.jobID) : catalog.late(record.jobID) {
                guard batch == nil || batch == logged.plan.batch, let outcome = logged.outcome else { continue }
                unlisted += (content == .rejected ? outcome.rejectedUnlisted : outcome.lateUnlisted) ?? 0
                for range in OffsetRange.joined(try outcome.offsets(content) { try $0.read(record.jobID, from: store) }) {
                    offsets += range.count
                    if isJSON {
                        try terminal.json(
                            RangeLine(
                                batch: logged.plan.batch, topic: range.topic, partition: range.partition, from: range.from, until: range.until))
                    } else {
                        table.add(["\(logged.plan.batch)", "\(range.topic)/\(range.partition)", "\(range.from)", "\(range.until)"])
                    }
                }
            }
            if isJSON { return 0 }
            if offsets > 0 { try terminal.table(table) }
            try terminal.line("\(grouped(offsets)) offsets of job \(record.name) are \(content.rawValue)")
            if unlisted > 0 { try terminal.line("\(grouped(unlisted)) more were \(content.rawValue) where no file could take them") }
            return 0
        }
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        if parsed.flag("forget") { return try forget(parsed, terminal) }
        if let content = parsed.text("offsets").flatMap({ OffsetFile.Content(rawValue: $0) }) {
            return try showOffsets(content, parsed, terminal)
        }
        return try OneJob.look(parsed, terminal) { catalog, record, _ in
            let batch = parsed.integer("batch").map { BatchNumber($0) }
            let limit = parsed.integer("limit") ?? 50
            let entries = try catalog.quarantined(record.jobID, batch: batch, limit: limit)
            if parsed.flag("json") {
                for entry in entries { try terminal.json(line(entry, job: record.name)) }
                return 0
            }
            if entries.isEmpty {
                try terminal.line(
                    "no record of job \(record.name)\(batch.map { ", batch \($0)," } ?? "") is in quarantine")
                return 0
            }
            var table = Table([
                .number("batch"), .text("partition"), .number("offset"), .text("reason"), .number("bytes"), .text("raw"),
            ])
            for entry in entries {
                let bad = entry.record
                table.add([
                    "\(entry.batch)", "\(bad.topic)/\(bad.partition)", "\(bad.offset)", bad.reason.rawValue,
                    "\(bad.raw.count)", entry.erasedAtMillis.map { "(erased at \(formatTime($0)))" } ?? shown(bad.raw),
                ])
            }
            try terminal.table(table)
            if entries.count == limit {
                try terminal.line("there may be more: --limit \(limit * 2) shows twice as many")
            }
            return 0
        }
    }

    private static func line(_ entry: QuarantineEntry, job: String) -> Line {
        let bad = entry.record
        return Line(
            job: job, batch: entry.batch, topic: bad.topic, partition: bad.partition, offset: bad.offset,
            reason: bad.reason.rawValue, bytes: bad.raw.count, text: printable(bad.raw), hex: hex(bad.raw[...]),
            erasedAt: entry.erasedAtMillis.map { formatTime($0) })
    }

    private static func shown(_ raw: [UInt8]) -> String {
        if raw.isEmpty { return "(empty)" }
        if let text = printable(raw) {
            return text.count <= shownBytes ? text : String(text.prefix(shownBytes)) + "..."
        }
        return "0x" + hex(raw.prefix(shownBytes / 2)) + (raw.count > shownBytes / 2 ? "..." : "")
    }

    /// The bytes as text, if they are UTF-8 without anything that acts on a terminal.
    private static func printable(_ raw: [UInt8]) -> String? {
        guard let text = String(validating: raw, as: UTF8.self) else { return nil }
        return PlainText.isPlain(text) ? text : nil
    }

    private static func hex(_ bytes: ArraySlice<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
