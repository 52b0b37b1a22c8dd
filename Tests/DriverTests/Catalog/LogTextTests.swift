import Driver
import Engine
import Foundation
import Testing

/// What the log holds of plans, outcomes and positions, written and read back.
struct LogTextTests {
    private let hostile = "a\"b\\c/d\u{1}\u{8}\t\n\u{c}\r\u{1f}\u{7f}é\u{1F600}"

    private func general(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Fields that hold nothing would hide that they are not written.
    private func emptyFields(_ value: Any) -> [String] {
        Mirror(reflecting: value).children.compactMap { child in
            let text = "\(child.value)"
            return ["nil", "[]", "[:]", ""].contains(text) ? child.label : nil
        }
    }

    private var state: StateManifest {
        let files = [
            StateFile(kind: .snapshot, version: 7, name: hostile, inline: false, bytes: 12, rows: 3, digest: "d1"),
            StateFile(kind: .delta, version: 8, name: "n 2", inline: true, bytes: 1, rows: 0, digest: "d2"),
        ]
        return StateManifest(
            version: 8,
            entries: [
                .init(firstGroup: 0, untilGroup: 64, files: files, operatorID: 3), .init(firstGroup: 64, untilGroup: 128, files: []),
            ], keyGroups: 128)
    }

    private var ranges: [OffsetRange] {
        [
            OffsetRange(topic: hostile, partition: 3, from: 0, until: .max),
            OffsetRange(topic: "t", partition: 0, from: 7, until: 8),
        ]
    }

    private func plan(full: Bool) -> BatchPlan {
        var plan = BatchPlan(
            job: hostile, jobID: JobID(text: "id"), batch: 9, epoch: 2, batchTimeMillis: -1, seed: .max, ranges: ranges,
            splits: full ? [2: [1, 2], 10: []] : [:], watermarkBeforeMillis: full ? 5 : nil, taskCounts: [2, 1], keyGroups: 128,
            buildDigest: "b", settingsDigest: "s", planDigest: "p", schemaDigest: "c",
            lookups: full ? ["z": hostile, "a": "x", "A": "y", "ä": "z"] : [:], topicIDs: full ? [hostile: "i"] : [:],
            stateBefore: full ? state : nil)
        if full {
            plan.output = .complete
            plan.kind = .repair
            plan.excluded = ranges
            plan.repairs = [3, 7]
            plan.only = ranges
            plan.with = ["b": hostile, "a": "1"]
            plan.predecessors = [SealMark(part: 1, batch: 7, digest: "d"), SealMark(sink: 2, part: 0, batch: 8, digest: "e")]
            plan.marks = [
                0: RangeMark(source: 1, split: hostile, from: "f", until: "u", leaderEpoch: 4), 1: RangeMark(leaderEpoch: 0),
                10: RangeMark(), 2: RangeMark(source: 1),
            ]
        }
        return plan
    }

    private func outcome(full: Bool) -> BatchOutcome {
        var outcome = BatchOutcome()
        guard full else { return outcome }
        outcome.rowsIn = 1
        outcome.rowsOut = 2
        outcome.late = 3
        outcome.rejected = 4
        outcome.unmatched = 5
        outcome.bytesIn = .max
        outcome.digest = hostile
        outcome.parts = [
            SealedPart(part: 0, rows: 9, digest: "d"), SealedPart(part: 1, rows: 0, digest: hostile, sink: 1, refused: 2),
            SealedPart(part: 2, rows: 3, digest: "e", refused: 4), SealedPart(part: 3, rows: 3, digest: "f", sink: 5),
            SealedPart(part: 4, rows: 3, digest: "", sink: 5),
        ]
        outcome.watermarkAfterMillis = .min
        outcome.state = state
        outcome.rejectedRanges = ranges
        outcome.lateRanges = Array(ranges.reversed())
        outcome.retries = 6
        outcome.workers = 7
        outcome.tombstones = 8
        outcome.refused = 9
        outcome.failed = 10
        outcome.offsetFiles = [OffsetFile(content: .late, topic: hostile, partition: 3, name: hostile, offsets: .max, ranges: 4, digest: "d")]
        outcome.newestEventMillis = .max
        outcome.rejectedUnlisted = 10
        outcome.lateUnlisted = 11
        outcome.nextDueMillis = .max
        outcome.timings.planMillis = 0.1
        outcome.timings.runMillis = 1e-7
        outcome.timings.sealMillis = 12345678.5
        outcome.timings.commitMillis = 3
        outcome.timings.previousCommitMillis = 1e22
        return outcome
    }

    /// The cells that a row would have, in the order of `LogRow.columns`.
    private func cells(_ plan: BatchPlan, _ planText: String, frame: String?, _ outcome: BatchOutcome?, _ outcomeText: String?) -> [SQLValue] {
        func int(_ value: Int64?) -> SQLValue { value.map { .int($0) } ?? .null }
        func text(_ value: String?) -> SQLValue { value.map { .text($0) } ?? .null }
        return [
            .int(plan.batch), .text(outcome == nil ? "planned" : "done"), .int(plan.epoch), .int(1), int(outcome.map { _ in 2 }),
            .int(plan.batchTimeMillis), int(plan.watermarkBeforeMillis), int(outcome?.watermarkAfterMillis), int(outcome?.rowsIn),
            int(outcome?.rowsOut), int(outcome?.late), int(outcome?.rejected), int(outcome?.unmatched), int(outcome?.bytesIn),
            text(outcome?.digest), .text(planText), text(outcomeText), .text(RangeText.text(plan.ranges)), text(frame),
        ]
    }

    private func read(
        _ cells: [SQLValue], _ jobID: JobID, states: [BatchNumber: StateManifest] = [:], parts: [BatchNumber: [SealedPart]] = [:]
    ) throws -> BatchRecord {
        var past = LogPast.Reader(
            stored: { version in
                try states[version].map { try JSONDecoder().decode(StateText.self, from: Data(manifestText($0).utf8)) }
            }, parts: { parts[$0] })
        return try LogRow(cells, jobID: jobID).completed(by: &past)
    }

    @Test(arguments: [true, false]) func `a plan and its outcome are read as they were written`(full: Bool) throws {
        let (plan, outcome) = (plan(full: full), outcome(full: full))
        if full {
            #expect(emptyFields(plan) == [])
            #expect(emptyFields(outcome) + emptyFields(outcome.timings) == [])
        }
        let frame = try general(LogFrame(plan))
        let record = try read(
            cells(plan, planText(plan, past: nil), frame: frame, outcome, outcomeText(outcome, past: nil)), plan.jobID)
        #expect(record.plan == plan)
        #expect(record.outcome == outcome)
        let open = try read(cells(plan, planText(plan, past: nil), frame: frame, nil, nil), plan.jobID)
        #expect(open.plan == plan && open.outcome == nil)
    }

    @Test(arguments: [true, false]) func `rows of earlier builds repeat everything and are read`(full: Bool) throws {
        let (plan, outcome) = (plan(full: full), outcome(full: full))
        let record = try read(cells(plan, general(plan), frame: nil, outcome, general(outcome)), plan.jobID)
        #expect(record.plan == plan)
        #expect(record.outcome == outcome)
    }

    @Test func `a row names what the batch before says and does not repeat it`() throws {
        var before = outcome(full: true)
        before.parts = [SealedPart(part: 1, rows: 3, digest: "16d24f44f0788c198b157e466c71b2c9", sink: 2)]
        let digest = "2ef20310224d7f4e63e7e81570c6fa23"
        func file(_ version: BatchNumber) -> StateFile {
            StateFile(
                kind: .delta, version: version, name: "v\(version)-0-64-1-1-\(digest)", inline: true, bytes: 5, rows: 1, digest: digest)
        }
        let entries = (0..<64).map { part in
            StateManifest.Entry(firstGroup: part, untilGroup: part + 1, files: (1...8).map { file($0) }, operatorID: part)
        }
        before.state = StateManifest(version: 8, entries: entries, keyGroups: 64)
        let past = LogPast(epoch: 2).after(8, before)
        var plan = plan(full: true)
        plan.stateBefore = before.state
        plan.predecessors = [
            SealMark(sink: 2, part: 1, batch: 8, digest: before.parts[0].digest), SealMark(sink: 2, part: 3, batch: 7, digest: "x"),
            // The log says otherwise: it stands as it is.
            SealMark(sink: 1, part: 1, batch: 8, digest: "y"),
        ]
        var after = outcome(full: true)
        var state = try #require(before.state)
        state.version = 9
        state.entries[3].files = [StateFile(kind: .snapshot, version: 9, name: "odd name", inline: false, bytes: 5, rows: 1, digest: "=")]
        state.entries[7].files.append(file(9))
        state.entries[9].files.removeLast()
        after.state = state
        let (planText, outcomeText) = (planText(plan, past: past), outcomeText(after, past: past))
        #expect(!planText.contains("v8-0-64") && planText.contains("\"2 1 8\""))
        #expect(!outcomeText.contains("v8-0-64") && outcomeText.contains("v9-0-64") && outcomeText.utf8.count < 1200)
        let record = try read(
            cells(plan, planText, frame: general(LogFrame(plan)), after, outcomeText), plan.jobID,
            states: [8: before.state!], parts: [8: before.parts])
        #expect(record.plan == plan)
        #expect(record.outcome == after)
        // Without the batch before, nothing is guessed.
        #expect(throws: Failure.self) {
            try read(cells(plan, planText, frame: general(LogFrame(plan)), after, outcomeText), plan.jobID)
        }
    }

    @Test func `key groups that were divided anew are written whole`() throws {
        var before = outcome(full: true)
        before.state = state
        before.state?.version = 8
        let past = LogPast(epoch: 1).after(8, before)
        for change in [
            { (state: inout StateManifest) in state.keyGroups = 64 }, { $0.entries[0].untilGroup = 63 },
            { $0.entries.removeLast() }, { $0.entries[1].operatorID = 4 },
        ] as [(inout StateManifest) -> Void] {
            var after = outcome(full: true)
            change(&after.state!)
            #expect(outcomeText(after, past: past).contains("firstGroup"))
        }
        #expect(!outcomeText(outcome(full: true), past: past).contains("firstGroup"))
    }

    @Test func `positions are written as the general encoder writes them`() throws {
        let positions = [
            PartitionPosition(
                topic: hostile, partition: 7, position: 8, tailOffset: 6, tailHash: "hash", maxEventTimeMillis: -4,
                leaderEpoch: 3, foundMillis: 12),
            PartitionPosition(topic: "t", partition: 0, position: 0),
        ]
        #expect(emptyFields(positions[0]) == [])
        #expect(positionsText(positions) == (try general(positions)))
        #expect(positionsText([]) == "[]")
    }
}
