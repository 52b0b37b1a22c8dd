// Which jobs a standing driver takes up, look by look.

import Driver
import Engine
import Testing

@Suite struct TakeUpTests {
    private func job(
        _ name: String, _ state: JobState = .starting, _ desired: DesiredState = .run, kind: JobKind = .live, at millis: Int64 = 1
    ) -> JobRecord {
        JobRecord(
            jobID: .random(), name: name, definition: "campaign-views", settings: [:], kind: kind, state: state,
            desired: desired, buildDigest: "b", settingsDigest: "s", updatedAtMillis: millis)
    }

    @Test func `a job that is meant to run and that nobody has is taken at the second look, once`() {
        var takeUp = TakeUp()
        #expect(takeUp.look(at: [job("a")]) { _ in false } == [])
        #expect(takeUp.look(at: [job("a")]) { _ in false } == ["a"])
        #expect(takeUp.look(at: [job("a")]) { _ in false } == [])
    }

    @Test func `a job whose row changed between two looks, or that was taken between them, is left alone`() {
        var takeUp = TakeUp()
        #expect(takeUp.look(at: [job("a"), job("b")]) { _ in false } == [])
        #expect(takeUp.look(at: [job("a", at: 2), job("b")]) { $0 == "b" } == [])
        #expect(takeUp.look(at: [job("a", at: 2), job("b")]) { _ in false } == ["a"])
    }

    @Test(arguments: [
        (JobState.paused, DesiredState.run, JobKind.live), (.stopped, .run, .live), (.failed, .run, .live),
        (.running, .run, .live), (.finished, .run, .live), (.starting, .stop, .live), (.starting, .pause, .live),
        (.starting, .kill, .live), (.starting, .run, .backfill),
    ])
    func `no other job is even asked about`(state: JobState, desired: DesiredState, kind: JobKind) {
        var takeUp = TakeUp()
        for _ in 0..<3 {
            let ready = takeUp.look(at: [job("a", state, desired, kind: kind)]) { _ in
                Issue.record("asked")
                return false
            }
            #expect(ready == [])
        }
    }
}
