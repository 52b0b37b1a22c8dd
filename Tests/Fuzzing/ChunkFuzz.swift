// Fuzzing of rows between workers: the first byte says of which types they are to be, the rest is a chunk. A frame with a checksum stands
// around it where it is used; the reader must stand by itself.
//
// Whatever is read is used as operators use it: hashed as a key, taken apart value by value; and another round must give the same rows.

import Dataflow
import Values

final class ChunkFuzz: FuzzSubject {
    private static let kinds: [[SQLType]] = [
        [.text, .int8, .timestamptz, .numeric], [.bool, .int2, .int4, .float4, .float8], [.bytea, .uuid, .interval, .date, .time], [.jsonb, .text],
        [.list(.text), .list(.list(.int4))], [.row([RowField(name: "a", type: .numeric), RowField(name: "b", type: .list(.jsonb))])], [],
    ]
    private let pool = BufferPool()
    private(set) var seeds: [[UInt8]] = []
    let tokens: [[UInt8]] = [
        [0xff, 0xff, 0xff, 0xff, 0x07], [0x80, 0x01], [0], [1], [2], [4], [0x28], [0x48], [0x88], [0x30], [0x50], [0xff, 0xff, 0xff, 0x7f], [0xc3, 0xa4], Array("{\"a\": [".utf8),
        Array("\\u00".utf8), [120], [255], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ]

    init() {
        for (kind, types) in Self.kinds.enumerated() {
            for count in [0, 1, 3, 9] {
                let data = types.map { type in (0..<count).map { Self.value(type, $0) } }
                var flat = zip(types, data).map { Vector.flat($1, $0, pool: pool) }
                seeds.append(bytes(kind, Chunk(columns: flat, count: count)))
                if count < 3 { continue }
                let codes = pool.take(count * 4)
                for row in 0..<count { codes.base.storeBytes(of: Int32(row % 2), toByteOffset: row * 4, as: Int32.self) }
                flat = flat.enumerated().map { index, vector in
                    index % 2 == 0 ? Vector(dictionary: vector, codes: codes, count: count) : Vector.constant(data[index][1], vector.type, pool: pool)
                }
                let weights = pool.take(count * 8)
                weights.base.initializeMemory(as: Int64.self, repeating: count == 3 ? -1 : 1000, count: count)
                seeds.append(bytes(kind, Chunk(columns: flat, count: count, weights: weights)))
            }
        }
    }

    private static func value(_ type: SQLType, _ row: Int) -> Datum {
        if row % 4 == 2 { return .null }
        switch type {
        case .bool: return .bool(row % 2 == 0)
        case .int2, .int4, .int8, .date, .time, .timestamp, .timestamptz: return .word(Int64(row) * 1000)
        case .float4, .float8: return .float(Double(row) / 4)
        case .numeric: return .numeric(Numeric(units: Int128(row) << (row % 2 == 0 ? 80 : 4), scale: UInt8(row % 3)))
        case .interval: return .interval(Interval(months: 1, days: Int32(row), micros: 5))
        case .uuid: return .uuid(UUIDWords(high: UInt64(row), low: 1))
        case .unknown, .text: return .text(row % 2 == 0 ? "é" : "key \(row % 3)")
        case .jsonb: return .text(row % 2 == 0 ? "{\"a\": [1.50, null], \"é\": \"\\n\"}" : "[]")
        case .bytea: return .bytes([0, 0xff])
        case .list(let element): return .list((0..<row % 3).map { value(element, $0) })
        case .row(let fields): return .row(fields.map { value($0.type, row) })
        }
    }

    private func bytes(_ kind: Int, _ chunk: Chunk) -> [UInt8] {
        var bytes = [UInt8(kind)]
        ChunkBytes.append(chunk, to: &bytes)
        return bytes
    }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        guard let first = input.first else { return .refused }
        let types = Self.kinds[Int(first) % Self.kinds.count]
        return withExactCopy([], input.dropFirst()) { base, count in
            var reader = ByteReader(UnsafeRawBufferPointer(start: base, count: count))
            do {
                return try judge(types, ChunkBytes.read(types, from: &reader, pool: pool))
            } catch is BytesFault {
                return .refused
            } catch {
                return .defect("broken bytes are another error: \(error)")
            }
        }
    }

    private func judge(_ types: [SQLType], _ chunk: Chunk) throws -> FuzzOutcome {
        if chunk.columns.map(\.type) != types { return .defect("other types: \(chunk.columns.map(\.type))") }
        // A constant has as many rows as it says.
        if chunk.count > 1024 { return .accepted }
        let (texts, hashes) = (lines(chunk), hashes(chunk))
        var bytes: [UInt8] = []
        ChunkBytes.append(chunk, to: &bytes)
        let again = try bytes.withUnsafeBytes { all in
            var reader = ByteReader(all)
            return try ChunkBytes.read(types, from: &reader, pool: pool)
        }
        return lines(again) == texts && self.hashes(again) == hashes ? .accepted : .defect("another round gave other rows")
    }

    private func lines(_ chunk: Chunk) -> [String] { (0..<min(chunk.count, 16)).map { row in "\(chunk.weight(row)) \(chunk.columns.map { $0.datum(row) })" } }

    private func hashes(_ chunk: Chunk) -> [UInt64] {
        var hashes = [UInt64](repeating: 0, count: chunk.count)
        if chunk.count > 0 { KeyOrder.hash(chunk.columns, .all(chunk.count), into: &hashes) }
        return hashes
    }
}
