// Unpacks the records of a compressed batch into a buffer, up to a bound: zstd, lz4, snappy, gzip, as producers write them.
//
//   zstd     one frame or several, into the output itself: a frame may ask for a window of 128 MiB, which a stream would reserve
//   lz4      one frame, block by block into the output itself; bytes behind its end pass every broker and are not looked at.
//            33 ns for an event of 151 bytes, by the library's blocks without the frame's functions the same: all of it is
//            the library's decoding, a quarter of what such a job costs
//   snappy   raw, or the blocks of the xerial framing (Java clients); both occur in one topic
//   gzip     one member or several; what is behind them is not looked at
//
// The bound holds for what comes out, whatever the input claims: memory grows by doubling as bytes come out, and a claimed size
// is believed only as far as the format could reach it from that input. What is cut or broken throws `broken`; what goes over the
// bound throws `tooLarge`. Contexts of the libraries are made by the first batch that needs them and used again.
//
// A checksum inside a format is verified by its library. When adding a codec: put a bomb, a cut and a lying header into the tests.

import CLZ4
import CSnappy
import CZlib
import CZstd

package enum BatchCodec: UInt8, Sendable, CaseIterable {
    case none = 0
    case gzip, snappy, lz4, zstd
}

package enum UnpackError: Error, Hashable {
    case broken(String)
    case tooLarge
}

