// Several files of state, one upon the other: what an operator is loaded from, and what files are merged into.
//
// Files come in one after the other, the oldest first, each with the key groups that are to be taken from it: a manifest names files by
// groups, and what lies in other groups of a file may be stale. Of a key that several files have the last one counts. The answer is asked
// for an operator at a time:
//
//   entries   what is there, for `Operator.load`
//   snapshot  the same of all operators, as a file
//   delta     the last word on each key, also that it is gone, as a file: what lies below it stays as it is
//
// Files stay in memory until the merge is let go; entries are places in them and are sorted when they are asked for. The order (operators by
// id, then key group, then key, by bytes) does not depend on the files' cut, so equal state is equal bytes.

/// How much there is.
package struct StateCounts: Sendable, Hashable {
    package var entries = 0
    /// Of keys and values.
    package var bytes = 0
}

package struct StateMerge {
    private struct Found {
        let group: Int32
        let file: Int32
        /// Among the entries of its file.
        let number: Int
        /// The first bytes of the key, so that most comparisons look nowhere else.
        let head: UInt64
        let key: Range<Int>
        let value: Range<Int>?
    }

    private struct Operator {
        var found: [Found] = []
        var isSorted = true
    }

    private var files: [[UInt8]] = []
    private var operators: [OperatorID: Operator] = [:]

    package init() {}

    /// Lays a file upon those before it. A file that cannot be read leaves the merge as it was.
    /// - Parameter groups: what is taken from it; entries of other groups are passed over.
    package mutating func add(_ file: [UInt8], groups: [Range<Int>]) throws(StateFault) {
        var isTaken = [Bool](repeating: false, count: KeyGroup.count)
        for range in groups { for group in range.clamped(to: 0..<KeyGroup.count) { isTaken[group] = true } }
        let place = Int32(files.count)
        var parts: [(id: OperatorID, found: [Found])] = []
        var number = 0
        try StateFileBytes.walk(file) { id in
            parts.append((id, []))
        } entry: { entry in
            if !isTaken[entry.group] { return }
            var head: UInt64 = 0
            for index in 0..<8 { head = head << 8 | (index < entry.key.count ? UInt64(file[entry.key.lowerBound + index]) : 0) }
            parts[parts.count - 1].found.append(Found(group: Int32(entry.group), file: place, number: number, head: head, key: entry.key, value: entry.value))
            number += 1
        }
        files.append(file)
        for (id, found) in parts where !found.isEmpty {
            operators[id, default: Operator()].found += found
            operators[id]!.isSorted = false
        }
    }

    /// Every operator that a file has a word on, by id.
    package var ids: [OperatorID] { operators.keys.sorted { ($0.high, $0.low) < ($1.high, $1.low) } }

    /// What an operator is loaded from.
    package mutating func entries(of id: OperatorID) -> [StateDelta.Entry] {
        last(of: id).compactMap { found in
            found.value.map { StateDelta.Entry(group: Int(found.group), key: Array(files[Int(found.file)][found.key]), value: Array(files[Int(found.file)][$0])) }
        }
    }

    /// How much an operator is loaded from.
    package mutating func counts(of id: OperatorID) -> StateCounts { Self.counts(last(of: id).filter { $0.value != nil }) }

    /// How much all operators are loaded from.
    package mutating func counts() -> StateCounts {
        ids.reduce(into: StateCounts()) { sum, id in
            let counts = counts(of: id)
            sum.entries += counts.entries
            sum.bytes += counts.bytes
        }
    }

    private static func counts(_ found: [Found]) -> StateCounts {
        found.reduce(into: StateCounts()) { sum, entry in
            sum.entries += 1
            sum.bytes += entry.key.count + (entry.value?.count ?? 0)
        }
    }

    /// What is there as one file.
    package mutating func snapshot() -> (bytes: [UInt8], counts: StateCounts) { file { $0.value != nil } }

    /// All the files as one that does the same.
    package mutating func delta() -> (bytes: [UInt8], counts: StateCounts) { file { _ in true } }

    private mutating func file(_ isKept: (Found) -> Bool) -> (bytes: [UInt8], counts: StateCounts) {
        var parts: [(id: OperatorID, found: [Found])] = []
        for id in ids {
            let found = last(of: id).filter(isKept)
            if !found.isEmpty { parts.append((id, found)) }
        }
        let counts = parts.map { Self.counts($0.found) }
        let sum = StateCounts(entries: counts.reduce(0) { $0 + $1.entries }, bytes: counts.reduce(0) { $0 + $1.bytes })
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 + parts.count * 32 + sum.entries * 6 + sum.bytes)
        StateFileBytes.begin(operators: parts.count, &bytes)
        for (id, found) in parts {
            StateFileBytes.begin(id, entries: found.count, &bytes)
            for entry in found {
                bytes.append(number: Int(entry.group))
                bytes.append(number: entry.key.count)
                bytes += files[Int(entry.file)][entry.key]
                bytes.append(number: entry.value.map { $0.count + 1 } ?? 0)
                if let value = entry.value { bytes += files[Int(entry.file)][value] }
            }
        }
        return (bytes, sum)
    }

    /// The last word on each key, in order.
    private mutating func last(of id: OperatorID) -> [Found] {
        guard var own = operators[id] else { return [] }
        if own.isSorted { return own.found }
        operators[id] = nil
        own.found.sort { a, b in
            if a.group != b.group { return a.group < b.group }
            let order = compareKeys(a, b)
            return order != 0 ? order < 0 : (a.file, a.number) < (b.file, b.number)
        }
        var kept = 0
        for place in own.found.indices {
            let isLast = place + 1 == own.found.count || own.found[place].group != own.found[place + 1].group || compareKeys(own.found[place], own.found[place + 1]) != 0
            if !isLast { continue }
            own.found[kept] = own.found[place]
            kept += 1
        }
        own.found.removeSubrange(kept...)
        own.isSorted = true
        operators[id] = own
        return own.found
    }

    private func compareKeys(_ a: Found, _ b: Found) -> Int {
        if a.head != b.head { return a.head < b.head ? -1 : 1 }
        return files[Int(a.file)].withUnsafeBytes { left in
            files[Int(b.file)].withUnsafeBytes { right in
                CellRules.compare(UnsafeRawBufferPointer(rebasing: left[a.key]), UnsafeRawBufferPointer(rebasing: right[b.key]))
            }
        }
    }
}
