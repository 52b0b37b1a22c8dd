import Engine
import Testing
import Worker

private let away = Failure(.driverUnreachable, "away", why: "made so", now: "wait")

struct WorkerMembershipTests {
    private typealias Step = WorkerMembership.Step
    private var membership = WorkerMembership(driverURL: "http://d", timeoutMillis: 10_000)

    private func step(_ membership: WorkerMembership, leaving: Bool = false, running: Int = 0) -> Step {
        membership.step(isLeaving: leaving, runningRequests: running)
    }

    @Test func `a worker registers, tells each second that it lives, and registers anew when it is forgotten`() {
        var one = membership
        #expect(step(one) == .register && !one.isMember)
        one.take(.registered(id: "w1"), isLeaving: false, nowMillis: 0)
        #expect(step(one) == .wait(millis: 1000) && one.isMember)
        one.take(.waited, isLeaving: false, nowMillis: 1000)
        #expect(step(one) == .heartbeat(id: "w1", leaving: false))
        one.take(.heartbeat(isKnown: true, leaving: false), isLeaving: false, nowMillis: 1000)
        #expect(step(one) == .wait(millis: 1000))
        one.take(.waited, isLeaving: false, nowMillis: 2000)
        one.take(.heartbeat(isKnown: false, leaving: false), isLeaving: false, nowMillis: 2000)
        #expect(step(one) == .register && !one.isMember)
    }

    @Test func `a driver that is away is asked ever more rarely, and given up when its time is over`() {
        var one = membership
        one.take(.registered(id: "w1"), isLeaving: false, nowMillis: 0)
        var pauses: [Int64] = []
        var now: Int64 = 0
        while pauses.count < 100 {
            one.take(.waited, isLeaving: false, nowMillis: now)
            #expect(step(one) == .heartbeat(id: "w1", leaving: false))
            one.take(.failed(away), isLeaving: false, nowMillis: now)
            #expect(!one.isMember)
            guard case .wait(let millis) = step(one) else { break }
            pauses.append(millis)
            now += millis
        }
        #expect(Array(pauses.prefix(7)) == [40, 80, 160, 320, 640, 1280, 2000] && pauses.max() == 2000)
        guard case .end(let reason) = step(one) else { return #expect(Bool(false), "\(step(one))") }
        #expect(reason.what == "the driver at http://d is gone" && now >= 10_000 && now < 13_000)
        // An answer in between begins the time anew.
        var back = membership
        back.take(.failed(away), isLeaving: false, nowMillis: 0)
        back.take(.waited, isLeaving: false, nowMillis: 9000)
        back.take(.registered(id: "w2"), isLeaving: false, nowMillis: 9000)
        back.take(.failed(away), isLeaving: false, nowMillis: 11_000)
        #expect(step(back) == .wait(millis: 40))
    }

    @Test func `what a person must decide ends the worker at once`() {
        var one = membership
        let refused = Failure(.notAllowed, "no", why: "wrong secret", now: "name it")
        one.take(.failed(refused), isLeaving: false, nowMillis: 0)
        #expect(step(one) == .end(refused))
    }

    @Test func `a worker that leaves says so, ends what runs, and never registers`() {
        #expect(step(membership, leaving: true) == .leave)
        var one = membership
        one.take(.registered(id: "w1"), isLeaving: false, nowMillis: 0)
        // It is told at once, although nothing runs.
        #expect(step(one, leaving: true) == .heartbeat(id: "w1", leaving: true))
        one.take(.heartbeat(isKnown: true, leaving: true), isLeaving: true, nowMillis: 50)
        #expect(step(one, leaving: true, running: 1) == .wait(millis: 50))
        one.take(.waited, isLeaving: true, nowMillis: 100)
        #expect(step(one, leaving: true, running: 1) == .heartbeat(id: "w1", leaving: true))
        one.take(.heartbeat(isKnown: false, leaving: true), isLeaving: true, nowMillis: 100)
        #expect(step(one, leaving: true, running: 1) == .wait(millis: 50))
        #expect(step(one, leaving: true) == .leave)
        // Nor does one whose driver was away and may be back by now.
        var forgotten = membership
        forgotten.take(.failed(away), isLeaving: false, nowMillis: 0)
        forgotten.take(.waited, isLeaving: true, nowMillis: 40)
        #expect(step(forgotten, leaving: true) == .leave && step(forgotten) == .register)
        // Nobody is there to be told.
        var alone = membership
        alone.take(.registered(id: "w1"), isLeaving: false, nowMillis: 0)
        alone.take(.failed(away), isLeaving: true, nowMillis: 100)
        #expect(step(alone, leaving: true, running: 1) == .leave)
    }
}
