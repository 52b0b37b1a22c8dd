// Unpacking as producers pack: several frames and members, both snappy forms, rests behind the end, bombs and lies.

import CLZ4
import CSnappy
import CZlib
import CZstd
import Engine
import Glibc
import Testing

/// What producers do to records.
enum Packing {
    static func zstd(_ bytes: [UInt8], level: Int32 = 3) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(bytes.count)) { buffer, count in
            count = ZSTD_compress(buffer.baseAddress, buffer.count, bytes, bytes.count, level)
        }
    }

    /// As Java's stream does it: the frame tells no size.
    static func zstdStream(_ bytes: [UInt8]) -> [UInt8] {
        let context = ZSTD_createCCtx()
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)
        return [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(bytes.count)) { buffer, count in
            count = ZSTD_compress2(context, buffer.baseAddress, buffer.count, bytes, bytes.count)
        }
    }

    static func lz4(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: LZ4F_compressFrameBound(bytes.count, nil)) { buffer, count in
            count = LZ4F_compressFrame(buffer.baseAddress, buffer.count, bytes, bytes.count, nil)
        }
    }

    static func snappy(_ bytes: [UInt8]) -> [UInt8] {
        var size = snappy_max_compressed_length(bytes.count)
        var packed = [UInt8](repeating: 0, count: size)
        bytes.withUnsafeBytes { input in
            packed.withUnsafeMutableBytes { output in
                _ = snappy_compress(
                    input.bindMemory(to: CChar.self).baseAddress, bytes.count, output.bindMemory(to: CChar.self).baseAddress, &size)
            }
        }
        return Array(packed.prefix(size))
    }

    static func xerial(_ bytes: [UInt8], blockBytes: Int = 32 << 10) -> [UInt8] {
        var packed: [UInt8] = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]
        for start in stride(from: 0, to: bytes.count, by: blockBytes) {
            let block = snappy(Array(bytes[start..<min(bytes.count, start + blockBytes)]))
            for shift in [24, 16, 8, 0] { packed.append(UInt8(truncatingIfNeeded: block.count >> shift)) }
            packed += block
        }
        return packed
    }

    static func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        deflateInit2_(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        defer { deflateEnd(&stream) }
        var input = bytes
        let most = Int(deflateBound(&stream, UInt(bytes.count))) + 64
        return [UInt8](unsafeUninitializedCapacity: most) { buffer, count in
            input.withUnsafeMutableBufferPointer { input in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = buffer.baseAddress
                stream.avail_out = UInt32(most)
                _ = deflate(&stream, Z_FINISH)
            }
            count = most - Int(stream.avail_out)
        }
    }
}

struct BatchUnpackerTests {
    /// Neither all alike nor all different.
    static let text: [UInt8] = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 7 * 31 % 97) }

    func unpack(_ codec: BatchCodec, _ bytes: [UInt8], most: Int = 64 << 20, guess: Int = 4096) throws -> [UInt8] {
        let output = FetchBuffer(capacity: guess)
        try bytes.withUnsafeBytes { try BatchUnpacker(mostBytes: most).unpack(codec, $0, into: output) }
        return Array(output.bytes)
    }

    @Test(
        arguments: [
            (BatchCodec.zstd, Packing.zstd(text)), (.zstd, Packing.zstd(text, level: 22)), (.zstd, Packing.zstdStream(text)),
            (.zstd, Packing.zstd(Array(text[..<1000])) + Packing.zstdStream(Array(text[1000...]))),
            (.lz4, Packing.lz4(text)), (.lz4, Packing.lz4(text) + [1, 2, 3]),
            (.snappy, Packing.snappy(text)), (.snappy, Packing.xerial(text)),
            (.gzip, Packing.gzip(text)), (.gzip, Packing.gzip(text) + [0, 0, 0]),
            (.gzip, Packing.gzip(Array(text[..<1000])) + Packing.gzip(Array(text[1000...]))),
        ], [1, 4096, 1 << 20])
    func `what producers pack comes out, whatever the first guess was`(packed: (codec: BatchCodec, bytes: [UInt8]), guess: Int) throws {
        #expect(try unpack(packed.codec, packed.bytes, guess: guess) == Self.text)
    }

    @Test(arguments: [
        (BatchCodec.zstd, Packing.zstd(text)), (.lz4, Packing.lz4(text)), (.snappy, Packing.snappy(text)), (.snappy, Packing.xerial(text)),
        (.gzip, Packing.gzip(text)),
    ]) func `what is cut anywhere is broken`(codec: BatchCodec, bytes: [UInt8]) {
        for count in stride(from: 0, to: bytes.count - 1, by: max(1, bytes.count / 60)) {
            #expect { try unpack(codec, Array(bytes[..<count])) } throws: { error in
                if case UnpackError.broken = error { return true }
                return false
            }
        }
    }

    static let zeros = [UInt8](repeating: 0, count: 200 << 20)

    @Test(arguments: [
        (BatchCodec.zstd, Packing.zstd(zeros)), (.zstd, Packing.zstdStream(zeros)), (.lz4, Packing.lz4(zeros)),
        (.snappy, Packing.xerial(zeros)), (.gzip, Packing.gzip(zeros)),
    ]) func `a bomb is refused at the bound, within a second of work`(codec: BatchCodec, bomb: [UInt8]) {
        let output = FetchBuffer(capacity: 4096)
        let start = Self.workedSeconds
        #expect(throws: UnpackError.tooLarge) {
            try bomb.withUnsafeBytes { try BatchUnpacker(mostBytes: 16 << 20).unpack(codec, $0, into: output) }
        }
        #expect(Self.workedSeconds - start < 1)
        #expect(output.capacity <= 16 << 20)
    }

    /// Of this thread: other tests run beside it.
    private static var workedSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    @Test func `a size that no such input can have is refused before memory is taken for it`() {
        // Varint of 2 GiB - 1, and three bytes.
        #expect { try unpack(.snappy, [0xff, 0xff, 0xff, 0xff, 0x07, 0, 0]) } throws: { error in
            if case UnpackError.broken = error { true } else { false }
        }
        // A zstd frame of 13 bytes that tells a size of 1 GiB.
        #expect(throws: UnpackError.self) { try unpack(.zstd, [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 1, 0, 0, 0]) }
    }

    @Test func `what fills the bound exactly is no bomb`() throws {
        for (codec, bytes) in [(BatchCodec.zstd, Packing.zstd(Self.text)), (.snappy, Packing.snappy(Self.text))] {
            #expect(try unpack(codec, bytes, most: Self.text.count) == Self.text)
            #expect(throws: UnpackError.tooLarge) { try unpack(codec, bytes, most: Self.text.count - 1) }
        }
    }
}
