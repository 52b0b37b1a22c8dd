import Engine
import TestSupport
import Testing

import Driver

private typealias Attempt = StageTracker.Attempt
private typealias Action = StageTracker.Action

private func weather(_ code: Failure.Code) -> Failure { Failure(code, "it broke", why: "a test says so", now: "nothing") }

private func launched(_ actions: [Action]) -> [Attempt] {
    actions.flatMap { action -> [Attempt] in if case .launch(let attempts) = action { attempts } else { [] } }
}

private func sealing(_ actions: [Action]) -> [Attempt] {
    actions.flatMap { action -> [Attempt] in if case .seal(let attempts) = action { attempts } else { [] } }
}

@Suite struct StageTrackerTests {
    @Test func `the last stage starts when every source task has succeeded`() {
        var tracker = StageTracker(taskCounts: [2, 3], maxAttempts: 3)
        let sources = launched(tracker.start())
        #expect(sources.map(\.part) == [0, 1])
        #expect(tracker.handle(.taskSucceeded(sources[0], worker: "a")) == [])
        let merges = launched(tracker.handle(.taskSucceeded(sources[1], worker: "b")))
        #expect(merges == (0..<3).map { Attempt(stage: 1, part: $0, attempt: 1) })
    }

    @Test func `nothing is sealed before the limits were checked`() {
        var tracker = StageTracker(taskCounts: [1], maxAttempts: 3)
        let first = launched(tracker.start())[0]
        #expect(tracker.handle(.taskSucceeded(first, worker: "a")) == [.allReported])
        #expect(tracker.handle(.sealAllowed) == [.seal([first])])
        #expect(tracker.handle(.partSealed(first)) == [.finished])
        #expect(tracker.handle(.sealAllowed) == [])
    }

    @Test func `an answer of an older attempt changes nothing`() {
        var tracker = StageTracker(taskCounts: [1], maxAttempts: 3)
        let first = launched(tracker.start())[0]
        let second = launched(tracker.handle(.taskFailed(first, weather(.readTimeout))))[0]
        #expect(second.attempt == 2)
        #expect(tracker.handle(.taskSucceeded(first, worker: "a")) == [])
        #expect(tracker.handle(.taskFailed(first, weather(.internal))) == [])
        #expect(tracker.handle(.taskSucceeded(second, worker: "a")) == [.allReported])
        #expect(tracker.retries == 1)
    }

    @Test func `a task that keeps failing gives the batch up after its last attempt`() {
        var tracker = StageTracker(taskCounts: [1], maxAttempts: 3)
        var attempt = launched(tracker.start())[0]
        attempt = launched(tracker.handle(.taskFailed(attempt, weather(.readTimeout))))[0]
        attempt = launched(tracker.handle(.taskFailed(attempt, weather(.readTimeout))))[0]
        #expect(tracker.handle(.taskFailed(attempt, weather(.readTimeout))) == [.fail(weather(.readTimeout))])
        #expect(tracker.handle(.workerLost("a")) == [])
    }

    @Test func `a failure that must stop the job stops it at once`() {
        var tracker = StageTracker(taskCounts: [2], maxAttempts: 3)
        let attempts = launched(tracker.start())
        #expect(tracker.handle(.taskFailed(attempts[0], weather(.offsetsGone))) == [.fail(weather(.offsetsGone))])
        #expect(tracker.handle(.taskSucceeded(attempts[1], worker: "a")) == [])
    }

    @Test func `a lost block runs its task again and the reader waits for it`() {
        var tracker = StageTracker(taskCounts: [2, 1], maxAttempts: 3)
        let sources = launched(tracker.start())
        _ = tracker.handle(.taskSucceeded(sources[0], worker: "a"))
        let merge = launched(tracker.handle(.taskSucceeded(sources[1], worker: "b")))[0]
        let again = launched(tracker.handle(.taskFailed(merge, weather(.blockLost), lostParent: (part: 1, attempt: 1))))
        #expect(again == [Attempt(stage: 0, part: 1, attempt: 2)])
        #expect(launched(tracker.handle(.taskSucceeded(again[0], worker: "a"))) == [Attempt(stage: 1, part: 0, attempt: 2)])
    }

    @Test func `a lost worker takes its blocks and its unsealed rows with it`() {
        var tracker = StageTracker(taskCounts: [2, 2], maxAttempts: 3)
        let sources = launched(tracker.start())
        _ = tracker.handle(.taskSucceeded(sources[0], worker: "a"))
        let merges = launched(tracker.handle(.taskSucceeded(sources[1], worker: "b")))
        _ = tracker.handle(.taskSucceeded(merges[0], worker: "a"))
        // Part 1 still needs blocks: those of `a` are made again, and so is part 0, whose rows `a` held.
        let again = launched(tracker.handle(.workerLost("a")))
        #expect(again == [Attempt(stage: 0, part: 0, attempt: 2)])
    }

