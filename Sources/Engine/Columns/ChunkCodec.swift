// Chunks as bytes: shuffle blocks between workers, and snapshots and deltas of state.
//
//   magic "SLCK" | version u8 | flags u8 | 0 u16 | length of the plain body u64 | checksum u64 | body
//   flags: 1 the body is compressed, 2 the rows are keys whose rows go
//   body: fields u16 { type u8, nullable u8, name (u16 + bytes) }  rows u32
//         per column: has NULLs u8 { validity bits }  values: 8 bytes a number, 1 byte a bool;
//         text: length u32 a row, then the bytes
//
// All numbers are little endian. The checksum (XXH64) covers everything but itself, so that any changed byte is found
// before anything is believed; the parser checks every bound all the same, because a checksum proves transport, not
// sense. The body is compressed with zstd (level 1) when the caller wants that, it is larger than 4 KiB, no larger than
// the reader will unpack, and becomes smaller by it. Blocks that stay on the host are not: see the decision note on
// compression between workers.
//
// A block may come from a process that lies. What it claims is held against the bytes that are there before memory is
// taken, and a compressed body may claim at most `Limits.inflatedBytes`, unless its digest was checked against the log.
//
// Only selected rows are written, and NULLs as zeros: equal rows in equal order give equal bytes. What a column is called in
// SQL is not: sinks know their table.
//
// State files of running jobs are in this format: a change gets a new version, and the old one stays readable.

import CXXHash
import CZstd

