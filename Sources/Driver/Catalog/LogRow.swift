// A row of the log read back: columns, frame and text become a whole plan and a whole outcome.
//
// The text of a row may be of any build. Earlier ones repeat everything in it; then columns and text say the same, and the
// frame is missing. Later ones leave out what columns, the frame or the batch before hold (`LogText`). One decoder reads both:
// every field is optional, columns go first, then the text, then the frame.
//
// A state is named by the batch that left it, files of it that stayed are counted and not repeated. `StateText` is such a
// manifest as it stands; `LogPast.Reader` follows it back to one that is whole, at most `LogPast.longestChain` rows away. The
// fold keeps that possible: the newest state that it takes away stays, whole, with its hour.
//
// Checklist when a field is added to a plan or an outcome: written in `LogText`, read here, both in LogTextTests.

import Engine

/// What all plans of a job have in common until it is started with another build or other settings.
package struct LogFrame: Codable, Hashable, Sendable {
    var job: String
    var jobID: JobID
    var keyGroups: Int
    var buildDigest: String
    var settingsDigest: String
    var planDigest: String
    var schemaDigest: String
    var lookups: [String: String]
    var topicIDs: [String: String]

    package init(_ plan: BatchPlan) {
        job = plan.job
        jobID = plan.jobID
        keyGroups = plan.keyGroups
        buildDigest = plan.buildDigest
        settingsDigest = plan.settingsDigest
        planDigest = plan.planDigest
        schemaDigest = plan.schemaDigest
        lookups = plan.lookups
        topicIDs = plan.topicIDs
    }
}

/// A manifest as a row holds it.
package struct StateText: Decodable, Sendable {
    private struct Entry: Decodable {
        var firstGroup: Int
        var untilGroup: Int
        var files: [FileText]
        var operatorID: Int?
    }
    struct Change: Decodable, Sendable {
        var at: Int
        var kept: Int?
        var files: [FileText]
    }
    /// A file whose digest may stand in its name alone.
    struct FileText: Decodable, Sendable {
        var file: StateFile

        init(from decoder: any Decoder) throws {
            file = try StateFile(from: decoder)
            if file.digest == "=", let end = file.name.lastIndex(of: "-") {
                file.digest = String(file.name[file.name.index(after: end)...])
            }
        }
    }
    private enum Key: String, CodingKey { case version, entries, keyGroups, since, changed }

    var version: BatchNumber
    /// Nil where the text only names the state, or says what changed.
    var whole: StateManifest?
    var since: BatchNumber?
    var changed: [Change] = []

    package init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: Key.self)
        version = try object.decode(Int64.self, forKey: .version)
        since = try object.decodeIfPresent(Int64.self, forKey: .since)
        changed = try object.decodeIfPresent([Change].self, forKey: .changed) ?? []
        guard let entries = try object.decodeIfPresent([Entry].self, forKey: .entries) else { return }
        whole = StateManifest(
            version: version,
            entries: entries.map {
                StateManifest.Entry(
                    firstGroup: $0.firstGroup, untilGroup: $0.untilGroup, files: $0.files.map(\.file), operatorID: $0.operatorID)
            }, keyGroups: try object.decodeIfPresent(Int.self, forKey: .keyGroups))
    }

    /// The manifest that these changes make of `before`; nil when they do not fit it.
    func applied(to before: StateManifest) -> StateManifest? {
        var state = before
        state.version = version
        for change in changed {
            guard state.entries.indices.contains(change.at), state.entries[change.at].files.count >= change.kept ?? 0 else { return nil }
            state.entries[change.at].files = state.entries[change.at].files.prefix(change.kept ?? 0) + change.files.map(\.file)
        }
        return state
    }
}

/// Ranges as a row holds them: lists of numbers, or the objects of earlier builds.
private struct RangeTexts: Decodable {
    var ranges: [OffsetRange] = []

    init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        var topic: String?
        while !list.isAtEnd {
            guard var numbers = try? list.nestedUnkeyedContainer() else {
                ranges.append(try list.decode(OffsetRange.self))
                continue
            }
            if let named = try? numbers.decode(String.self) { topic = named }
            guard let topic else { throw DecodingError.dataCorruptedError(in: numbers, debugDescription: "a range without a topic") }
            ranges.append(
                OffsetRange(
                    topic: topic, partition: try numbers.decode(Int32.self), from: try numbers.decode(Int64.self),
                    until: try numbers.decode(Int64.self)))
        }
    }
}

private struct PartText: Decodable {
    var part: SealedPart

    init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        let line: String
        do { line = try single.decode(String.self) } catch DecodingError.typeMismatch {
            part = try single.decode(SealedPart.self)
            return
        }
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        guard (3...5).contains(words.count), let number = Int(words[0]), let rows = Int64(words[1]) else {
            throw DecodingError.dataCorruptedError(in: single, debugDescription: "no sealed part")
        }
        part = SealedPart(
            part: number, rows: rows, digest: String(words[2]), sink: words.count > 3 ? Int(words[3]) : nil,
            refused: words.count > 4 ? Int64(words[4]) : nil)
    }
}

