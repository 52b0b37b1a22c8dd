import Driver
import Engine
import Testing

private func place(_ number: Int32) -> TopicPartition { TopicPartition(topic: "t", partition: number) }

private func answer(_ id: String?, _ ends: [Int64], epochs: [Int32] = []) -> SourceAnswer {
    SourceAnswer(
        topicID: id, ends: Dictionary(uniqueKeysWithValues: ends.enumerated().map { (place(Int32($0.offset)), $0.element) }),
        leaderEpochs: Dictionary(uniqueKeysWithValues: epochs.enumerated().map { (place(Int32($0.offset)), $0.element) }))
}

private let positions = [
    PartitionPosition(topic: "t", partition: 0, position: 100, tailOffset: 99, tailHash: "a", leaderEpoch: 4),
    PartitionPosition(topic: "t", partition: 1, position: 0),
]

@Suite struct SourceIdentityTests {
    private func other(_ verdict: SourceIdentity.Verdict) -> Failure? {
        if case .other(let failure) = verdict { return failure }
        return nil
    }

    @Test func `an equal id is the same topic, asked at most once a second`() {
        var identity = SourceIdentity(topic: "t", topicID: "A", lastDone: 7)
        #expect(identity.isDue(nowMillis: 50))
        #expect(identity.answered(answer("A", [100, 0]), positions: positions, nowMillis: 50) == .same)
        #expect(!identity.isDue(nowMillis: 1049) && identity.isDue(nowMillis: 1050))
    }

    @Test func `a topic made again and filled while the job rested stops before the seal and names what is suspect`() throws {
        var identity = SourceIdentity(topic: "t", topicID: "A", lastDone: 7)
        #expect(identity.answered(answer("A", [100, 0]), positions: positions, nowMillis: 0) == .same)
        identity.batchDone(8)
        identity.batchDone(9)
        #expect(identity.suspects == 8...9)
        // Longer than what was read: only the id tells.
        let failure = try #require(other(identity.answered(answer("B", [200, 9]), positions: positions, nowMillis: 90_000)))
        #expect(failure.code == .topicRecreated)
        #expect(failure.what.contains("deleted and made again"))
        #expect(failure.now.contains("batches 8 to 9") && failure.now.contains("--accept-topic"))
        #expect(!failure.description.contains("--accept-loss"))
    }

    @Test func `an id that nobody tells is unknown and not equal`() {
        var identity = SourceIdentity(topic: "t", topicID: "A", lastDone: 7)
        identity.batchDone(8)
        #expect(identity.answered(answer(nil, [100, 0]), positions: positions, nowMillis: 0) == .unknown)
        #expect(identity.suspects == 8...8)
        #expect(identity.answered(answer("A", [100, 0]), positions: positions, nowMillis: 5000) == .same)
        #expect(identity.suspects == nil)
        var old = SourceIdentity(topic: "t", topicID: nil, lastDone: 7)
        old.batchDone(8)
        #expect(old.answered(answer(nil, [100, 0]), positions: positions, nowMillis: 0) == .unknown)
        #expect(old.tail(of: positions[0], isEqual: true) == nil)
        #expect(old.suspects == nil)
        // Batch 9 was sealed since; the record that the log remembers is not there.
        old.batchDone(9)
        let failure = old.tail(of: positions[0], isEqual: false)
        #expect(failure?.code == .topicRecreated && failure?.now.contains("batch 9 was DONE since") == true, "\(String(describing: failure))")
    }

    @Test func `an end before what was read stops only when it is said twice`() throws {
        var identity = SourceIdentity(topic: "t", topicID: "A", lastDone: 7)
        let short = answer("A", [99, 0])
        #expect(identity.answered(short, positions: positions, nowMillis: 0) == .askAgain(afterMillis: 1000))
        #expect(identity.isDue(nowMillis: 1))
        #expect(identity.answered(short, positions: positions, nowMillis: 400) == .askAgain(afterMillis: 600))
        #expect(identity.answered(answer("A", [100, 0]), positions: positions, nowMillis: 800) == .same)
        #expect(identity.answered(short, positions: positions, nowMillis: 2000) == .askAgain(afterMillis: 1000))
        let failure = try #require(other(identity.answered(short, positions: positions, nowMillis: 3000)))
        #expect(failure.what.contains("truncated") && failure.what.contains("99") && failure.what.contains("100"))
        #expect(failure.why.contains("same one") && !failure.description.contains("--accept-loss"))
    }

    @Test func `an end before what the open batch has read counts like one before the log`() {
        var identity = SourceIdentity(topic: "t", topicID: "A", lastDone: 7)
        let verdict = identity.answered(answer("A", [150, 0]), positions: positions, reached: [place(0): 160], nowMillis: 0)
        #expect(verdict == .askAgain(afterMillis: 1000))
    }

    @Test func `without an id a leader's epoch that went back tells a topic made again`() throws {
        var identity = SourceIdentity(topic: "t", topicID: nil, lastDone: 0)
        let fresh = answer(nil, [500, 0], epochs: [0, 0])
        #expect(identity.answered(fresh, positions: positions, nowMillis: 0) == .askAgain(afterMillis: 1000))
        let failure = try #require(other(identity.answered(fresh, positions: positions, nowMillis: 1000)))
        #expect(failure.what.contains("epoch 0") && failure.what.contains("epoch 4"))
        // With an equal id it is a leader that has not heard of its successor.
        var known = SourceIdentity(topic: "t", topicID: "A", lastDone: 0)
        #expect(known.answered(answer("A", [500, 0], epochs: [3, 0]), positions: positions, nowMillis: 0) == .same)
    }

    @Test func `a moved cluster is accepted by equal tails and by nothing else`() {
        func refused(_ tails: [TopicPartition: TopicAcceptance.Tail], ends: [Int64] = [100, 0]) -> String? {
            do throws(Failure) {
                try TopicAcceptance.check(topic: "t", positions: positions, ends: answer(nil, ends).ends, tails: tails)
                return nil
            } catch { return error.why }
        }
        #expect(refused([place(0): .equal]) == nil)
        #expect(refused([place(0): .different])?.contains("another record at 99") == true)
        #expect(refused([place(0): .gone])?.contains("nothing can be compared") == true)
        #expect(refused([:])?.contains("nothing can be compared") == true)
        #expect(refused([place(0): .equal], ends: [99, 0])?.contains("ends at 99") == true)
        #expect(refused([place(0): .equal], ends: [100])?.contains("t/1 is not there") == true)
    }
}