package final class BatchUnpacker {
    /// Bytes that one batch may unpack to.
    package let mostBytes: Int
    private var zstd: OpaquePointer?
    private var lz4: OpaquePointer?
    private var gzip: UnsafeMutablePointer<z_stream>?

    package init(mostBytes: Int) { self.mostBytes = mostBytes }

    deinit {
        ZSTD_freeDCtx(zstd)
        LZ4F_freeDecompressionContext(lz4)
        if let gzip {
            inflateEnd(gzip)
            gzip.deallocate()
        }
    }

    /// - Parameter output: empty; its capacity is the first guess.
    package func unpack(_ codec: BatchCodec, _ input: UnsafeRawBufferPointer, into output: FetchBuffer) throws(UnpackError) {
        output.count = 0
        switch codec {
        case .none: throw .broken("nothing to unpack")
        case .zstd: try unpackZstd(input, output)
        case .lz4: try unpackLZ4(input, output)
        case .snappy: try unpackSnappy(input, output)
        case .gzip: try unpackGzip(input, output)
        }
        output.seal()
    }

    /// More room for a stream that has filled what there was.
    private func grow(_ output: FetchBuffer) throws(UnpackError) {
        guard output.count == output.capacity else { return }
        guard output.capacity < mostBytes else { throw .tooLarge }
        output.grow(keeping: output.count, to: min(mostBytes, output.capacity * 2))
    }

    // MARK: zstd

    private func unpackZstd(_ input: UnsafeRawBufferPointer, _ output: FetchBuffer) throws(UnpackError) {
        // No frame at all unpacks to nothing, and is no error to the library.
        if input.isEmpty { throw .broken("it is empty") }
        if zstd == nil { zstd = ZSTD_createDCtx() }
        // A guess that is too small costs the work done until then; the sizes that frames tell are believed up to the bound.
        let claimed = ZSTD_getFrameContentSize(input.baseAddress, input.count)
        if claimed < UInt64(mostBytes), claimed / 8192 < UInt64(input.count) {
            output.grow(keeping: 0, to: Int(claimed))
        }
        while true {
            let size = ZSTD_decompressDCtx(zstd, output.base, min(output.capacity, mostBytes), input.baseAddress, input.count)
            if ZSTD_isError(size) == 0 {
                output.count = size
                return
            }
            guard ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall else {
                throw .broken(String(cString: ZSTD_getErrorName(size)))
            }
            guard output.capacity < mostBytes else { throw .tooLarge }
            output.grow(keeping: 0, to: min(mostBytes, output.capacity * 4))
        }
    }

    // MARK: lz4

    private func unpackLZ4(_ input: UnsafeRawBufferPointer, _ output: FetchBuffer) throws(UnpackError) {
        if lz4 == nil { LZ4F_createDecompressionContext(&lz4, UInt32(LZ4F_VERSION)) }
        LZ4F_resetDecompressionContext(lz4)
        var consumed = 0
        while true {
            try grow(output)
            var made = min(output.capacity, mostBytes) - output.count
            var taken = input.count - consumed
            let hint = LZ4F_decompress(
                lz4, output.base + output.count, &made, input.baseAddress.map { $0 + consumed }, &taken, nil)
            if LZ4F_isError(hint) != 0 { throw .broken(String(cString: LZ4F_getErrorName(hint))) }
            consumed += taken
            output.count += made
            if hint == 0 { return }
            if made == 0 && taken == 0 { throw .broken("the lz4 frame is cut") }
            if consumed == input.count && output.count < output.capacity { throw .broken("the lz4 frame is cut") }
        }
    }

    // MARK: snappy

    private static let xerialMagic: [UInt8] = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]

    private func unpackSnappy(_ input: UnsafeRawBufferPointer, _ output: FetchBuffer) throws(UnpackError) {
        guard input.count >= 16, input.prefix(8).elementsEqual(Self.xerialMagic) else {
            return try unpackSnappyBlock(input, output)
        }
        // Magic, version and the oldest version that can read it; then blocks of a length and as many bytes.
        var place = 16
        while place < input.count {
            guard input.count - place >= 4 else { throw .broken("a snappy block is cut") }
            let length = Int(input.loadUnaligned(fromByteOffset: place, as: UInt32.self).bigEndian)
            place += 4
            guard length <= input.count - place else { throw .broken("a snappy block is cut") }
            try unpackSnappyBlock(UnsafeRawBufferPointer(rebasing: input[place..<place + length]), output)
            place += length
        }
    }

    /// Appends one block.
    private func unpackSnappyBlock(_ input: UnsafeRawBufferPointer, _ output: FetchBuffer) throws(UnpackError) {
        guard let source = input.baseAddress?.assumingMemoryBound(to: CChar.self) else { throw .broken("an empty snappy block") }
        var length = 0
        guard snappy_uncompressed_length(source, input.count, &length) == SNAPPY_OK else {
            throw .broken("the snappy block has no length")
        }
        // Three bytes give 64 at most.
        guard length <= 32 * input.count else { throw .broken("the snappy block claims more than it can hold") }
        guard length <= mostBytes - output.count else { throw .tooLarge }
        if output.count + length > output.capacity {
            output.grow(keeping: output.count, to: max(output.count + length, min(mostBytes, output.capacity * 2)))
        }
        let target = UnsafeMutableRawPointer(output.base + output.count).assumingMemoryBound(to: CChar.self)
        guard snappy_uncompress(source, input.count, target, &length) == SNAPPY_OK else {
            throw .broken("the snappy block does not unpack")
        }
        output.count += length
    }

    // MARK: gzip

    private func unpackGzip(_ input: UnsafeRawBufferPointer, _ output: FetchBuffer) throws(UnpackError) {
        if gzip == nil {
            let made = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            made.initialize(to: z_stream())
            guard sluice_inflate_start(made) == Z_OK else {
                made.deallocate()
                throw .broken("zlib gives no stream")
            }
            gzip = made
        }
        let stream = gzip!
        inflateReset(stream)
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(clamping: input.count)
        while true {
            try grow(output)
            let room = min(output.capacity, mostBytes) - output.count
            stream.pointee.next_out = output.base + output.count
            stream.pointee.avail_out = UInt32(clamping: room)
            let result = inflate(stream, Z_NO_FLUSH)
            output.count += room - Int(stream.pointee.avail_out)
            switch result {
            case Z_OK: continue
            case Z_STREAM_END:
                // Another member, or nothing of ours.
                guard stream.pointee.avail_in >= 2, let next = stream.pointee.next_in, next[0] == 0x1f, next[1] == 0x8b else { return }
                inflateReset(stream)
            case Z_BUF_ERROR where stream.pointee.avail_out == 0: continue
            default: throw .broken("gzip: \(stream.pointee.msg.map { String(cString: $0) } ?? "it is cut")")
            }
        }
    }
}