/// What a plan's text holds; fields that are not there stand in columns or in the frame.
struct PlanText: Decodable {
    /// A mark whose digest is that of the part in the batch that it names.
    struct Mark: Decodable {
        var mark: SealMark

        init(from decoder: any Decoder) throws {
            let single = try decoder.singleValueContainer()
            let words = try single.decode(String.self).split(separator: " ")
            if words.count == 3, let sink = Int(words[0]), let part = Int(words[1]), let batch = Int64(words[2]) {
                mark = SealMark(sink: sink, part: part, batch: batch, digest: "")
            } else {
                mark = try single.decode(SealMark.self)
            }
        }
    }

    var seed: UInt64
    var taskCounts: [Int]
    var splits: [Int: [Int64]]?
    var kind: BatchKind?
    var output: BatchPlan.OutputMode?
    var marks: [Int: RangeMark]?
    var predecessors: [Mark]?
    var stateBefore: StateText?
    var excluded: [OffsetRange]?
    var only: [OffsetRange]?
    var with: [String: String]?
    var repairs: [BatchNumber]?
    /// What the frame holds otherwise.
    var job, buildDigest, settingsDigest, planDigest, schemaDigest: String?
    var jobID: JobID?
    var keyGroups: Int?
    var lookups, topicIDs: [String: String]?

    private enum Key: String, CodingKey {
        case seed, taskCounts, splits, kind, output, marks, predecessors, stateBefore, excluded, only, repairs, with
        case job, buildDigest, settingsDigest, planDigest, schemaDigest, jobID, keyGroups, lookups, topicIDs
    }

    init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: Key.self)
        seed = try object.decode(UInt64.self, forKey: .seed)
        taskCounts = try object.decode([Int].self, forKey: .taskCounts)
        splits = try object.decodeIfPresent([Int: [Int64]].self, forKey: .splits)
        kind = try object.decodeIfPresent(BatchKind.self, forKey: .kind)
        output = try object.decodeIfPresent(BatchPlan.OutputMode.self, forKey: .output)
        marks = try object.decodeIfPresent([Int: RangeMark].self, forKey: .marks)
        predecessors = try object.decodeIfPresent([Mark].self, forKey: .predecessors)
        stateBefore = try object.decodeIfPresent(StateText.self, forKey: .stateBefore)
        excluded = try object.decodeIfPresent(RangeTexts.self, forKey: .excluded)?.ranges
        with = try object.decodeIfPresent([String: String].self, forKey: .with)
        only = try object.decodeIfPresent(RangeTexts.self, forKey: .only)?.ranges
        repairs = try object.decodeIfPresent([BatchNumber].self, forKey: .repairs)
        job = try object.decodeIfPresent(String.self, forKey: .job)
        buildDigest = try object.decodeIfPresent(String.self, forKey: .buildDigest)
        settingsDigest = try object.decodeIfPresent(String.self, forKey: .settingsDigest)
        planDigest = try object.decodeIfPresent(String.self, forKey: .planDigest)
        schemaDigest = try object.decodeIfPresent(String.self, forKey: .schemaDigest)
        jobID = try object.decodeIfPresent(JobID.self, forKey: .jobID)
        keyGroups = try object.decodeIfPresent(Int.self, forKey: .keyGroups)
        lookups = try object.decodeIfPresent([String: String].self, forKey: .lookups)
        topicIDs = try object.decodeIfPresent([String: String].self, forKey: .topicIDs)
    }
}

/// What an outcome's text holds; counts, digest and watermark stand in columns.
struct OutcomeText: Decodable {
    var parts: [SealedPart]
    var state: StateText?
    var rejectedRanges: [OffsetRange]
    var lateRanges: [OffsetRange]
    var retries: Int
    var workers: Int
    var timings: BatchTimings
    var tombstones, refused, failed, nextDueMillis, rejectedUnlisted, lateUnlisted, newestEventMillis: Int64?
    var offsetFiles: [OffsetFile]?

    private enum Key: String, CodingKey {
        case parts, state, rejectedRanges, lateRanges, rejectedUnlisted, lateUnlisted, retries, workers, timings, tombstones, refused, nextDueMillis
        case offsetFiles, newestEventMillis, failed
    }

    init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: Key.self)
        parts = try object.decode([PartText].self, forKey: .parts).map(\.part)
        state = try object.decodeIfPresent(StateText.self, forKey: .state)
        rejectedRanges = try object.decodeIfPresent(RangeTexts.self, forKey: .rejectedRanges)?.ranges ?? []
        lateRanges = try object.decodeIfPresent(RangeTexts.self, forKey: .lateRanges)?.ranges ?? []
        retries = try object.decodeIfPresent(Int.self, forKey: .retries) ?? 0
        workers = try object.decode(Int.self, forKey: .workers)
        timings = try object.decode(BatchTimings.self, forKey: .timings)
        tombstones = try object.decodeIfPresent(Int64.self, forKey: .tombstones)
        refused = try object.decodeIfPresent(Int64.self, forKey: .refused)
        failed = try object.decodeIfPresent(Int64.self, forKey: .failed)
        newestEventMillis = try object.decodeIfPresent(Int64.self, forKey: .newestEventMillis)
        offsetFiles = try object.decodeIfPresent([OffsetFile].self, forKey: .offsetFiles)
        rejectedUnlisted = try object.decodeIfPresent(Int64.self, forKey: .rejectedUnlisted)
        lateUnlisted = try object.decodeIfPresent(Int64.self, forKey: .lateUnlisted)
        nextDueMillis = try object.decodeIfPresent(Int64.self, forKey: .nextDueMillis)
    }
}

