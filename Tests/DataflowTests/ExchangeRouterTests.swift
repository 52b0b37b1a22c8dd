import CAllocations
import Dataflow
import TestSupport
import Testing
import Values

@Suite struct ExchangeRouterTests {
    /// The rows of each part that something came for; nil stands for all.
    private static func rows(_ router: ExchangeRouter, _ chunk: Dataflow.Chunk) -> [(part: Int, rows: [Int])] {
        var found: [(part: Int, rows: [Int])] = []
        router.route(chunk) { part, rows, count in
            #expect(count > 0)
            found.append((part, (0..<count).map { place in rows.map { Int($0[place]) } ?? place }))
        }
        return found
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>) func `each row goes to the part that owns its key`(seed: UInt64) {
        var source = RandomChunks(seed: seed)
        var shared = 0
        for parts in [1, 2, 3, 7, 64, 128, 200] {
            for _ in 0..<20 {
                let types = (0..<3).map { _ in source.type(depth: 1) }
                let keys = (0..<source.random.below(3)).map { _ in source.random.below(3) }
                let router = ExchangeRouter(.hash(keys), parts: parts)
                // One router, chunks of different lengths.
                for count in [40, 0, 1, 90] {
                    let chunk = source.chunk(types, count).chunk
                    let found = Self.rows(router, chunk)
                    shared += found.count > 1 ? 1 : 0
                    #expect(found.map(\.part) == found.map(\.part).sorted() && found.allSatisfy { $0.rows == $0.rows.sorted() })
                    var owners = [Int](repeating: -1, count: count)
                    for (part, rows) in found { for row in rows { owners[row] = part } }
                    for row in 0..<count {
                        var (hash, list): (UInt64, Int32) = (0, Int32(row))
                        KeyOrder.hash(keys.map { chunk.columns[$0] }, Selection(rows: &list, count: 1), into: &hash)
                        #expect(owners[row] == KeyGroup.part(of: KeyGroup.of(hash), parts: parts))
                    }
                    #expect(found.reduce(0) { $0 + $1.rows.count } == count)
                }
            }
        }
        #expect(shared > 50)
    }

    @Test func `one owner has everything without a key, and a broadcast goes to all`() {
        let pool = BufferPool()
        let chunk = Dataflow.Chunk(columns: [Vector.flat([.word(1), .word(2)], .int8, pool: pool)], count: 2)
        for parts in [1, 2, 5, 128] {
            let single = Self.rows(ExchangeRouter(.single, parts: parts), chunk)
            #expect(single.count == 1 && single[0].rows == [0, 1] && single[0].part == KeyGroup.part(of: KeyGroup.ofNothing, parts: parts))
            #expect(Self.rows(ExchangeRouter(.hash([]), parts: parts), chunk).map(\.part) == single.map(\.part))
            let all = Self.rows(ExchangeRouter(.broadcast, parts: parts), chunk)
            #expect(all.map(\.part) == Array(0..<parts) && all.allSatisfy { $0.rows == [0, 1] })
        }
    }

    @Test func `parts own ranges of key groups that are all of them`() {
        for parts in [1, 2, 3, 5, 7, 100, 128, 129, 300] {
            for part in 0..<parts {
                let groups = (0..<KeyGroup.count).filter { KeyGroup.part(of: $0, parts: parts) == part }
                #expect(Array(KeyGroup.groups(of: part, parts: parts)) == groups)
            }
        }
    }

    @Test func `routing allocates nothing after the first chunk`() {
        let pool = BufferPool()
        let columns = [Vector.flat((0..<4096).map { .word($0) }, .int8, pool: pool), Vector.flat((0..<4096).map { .text("\($0)") }, .text, pool: pool)]
        let chunk = Dataflow.Chunk(columns: columns, count: 4096)
        let router = ExchangeRouter(.hash([0, 1]), parts: 7)
        var rows = 0
        router.route(chunk) { _, _, count in rows += count }
        allocations_begin()
        for _ in 0..<10 { router.route(chunk) { _, _, count in rows += count } }
        #expect(allocations_end() == 0)
        #expect(rows == 11 * 4096)
    }
}