package enum ChunkCodec {
    static let version: UInt8 = 1
    static let headerBytes = 24
    private static let magic: [UInt8] = [0x53, 0x4c, 0x43, 0x4b]
    private static let compressedFlag: UInt8 = 1
    private static let deleteFlag: UInt8 = 2
    private static let compressFromBytes = 4096

    /// Who reads what is written, and so how much it may unpack to.
    package enum Purpose: Sendable {
        /// A block for another task, which trusts nobody.
        case block
        /// A file of state, whose digest the log keeps and whoever reads it checks first.
        case state

        var inflatedBytes: Int { self == .block ? Limits.inflatedBytes : Limits.blockBytes }
    }

    package static func encode(_ chunk: Chunk, for purpose: Purpose = .block, compressing: Bool = true) -> [UInt8] {
        framed(
            chunk.withSelectedRows { encodeBody(chunk, $0) }, flags: chunk.isDelete ? deleteFlag : 0, for: purpose, compressing: compressing)
    }

    /// The frame alone, around bytes of somebody else's form.
    package static func framed(_ body: [UInt8], for purpose: Purpose = .block, compressing: Bool = true) -> [UInt8] {
        framed(body, flags: 0, for: purpose, compressing: compressing)
    }

    private static func framed(_ body: [UInt8], flags own: UInt8, for purpose: Purpose, compressing: Bool) -> [UInt8] {
        var flags = own
        var stored = body
        if compressing, body.count > compressFromBytes, body.count <= purpose.inflatedBytes, let smaller = compressed(body) {
            stored = smaller
            flags |= compressedFlag
        }
        var writer = ByteWriter(capacity: headerBytes + stored.count)
        writer.bytes(magic)
        writer.number(version)
        writer.number(flags)
        writer.number(UInt16(0))
        writer.number(UInt64(body.count))
        writer.number(checksum(header: writer.result, body: stored[...]))
        writer.bytes(stored)
        return writer.result
    }

    /// - Throws: `blockLost` when the bytes are not what `encode` wrote.
    package static func decode(_ bytes: [UInt8], for purpose: Purpose = .block) throws -> Chunk {
        let (body, isDelete) = try opened(bytes, for: purpose)
        return try decodeBody(body, isDelete: isDelete)
    }

    /// - Throws: `blockLost` when the bytes are not what `framed` wrote.
    package static func unframed(_ bytes: [UInt8], for purpose: Purpose = .block) throws -> ArraySlice<UInt8> {
        try opened(bytes, for: purpose).body
    }

    private static func opened(_ bytes: [UInt8], for purpose: Purpose) throws -> (body: ArraySlice<UInt8>, isDelete: Bool) {
        guard bytes.count >= headerBytes, Array(bytes[0..<4]) == magic else { throw broken("it does not start as one") }
        guard bytes[4] == version else { throw broken("its format version is \(bytes[4]), this build reads \(version)") }
        var header = ByteReader(bytes[8..<headerBytes])
        let bodyBytes = try header.number(UInt64.self)
        let stored = bytes[headerBytes...]
        guard try header.number(UInt64.self) == checksum(header: Array(bytes[0..<16]), body: stored) else {
            throw broken("its checksum does not match")
        }
        let flags = bytes[5]
        guard flags & ~(compressedFlag | deleteFlag) == 0 else { throw broken("a newer build wrote it") }
        guard bodyBytes <= Limits.blockBytes else { throw broken("it claims \(bodyBytes) bytes") }
        let isDelete = flags & deleteFlag != 0
        if flags & compressedFlag == 0 {
            guard stored.count == Int(bodyBytes) else { throw broken("its length is another than it says") }
            return (stored, isDelete)
        }
        guard bodyBytes <= purpose.inflatedBytes else { throw broken("it claims to unpack to \(bodyBytes) bytes") }
        return (try decompressed(stored, to: Int(bodyBytes))[...], isDelete)
    }

    static func broken(_ why: String) -> Failure {
        Failure(
            .blockLost, "a block of rows cannot be read", why: why,
            now: "nothing, the task that made it runs again; if it comes back, check memory and disk of that host")
    }

    private static func checksum(header: [UInt8], body: ArraySlice<UInt8>) -> UInt64 {
        let seed = header.withUnsafeBytes { XXH64($0.baseAddress, $0.count, 0) }
        return body.withUnsafeBytes { XXH64($0.baseAddress, $0.count, seed) }
    }

    private static func compressed(_ body: [UInt8]) -> [UInt8]? {
        var size = 0
        let result = [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(body.count)) { buffer, count in
            size = ZSTD_compress(buffer.baseAddress, buffer.count, body, body.count, 1)
            count = ZSTD_isError(size) == 0 ? size : 0
        }
        return ZSTD_isError(size) == 0 && size < body.count ? result : nil
    }

    private static func decompressed(_ stored: ArraySlice<UInt8>, to bodyBytes: Int) throws -> [UInt8] {
        // The frame knows its size, too: both must agree before memory is taken.
        let frameBytes = stored.withUnsafeBytes { ZSTD_getFrameContentSize($0.baseAddress, $0.count) }
        guard frameBytes == UInt64(bodyBytes) else { throw broken("its length is another than it says") }
        var size = 0
        let result = [UInt8](unsafeUninitializedCapacity: bodyBytes) { buffer, count in
            size = stored.withUnsafeBytes { ZSTD_decompress(buffer.baseAddress, bodyBytes, $0.baseAddress, $0.count) }
            count = ZSTD_isError(size) == 0 ? size : 0
        }
        guard ZSTD_isError(size) == 0, size == bodyBytes else { throw broken("it does not decompress") }
        return result
    }

    // MARK: the body

    private static let types: [ValueType] = [.int64, .float64, .text, .bool, .timestamp]

    private static func encodeBody(_ chunk: Chunk, _ rows: SelectedRows) -> [UInt8] {
        let estimate = chunk.columns.reduce(64) { $0 + 32 + $1.byteCount }
        var writer = ByteWriter(capacity: estimate)
        writer.number(UInt16(chunk.schema.fields.count))
        for field in chunk.schema.fields {
            writer.number(UInt8(types.firstIndex(of: field.type)!))
            writer.number(UInt8(field.nullable ? 1 : 0))
            writer.number(UInt16(field.name.utf8.count))
            writer.bytes(Array(field.name.utf8))
        }
        writer.number(UInt32(rows.count))
        for column in chunk.columns {
            switch column {
            case .int64(let c), .timestamp(let c):
                let valid = writer.validity(c.validity, rows)
                if !valid && rows.rows == nil {
                    // As it lies in memory: `decodeColumn` takes it the same way.
                    writer.bytes(UnsafeRawBufferPointer(start: c.values, count: rows.count * 8))
                } else {
                    rows.forEach { _, row in writer.number(valid && c.validity![row] == 0 ? 0 : c.values[row]) }
                }
            case .float64(let c):
                let valid = writer.validity(c.validity, rows)
                rows.forEach { _, row in
                    writer.number(valid && c.validity![row] == 0 ? 0 : c.values[row].bitPattern)
                }
            case .bool(let c):
                let valid = writer.validity(c.validity, rows)
                rows.forEach { _, row in
                    writer.number(UInt8(valid && c.validity![row] == 0 ? 0 : c.values[row] ? 1 : 0))
                }
            case .text(let c):
                let valid = writer.validity(c.validity, rows)
                let lengths = [UInt32](unsafeUninitializedCapacity: rows.count) { buffer, count in
                    rows.forEach { position, row in
                        buffer[position] =
                            valid && c.validity![row] == 0 ? 0 : UInt32(c.offsets[row + 1] - c.offsets[row]).littleEndian
                    }
                    count = rows.count
                }
                lengths.withUnsafeBytes { writer.bytes($0) }
                if !valid && rows.rows == nil {
                    let (from, until) = (Int(c.offsets[0]), Int(c.offsets[rows.count]))
                    writer.bytes(UnsafeRawBufferPointer(start: c.bytes + from, count: until - from))
                } else {
                    rows.forEach { _, row in
                        if !(valid && c.validity![row] == 0) { writer.bytes(UnsafeRawBufferPointer(c.slice(row))) }
                    }
                }
            }
        }
        return writer.result
    }

    private static func decodeBody(_ body: ArraySlice<UInt8>, isDelete: Bool) throws -> Chunk {
        var reader = ByteReader(body)
        let fieldCount = try reader.number(UInt16.self)
        var fields: [Field] = []
        for _ in 0..<fieldCount {
            let type = Int(try reader.number(UInt8.self))
            guard type < types.count else { throw broken("it has a column of an unknown type") }
            let nullable = try reader.number(UInt8.self) != 0
            let name = try reader.bytes(Int(try reader.number(UInt16.self)))
            guard let text = String(validating: name, as: UTF8.self) else { throw broken("the name of a column is not text") }
            fields.append(Field(text, types[type], nullable: nullable))
        }
        let rowCount = Int(try reader.number(UInt32.self))
        // Rows without columns take no bytes: their number could not be held against anything. One may be the empty key.
        guard !fields.isEmpty || rowCount <= (isDelete ? 1 : 0) else { throw broken("it claims rows without columns") }
        let columns = try fields.map { try decodeColumn($0.type, rowCount, &reader) }
        guard reader.isAtEnd else { throw broken("bytes are left over") }
        var chunk = Chunk(schema: Schema(fields), columns: columns, rowCount: rowCount)
        chunk.isDelete = isDelete
        return chunk
    }

    private static func decodeColumn(_ type: ValueType, _ rows: Int, _ reader: inout ByteReader) throws -> Column {
        let valid: ArraySlice<UInt8>? =
            try reader.number(UInt8.self) == 0 ? nil : try reader.bytes((rows + 7) / 8)
        switch type {
        case .int64, .timestamp:
            let column = FixedColumn<Int64>(capacity: try reader.affordable(rows, each: 8))
            try reader.copy(rows * 8, to: column.values)
            setValidity(valid, rows) { column.validityForWriting() }
            column.commitWritten(rows)
            return type == .int64 ? .int64(column) : .timestamp(column)
        case .float64:
            let column = FixedColumn<Double>(capacity: try reader.affordable(rows, each: 8))
            try reader.copy(rows * 8, to: column.values)
            setValidity(valid, rows) { column.validityForWriting() }
            column.commitWritten(rows)
            return .float64(column)
        case .bool:
            let column = FixedColumn<Bool>(capacity: try reader.affordable(rows, each: 1))
            let values = try reader.bytes(rows)
            for (row, value) in values.enumerated() { column.values[row] = value != 0 }
            setValidity(valid, rows) { column.validityForWriting() }
            column.commitWritten(rows)
            return .bool(column)
        case .text:
            let column = TextColumn(capacity: try reader.affordable(rows, each: 4), byteCapacity: 64)
            var end = 0
            for row in 0..<rows {
                end += Int(try reader.number(UInt32.self))
                guard end <= reader.remaining else { throw broken("a text is longer than the block") }
                column.offsets[row + 1] = Int32(truncatingIfNeeded: end)
            }
            column.reserve(rows: rows, bytes: end)
            try reader.copy(end, to: column.bytes)
            setValidity(valid, rows) { column.validityForWriting() }
            column.commitWritten(rows)
            return .text(column)
        }
    }

    private static func setValidity(
        _ bits: ArraySlice<UInt8>?, _ rows: Int, _ target: () -> UnsafeMutablePointer<UInt8>
    ) {
        guard let bits else { return }
        let validity = target()
        for row in 0..<rows { validity[row] = bits[bits.startIndex + row >> 3] >> UInt8(row & 7) & 1 }
    }
}