    @Test func `a worker lost before its rows are sealed has them computed again`() {
        var tracker = StageTracker(taskCounts: [1], maxAttempts: 3)
        let first = launched(tracker.start())[0]
        _ = tracker.handle(.taskSucceeded(first, worker: "a"))
        _ = tracker.handle(.sealAllowed)
        let again = launched(tracker.handle(.sealFailed(first, weather(.workerUnreachable))))
        #expect(again == [Attempt(stage: 0, part: 0, attempt: 2)])
        #expect(tracker.handle(.taskSucceeded(again[0], worker: "b")) == [.seal([again[0]])])
    }

    /// A broken seal call means two things at once; a reader started between them would find no block and count nothing.
    @Test func `a worker lost while it seals has its blocks made again before the part is merged again`() {
        var tracker = StageTracker(taskCounts: [2, 2], maxAttempts: 3)
        let sources = launched(tracker.start())
        _ = tracker.handle(.taskSucceeded(sources[0], worker: "a"))
        let merges = launched(tracker.handle(.taskSucceeded(sources[1], worker: "b")))
        _ = tracker.handle(merges.map { .taskSucceeded($0, worker: "a") })
        _ = tracker.handle(.sealAllowed)
        let again = launched(
            tracker.handle(merges.map { .sealFailed($0, weather(.workerUnreachable)) } + [.workerLost("a")]))
        #expect(again == [Attempt(stage: 0, part: 0, attempt: 2)])
        #expect(
            launched(tracker.handle(.taskSucceeded(again[0], worker: "b")))
                == (0..<2).map { Attempt(stage: 1, part: $0, attempt: 2) })
    }

    @Test func `a busy sink is asked again without computing anything`() {
        var tracker = StageTracker(taskCounts: [1], maxAttempts: 3)
        let first = launched(tracker.start())[0]
        _ = tracker.handle(.taskSucceeded(first, worker: "a"))
        _ = tracker.handle(.sealAllowed)
        #expect(tracker.handle(.sealFailed(first, weather(.databaseBusy))) == [.rest(weather(.databaseBusy))])
        #expect(tracker.handle(.rested) == [.seal([first])])
        #expect(tracker.handle(.partSealed(first)) == [.finished])
    }

    @Test(arguments: [
        Failure.Code.databaseUnreachable, .databaseBusy, .databaseReadOnly, .diskFull, .brokerUnreachable, .kafkaTransient,
    ])
    func `a sink that is away for long costs no attempt, and its parts are asked again together`(code: Failure.Code) {
        var tracker = StageTracker(taskCounts: [3], maxAttempts: 2)
        let attempts = launched(tracker.start())
        for attempt in attempts { _ = tracker.handle(.taskSucceeded(attempt, worker: "a")) }
        #expect(sealing(tracker.handle(.sealAllowed)) == attempts)
        for _ in 0..<20 {
            #expect(tracker.handle(.sealFailed(attempts[1], weather(code))) == [.rest(weather(code))])
            // The others answer while the pause runs: nobody is asked meanwhile, and no second pause begins.
            #expect(tracker.handle(.sealFailed(attempts[0], weather(code))) == [])
            #expect(tracker.handle(.sealFailed(attempts[2], weather(code))) == [])
            #expect(tracker.handle(.rested) == [.seal(attempts)])
            #expect(tracker.handle(.rested) == [])
        }
        #expect(tracker.handle(.partSealed(attempts[1])) == [])
        #expect(tracker.handle(.sealFailed(attempts[0], weather(code))) == [.rest(weather(code))])
        #expect(tracker.handle(.partSealed(attempts[2])) == [])
        #expect(tracker.handle(.rested) == [.seal([attempts[0]])])
        #expect(tracker.handle(.partSealed(attempts[0])) == [.finished])
        #expect(tracker.retries == 0)
    }

    @Test func `a worker lost while the sink is away has its part computed again, and sealed when the pause is over`() {
        var tracker = StageTracker(taskCounts: [2], maxAttempts: 2)
        let attempts = launched(tracker.start())
        for (attempt, worker) in zip(attempts, ["a", "b"]) { _ = tracker.handle(.taskSucceeded(attempt, worker: worker)) }
        _ = tracker.handle(.sealAllowed)
        _ = tracker.handle(attempts.map { .sealFailed($0, weather(.databaseUnreachable)) })
        #expect(tracker.holder(stage: 0, part: 0)?.worker == "a")
        let again = launched(tracker.handle(.workerLost("a")))
        #expect(again == [Attempt(stage: 0, part: 0, attempt: 2)])
        #expect(tracker.handle(.taskSucceeded(again[0], worker: "b")) == [])
        #expect(tracker.handle(.rested) == [.seal([again[0], attempts[1]])])
    }

    @Test func `a part whose worker alone does not reach the sink is computed elsewhere, once`() {
        var tracker = StageTracker(taskCounts: [3], maxAttempts: 2)
        let attempts = launched(tracker.start())
        for (attempt, worker) in zip(attempts, ["a", "b", "c"]) { _ = tracker.handle(.taskSucceeded(attempt, worker: worker)) }
        _ = tracker.handle(.sealAllowed)
        _ = tracker.handle(.partSealed(attempts[0]))
        _ = tracker.handle(.partSealed(attempts[2]))
        let away = weather(.databaseUnreachable)
        for _ in 0..<2 {
            #expect(tracker.handle(.sealFailed(attempts[1], away)) == [.rest(away)])
            #expect(tracker.handle(.rested) == [.seal([attempts[1]])])
        }
        let again = launched(tracker.handle(.sealFailed(attempts[1], away)))
        #expect(again == [Attempt(stage: 0, part: 1, attempt: 2)])
        #expect(tracker.handle(.taskSucceeded(again[0], worker: "c")) == [.seal(again)])
        // Now it is the sink, and what was computed waits however long that is.
        for _ in 0..<20 {
            #expect(tracker.handle(.sealFailed(again[0], away)) == [.rest(away)])
            #expect(tracker.handle(.rested) == [.seal(again)])
        }
        #expect(tracker.handle(.partSealed(again[0])) == [.finished])
    }

    @Test func `a refused seal stops the job`() {
        var tracker = StageTracker(taskCounts: [1], maxAttempts: 3)
        let first = launched(tracker.start())[0]
        _ = tracker.handle(.taskSucceeded(first, worker: "a"))
        _ = tracker.handle(.sealAllowed)
        #expect(tracker.handle(.sealFailed(first, weather(.ledgerConflict))) == [.fail(weather(.ledgerConflict))])
    }

    /// Random answers, losses and repetitions: whatever happens, no attempt is started twice, none is sealed twice, and
    /// a batch that finishes has sealed every part.
    @Test(arguments: 0..<300) func `any order of events ends in one finish with every part sealed once`(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let counts = random.below(2) == 0 ? [3] : [3, 2]
        var tracker = StageTracker(taskCounts: counts, maxAttempts: 1000)
        var running: [Attempt] = []
        var seals: [Attempt] = []
        var seen = Set<Attempt>()
        var sealedParts: [Int] = []
        var finished = 0
        var pauses = 0
        var queue = tracker.start()
        var steps = 0
        while finished == 0 {
            steps += 1
            guard steps < 100_000 else {
                Issue.record("seed \(seed) does not end")
                return
            }
            while !queue.isEmpty {
                switch queue.removeFirst() {
                case .launch(let attempts):
                    for attempt in attempts {
                        #expect(seen.insert(attempt).inserted)
                        guard attempt.stage == 1 else { continue }
                        #expect((0..<counts[0]).allSatisfy { tracker.holder(stage: 0, part: $0) != nil })
                    }
                    running += attempts
                case .allReported: queue += tracker.handle(.sealAllowed)
                case .seal(let attempts): seals += attempts
                case .rest: pauses += 1
                case .finished: finished += 1
                case .fail(let failure): Issue.record("seed \(seed) failed: \(failure)")
                }
            }
            if finished > 0 { break }
            #expect(pauses <= 1)
            let workers = ["a", "b"]
            switch random.below(10) {
            case 0 where steps < 200: queue = tracker.handle(.workerLost(workers[random.below(2)]))
            case 1 where steps < 200 && !running.isEmpty:
                let attempt = running.remove(at: random.below(running.count))
                let isMerge = attempt.stage == 1
                queue = tracker.handle(
                    .taskFailed(
                        attempt, weather(isMerge ? .blockLost : .readTimeout), lostParent: isMerge ? (0, 1) : nil))
            case 2 where steps < 200 && !seals.isEmpty:
                let attempt = seals.remove(at: random.below(seals.count))
                let isBusy = random.below(2) == 0
                let events: [StageTracker.Event] = [.sealFailed(attempt, weather(isBusy ? .databaseBusy : .workerUnreachable))]
                queue = tracker.handle(isBusy ? events : events + [.workerLost(workers[random.below(2)])])
            case 3...6 where !running.isEmpty:
                let attempt = running.remove(at: random.below(running.count))
                queue = tracker.handle(.taskSucceeded(attempt, worker: workers[random.below(2)]))
            case 7 where pauses > 0:
                pauses -= 1
                queue = tracker.handle(.rested)
            default:
                guard !seals.isEmpty else { continue }
                let attempt = seals.remove(at: random.below(seals.count))
                if tracker.isCurrent(attempt) { sealedParts.append(attempt.part) }
                queue = tracker.handle(.partSealed(attempt))
            }
        }
        #expect(finished == 1)
        #expect(sealedParts.sorted() == Array(0..<counts.last!))
    }
}
