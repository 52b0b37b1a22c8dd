import Driver
import Engine
import Testing

private func partition(_ number: Int32) -> TopicPartition { TopicPartition(topic: "t", partition: number) }

private func offsets(_ values: [Int64]) -> [TopicPartition: Int64] {
    Dictionary(uniqueKeysWithValues: values.enumerated().map { (partition(Int32($0.offset)), $0.element) })
}

@Suite struct OffsetPlannerTests {
    struct Case: Sendable, CustomStringConvertible {
        var name: String
        var positions: [Int64]
        var ends: [Int64]
        var max: Int64?
        var counts: [Int64]
        var description: String { name }
    }

    static let cases = [
        Case(name: "nothing waits", positions: [5, 7], ends: [5, 7], max: nil, counts: [0, 0]),
        Case(name: "no bound takes all", positions: [0, 0, 3], ends: [10, 0, 5], max: nil, counts: [10, 0, 2]),
        Case(name: "a bound is shared equally", positions: [0, 0], ends: [100, 100], max: 10, counts: [5, 5]),
        Case(name: "what a short one leaves goes to the others", positions: [0, 0, 0], ends: [2, 100, 100], max: 30, counts: [2, 14, 14]),
        Case(name: "a bound above the backlog changes nothing", positions: [0, 0], ends: [3, 4], max: 100, counts: [3, 4]),
        Case(name: "one record a batch", positions: [0, 0], ends: [3, 4], max: 1, counts: [1, 0]),
        Case(name: "an end behind the position gives no range", positions: [9], ends: [4], max: nil, counts: [0]),
    ]

