import Dataflow
import TestSupport
import Testing

@Suite struct StateFileTests {
    private struct Key: Hashable {
        let id: OperatorID
        let group: Int
        let key: [UInt8]
    }

    private static let ids = [OperatorID(high: 9, low: 1), OperatorID(high: 2, low: .max), OperatorID(high: 2, low: 3)]

    /// What one part might write: some keys put, some gone, some twice.
    private static func deltas(_ random: inout SeededRandom) -> [(id: OperatorID, delta: StateDelta)] {
        ids.filter { _ in random.chance(0.7) }.map { id in
            var delta = StateDelta()
            for _ in 0..<random.below(40) {
                let key = random.pick([[], [0], [0, 0], [1], [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8, 0], [1, 2, 3, 4, 5, 6, 7, 8, 9], [255]] as [[UInt8]])
                let group = random.pick([0, 1, 63, 64, 127])
                if random.chance(0.3) { delta.remove(group, key) } else { delta.put(group, key, (0..<random.below(5)).map { _ in UInt8(random.below(256)) }) }
            }
            return (id, delta)
        }
    }

    @Test func `a file is what was written, in the order in which it was`() throws {
        var random = SeededRandom(seed: 1)
        for _ in 0..<200 {
            let deltas = Self.deltas(&random)
            let read = try StateFileBytes.read(StateFileBytes.write(deltas))
            #expect(read.map(\.id) == deltas.map(\.id) && read.map(\.delta.entries) == deltas.map(\.delta.entries))
        }
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>) func `merged files are what a table is after all of them`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<100 {
            var merge = StateMerge()
            // nil: the key is gone, and that is the last word on it.
            var table: [Key: [UInt8]?] = [:]
            for _ in 0..<1 + random.below(6) {
                let deltas = Self.deltas(&random)
                let groups = random.pick([[0..<128], [0..<64], [1..<2, 64..<128], [], [100..<1000]])
                try merge.add(StateFileBytes.write(deltas), groups: groups)
                for (id, delta) in deltas {
                    for entry in delta.entries where groups.contains(where: { $0.contains(entry.group) }) {
                        table[Key(id: id, group: entry.group, key: entry.key)] = .some(entry.value)
                    }
                }
            }
            var there = 0
            for id in Self.ids {
                var present = StateDelta()
                for (key, value) in table where key.id == id { if let value { present.put(key.group, key.key, value) } }
                let wanted = present.entries
                let entries = merge.entries(of: id)
                #expect(Set(entries) == Set(wanted) && entries.count == wanted.count)
                #expect(entries == entries.sorted { $0.group != $1.group ? $0.group < $1.group : $0.key.lexicographicallyPrecedes($1.key) })
                let counts = merge.counts(of: id)
                #expect(counts.entries == wanted.count && counts.bytes == wanted.reduce(0) { $0 + $1.key.count + $1.value!.count })
                there += wanted.count
            }
            #expect(merge.counts().entries == there)
            // A snapshot has what is there, a delta also what is gone.
            let (snapshot, delta) = (merge.snapshot(), merge.delta())
            #expect(snapshot.counts == merge.counts() && delta.counts.entries == table.count)
            let read = try StateFileBytes.read(snapshot.bytes)
            #expect(read.map(\.id) == merge.ids.filter { !merge.entries(of: $0).isEmpty } && read.allSatisfy { $0.delta.entries == merge.entries(of: $0.id) })
            let gone = try StateFileBytes.read(delta.bytes).flatMap { part in part.delta.entries.filter { $0.value == nil }.map { Key(id: part.id, group: $0.group, key: $0.key) } }
            #expect(Set(gone) == Set(table.filter { $0.value == nil }.keys))
        }
    }

    @Test func `a merged delta does to a snapshot what its files do, and equal state is equal bytes`() throws {
        var random = SeededRandom(seed: 5)
        var removed = 0
        for _ in 0..<100 {
            let files = (0..<6).map { _ in StateFileBytes.write(Self.deltas(&random)) }
            func merge(_ files: [[UInt8]]) throws -> StateMerge {
                var merge = StateMerge()
                for file in files { try merge.add(file, groups: [0..<KeyGroup.count]) }
                return merge
            }
            var (all, base, late) = (try merge(files), try merge(Array(files[..<3])), try merge(Array(files[3...])))
            let delta = late.delta()
            var again = try merge([base.snapshot().bytes, delta.bytes])
            #expect(again.snapshot().bytes == all.snapshot().bytes)
            removed += delta.counts.entries - late.counts().entries
        }
        #expect(removed > 100)
    }

    @Test func `a file of another form, of other entries, cut or with more behind is refused`() throws {
        var delta = StateDelta()
        delta.put(5, [1, 2], [3])
        let good = StateFileBytes.write([(Self.ids[0], delta)])
        #expect(throws: Never.self) { try StateFileBytes.read(good) }
        for length in 0..<good.count { #expect(throws: StateFault.self) { try StateFileBytes.read(Array(good[..<length])) } }
        #expect(throws: StateFault.self) { try StateFileBytes.read(good + [0]) }
        for place in 0..<2 {
            var other = good
            other[place] += 1
            #expect(throws: StateFault.self) { try StateFileBytes.read(other) }
        }
        var group = good
        #expect(group[20] == 5)
        group[20] = 127
        #expect(throws: Never.self) { try StateFileBytes.read(group) }
        group.replaceSubrange(20..<21, with: [0x80, 1])
        #expect(throws: StateFault.self) { try StateFileBytes.read(group) }
        // Numbers with zeros before them would be two files of one state, and one of 64 bits a trap.
        for (place, value) in [(2, good[2]), (20, good[20]), (21, good[21])] {
            let long: [[UInt8]] = [[value | 0x80, 0], Array(repeating: 0xff, count: 9) + [1], Array(repeating: 0xff, count: 8) + [0x7f]]
            for number in long { #expect(throws: StateFault.self) { try StateFileBytes.read(Array(good[..<place]) + number + good[(place + 1)...]) } }
        }
    }

    @Test func `a file that cannot be read leaves a merge as it was`() throws {
        var merge = StateMerge()
        var delta = StateDelta()
        delta.put(5, [1, 2], [3])
        let good = StateFileBytes.write([(Self.ids[0], delta)])
        try merge.add(good, groups: [0..<128])
        var next = StateDelta()
        next.remove(5, [1, 2])
        #expect(throws: StateFault.self) { try merge.add(StateFileBytes.write([(Self.ids[0], next)]) + [1], groups: [0..<128]) }
        #expect(merge.snapshot().bytes == good)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>) func `mutated and cut files are refused or are a file`(seed: UInt64) {
        var random = SeededRandom(seed: seed &* 31)
        var (accepted, refused) = (0, 0)
        for _ in 0..<500 {
            let good = StateFileBytes.write(Self.deltas(&random))
            for _ in 0..<100 {
                let bad = Mutation.of(good, &random)
                do {
                    let deltas = try StateFileBytes.read(bad)
                    accepted += 1
                    #expect(StateFileBytes.write(deltas) == bad)
                    var merge = StateMerge()
                    try merge.add(bad, groups: [0..<100])
                    _ = merge.delta()
                } catch { refused += 1 }
            }
        }
        #expect(accepted > 1000 && refused > 1000, "\(accepted) accepted, \(refused) refused")
    }
}
