// What recorded ranges prove, case by case.

import Driver
import Engine
import Testing

struct AuditTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var checkpoints: [OffsetRange] = []
        var foldedUntil: BatchNumber = 0
        var jumps: [Jump] = []
        /// Batch, partition, from, until.
        var ranges: [(BatchNumber, Int32, Int64, Int64)]
        var done: DoneBatches?
        var positions: [(Int32, Int64)] = []
        var findings: [AuditFinding] = []
        var testDescription: String { name }
    }

    static func finding(
        _ kind: AuditFinding.Kind, _ partition: Int32?, _ from: Int64, _ until: Int64, after: BatchNumber? = nil,
        at: BatchNumber? = nil
    ) -> AuditFinding {
        AuditFinding(
            kind: kind, topicPartition: partition.map { TopicPartition(topic: "t", partition: $0) }, from: from,
            until: until, afterBatch: after, atBatch: at)
    }

    static func jump(_ partition: Int32, _ old: Int64, _ new: Int64, after: BatchNumber) -> Jump {
        Jump(
            jobID: JobID(text: "j"), flag: "--accept", topic: "t", partition: partition, oldPosition: old,
            newPosition: new, afterBatch: after)
    }

    static let cases: [Case] = [
        Case(name: "an empty log passes", ranges: []),
        Case(
            name: "contiguous batches pass", ranges: [(1, 0, 5, 10), (2, 0, 10, 12), (4, 0, 12, 13)], positions: [(0, 13)]),
        Case(name: "partitions are apart", ranges: [(1, 0, 0, 10), (1, 1, 70, 80), (2, 0, 10, 20), (2, 1, 80, 90)]),
        Case(
            name: "a gap is named with its batches", ranges: [(1, 0, 0, 10), (3, 0, 12, 20)],
            findings: [finding(.gap, 0, 10, 12, after: 1, at: 3)]),
        Case(
            name: "an overlap is named", ranges: [(1, 0, 0, 10), (2, 0, 7, 20)],
            findings: [finding(.overlap, 0, 7, 10, after: 1, at: 2)]),
        Case(
            name: "every batch that reads again is named", ranges: [(1, 0, 0, 100), (2, 0, 50, 70), (3, 0, 70, 120)],
            findings: [finding(.overlap, 0, 50, 70, after: 1, at: 2), finding(.overlap, 0, 70, 100, after: 2, at: 3)]),
        Case(
            name: "a declared jump forward passes", jumps: [jump(0, 10, 50, after: 1)],
            ranges: [(1, 0, 0, 10), (2, 0, 50, 60)], positions: [(0, 60)]),
        Case(
            name: "a declared jump backward passes", jumps: [jump(0, 10, 0, after: 1)],
            ranges: [(1, 0, 0, 10), (2, 0, 0, 10), (3, 0, 10, 11)]),
        Case(
            name: "a jump covers its own partition only", jumps: [jump(0, 10, 50, after: 1)],
            ranges: [(1, 0, 0, 10), (1, 1, 0, 10), (2, 0, 50, 60), (2, 1, 50, 60)],
            findings: [finding(.gap, 1, 10, 50, after: 1, at: 2)]),
        Case(
            name: "a jump counts after its batch, not before", jumps: [jump(0, 10, 50, after: 2)],
            ranges: [(1, 0, 0, 10), (2, 0, 50, 60)],
            findings: [
                finding(.gap, 0, 10, 50, after: 1, at: 2), finding(.strayJump, 0, 60, 10, after: 2),
            ]),
        Case(
            name: "a jump that starts elsewhere is stray", jumps: [jump(0, 11, 50, after: 1)],
            ranges: [(1, 0, 0, 10), (2, 0, 50, 60)], findings: [finding(.strayJump, 0, 10, 11, after: 1)]),
        Case(
            name: "two jumps in a row are followed in order",
            jumps: [jump(0, 10, 50, after: 1), jump(0, 50, 30, after: 1)],
            ranges: [(1, 0, 0, 10), (2, 0, 30, 60)]),
        Case(
            name: "a jump after the last batch moves the position", jumps: [jump(0, 10, 50, after: 1)],
            ranges: [(1, 0, 0, 10)], positions: [(0, 50)]),
        Case(
            name: "a position elsewhere is named", ranges: [(1, 0, 0, 10)], positions: [(0, 11), (1, 3)],
            findings: [finding(.strayPosition, 0, 10, 11, after: 1)]),
        Case(
            name: "a checkpoint is the start", checkpoints: [OffsetRange(topic: "t", partition: 0, from: 3, until: 40)],
            foldedUntil: 9, ranges: [(10, 0, 40, 50)], done: DoneBatches(first: 10, last: 10, count: 1)),
        Case(
            name: "a gap after the checkpoint is named",
            checkpoints: [OffsetRange(topic: "t", partition: 0, from: 3, until: 40)], foldedUntil: 9,
            ranges: [(10, 0, 41, 50)], findings: [finding(.gap, 0, 40, 41, after: 0, at: 10)]),
        Case(
            name: "a jump within the checkpoint is part of it",
            checkpoints: [OffsetRange(topic: "t", partition: 0, from: 3, until: 40)], foldedUntil: 9,
            jumps: [jump(0, 5, 20, after: 4)], ranges: [(10, 0, 40, 50)]),
        Case(
            name: "a jump at the checkpoint's edge still counts",
            checkpoints: [OffsetRange(topic: "t", partition: 0, from: 3, until: 40)], foldedUntil: 9,
            jumps: [jump(0, 40, 60, after: 9)], ranges: [(10, 0, 60, 70)]),
        Case(
            name: "a missing batch is named", ranges: [], done: DoneBatches(first: 1, last: 5, count: 4),
            findings: [finding(.batchMissing, nil, 1, 5)]),
        Case(
            name: "a log that starts too late is named", ranges: [], done: DoneBatches(first: 3, last: 5, count: 3),
            findings: [finding(.batchMissing, nil, 1, 3)]),
    ]

    @Test(arguments: cases)
    func `the ranges of the log prove that every offset counted once`(_ test: Case) {
        var audit = Audit(checkpoints: test.checkpoints, foldedUntil: test.foldedUntil, jumps: test.jumps)
        for (batch, partition, from, until) in test.ranges {
            let range = OffsetRange(topic: "t", partition: partition, from: from, until: until)
            audit.add(LoggedRange(batch: batch, range: range))
        }
        let report = audit.report(
            done: test.done,
            positions: test.positions.map { PartitionPosition(topic: "t", partition: $0.0, position: $0.1) })
        #expect(report.findings == test.findings)
        #expect(report.jumps == test.jumps)
        #expect(report.passes(strict: false) == test.findings.isEmpty)
        #expect(report.passes(strict: true) == (test.findings.isEmpty && test.jumps.isEmpty))
    }

    @Test func `a finding names offsets and batches in words`() {
        #expect(
            Self.finding(.gap, 0, 10, 12, after: 1, at: 3).description
                == "gap in t/0: offsets [10, 12) were read by no batch (between batch 1 and batch 3)")
        #expect(
            Self.finding(.overlap, 0, 7, 10, after: 1, at: 2).description
                == "overlap in t/0: offsets [7, 10) were read again by batch 2")
    }

    @Test func `what was covered includes the jumps before the batch and no later ones`() {
        var audit = Audit(jumps: [Self.jump(0, 10, 50, after: 1), Self.jump(0, 50, 90, after: 2)])
        audit.add(LoggedRange(batch: 1, range: OffsetRange(topic: "t", partition: 0, from: 4, until: 10)))
        #expect(audit.takeCovered(before: 2) == [OffsetRange(topic: "t", partition: 0, from: 4, until: 50)])
        #expect(audit.takeCovered(before: 2) == [])
        audit.add(LoggedRange(batch: 2, range: OffsetRange(topic: "t", partition: 0, from: 50, until: 50)))
        #expect(audit.takeCovered(before: 3) == [OffsetRange(topic: "t", partition: 0, from: 50, until: 90)])
    }

    /// Hours of two batches each: what the row of an hour says goes on where the one before ended.
    private func hour(_ first: BatchNumber, _ kind: BatchKind, _ from: Int64, _ until: Int64) -> LogHour {
        LogHour(
            hourMillis: first, kind: kind, firstBatch: first, lastBatch: first + 1, batches: 2,
            ranges: [OffsetRange(topic: "t", partition: 0, from: from, until: until)])
    }

    @Test func `hours prove what their batches proved`() {
        // The jump after batch 2 lies between the hours, the one after batch 3 within the second, the last behind it.
        var audit = Audit(
            checkpoints: [OffsetRange(topic: "t", partition: 0, from: 0, until: 10)],
            jumps: [Self.jump(0, 20, 30, after: 2), Self.jump(0, 35, 5, after: 3), Self.jump(0, 9, 50, after: 4)])
        audit.add(hour(1, .live, 10, 20))
        // A redrive reads again what was read, by right.
        audit.add(hour(2, .redrive, 0, 20))
        audit.add(hour(3, .live, 20, 9))
        audit.add(LoggedRange(batch: 5, range: OffsetRange(topic: "t", partition: 0, from: 50, until: 60)))
        let report = audit.report(
            done: DoneBatches(first: 5, last: 5, count: 1), foldedUntil: 4,
            positions: [PartitionPosition(topic: "t", partition: 0, position: 60)])
        #expect(report.findings == [] && report.batches == 5)
        #expect(report.partitions.map(\.range) == [OffsetRange(topic: "t", partition: 0, from: 0, until: 60)])
    }

    @Test func `an hour that does not go on where the one before ended is found`() {
        for (from, kind) in [(19, AuditFinding.Kind.overlap), (21, .gap)] as [(Int64, AuditFinding.Kind)] {
            var audit = Audit()
            audit.add(hour(1, .live, 10, 20))
            audit.add(hour(3, .live, from, 30))
            #expect(audit.findings.map(\.kind) == [kind])
        }
    }
}
