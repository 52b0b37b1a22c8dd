// Copying, hashing and encoding whole chunks against the same rows as boxed values.

import Engine
import TestSupport
import Testing

/// The row hash as its file describes it, one byte at a time.
private enum SlowHash {
    static let digits: [UInt64] = [
        0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345, 0xa409_3822_299f_31d1, 0x082e_fa98_ec4e_6c89, 0x4528_21e6_38d0_1377,
        0xbe54_66cf_34e9_0c6d,
    ]

    static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = UInt128(a) * UInt128(b)
        return UInt64(truncatingIfNeeded: product >> 64) ^ UInt64(truncatingIfNeeded: product)
    }

    static func word(_ bytes: [UInt8], _ from: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[from + $1]) << UInt64(8 * $1) }
    }

    static func text(_ text: String) -> UInt64 {
        let bytes = Array(text.utf8)
        var (low, high, seen): (UInt64, UInt64, UInt64) = (0, 0, digits[3])
        switch bytes.count {
        case 17...:
            for index in stride(from: 0, to: bytes.count - 16, by: 16) {
                seen = mix(word(bytes, index, 8) ^ digits[1], word(bytes, index + 8, 8) ^ seen)
            }
            low = word(bytes, bytes.count - 16, 8)
            high = word(bytes, bytes.count - 8, 8)
        case 8...16:
            low = word(bytes, 0, 8)
            high = word(bytes, bytes.count - 8, 8)
        case 4...7:
            low = word(bytes, 0, 4)
            high = word(bytes, bytes.count - 4, 4)
        default: for byte in bytes { low = low << 8 | UInt64(byte) }
        }
        return mix(low ^ digits[4] ^ UInt64(bytes.count), high ^ seen)
    }

    static func row(_ values: [Value]) -> UInt64 {
        var hash = digits[0]
        for value in values {
            let bits: UInt64 =
                switch value {
                case .null: digits[5]
                case .int64(let number), .timestamp(let number): UInt64(bitPattern: number)
                case .float64(let number): number == 0 ? 0 : number.isNaN ? Double.nan.bitPattern : number.bitPattern
                case .bool(let flag): flag ? 1 : 0
                case .text(let string): text(string)
                }
            hash = mix(hash ^ digits[1], bits ^ digits[2])
        }
        return mix(hash ^ digits[3], hash ^ digits[4]) ^ (hash >> 32)
    }
}

struct ColumnOracleTests {
    @Test(arguments: ChunkShape.all)
    func `copied rows are the selected rows`(shape: ChunkShape) {
        var random = SeededRandom(seed: shape.seed)
        let oracle = oracleChunk(&random, rows: min(shape.rows, 3000), nullRate: shape.nullRate, selectedShare: shape.selectedShare)
        let copy = oracle.chunk.compacted()
        #expect(copy.selection == nil && copy.rowCount == oracle.rows.count)
        #expect(selectedValues(copy) == oracle.rows)
        // Behind rows that are there, with and without NULLs of their own.
        var target = oracleChunk(&random, rows: 5, nullRate: 1 - shape.nullRate, selectedShare: nil)
        for _ in 0..<3 {
            target.chunk.append(oracle.chunk)
            target.rows += oracle.rows
        }
        #expect(selectedValues(target.chunk) == target.rows)
    }

    @Test(arguments: ChunkShape.all)
    func `a row's hash is what its values alone give`(shape: ChunkShape) {
        var random = SeededRandom(seed: shape.seed + 1)
        let oracle = oracleChunk(&random, rows: min(shape.rows, 3000), nullRate: shape.nullRate, selectedShare: shape.selectedShare)
        #expect(RowHash.hashes(oracle.chunk.columns, of: oracle.chunk) == oracle.rows.map { SlowHash.row($0) })
        for column in everyType.fields.indices {
            #expect(
                RowHash.hashes([oracle.chunk.columns[column]], of: oracle.chunk)
                    == oracle.rows.map { SlowHash.row([$0[column]]) })
        }
        var digest = RowDigest()
        digest.add(oracle.chunk)
        var slow = RowDigest()
        for row in oracle.rows.reversed() {
            var one = Chunk(schema: everyType, capacity: 16)
            for (column, value) in zip(one.columns, row) { column.append(value) }
            one.rowCount = 1
            slow.add(one)
        }
        #expect(digest == slow)
    }

    @Test func `one zero and one NaN, and texts of every length, hash by their value`() {
        let floats = FixedColumn<Double>()
        for value in [0.0, -0.0, .nan, -.nan, Double(nan: 7, signaling: false)] { floats.append(value) }
        let hashes = RowHash.hashes(
            [.float64(floats)], of: Chunk(schema: Schema([Field("x", .float64)]), columns: [.float64(floats)], rowCount: 5))
        #expect(hashes[0] == hashes[1] && hashes[2] == hashes[3] && hashes[3] == hashes[4])
        let texts = TextColumn()
        let all = (0...70).map { length in String((0..<length).map { Character(Unicode.Scalar(97 + $0 % 26)!) }) }
        for text in all { texts.append(text) }
        let chunk = Chunk(schema: Schema([Field("t", .text)]), columns: [.text(texts)], rowCount: all.count)
        #expect(RowHash.hashes([.text(texts)], of: chunk) == all.map { SlowHash.row([.text($0)]) })
    }

    @Test(arguments: ChunkShape.all)
    func `an encoded chunk is read back as its selected rows, compressed or not`(shape: ChunkShape) throws {
        var random = SeededRandom(seed: shape.seed + 2)
        let oracle = oracleChunk(&random, rows: shape.rows, nullRate: shape.nullRate, selectedShare: shape.selectedShare)
        for compressing in [true, false] {
            let bytes = ChunkCodec.encode(oracle.chunk, compressing: compressing)
            let back = try ChunkCodec.decode(bytes)
            #expect(back.schema == everyType && back.selection == nil)
            #expect(selectedValues(back) == oracle.rows)
            // Equal rows in equal order give equal bytes.
            #expect(ChunkCodec.encode(oracle.chunk.compacted(), compressing: compressing) == bytes)
        }
    }
}
