import Driver
import Testing

@Suite struct StateReachTests {
    @Test func `a worker is asked once before its first task, and one that does not reach the place again after a while`() {
        var reach = StateReach()
        let due1 = reach.due(["a", "b"], nowMillis: 0)
        #expect(due1 == ["a", "b"])
        let due2 = reach.due(["a", "b"], nowMillis: 1)
        #expect(due2 == [])
        #expect(reach.isAsking && !reach.admits("a"))
        reach.answered("a", isReached: true, nowMillis: 2)
        reach.answered("b", isReached: false, nowMillis: 2)
        #expect(reach.admits("a") && !reach.admits("b") && !reach.isAsking)
        let due3 = reach.due(["a", "b"], nowMillis: StateReach.againMillis)
        #expect(due3 == [])
        let due4 = reach.due(["a", "b"], nowMillis: 2 + StateReach.againMillis)
        #expect(due4 == ["b"])
        reach.answered("b", isReached: true, nowMillis: 20_000)
        #expect(reach.admits("b"))
    }

    @Test func `one that joins later is asked, one that left is forgotten, and an answer of it is late`() {
        var reach = StateReach()
        _ = reach.due(["a"], nowMillis: 0)
        let due5 = reach.due(["c"], nowMillis: 1)
        #expect(due5 == ["c"])
        reach.answered("a", isReached: true, nowMillis: 2)
        #expect(!reach.admits("a"))
        let due6 = reach.due(["a", "c"], nowMillis: 3)
        #expect(due6 == ["a"])
    }
}
