// The bounds on one record, at the edge and one past it, and the cutting of chunks that are too large to decode at once.

import Engine
import Testing

private func avroRecord(textBytes: Int) -> [UInt8] {
    Wire.framing + Wire.long(Int64(textBytes)) + [UInt8](repeating: 0x61, count: textBytes)
}

private func jsonRecord(textBytes: Int) -> [UInt8] {
    Array(#"{"t":""#.utf8) + [UInt8](repeating: 0x61, count: textBytes) + Array(#""}"#.utf8)
}

struct RecordLimitTests {
    static let schema = #"{"type":"record","name":"R","fields":[{"name":"t","type":"string"}]}"#
    static let nested = """
        {"type":"record","name":"R","fields":[{"name":"t","type":"string"},
        {"name":"r","type":["null",{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}]},
        {"name":"a","type":["null",{"type":"array","items":["null",{"type":"map","values":["null","L"]}]}]}]}
        """
    static let columns = Schema([Field("t", .text)])

    @Test func `an Avro record of 16 MiB is a row and one byte more is too large`() throws {
        let decoder = try AvroDecoder(schema: AvroSchema(text: Self.schema), needed: Self.columns)
        let overhead = avroRecord(textBytes: Limits.recordBytes - 9).count - (Limits.recordBytes - 9)
        let atEdge = avroRecord(textBytes: Limits.recordBytes - overhead)
        let past = avroRecord(textBytes: Limits.recordBytes - overhead + 1)
        #expect(atEdge.count == 16 << 20 && past.count == atEdge.count + 1)
        let result = decodeAll(decoder, [past, atEdge])
        #expect(result.rejected == [0: .tooLarge])
        #expect(result.kept == [1])
        #expect(result.rows == [[.text(String(repeating: "a", count: Limits.recordBytes - overhead))]])
    }

    @Test func `a JSON record of 16 MiB is a row and one byte more is too large`() throws {
        let decoder = try JSONRowDecoder(needed: Self.columns)
        let atEdge = jsonRecord(textBytes: Limits.recordBytes - 8)
        #expect(atEdge.count == 16 << 20)
        let result = decodeAll(decoder, [jsonRecord(textBytes: Limits.recordBytes - 7), atEdge])
        #expect(result.rejected == [0: .tooLarge])
        #expect(result.rows == [[.text(String(repeating: "a", count: Limits.recordBytes - 8))]])
    }

    @Test func `a hundred levels with the record itself are allowed in Avro, of records and of collections`() throws {
        let decoder = try AvroDecoder(schema: AvroSchema(text: Self.nested), needed: Self.columns)
        func records(_ levels: Int) -> [UInt8] { Wire.framing + Wire.text("x") + [UInt8](repeating: 2, count: levels) + [0, 0] }
        /// An array with a map with records.
        func collections(_ levels: Int) -> [UInt8] {
            let inner = [UInt8](repeating: 2, count: levels - 2) + [0]
            return Wire.framing + Wire.text("x") + [0, 2, 2, 2, 2] + Wire.text("k") + inner + [0, 0]
        }
        #expect(Limits.nesting == 100)
        let result = decodeAll(decoder, [records(99), records(100), collections(99), collections(100)])
        #expect(result.kept == [0, 2])
        #expect(result.rejected == [1: .tooDeep, 3: .tooDeep])
    }

    struct Cut: Sendable {
        var lengths: [Int]
        var pieces: [[Int]]
    }

    @Test(arguments: [
        Cut(lengths: [], pieces: []), Cut(lengths: [0], pieces: [[0]]), Cut(lengths: [10, 10, 10], pieces: [[10, 10, 10]]),
        Cut(lengths: [50, 50, 1], pieces: [[50, 50], [1]]), Cut(lengths: [50, 51], pieces: [[50], [51]]),
        Cut(lengths: [101], pieces: [[101]]), Cut(lengths: [1, 5000, 1, 0], pieces: [[1], [5000], [1, 0]]),
        Cut(lengths: [100, 100, 0, 0, 1], pieces: [[100], [100, 0, 0], [1]]),
    ])
    func `a chunk is cut where a piece would pass its bytes, and never within a record`(cut: Cut) {
        let records = cut.lengths.enumerated().map { RawRecord(payload: nil, length: $1, offset: Int64($0)) }
        var pieces: [[Int]] = []
        var offsets: [Int64] = []
        records.withUnsafeBufferPointer {
            $0.forEachPiece(maxBytes: 100) { piece in
                pieces.append(piece.map(\.length))
                offsets += piece.map(\.offset)
            }
        }
        #expect(pieces == cut.pieces)
        #expect(offsets == (0..<cut.lengths.count).map { Int64($0) })
    }
}
