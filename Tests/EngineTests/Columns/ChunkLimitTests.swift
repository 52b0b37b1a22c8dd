// Blocks from a process that lies: each bound at its edge and one past it, and every byte of a block wrong once.

import CXXHash
import CZstd
import Engine
import Foundation
import Fuzzing
import TestSupport
import Testing

private func framed(_ body: [UInt8], claimed: UInt64, compressed: Bool, version: UInt8 = 1) -> [UInt8] {
    var block: [UInt8] = [0x53, 0x4c, 0x43, 0x4b, version, compressed ? 1 : 0, 0, 0]
    withUnsafeBytes(of: claimed.littleEndian) { block += $0 }
    let checksum = XXH64(body, body.count, XXH64(block, block.count, 0))
    withUnsafeBytes(of: checksum.littleEndian) { block += $0 }
    return block + body
}

private func plain(_ body: [UInt8]) -> [UInt8] { framed(body, claimed: UInt64(body.count), compressed: false) }

private func zstd(_ body: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(body.count)) { buffer, count in
        count = ZSTD_compress(buffer.baseAddress, buffer.count, body, body.count, 1)
    }
}

/// A body of one bool column whose rows fill it to exactly this size.
private func boolBody(bytes: Int) -> [UInt8] {
    let head: [UInt8] = [1, 0, 3, 0, 1, 0, UInt8(ascii: "b")]
    let rows = bytes - head.count - 4 - 1
    return head + withUnsafeBytes(of: UInt32(rows).littleEndian) { Array($0) } + [0] + [UInt8](repeating: 0, count: rows)
}

struct ChunkLimitTests {
    @Test func `a compressed block may unpack to 64 MiB and not to a byte more`() throws {
        let edge = Limits.inflatedBytes
        #expect(edge == 64 << 20)
        let atEdge = boolBody(bytes: edge)
        #expect(try ChunkCodec.decode(framed(zstd(atEdge), claimed: UInt64(edge), compressed: true)).rowCount == edge - 12)
        let past = boolBody(bytes: edge + 1)
        let bomb = framed(zstd(past), claimed: UInt64(edge + 1), compressed: true)
        #expect(bomb.count < 20_000)
        let before = residentBytes()
        let failure = #expect(throws: Failure.self) { try ChunkCodec.decode(bomb) }
        #expect(failure?.why == "it claims to unpack to \(edge + 1) bytes")
        #expect(residentBytes() - before < 8 << 20)
        // A state file's digest was checked against the log.
        #expect(try ChunkCodec.decode(bomb, for: .state).rowCount == edge - 11)
        // The writer keeps to what the reader takes.
        let chunk = try ChunkCodec.decode(plain(past))
        #expect(ChunkCodec.encode(chunk).count > edge)
        #expect(ChunkCodec.encode(chunk, for: .state).count < 20_000)
        #expect(try ChunkCodec.decode(ChunkCodec.encode(chunk)).rowCount == edge - 11)
    }

    @Test func `a bomb that claims to be small is refused before it unpacks`() {
        let bomb = zstd([UInt8](repeating: 0, count: 256 << 20))
        #expect(bomb.count < 32_000)
        let before = residentBytes()
        for claimed in [0, 1, 4096, 64 << 20] as [UInt64] {
            let failure = #expect(throws: Failure.self) {
                try ChunkCodec.decode(framed(bomb, claimed: claimed, compressed: true))
            }
            #expect(failure?.why == "its length is another than it says")
        }
        #expect(residentBytes() - before < 8 << 20)
    }

    @Test(
        arguments: [
            ("no byte", [], "it does not start as one"),
            ("half a header", [0x53, 0x4c, 0x43, 0x4b, 1], "it does not start as one"),
            ("a later version", framed([], claimed: 0, compressed: false, version: 2), "its format version is 2, this build reads 1"),
            ("a length beyond a block", framed([], claimed: 1 << 31, compressed: false), "it claims \(1 << 31) bytes"),
            ("the largest length", framed([], claimed: .max, compressed: true), "it claims \(UInt64.max) bytes"),
            ("another length", framed([0, 0, 0, 0, 0, 0], claimed: 7, compressed: false), "its length is another than it says"),
            ("no zstd frame", framed([1, 2, 3], claimed: 3, compressed: true), "its length is another than it says"),
            ("a body of no bytes", plain([]), "it is cut short"),
            ("an unknown type", plain([1, 0, 5, 0, 0, 0, 0, 0, 0, 0]), "it has a column of an unknown type"),
            ("a name that is no text", plain([1, 0, 0, 0, 1, 0, 0xff, 0, 0, 0, 0, 0]), "the name of a column is not text"),
            ("a name longer than the body", plain([1, 0, 0, 0, 0xff, 0xff, 0]), "it is cut short"),
            ("rows without columns", plain([0, 0, 0xff, 0xff, 0xff, 0xff]), "it claims rows without columns"),
            ("4,294,967,295 numbers", plain([1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0]), "it claims more rows than it holds"),
            ("2^31 texts", plain([1, 0, 2, 0, 0, 0, 0, 0, 0, 0x80, 0]), "it claims more rows than it holds"),
            ("validity of 2^32 - 1 rows", plain([1, 0, 3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1]), "it is cut short"),
            (
                "a text of 4 GiB", plain([1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
                "a text is longer than the block"
            ),
            ("a byte too many", plain([0, 0, 0, 0, 0, 0, 0]), "bytes are left over"),
        ] as [(String, [UInt8], String)])
    func `a broken block is a lost block with its reason`(name: String, block: [UInt8], why: String) {
        let failure = #expect(throws: Failure.self) { try ChunkCodec.decode(block) }
        #expect(failure?.code == .blockLost)
        #expect(failure?.why == why)
    }

    @Test(arguments: [true, false])
    func `a block cut at any byte or with any bit changed is refused`(compressing: Bool) throws {
        var random = SeededRandom(seed: 3)
        let chunk = oracleChunk(&random, rows: compressing ? 300 : 9, nullRate: 0.3, selectedShare: nil).chunk
        let block = ChunkCodec.encode(chunk, compressing: compressing)
        #expect((block[5] == 1) == compressing)
        for length in 0..<block.count {
            #expect(throws: Failure.self) { try ChunkCodec.decode(Array(block[..<length])) }
        }
        for place in 0..<min(block.count, 600) {
            for bit in 0..<8 {
                var changed = block
                changed[place] ^= 1 << UInt8(bit)
                #expect(throws: Failure.self) { try ChunkCodec.decode(changed) }
            }
        }
        // With a right checksum every cut body is still refused.
        let body = Array(ChunkCodec.encode(chunk, compressing: false)[24...])
        for length in 0..<min(body.count, 2000) {
            #expect(throws: Failure.self) { try ChunkCodec.decode(plain(Array(body[..<length]))) }
        }
    }
}
