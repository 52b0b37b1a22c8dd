import Driver
import Engine
import Testing

@Suite struct SinkTrialTests {
    let marks = [(1, 0), (1, 1), (2, 0), (4, 0)].map { batch, part in
        SealMark(part: part, batch: BatchNumber(batch), digest: "d\(batch)\(part)")
    }

    @Test func `every part is killed before and behind its commit, repeated, forged and overtaken`() {
        let steps = SinkTrial.steps(marks)
        for mark in marks {
            let own = steps.filter { $0.batch == mark.batch && $0.part == mark.part }
            #expect(own.contains { $0.delivery == .killed(at: "sink-written") && $0.expected == .unchanged(nil) })
            #expect(own.filter { $0.expected == .written }.count == 1)
            #expect(own.contains { $0.delivery == .plain && $0.expected == .unchanged(.alreadySealed) })
            #expect(own.contains { $0.delivery == .otherContent && $0.expected == .refused(.ledgerConflict) })
        }
        // The next one before its turn, and an older one behind it.
        func index(_ batch: BatchNumber, _ delivery: SinkTrial.Delivery, _ expected: SinkTrial.Expectation) -> Int? {
            steps.firstIndex { $0.batch == batch && $0.part == 0 && $0.delivery == delivery && $0.expected == expected }
        }
        let written = steps.firstIndex { $0.batch == 1 && $0.part == 0 && $0.expected == .written }!
        #expect(index(2, .plain, .refused(.ledgerConflict))! < written)
        let second = steps.firstIndex { $0.batch == 2 && $0.expected == .written }!
        #expect(index(1, .plain, .refused(.ledgerConflict))! > second)
        #expect(steps.filter { $0.delivery == .oldEpoch }.map(\.batch) == [4, 1])
        #expect(SinkTrial.steps([]).isEmpty)
    }

    @Test func `the trial follows what it delivered itself`() {
        #expect(SinkTrial.predecessor(of: marks[0], in: marks) == .nothing)
        #expect(SinkTrial.predecessor(of: marks[3], in: marks) == .seal(batch: 2, digest: "d20"))
        #expect(SinkTrial.predecessor(of: marks[1], in: marks) == .nothing)
    }
}
