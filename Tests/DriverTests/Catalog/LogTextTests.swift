import Driver
import Engine
import Foundation
import Testing

/// The hand-written JSON against the general encoder's.
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
            plan.predecessors = [SealMark(part: 1, batch: 7, digest: "d"), SealMark(sink: 2, part: 0, batch: 8, digest: "e")]
            plan.marks = [
                0: RangeMark(source: 1, split: hostile, from: "f", until: "u", leaderEpoch: 4), 1: RangeMark(leaderEpoch: 0),
                10: RangeMark(), 2: RangeMark(source: 1),
            ]
        }
        return plan
    }

    @Test(arguments: [true, false]) func `a plan is written as the general encoder writes it`(full: Bool) throws {
        let plan = plan(full: full)
        if full { #expect(emptyFields(plan) == []) }
        var bare = plan
        bare.ranges = []
        #expect(planText(plan) == (try general(bare)))
    }

    @Test(arguments: [true, false]) func `an outcome is written as the general encoder writes it`(full: Bool) throws {
        var outcome = BatchOutcome()
        if full {
            outcome.rowsIn = 1
            outcome.rowsOut = 2
            outcome.late = 3
            outcome.rejected = 4
            outcome.unmatched = 5
            outcome.bytesIn = .max
            outcome.digest = hostile
            outcome.parts = [SealedPart(part: 0, rows: 9, digest: "d"), SealedPart(part: 1, rows: 0, digest: hostile, sink: 1, refused: 2)]
            outcome.watermarkAfterMillis = .min
            outcome.state = state
            outcome.rejectedRanges = ranges
            outcome.lateRanges = Array(ranges.reversed())
            outcome.retries = 6
            outcome.workers = 7
            outcome.tombstones = 8
            outcome.refused = 9
            outcome.nextDueMillis = .max
            outcome.timings.planMillis = 0.1
            outcome.timings.runMillis = 1e-7
            outcome.timings.sealMillis = 12345678.5
            outcome.timings.commitMillis = 3
            outcome.timings.previousCommitMillis = 1e22
            #expect(emptyFields(outcome) + emptyFields(outcome.timings) == [])
        }
        #expect(outcomeText(outcome) == (try general(outcome)))
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