    @Test(arguments: cases) func `ranges start at the positions and keep the bound`(_ c: Case) {
        let ranges = OffsetPlanner(maxRecords: c.max).ranges(positions: offsets(c.positions), ends: offsets(c.ends))
        let byPartition = Dictionary(uniqueKeysWithValues: ranges.map { (Int($0.partition), $0) })
        for (index, count) in c.counts.enumerated() {
            #expect(byPartition[index]?.count ?? 0 == count)
            if let range = byPartition[index] { #expect(range.from == c.positions[index]) }
        }
        if let max = c.max { #expect(ranges.reduce(0) { $0 + $1.count } <= max) }
        #expect(ranges.map(\.partition) == ranges.map(\.partition).sorted())
    }
}

@Suite struct WatermarkTrackerTests {
    let tracker = WatermarkTracker(latenessMillis: 10, partitionWaitMillis: 1000)

    private func positions(_ times: [Int64?], found: Int64? = nil) -> [PartitionPosition] {
        times.enumerated().map { index, time in
            PartitionPosition(
                topic: "t", partition: Int32(index), position: 0, maxEventTimeMillis: time, foundMillis: time == nil ? found : nil)
        }
    }

    @Test func `the slowest partition holds the watermark`() {
        #expect(tracker.watermark(before: nil, positions: positions([100, 70]), unread: [], batchTimeMillis: 0) == 60)
    }
    @Test func `it never goes back`() {
        #expect(tracker.watermark(before: 80, positions: positions([100, 70]), unread: [], batchTimeMillis: 0) == 80)
    }
    @Test func `a partition with unread records and no event time holds it where it is`() {
        let silent = positions([100, nil])
        #expect(tracker.watermark(before: nil, positions: silent, unread: [partition(1)], batchTimeMillis: 0) == nil)
        #expect(tracker.watermark(before: 5, positions: silent, unread: [partition(1)], batchTimeMillis: 0) == 5)
        // It has told one in this batch.
        #expect(tracker.watermark(before: 5, positions: positions([100, 90]), unread: [partition(1)], batchTimeMillis: 0) == 80)
    }
    @Test func `without any event time there is none`() {
        #expect(tracker.watermark(before: nil, positions: positions([nil]), unread: [], batchTimeMillis: 0) == nil)
    }
    @Test func `a partition that was found holds the watermark while it is empty, and not for ever`() {
        let added = positions([100, nil], found: 5000)
        for (time, expected) in [(5000, 5), (5999, 5), (6000, 90), (60_000, 90)] as [(Int64, Int64)] {
            #expect(tracker.watermark(before: 5, positions: added, unread: [], batchTimeMillis: time) == expected)
        }
        // One that the job began with holds nothing until its first record.
        #expect(tracker.watermark(before: 5, positions: positions([100, nil]), unread: [], batchTimeMillis: 5000) == 90)
    }
    @Test func `before a plan closes windows that the last one left open partitions are looked for`() {
        func needs(_ closed: Int64?, _ reached: Int64?, _ window: Int64? = 10) -> Bool {
            WatermarkTracker.needsLook(closed: closed, reached: reached, windowMillis: window)
        }
        #expect(!needs(nil, nil) && needs(nil, 3) && needs(9, 10) && !needs(10, 19) && needs(10, 20))
        #expect(needs(-1, 0) && !needs(-10, -1) && needs(-11, -10))
        #expect(!needs(nil, 100, nil))
    }
    @Test func `what a look finds keeps the windows open that its rows may be for`() {
        let added = positions([100, nil], found: 5000)
        #expect(tracker.closing(closed: 40, reached: 90, positions: added, batchTimeMillis: 5000) == 40)
        #expect(tracker.closing(closed: 40, reached: 90, positions: added, batchTimeMillis: 6000) == 90)
        #expect(tracker.closing(closed: 40, reached: 90, positions: positions([100, nil]), batchTimeMillis: 5000) == 90)
        // Its first record is read: the tracker has it from now on.
        #expect(tracker.closing(closed: 40, reached: 40, positions: positions([100, 50]), batchTimeMillis: 5001) == 40)
    }
}

@Suite struct TaskPlacementTests {
    private func keys(_ count: Int) -> [TaskPlacement.Key] { (0..<count).map { .partition(partition(Int32($0))) } }
    private let two = [TaskPlacement.Member(id: "a", slots: 1), TaskPlacement.Member(id: "b", slots: 1)]

    @Test func `keys stay where they were`() {
        var placement = TaskPlacement()
        let first = placement.place(keys(4), on: two)
        #expect(placement.place(keys(4), on: two.reversed()) == first)
        #expect(Set(first) == ["a", "b"])
        // Fewer partitions with records: the rest stays put.
        #expect(placement.place([keys(4)[2]], on: two) == [first[2]])
    }
    @Test func `a small batch goes to one worker, the same as long as it is there`() {
        var placement = TaskPlacement()
        let chosen = placement.gather(keys(4), on: two, salt: "job")
        #expect(Set(chosen).count == 1 && chosen.count == 4)
        let again = placement.gather(keys(2), on: two.reversed(), salt: "other")
        #expect(again == Array(chosen[..<2]))
        let rest = two.filter { $0.id != chosen[0] }
        let moved = placement.gather(keys(1), on: rest, salt: "job")
        #expect(moved == [rest[0].id])
        // Sharing out again finds the homes that it knew before.
        var shared = TaskPlacement()
        let homes = shared.place(keys(4), on: two)
        _ = shared.gather(keys(4), on: two, salt: "job")
        let later = shared.place(keys(4), on: two)
        #expect(later == homes)
    }
    @Test func `small jobs do not all meet at one worker`() {
        let places = Set(
            (0..<20).map { salt in
                var placement = TaskPlacement()
                return placement.gather(keys(1), on: two, salt: "job-\(salt)")[0]
            })
        #expect(places == ["a", "b"])
    }
    @Test func `a worker that joins takes over its share`() {
        var placement = TaskPlacement()
        _ = placement.place(keys(4), on: [two[0]])
        let places = placement.place(keys(4), on: two)
        #expect(places.filter { $0 == "b" }.count == 2)
    }
    @Test func `slots weigh`() {
        var placement = TaskPlacement()
        let places = placement.place(
            keys(8), on: [TaskPlacement.Member(id: "a", slots: 3), TaskPlacement.Member(id: "b", slots: 1)])
        #expect(places.filter { $0 == "a" }.count >= 5)
        #expect(places.filter { $0 == "b" }.count >= 2)
    }
    @Test func `what a lost worker had goes to the others`() {
        var placement = TaskPlacement()
        _ = placement.place(keys(4), on: two)
        #expect(placement.place(keys(4), on: [two[1]]) == ["b", "b", "b", "b"])
    }
}

@Suite struct BatchClockTests {
    @Test func `the first batch is due at once and the next an interval later`() {
        var clock = BatchClock(intervalMillis: 500, pollMillis: 500)
        #expect(clock.waitMillis(now: 1000, foundNothing: false) == 0)
        #expect(clock.waitMillis(now: 1100, foundNothing: false) == 400)
        #expect(clock.waitMillis(now: 1500, foundNothing: false) == 0)
    }
    @Test func `ticks that passed are skipped, not piled up`() {
        var clock = BatchClock(intervalMillis: 500, pollMillis: 500)
        _ = clock.waitMillis(now: 0, foundNothing: false)
        #expect(clock.waitMillis(now: 1700, foundNothing: false) == 0)
        #expect(clock.waitMillis(now: 1800, foundNothing: false) == 200)
        #expect(clock.isOverrun(tookMillis: 501) && !clock.isOverrun(tookMillis: 499))
    }
    @Test func `interval 0 waits only when nothing was found`() {
        var clock = BatchClock(intervalMillis: 0, pollMillis: 5)
        #expect(clock.waitMillis(now: 7, foundNothing: false) == 0)
        #expect(clock.waitMillis(now: 7, foundNothing: true) == 5)
        #expect(!clock.isOverrun(tookMillis: 1e9))
    }
    @Test func `cuts keep the pace at interval 0 and at no other`() {
        var clock = BatchClock(intervalMillis: 0, pollMillis: 5, paceMillis: 20)
        let first = clock.waitMillis(now: 100, foundNothing: false)
        #expect(first == 0)
        clock.cut(now: 100)
        #expect(clock.restMillis(now: 107) == 13)
        let waits = [(107, false), (118, true), (120, false)].map { clock.waitMillis(now: $0, foundNothing: $1) }
        #expect(waits == [13, 5, 0])
        var paced = BatchClock(intervalMillis: 500, pollMillis: 500, paceMillis: 20)
        paced.cut(now: 100)
        #expect(paced.restMillis(now: 101) == 0)
    }
}

@Suite struct BatchSpreadTests {
    @Test func `a job is gathered after some small batches and shared out by the first large one`() {
        var spread = BatchSpread()
        let small = BatchSpread.smallRecords
        let sizes = Array(repeating: small, count: BatchSpread.smallInARow) + [1, small + 1, 1]
        let answers = sizes.map { spread.isGathered(records: $0) }
        let before = Array(repeating: false, count: BatchSpread.smallInARow - 1)
        #expect(answers == before + [true, true, false, false])
    }
}
