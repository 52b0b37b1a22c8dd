import Driver
import Engine
import Testing

private func away(_ code: Failure.Code = .brokerUnreachable) -> Failure {
    Failure(code, "Kafka did not answer", why: "refused", now: "check it")
}

@Suite struct PatienceTests {
    @Test func `a standing job waits ever longer, up to half a minute, and never gives up`() {
        var patience = Patience(.standing)
        var waits: [Int64] = []
        var now: Int64 = 0
        for _ in 0..<12 {
            guard case .tryAgain(let wait, _) = patience.failed(away(), nowMillis: now) else {
                Issue.record("it gave up")
                return
            }
            waits.append(wait)
            now += wait
        }
        #expect(waits == [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000, 30_000])
        #expect(patience.waiting?.tries == 12 && patience.waiting?.sinceMillis == 0)
        #expect(patience.failed(away(), nowMillis: 7 * 86_400_000) == .tryAgain(afterMillis: 30_000, says: true))
    }

    @Test func `a run that is to end gives up after its patience and says how long it waited`() {
        var patience = Patience(.bounded(1000))
        #expect(patience.failed(away(), nowMillis: 5000) == .tryAgain(afterMillis: 200, says: true))
        // The last try is made when the time is over, not behind it.
        #expect(patience.failed(away(), nowMillis: 5900) == .tryAgain(afterMillis: 100, says: false))
        guard case .giveUp(let failure) = patience.failed(away(), nowMillis: 6000) else {
            Issue.record("it did not give up")
            return
        }
        #expect(failure.code == .brokerUnreachable)
        #expect(failure.why.contains("waited for 1.0 s, 3 tries") && failure.now.contains("patience"))
    }

    @Test func `what is there again is forgotten, and how long it was away is told`() {
        var patience = Patience(.bounded(1000))
        #expect(patience.answered(nowMillis: 0) == nil)
        _ = patience.failed(away(), nowMillis: 100)
        #expect(patience.answered(nowMillis: 950) == 850)
        #expect(patience.waiting == nil)
        #expect(patience.failed(away(), nowMillis: 5000) == .tryAgain(afterMillis: 200, says: true))
    }

    @Test func `it is said at once, when it becomes another trouble, then each minute`() {
        var patience = Patience(.standing)
        func says(_ failure: Failure, _ now: Int64) -> Bool {
            if case .tryAgain(_, let says) = patience.failed(failure, nowMillis: now) { return says }
            return false
        }
        let said = [
            says(away(), 0), says(away(), 500), says(away(.databaseUnreachable), 900), says(away(.databaseUnreachable), 60_800),
            says(away(.databaseUnreachable), 60_900), says(away(.databaseUnreachable), 700_000),
            says(away(.databaseUnreachable), 760_000), says(away(.databaseUnreachable), 1_300_000),
        ]
        #expect(said == [true, false, true, false, true, true, false, true])
    }

    @Test func `who asks to stop does not wait for the outside`() {
        var patience = Patience(.standing)
        #expect(patience.failed(away(), nowMillis: 0, isDraining: true) == .tryAgain(afterMillis: 200, says: true))
        guard case .giveUp(let failure) = patience.failed(away(), nowMillis: Patience.drainMillis, isDraining: true) else {
            Issue.record("it did not give up")
            return
        }
        #expect(!failure.now.contains("patience"))
    }

    @Test func `jobs do not come back in one instant`() {
        var (first, second) = (Patience(.standing), Patience(.standing))
        #expect(first.failed(away(), nowMillis: 0, spread: 0) == .tryAgain(afterMillis: 200, says: true))
        #expect(second.failed(away(), nowMillis: 0, spread: 1) == .tryAgain(afterMillis: 250, says: true))
    }
}
