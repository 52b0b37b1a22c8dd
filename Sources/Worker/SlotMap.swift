// Which slot of a worker a partition or part belongs to: it stays where it was, new ones go where least is.
//
// Stickiness is what makes batches cheap: a slot's consumer stands where the last batch ended and holds the next
// records already, and a slot's state is warm. Pure; survives nothing; a wrong choice costs time, never an answer.

/// Sticky, balanced assignment of keys to slots.
struct SlotMap<Key: Hashable & Sendable>: Sendable {
    private let slots: Int
    private var slotOf: [Key: Int] = [:]
    private var load: [Int]

    init(slots: Int) {
        precondition(slots > 0)
        self.slots = slots
        load = Array(repeating: 0, count: slots)
    }

    /// The slot of `key`, chosen now if it has none.
    mutating func slot(of key: Key) -> Int {
        if let known = slotOf[key] { return known }
        var best = 0
        for slot in 1..<max(slots, 1) where load[slot] < load[best] { best = slot }
        slotOf[key] = best
        load[best] += 1
        return best
    }
}
