// Fuzzing of blocks between workers. The checksum would stop nearly every mutated block at the door, so most inputs are
// given a right one: the parser behind it must stand by itself. The first byte of an input says what the rest is:
//
//   0   a whole block, as it is
//   1   a body, to be framed as plain
//   2   a compressed body behind the length (8 bytes) that it claims
//   3   a body, to be compressed and framed: reaches the parser through zstd
//
// Whatever decodes is read in every way that operators read it, and must be the same after another round.

import CXXHash
import CZstd
import Engine

final class BlockFuzz: FuzzSubject {
    private static let headerBytes = 24
    let seeds: [[UInt8]]
    let tokens: [[UInt8]] = [
        [0x53, 0x4c, 0x43, 0x4b], [0, 0, 0, 0], [1, 0, 0, 0], [0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0x80],
        [0, 0, 0, 0x40], [0, 0, 0, 4, 0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x28, 0xb5, 0x2f, 0xfd],
        [0, 0], [1, 0], [2, 0], [4], [5], [0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
    ]

    init() {
        var chunks: [Chunk] = []
        let fields = [
            Field("key", .text), Field("n", .int64, nullable: true), Field("x", .float64), Field("b", .bool, nullable: true),
            Field("at", .timestamp), Field("note", .text, nullable: true),
        ]
        for rows in [0, 1, 3, 9] {
            var chunk = Chunk(schema: Schema(fields), capacity: 16)
            for row in 0..<rows {
                let values: [Value] = [
                    .text("key \(row % 3)"), row % 2 == 0 ? .null : .int64(Int64(row)), .float64(Double(row) / 4),
                    row % 3 == 0 ? .null : .bool(row % 2 == 0), .timestamp(Int64(row) * 1000), row % 4 == 0 ? .null : .text("é"),
                ]
                for (column, value) in zip(chunk.columns, values) { column.append(value) }
            }
            chunk.rowCount = rows
            chunks.append(chunk)
        }
        var seeds: [[UInt8]] = []
        for chunk in chunks {
            let block = ChunkCodec.encode(chunk)
            let body = Array(block[Self.headerBytes...])
            seeds.append([0] + block)
            seeds.append([1] + body)
            seeds.append([3] + body)
            seeds.append([2] + withUnsafeBytes(of: UInt64(body.count).littleEndian) { Array($0) } + Self.compressed(body))
        }
        self.seeds = seeds
    }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        guard let first = input.first else { return .refused }
        let rest = Array(input.dropFirst())
        let block: [UInt8]
        switch first & 3 {
        case 0: block = rest
        case 1: block = Self.framed(rest, bodyBytes: UInt64(rest.count), isCompressed: false)
        case 2:
            guard rest.count >= 8 else { return .refused }
            let claimed = rest.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
            block = Self.framed(Array(rest[8...]), bodyBytes: claimed, isCompressed: true)
        default: block = Self.framed(Self.compressed(rest), bodyBytes: UInt64(rest.count), isCompressed: true)
        }
        do {
            return judge(try ChunkCodec.decode(block))
        } catch let failure as Failure where failure.code == .blockLost {
            return .refused
        } catch {
            return .defect("a broken block is another error: \(error)")
        }
    }

    private func judge(_ chunk: Chunk) -> FuzzOutcome {
        if chunk.columns.contains(where: { $0.count != chunk.rowCount }) { return .defect("a column has another number of rows") }
        for row in 0..<min(chunk.rowCount, 64) { _ = chunk.values(row) }
        var digest = RowDigest()
        digest.add(chunk)
        do {
            let again = try ChunkCodec.decode(ChunkCodec.encode(chunk.compacted()))
            var secondDigest = RowDigest()
            secondDigest.add(again)
            if again.schema != chunk.schema || secondDigest != digest { return .defect("another round gave other rows") }
        } catch {
            return .defect("what was decoded cannot be decoded again: \(error)")
        }
        return .accepted
    }

    private static func framed(_ body: [UInt8], bodyBytes: UInt64, isCompressed: Bool) -> [UInt8] {
        var block: [UInt8] = [0x53, 0x4c, 0x43, 0x4b, 1, isCompressed ? 1 : 0, 0, 0]
        withUnsafeBytes(of: bodyBytes.littleEndian) { block += $0 }
        let checksum = XXH64(body, body.count, XXH64(block, block.count, 0))
        withUnsafeBytes(of: checksum.littleEndian) { block += $0 }
        return block + body
    }

    private static func compressed(_ body: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(body.count)) { buffer, count in
            count = ZSTD_compress(buffer.baseAddress, buffer.count, body, body.count, 1)
        }
    }
}
