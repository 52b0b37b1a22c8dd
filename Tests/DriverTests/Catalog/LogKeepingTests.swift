import Driver
import Engine
import Testing

/// The decision of a fold. Hours count from 0; batch N of the log was done at N minutes, unless said otherwise.
struct LogKeepingTests {
    private static let minute: Int64 = 60_000
    private static let hour = LogHours.lengthMillis

    private func facts(
        last: BatchNumber = 600, young: BatchNumber? = 1, youngState: BatchNumber? = 1, bytes: Int64 = 1000
    ) -> LogFacts {
        LogFacts(
            nowMillis: 600 * Self.minute, first: 1, last: last, firstYoungInLog: young, firstYoungState: youngState,
            batchBytes: bytes,
            lastOfHours: (0..<9).map { LogFacts.HourEnd(hourMillis: $0 * Self.hour, batch: $0 * 60 + 59) }, foldedHours: [])
    }

    private let wide = LogRetention(
        logKeepMillis: 86_400_000, logBytes: 1 << 30, stateKeepBatches: 1000, stateKeepMillis: 86_400_000)

    @Test func `what is young and small is not folded`() {
        let keeping = LogKeeping(facts(), wide)
        #expect(keeping.foldUntil == 0 && keeping.stateKeptFrom == 1 && keeping.hourEnds == [] && keeping.keptHours == [])
    }

    @Test func `age folds, size folds, the one that folds more decides`() {
        var retention = wide
        retention.stateKeepBatches = 1
        #expect(LogKeeping(facts(young: 101), retention).foldUntil == 100)
        retention.logBytes = 50_000
        #expect(LogKeeping(facts(young: 101), retention).foldUntil == 550)
        #expect(LogKeeping(facts(young: 571), retention).foldUntil == 570)
        #expect(LogKeeping(facts(young: 101, bytes: 100), retention).foldUntil == 100)
    }

    @Test func `batches whose state is among the newest stay however large they are`() {
        var retention = wide
        retention.logBytes = 1
        retention.stateKeepBatches = 40
        let keeping = LogKeeping(facts(young: nil), retention)
        #expect(keeping.stateKeptFrom == 561 && keeping.foldUntil == 560)
    }

    @Test func `the last done batch stays when everything is old`() {
        var retention = wide
        retention.logBytes = 1
        retention.stateKeepBatches = 1
        let keeping = LogKeeping(facts(young: nil, youngState: nil), retention)
        #expect(keeping.foldUntil == 599 && keeping.stateKeptFrom == 600)
    }

    @Test func `the end of each hour within log_keep keeps its state`() {
        var retention = wide
        retention.stateKeepBatches = 100
        #expect(LogKeeping(facts(), retention).hourEnds == [59, 119, 179, 239, 299, 359, 419, 479])
        retention.logKeepMillis = 4 * Self.hour
        #expect(LogKeeping(facts(), retention).hourEnds == [419, 479])
        retention.stateKeepBatches = 300
        #expect(LogKeeping(facts(), retention).hourEnds == [])
    }

    @Test func `folded hours go when log_keep is over`() {
        var retention = wide
        retention.logKeepMillis = 4 * Self.hour
        var facts = facts()
        facts.lastOfHours = []
        facts.foldedHours = (0..<9).map { LogFacts.HourEnd(hourMillis: $0 * Self.hour, batch: $0 * 60 + 59) }
        let keeping = LogKeeping(facts, retention)
        #expect(keeping.keptHours == [6, 7, 8].map { $0 * Self.hour } && keeping.dropHoursBefore == 6 * Self.hour)
        #expect(LogKeeping(facts, wide).keptHours.count == 9 && LogKeeping(facts, wide).dropHoursBefore < 0)
    }

    @Test func `a clock that went back keeps more and never less`() {
        for shift in [0, 1, 59, 61, 6000] as [Int64] {
            var earlier = facts()
            earlier.nowMillis -= shift * Self.minute
            earlier.foldedHours = earlier.lastOfHours
            var now = facts()
            now.foldedHours = now.lastOfHours
            var retention = wide
            retention.logKeepMillis = 3 * Self.hour
            let (less, more) = (LogKeeping(now, retention), LogKeeping(earlier, retention))
            #expect(Set(less.keptHours).isSubset(of: more.keptHours) && more.dropHoursBefore <= less.dropHoursBefore)
        }
    }

    @Test func `hours begin at whole hours before 1970 too`() {
        #expect(LogHours.hour(of: 0) == 0 && LogHours.hour(of: Self.hour - 1) == 0 && LogHours.hour(of: -1) == -Self.hour)
        #expect(LogHours.hour(of: -Self.hour) == -Self.hour)
    }
}
