// What a batch changed in the state of one operator, and state to begin with.
//
// State is a table (key group, key) -> value. A delta lists what was put and what was removed, by key group; all of an operator's entries
// together, put into an empty operator, make it what it was. Keys begin with a tag that tells the operator's parts of state apart.
// The order within a group is that of the calls, which operators make in the order of keys.

import Values

/// Changes of the state of one operator.
package struct StateDelta: Sendable {
    /// Of all keys and values in it.
    package static let version = 1

    /// One key: its new value, or nil where it is gone.
    package struct Entry: Sendable, Hashable {
        package let group: Int
        package let key: [UInt8]
        package let value: [UInt8]?
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    package mutating func put(_ group: Int, _ key: [UInt8], _ value: [UInt8]) { entries.append(Entry(group: group, key: key, value: value)) }
    mutating func add(_ other: StateDelta) { entries += other.entries }
    package mutating func remove(_ group: Int, _ key: [UInt8]) { entries.append(Entry(group: group, key: key, value: nil)) }
}

/// To which group of keys a key belongs: groups are what parts own, and state is stored by them.
package enum KeyGroup {
    /// The number stands in each plan.
    package static let count = 128

    @inline(__always)
    package static func of(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash % UInt64(count)) }

    /// The part that owns a group, of `parts`.
    package static func part(of group: Int, parts: Int) -> Int { ((group + 1) * parts - 1) / count }

    /// The groups that a part owns.
    package static func groups(of part: Int, parts: Int) -> Range<Int> { first(of: part, parts)..<first(of: part + 1, parts) }

    /// As plans of batches cut them.
    private static func first(of part: Int, _ parts: Int) -> Int { part * count / parts }

    /// Of the empty key: whose owner makes what there is once.
    package static let ofNothing: Int = {
        var hash: UInt64 = 0
        KeyOrder.hash([], .all(1), into: &hash)
        return of(hash)
    }()
}
