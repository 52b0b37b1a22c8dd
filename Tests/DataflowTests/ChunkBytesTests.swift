import Dataflow
import TestSupport
import Testing
import Values

@Suite struct ChunkBytesTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>) func `chunks of all types and forms come back, all rows or some`(seed: UInt64) throws {
        var source = RandomChunks(seed: seed)
        var forms: Set<Vector.Form> = []
        for _ in 0..<400 {
            let types = (0..<source.random.below(5)).map { _ in source.type() }
            let count = source.random.pick([0, 1, 2, 7, 8, 63, 64, 65, 300])
            let (chunk, data) = source.chunk(types, count)
            let all = try ChunkBytes.chunk(types, ChunkBytes.bytes(chunk))
            #expect((all.weights == nil) == (chunk.weights == nil))
            if let difference = Looks.difference(all, data, rows: Array(0..<count), weights: chunk.weight) { Issue.record("\(difference)") }
            forms.formUnion(all.columns.map(\.form))
            let rows = (0..<count).filter { _ in source.random.chance(0.4) }
            let some = try ChunkBytes.chunk(types, ChunkBytes.bytes(chunk, rows))
            if let difference = Looks.difference(some, data, rows: rows, weights: chunk.weight) { Issue.record("\(difference)") }
        }
        #expect(forms == [.flat, .constant, .dictionary])
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>) func `equal rows out of flat vectors are equal bytes`(seed: UInt64) {
        var source = RandomChunks(seed: seed)
        for _ in 0..<300 {
            let types = (0..<1 + source.random.below(4)).map { _ in source.type() }
            let count = source.random.pick([1, 9, 64, 130])
            let (chunk, data) = source.chunk(types, count, flat: true)
            // The same rows among others, in another order, with what others left in the memory under NULL.
            let rows = Array(0..<count).filter { _ in source.random.chance(0.6) }
            let columns = zip(types, data).map { type, column in Vector.flat(rows.map { column[$0] }, type, pool: source.pool) }
            let weights = rows.map { chunk.weight($0) }
            let alone = Dataflow.Chunk(columns: columns, count: rows.count, weights: chunk.weights == nil ? nil : source.buffer(weights))
            #expect(ChunkBytes.bytes(alone) == ChunkBytes.bytes(chunk, rows))
        }
    }

    @Test func `what lies under NULL is not written`() throws {
        let pool = BufferPool()
        let type = SQLType.row([RowField(name: "t", type: .text), RowField(name: "l", type: .list(.int8))])
        let good = Vector.flat([.row([.text("a"), .list([.word(1)])]), .null, .row([.text("b"), .list([])])], type, pool: pool)
        // Spans to nowhere, where the row itself is NULL.
        let texts = good.children[0]
        let (values, lists) = (pool.take(24), pool.take(24))
        values.base.copyMemory(from: texts.values.base, byteCount: 24)
        lists.base.copyMemory(from: good.children[1].values.base, byteCount: 24)
        for buffer in [values, lists] { buffer.base.storeBytes(of: .max, toByteOffset: 8, as: UInt64.self) }
        let children = [
            Vector(.text, count: 3, values: values, extra: texts.extra), Vector(.list(.int8), count: 3, values: lists, children: good.children[1].children),
        ]
        let odd = Vector(type, count: 3, values: good.values, validity: good.validity, children: children)
        let bytes = ChunkBytes.bytes(Dataflow.Chunk(columns: [odd], count: 3))
        #expect(bytes == ChunkBytes.bytes(Dataflow.Chunk(columns: [good], count: 3)))
        #expect(try ChunkBytes.chunk([type], bytes).columns[0].datum(2) == .row([.text("b"), .list([])]))
    }

    @Test func `chunks stand one behind the other, each behind the number of its edge`() throws {
        var source = RandomChunks(seed: 3)
        let edges: [(number: Int, types: [SQLType])] = [(0, [.text]), (300, []), (7, [.int8, .numeric])]
        var bytes: [UInt8] = []
        var sent: [(chunk: Dataflow.Chunk, data: [[Datum]])] = []
        for edge in edges {
            sent.append(source.chunk(edge.types, 20))
            ChunkBytes.append(number: edge.number, to: &bytes)
            ChunkBytes.append(sent.last!.chunk, to: &bytes)
        }
        try bytes.withUnsafeBytes { all in
            var reader = ByteReader(all)
            for (edge, sent) in zip(edges, sent) {
                #expect(try reader.number() == edge.number)
                let chunk = try ChunkBytes.read(edge.types, from: &reader, pool: source.pool)
                #expect(Looks.difference(chunk, sent.data, rows: Array(0..<20), weights: sent.chunk.weight) == nil)
            }
            #expect(reader.isAtEnd)
        }
    }

    @Test func `bytes are few: words as they lie, a constant once, a dictionary where it is smaller`() {
        let pool = BufferPool()
        let long = String(repeating: "long", count: 1000)
        func size(_ vector: Vector) -> Int { ChunkBytes.bytes(Dataflow.Chunk(columns: [vector], count: 4096)).count }
        #expect(size(Vector.flat((0..<4096).map { .word($0 << 40) }, .int8, pool: pool)) == 4096 * 8 + 5)
        #expect(size(Vector.constant(.text(long), .text, pool: pool)) < 4100)
        let codes = pool.take(4096 * 4)
        for row in 0..<4096 { codes.base.storeBytes(of: Int32(row % 3 * 500), toByteOffset: row * 4, as: Int32.self) }
        let entries = Vector.flat((0..<1001).map { .text("\($0) \(long)") }, .text, pool: pool)
        #expect(size(Vector(dictionary: entries, codes: codes, count: 4096)) < 4096 + 3 * 4100)
        // Every row another entry: no codes.
        for row in 0..<4096 { codes.base.storeBytes(of: Int32(row), toByteOffset: row * 4, as: Int32.self) }
        #expect(size(Vector(dictionary: Vector.flat((0..<4096).map { .word($0) }, .int8, pool: pool), codes: codes, count: 4096)) == 4096 * 8 + 5)
    }

    // MARK: hostile bytes

    @Test func `bytes of other types are refused`() throws {
        var source = RandomChunks(seed: 9)
        let row = SQLType.row([RowField(name: "a", type: .int4)])
        let types: [SQLType] = SQLType.scalars + [.list(.int8), .list(.text), row, .row([RowField(name: "a", type: .int8)]), .row([])]
        for type in types {
            let bytes = ChunkBytes.bytes(source.chunk([type], 5, flat: true).chunk)
            for other in types where other != type { #expect(throws: BytesFault.self) { try ChunkBytes.chunk([other], bytes) } }
            #expect(throws: BytesFault.self) { try ChunkBytes.chunk([], bytes) }
            #expect(throws: BytesFault.self) { try ChunkBytes.chunk([type, type], bytes) }
            #expect(throws: Never.self) { try ChunkBytes.chunk([type], bytes) }
        }
    }

    /// A head and a body by hand: rows, one column, its bytes, no weights.
    private static func bytes(_ rows: [UInt8], _ column: [UInt8]) -> [UInt8] { rows + [1] + column + [0] }

    static let wrong: [(what: String, type: SQLType, column: [UInt8])] = [
        ("a code beyond the dictionary", .text, [0x48, 1, 1, 0, 1, 1, 1, 0x61]), ("more entries than rows", .text, [0x48, 3, 1, 0, 0, 1, 1, 1, 1, 0x61, 0x61, 0x61]),
        ("a form that is none", .bool, [0x61, 0]), ("no UTF-8", .text, [8, 1, 1, 1, 0x61, 0xff]), ("a character in two texts", .text, [8, 1, 1, 1, 0xc3, 0xa4]),
        ("lengths of five bytes", .text, [8, 5, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x61, 0x61]), ("a length beyond the end", .bytea, [9, 1, 1, 9, 1, 2]),
        ("lengths beyond 32 bits", .bytea, [9, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("too large for smallint", .int2, [2, 0, 0, 1, 0, 0, 0, 0, 0] + Array(repeating: 0, count: 8)),
        ("too small for integer", .int4, [3] + Array(repeating: 0, count: 8) + [0, 0, 0, 0, 0, 0xff, 0xff, 0xff]),
        ("121 digits behind the point", .numeric, [7, 3, 121] + Array(repeating: 0, count: 16)),
        ("39 digits", .numeric, [7, 2, 0] + Array(repeating: 0xff, count: 15) + [0x4b] + Array(repeating: 0, count: 16)),
        ("numerics of a kind that is none", .numeric, [7, 7, 0] + Array(repeating: 0, count: 16)),
        ("no jsonb", .jsonb, [16, 1, 1, 1, 0x31, 0x7b]), ("nothing as jsonb", .jsonb, [16, 1, 1, 0, 0x31]),
        ("more elements than are there", .list(.bool), [17, 4, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 1, 1]),
        ("fewer fields", .row([RowField(name: "a", type: .bool)]), [18, 0, 1, 3]),
    ]

    @Test(arguments: wrong.indices) func `what no writer writes is refused`(index: Int) throws {
        let (what, type, column) = Self.wrong[index]
        #expect(throws: BytesFault.self, "\(what)") { try ChunkBytes.chunk([type], Self.bytes([2], column)) }
    }

    @Test func `a value that is wrong is the only reason of the table above`() throws {
        let right: [(SQLType, [UInt8])] = [
            (.text, [0x48, 1, 1, 0, 0, 1, 1, 0x61]), (.bool, [0x21, 0]), (.text, [8, 1, 2, 0, 0xc3, 0xa4]), (.bytea, [9, 1, 1, 1, 1, 2]),
            (.int2, [2] + Array(repeating: 0, count: 16)),
            (.numeric, [7, 3, 120] + Array(repeating: 0, count: 16)), (.numeric, [7, 2, 0] + Array(repeating: 0xff, count: 15) + [0x4a] + Array(repeating: 0, count: 16)),
            (.jsonb, [16, 1, 1, 1, 0x31, 0x32]),
            (.list(.bool), [17, 1, 1, 1, 1, 3]),
        ]
        #expect(throws: BytesFault.self, "weights of a kind that is none") { try ChunkBytes.chunk([.bool], [2, 1, 0x21, 0, 3, 1, 1]) }
        for (type, column) in right { #expect(throws: Never.self, "\(type.name)") { try ChunkBytes.chunk([type], Self.bytes([2], column)) } }
    }

    @Test func `a count that claims memory gets none`() throws {
        let nested: [SQLType] = [.list(.text), .row([RowField(name: "a", type: .uuid), RowField(name: "b", type: .jsonb)])]
        for type in SQLType.scalars + nested {
            for flags in [UInt8(0), 0x40, 0x80] {
                var source = RandomChunks(seed: 1)
                let head = ChunkBytes.bytes(source.chunk([type], 1, flat: true).chunk)[2] & 0x1f | flags
                // 2^31 - 1 rows; a dictionary of as many entries.
                let most: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0x07]
                let field: [UInt8] = if case .row(let fields) = type { [UInt8(fields.count), 15] } else { [] }
                let pool = BufferPool()
                let column = [head] + field + (flags == 0x40 ? most : []) + [1] + Array(repeating: 1, count: 500)
                #expect(throws: BytesFault.self) { try ChunkBytes.chunk([type], Self.bytes(most, column), pool: pool) }
                #expect(pool.allocations == 0, "\(type.name) \(flags)")
            }
        }
    }

    @Test func `jsonb is looked at as deep as a parser goes`() {
        func isTaken(_ text: String) -> Bool {
            let vector = Vector.flat([.text(text)], .jsonb, pool: BufferPool())
            return (try? ChunkBytes.chunk([.jsonb], ChunkBytes.bytes(Dataflow.Chunk(columns: [vector], count: 1)))) != nil
        }
        func nested(_ depth: Int, _ inner: String = "") -> String { String(repeating: "[", count: depth) + inner + String(repeating: "]", count: depth) }
        for good in [nested(1000), nested(1000, "1"), nested(999, "{}"), "{\"a\": {\"b\": [0.5, -10]}}", "\"\\u001f\\\\\"", "0"] { #expect(isTaken(good), "\(good)") }
        let bad = [
            nested(1001), nested(1000, "{}"), String(repeating: "[", count: 1 << 20), "[1,2]", "[1, 2", "[1, ]", "{\"a\":1}", "{\"a\": }", "{a: 1}", "\"a", "\"\\", "\"\\u00\"",
            "1.", "-", "1 ", "nul",
            "\"\n\"", "{\"a\": 1]", "", "1, 2",
        ]
        for bad in bad { #expect(!isTaken(bad), "\(bad.prefix(20))") }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>) func `mutated and cut bytes are refused or are a chunk`(seed: UInt64) throws {
        var source = RandomChunks(seed: seed &* 77)
        var (accepted, refused) = (0, 0)
        let pool = BufferPool()
        for round in 0..<500 {
            let types = (0..<1 + source.random.below(4)).map { _ in source.type() }
            let good = ChunkBytes.bytes(source.chunk(types, source.random.pick([1, 3, 9, 40])).chunk)
            for _ in 0..<100 {
                let bad = Mutation.of(good, &source.random)
                do {
                    let chunk = try ChunkBytes.chunk(types, bad, pool: pool)
                    accepted += 1
                    guard chunk.count < 100 else { continue }
                    let data = chunk.columns.map { column in (0..<chunk.count).map { column.datum($0) } }
                    let again = try ChunkBytes.chunk(types, ChunkBytes.bytes(chunk))
                    if let difference = Looks.difference(again, data, rows: Array(0..<chunk.count), weights: chunk.weight) { Issue.record("round \(round): \(difference)") }
                } catch { refused += 1 }
            }
        }
        #expect(accepted > 1000 && refused > 1000, "\(accepted) accepted, \(refused) refused")
    }
}

/// Good bytes made bad.
enum Mutation {
    static func of(_ good: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = good
        for _ in 0...random.below(3) {
            if bytes.isEmpty { return bytes }
            let place = random.below(bytes.count)
            switch random.below(7) {
            case 0: bytes.removeSubrange(place...)
            case 1: bytes[place] ^= 1 << UInt8(random.below(8))
            case 2: bytes[place] = random.pick([0, 1, 0x7f, 0x80, 0xff])
            case 3: bytes.remove(at: place)
            case 4: bytes.insert(UInt8(random.below(256)), at: place)
            case 5: bytes.replaceSubrange(place..<min(place + 4, bytes.count), with: [0xff, 0xff, 0xff, random.pick([0x07, 0x7f, 0xff])])
            default: bytes[place] = UInt8(random.below(256))
            }
        }
        return bytes
    }
}
