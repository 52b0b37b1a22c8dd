import Testing
import Wire

@Suite struct StrangerBudgetTests {
    private let one: [UInt8] = [10, 0, 0, 1]
    private let other: [UInt8] = [10, 0, 0, 2]

    @Test func `the oldest of an address that has half of the room goes for its next one`() {
        var budget = StrangerBudget(most: 4)
        var gone: [Int32?] = []
        for socket in 1...5 { gone.append(budget.opened(Int32(socket), from: one)) }
        #expect(gone == [nil, nil, 1, 2, 3])
        // Another address is not troubled by that.
        let first = budget.opened(6, from: other)
        let second = budget.opened(7, from: other)
        #expect(first == nil && second == nil && budget.count == 4)
    }

    @Test func `many addresses cost the largest of them, and a newcomer always gets in`() {
        var budget = StrangerBudget(most: 4)
        for socket in 1...2 { _ = budget.opened(Int32(socket), from: one) }
        _ = budget.opened(3, from: other)
        _ = budget.opened(4, from: [10, 0, 0, 3])
        let gone = budget.opened(5, from: [10, 0, 0, 4])
        #expect(gone == 1 && budget.count == 4)
    }

    @Test func `who is known or gone counts no more`() {
        var budget = StrangerBudget(most: 2)
        _ = budget.opened(1, from: one)
        budget.known(1)
        let second = budget.opened(2, from: one)
        budget.closed(2)
        let third = budget.opened(3, from: one)
        #expect(second == nil && third == nil && budget.count == 1)
    }
}