/// One row of `sluice_batches` with its frame, as `columns` selects it.
package struct LogRow {
    static let columns = """
        b.batch, b.state, b.epoch, b.planned_at_millis, b.done_at_millis, b.batch_time_millis, b.watermark_before_millis, \
        b.watermark_after_millis, b.rows_in, b.rows_out, b.late, b.rejected, b.unmatched, b.bytes_in, b.digest, b.plan, \
        b.outcome, b.ranges, f.plan
        """
    static let tables = "sluice_batches b LEFT JOIN sluice_frames f ON f.job_id = b.job_id AND f.frame = b.frame"

    let planText: PlanText
    let outcomeText: OutcomeText?
    private(set) var record: BatchRecord

    package init(_ row: [SQLValue], jobID: JobID) throws {
        var cells = CellReader(row, of: "sluice_batches")
        let (batch, state, epoch) = (try cells.int(), try cells.named(BatchState.self), try cells.int())
        let (plannedAt, doneAt, batchTime) = (try cells.int(), try cells.optionalInt(), try cells.int())
        let watermarkBefore = try cells.optionalInt()
        var outcome = BatchOutcome()
        outcome.watermarkAfterMillis = try cells.optionalInt()
        outcome.rowsIn = try cells.optionalInt() ?? 0
        outcome.rowsOut = try cells.optionalInt() ?? 0
        outcome.late = try cells.optionalInt() ?? 0
        outcome.rejected = try cells.optionalInt() ?? 0
        outcome.unmatched = try cells.optionalInt() ?? 0
        outcome.bytesIn = try cells.optionalInt() ?? 0
        outcome.digest = try cells.optionalText() ?? ""
        let text = try cells.json(PlanText.self)
        outcomeText = try cells.optionalJSON(OutcomeText.self)
        let ranges = try cells.ranges()
        let frame = try cells.optionalJSON(LogFrame.self)
        guard let buildDigest = text.buildDigest ?? frame?.buildDigest, let job = text.job ?? frame?.job,
            let settingsDigest = text.settingsDigest ?? frame?.settingsDigest,
            let planDigest = text.planDigest ?? frame?.planDigest, let keyGroups = text.keyGroups ?? frame?.keyGroups,
            let schemaDigest = text.schemaDigest ?? frame?.schemaDigest
        else { throw cells.unexpected("the frame of a plan") }
        planText = text
        var plan = BatchPlan(
            job: job, jobID: jobID, batch: batch, epoch: epoch, batchTimeMillis: batchTime, seed: text.seed, ranges: ranges,
            splits: text.splits ?? [:], watermarkBeforeMillis: watermarkBefore, taskCounts: text.taskCounts,
            keyGroups: keyGroups, buildDigest: buildDigest, settingsDigest: settingsDigest, planDigest: planDigest,
            schemaDigest: schemaDigest, lookups: text.lookups ?? frame?.lookups ?? [:],
            topicIDs: text.topicIDs ?? frame?.topicIDs ?? [:], stateBefore: nil)
        plan.output = text.output
        plan.kind = text.kind
        plan.excluded = text.excluded
        plan.only = text.only
        plan.with = text.with
        plan.repairs = text.repairs
        plan.marks = text.marks
        if let text = outcomeText {
            outcome.parts = text.parts
            outcome.rejectedRanges = text.rejectedRanges
            outcome.lateRanges = text.lateRanges
            outcome.retries = text.retries
            outcome.workers = text.workers
            outcome.timings = text.timings
            outcome.tombstones = text.tombstones
            outcome.refused = text.refused
            outcome.failed = text.failed
            outcome.newestEventMillis = text.newestEventMillis
            outcome.offsetFiles = text.offsetFiles
            outcome.rejectedUnlisted = text.rejectedUnlisted
            outcome.lateUnlisted = text.lateUnlisted
            outcome.nextDueMillis = text.nextDueMillis
        }
        record = BatchRecord(
            plan: plan, state: state, outcome: outcomeText == nil ? nil : outcome, plannedAtMillis: plannedAt, doneAtMillis: doneAt)
    }

    /// The row with what other rows say of it.
    package func completed(by past: inout LogPast.Reader) throws -> BatchRecord {
        var record = record
        record.plan.stateBefore = try planText.stateBefore.map { try past.whole($0) }
        record.plan.predecessors = try planText.predecessors?.compactMap { text in
            text.mark.digest.isEmpty ? try past.completed(text.mark) : text.mark
        }
        if let text = outcomeText {
            record.outcome?.state = try text.state.map { try past.whole($0) }
            past.note(record)
        }
        return record
    }
}
