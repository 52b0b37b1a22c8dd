// The pure parts of reading: when a range is complete, and how memory is divided.

import Engine
import Testing

struct RangePassageTests {
    enum Event: Sendable { case record(Int64), end(Int64) }

    @Test(
        arguments: [
            // Complete by the record before the end, by one at it, by one past it, by the partition's end.
            ([Event.record(3), .record(4)], [3, 4], true), ([.record(3), .record(5)], [3], true),
            ([.record(9)], [], true), ([.end(5)], [], true), ([.end(7)], [], true),
            // Not complete while something below the end can come, however many records there were.
            ([.record(3)], [3], false), ([.end(4)], [], false), ([.end(3), .record(3)], [3], false), ([], [], false),
        ] as [([Event], [Int64], Bool)])
    func `the range 3 to 5 is complete by position and never by count`(
        events: [Event], delivered: [Int64], complete: Bool
    ) {
        var passage = RangePassage(from: 3, until: 5)
        var offsets: [Int64] = []
        for event in events {
            switch event {
            case .record(let offset): if passage.record(at: offset) == .deliver { offsets.append(offset) }
            case .end(let position): passage.reachedEnd(at: position)
            }
        }
        #expect(offsets == delivered)
        #expect(passage.isComplete == complete)
    }

    @Test(arguments: [(2, 5), (3, 3), (4, 4)] as [(Int64, Int64)])
    func `a record below its place is disorder`(first: Int64, second: Int64) {
        var passage = RangePassage(from: 3, until: 9)
        if first < 3 {
            #expect(passage.record(at: first) == .disorder)
        } else {
            #expect(passage.record(at: first) == .deliver)
            #expect(passage.record(at: second) == .disorder)
        }
    }

    @Test func `an empty range is complete at once`() {
        #expect(RangePassage(from: 4, until: 4).isComplete)
        #expect(RangePassage(from: 5, until: 4).isComplete)
    }
}

struct FetchBudgetTests {
    @Test(arguments: [1, 2, 3, 4, 7, 64, 1000])
    func `the shares of any number of partitions stay within the budget`(partitions: Int) {
        for megabytes in [0, 1, 2, 3, 48, 500] {
            let budget = FetchBudget(bytes: megabytes << 20)
            let division = budget.division(partitions: partitions)
            let standing = min(partitions, budget.mostStanding)
            #expect(standing >= 1)
            #expect(standing <= division.shares)
            #expect(standing * division.shareBytes <= budget.bytes)
            #expect(division.queuedKilobytes * 1024 + 2 * division.fetchBytes <= max(division.shareBytes, 256 << 10))
        }
    }

    @Test func `a consumer is made anew only when its division does not fit or wastes`() {
        let budget = FetchBudget(bytes: 48 << 20)
        let four = budget.division(partitions: 4)
        #expect(budget.division(partitions: 3, current: four) == four)
        #expect(budget.division(partitions: 1, current: four) == four)
        #expect(budget.division(partitions: 5, current: four).shares == 8)
        let many = budget.division(partitions: 32)
        #expect(budget.division(partitions: 4, current: many).shares == 4)
    }
}
