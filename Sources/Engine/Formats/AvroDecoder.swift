// Avro records in the Confluent framing to columns: the program of `AvroProgram`, run once per record on raw pointers.
//
// A value is a magic byte 0, four bytes of schema id (big-endian), and the fields one after another. The id picks the
// program: a topic has as many writer schemas as its producers had versions. `decode` runs it from the first byte to the last; what remains is `trailingBytes`. Every read is held against the end of the
// value first, every length and count against the bytes that remain, so hostile input costs at most time in proportion
// to its size. Fields that nobody needs are stepped over, not judged: a skipped enum index or text is only measured.
//
// Cost per ad event of 90 bytes: 30 ns with 3 of 7 fields, about 50 ns with all (release build on 2 shared cores, best of
// eleven rounds of the test `decoding ad events`, which runs with `SLUICE_BENCH=1`). Per row there is no allocation, no
// reference counting and no call except for what nests; program and slots are raw memory.

package final class AvroDecoder: RowDecoder {
    /// One of the schemas that records were written with.
    package struct Writer: Sendable {
        /// The id in the framing of its records; nil for the only one, which then stands for any.
        package var id: UInt32?
        package var schema: AvroSchema
        package init(id: UInt32?, schema: AvroSchema) {
            self.id = id
            self.schema = schema
        }
    }

    package let schema: Schema
    private let programs: [UInt32: AvroProgram]
    /// For records of any id.
    private let anyProgram: AvroProgram?
    /// The program of the last record, and its id as it lies in memory.
    private var current: AvroProgram { didSet { code = current.code } }
    /// Where the current program lies: read for each record, so nothing that is counted.
    private var code: AvroProgram.Code
    private var currentID: UInt32 = 0
    private var hasCurrent = false
    private let slots: ColumnSlots
    private let longestSymbol: Int
    /// Columns that one schema's records may have NULL in: others say for each row that it is not.
    private let nullableColumns: UnsafeMutableBufferPointer<Int>
    /// The first ids that records were taken with, where any is taken; see `takeSchemaIDs`.
    private var seenIDs: [UInt32] = []
    /// What came out of the last record that was rejected for its time.
    private var wrongTimeMillis: Int64 = 0
    private static let mostSeenIDs = 8

    /// - Parameters:
    ///   - schema: the schema that the records were written with.
    ///   - needed: the columns to fill, by field name; `schemaMismatch` when one is missing or has another type.
    ///   - schemaID: the only id that the framing may carry; nil takes any.
    package convenience init(schema: AvroSchema, needed: Schema, schemaID: Int32? = nil) throws {
        try self.init(writers: [Writer(id: schemaID.map { UInt32(bitPattern: $0) }, schema: schema)], needed: needed)
    }

    /// - Parameter writers: each id once; at least one. A column that may be NULL may be missing in some of them.
    package init(writers: [Writer], needed: Schema) throws {
        precondition(!writers.isEmpty, "a decoder needs a schema")
        self.schema = needed
        var programs: [UInt32: AvroProgram] = [:]
        var any: AvroProgram?
        let known = writers.count < 2 ? [] : Set(writers.flatMap { ($0.schema.rootFields ?? []).map(\.name) })
        for writer in writers {
            do {
                let program = try AvroProgram(writer.schema, needed, knownElsewhere: known)
                if let id = writer.id { programs[id] = program } else { any = program }
            } catch var failure as Failure {
                if writers.count > 1, let id = writer.id { failure.what += " (the schema with the id \(id))" }
                throw failure
            }
        }
        self.programs = programs
        anyProgram = any
        guard let first = any ?? programs.values.first else { preconditionFailure("a decoder needs a schema") }
        current = first
        code = first.code
        longestSymbol = ([first] + programs.values).map(\.longestSymbol).max() ?? 0
        let nullable = programs.count > 1 ? needed.fields.indices.filter { needed.fields[$0].nullable } : []
        nullableColumns = .allocate(capacity: nullable.count)
        _ = nullableColumns.initialize(from: nullable)
        slots = ColumnSlots(needed)
    }

    deinit { nullableColumns.deallocate() }

    /// The ids that the framings had since the last call, at most a few; empty where ids are looked at one by one.
    package func takeSchemaIDs() -> [UInt32] {
        defer {
            seenIDs.removeAll(keepingCapacity: true)
            hasCurrent = false
        }
        return seenIDs.sorted()
    }

    /// Makes the program of this id the current one.
    /// - Returns: false when the id has no schema. Where a registry is asked one day, it is asked here.
    @inline(never)
    private func turn(to id: UInt32) -> Bool {
        let number = UInt32(bigEndian: id)
        if let program = programs[number] {
            current = program
        } else if let anyProgram {
            current = anyProgram
            if seenIDs.count < Self.mostSeenIDs, !seenIDs.contains(number) { seenIDs.append(number) }
        } else {
            return false
        }
        currentID = id
        hasCurrent = true
        return true
    }

    package func decode(
        _ records: UnsafeBufferPointer<RawRecord>, into columns: [Column], kept: UnsafeMutablePointer<Int32>?,
        rejected: inout [RejectedRecord]
    ) -> Int {
        var textBytes = records.count * longestSymbol
        for record in records where record.length <= Limits.recordBytes { textBytes += record.length }
        slots.open(columns, rows: records.count, textBytes: textBytes)
        let columns = slots.slots
        var row = 0
        for index in 0..<records.count {
            let record = records[index]
            if let reason = decode(record, row, columns) {
                rejected.append(
                    RejectedRecord(
                        index: index, offset: record.offset, reason: reason,
                        timeMillis: reason == .timeOutOfRange ? wrongTimeMillis : nil))
            } else {
                kept?[row] = Int32(truncatingIfNeeded: index)
                row &+= 1
            }
        }
        slots.close(rows: row)
        return row
    }

    /// Writes one record into `row`, or says why it cannot.
    @inline(__always)
    private func decode(_ record: RawRecord, _ row: Int, _ columns: UnsafeMutablePointer<ColumnSlot>) -> RejectReason? {
        guard let payload = record.payload else { return .tombstone }
        guard record.length > 0 else { return .empty }
        if record.length > Limits.recordBytes { return .tooLarge }
        guard record.length >= 5, payload[0] == 0 else { return .framing }
        let id = load32(payload + 1)
        if id != currentID || !hasCurrent { guard turn(to: id) else { return .unknownSchema } }
        let end = payload + record.length
        var cursor = payload + 5
        let program = code
        for column in nullableColumns { columns[column].setValid(row) }
        let last = program.end
        var next = program.instructions

        while next < last {
            var step = UnsafePointer(next)
            next += 1
            if step.pointee.code == .union {
                guard let branch = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                guard branch & 1 == 0, branch &>> 1 < UInt64(step.pointee.branches) else { return .invalidValue }
                step = UnsafePointer(program.branches + step.pointee.argument + Int(branch &>> 1))
                columns[Int(step.pointee.column)].setValid(row)
            }
            let column = columns + Int(step.pointee.column)
            switch step.pointee.code {
            case .skipTexts:
                var left = step.pointee.argument
                while left > 0 {
                    guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                    let length = zigzag(raw)
                    if length < 0 { return .invalidValue }
                    if length > end - cursor { return .truncated }
                    cursor += Int(length)
                    left &-= 1
                }
            case .readText:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                let length = zigzag(raw)
                if length < 0 { return .invalidValue }
                if length > end - cursor { return .truncated }
                let start = Int(column.pointee.offsets[row])
                if !copyText(cursor, Int(length), within: end, to: column.pointee.bytes + start) { return .invalidText }
                column.pointee.offsets[row &+ 1] = Int32(truncatingIfNeeded: start &+ Int(length))
                cursor += Int(length)
            case .readLong:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                column.pointee.set(zigzag(raw), row)
            case .skipVarints:
                var left = step.pointee.argument
                while left > 0 {
                    guard readVarint(&cursor, end) != nil else { return varintReason(cursor, end) }
                    left &-= 1
                }
            case .skipBytes:
                if step.pointee.argument > end - cursor { return .truncated }
                cursor += step.pointee.argument
            case .skipNode:
                if let reason = skip(step.pointee.argument, &cursor, end, depth: 1) { return reason }
            case .readSymbol:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                let table = program.symbols + step.pointee.argument
                guard raw & 1 == 0, raw &>> 1 < UInt64(table.pointee.count) else { return .invalidValue }
                let symbol = Int(raw &>> 1)
                let from = Int(table.pointee.offsets[symbol])
                let length = Int(table.pointee.offsets[symbol + 1]) - from
                let start = Int(column.pointee.offsets[row])
                _ = copyText(table.pointee.bytes + from, length, to: column.pointee.bytes + start)
                column.pointee.offsets[row &+ 1] = Int32(truncatingIfNeeded: start &+ length)
            case .readInt:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                guard let value = Int32(exactly: zigzag(raw)) else { return .invalidValue }
                column.pointee.set(Int64(value), row)
            case .readMillis:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                let millis = zigzag(raw)
                guard millis.isRowTime else { return outOfRange(millis) }
                column.pointee.set(millis, row)
            case .readMicros:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                let millis = floored(zigzag(raw), by: 1000)
                guard millis.isRowTime else { return outOfRange(millis) }
                column.pointee.set(millis, row)
            case .readNanos:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                let millis = floored(zigzag(raw), by: 1_000_000)
                guard millis.isRowTime else { return outOfRange(millis) }
                column.pointee.set(millis, row)
            case .readDays:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                guard let days = Int32(exactly: zigzag(raw)) else { return .invalidValue }
                let millis = Int64(days) * 86_400_000
                guard millis.isRowTime else { return outOfRange(millis) }
                column.pointee.set(millis, row)
            case .readTimeText:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                let length = zigzag(raw)
                if length < 0 { return .invalidValue }
                if length > end - cursor { return .truncated }
                guard let millis = parseTime(UnsafeBufferPointer(start: cursor, count: Int(length))) else {
                    return .invalidValue
                }
                guard millis.isRowTime else { return outOfRange(millis) }
                column.pointee.set(millis, row)
                cursor += Int(length)
            case .readDecimalText, .readDecimalDouble:
                var length = Int64(step.pointee.branches)
                if length < 0 {
                    guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                    length = zigzag(raw)
                    if length < 0 { return .invalidValue }
                }
                if length > end - cursor { return .truncated }
                let scale = step.pointee.argument
                if step.pointee.code == .readDecimalText {
                    let start = Int(column.pointee.offsets[row])
                    guard
                        let made = AvroDecimal.write(cursor, Int(length), scale: scale, to: column.pointee.bytes + start)
                    else { return .invalidValue }
                    column.pointee.offsets[row &+ 1] = Int32(truncatingIfNeeded: start &+ made)
                } else {
                    guard let value = AvroDecimal.double(cursor, Int(length), scale: scale) else { return .invalidValue }
                    column.pointee.set(value, row)
                }
                cursor += Int(length)
            case .readUUID:
                if end - cursor < 16 { return .truncated }
                let start = Int(column.pointee.offsets[row])
                writeUUID(cursor, to: column.pointee.bytes + start)
                column.pointee.offsets[row &+ 1] = Int32(truncatingIfNeeded: start &+ 36)
                cursor += 16
            case .readIntAsDouble:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                guard let value = Int32(exactly: zigzag(raw)) else { return .invalidValue }
                column.pointee.set(Double(value), row)
            case .readLongAsDouble:
                guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                column.pointee.set(Double(zigzag(raw)), row)
            case .readFloat:
                if end - cursor < 4 { return .truncated }
                column.pointee.set(Double(Float(bitPattern: UInt32(littleEndian: load32(cursor)))), row)
                cursor += 4
            case .readDouble:
                if end - cursor < 8 { return .truncated }
                column.pointee.set(Double(bitPattern: UInt64(littleEndian: load64(cursor))), row)
                cursor += 8
            case .readBool:
                if cursor == end { return .truncated }
                if cursor.pointee > 1 { return .invalidValue }
                column.pointee.set(cursor.pointee == 1, row)
                cursor += 1
            case .readNull: slots.setNull(Int(step.pointee.column), row)
            case .refuseNull: return .nullField
            case .refuseType: return .wrongType
            case .union: preconditionFailure("a union stands directly in a union")
            }
        }
        return cursor == end ? nil : .trailingBytes
    }

    @inline(never)
    private func outOfRange(_ millis: Int64) -> RejectReason {
        wrongTimeMillis = millis
        return .timeOutOfRange
    }

    /// Steps over a value of any type.
    private func skip(
        _ index: Int, _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, depth: Int
    ) -> RejectReason? {
        let node = current.nodes + index
        if node.pointee.smallest > end - cursor { return .truncated }
        switch node.pointee.kind {
        case .bytes:
            cursor += node.pointee.first
        case .varint:
            guard readVarint(&cursor, end) != nil else { return varintReason(cursor, end) }
        case .symbol:
            guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
            guard raw & 1 == 0, raw &>> 1 < UInt64(node.pointee.first) else { return .invalidValue }
        case .text:
            return skipText(&cursor, end)
        case .record:
            if depth >= Limits.nesting { return .tooDeep }
            if node.pointee.smallest == 0 { return nil }
            for child in 0..<node.pointee.count {
                let part = Int(current.children[node.pointee.first + child])
                if let reason = skip(part, &cursor, end, depth: depth + 1) { return reason }
            }
        case .union:
            guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
            guard raw & 1 == 0, raw &>> 1 < UInt64(node.pointee.count) else { return .invalidValue }
            let part = Int(current.children[node.pointee.first + Int(raw &>> 1)])
            return skip(part, &cursor, end, depth: depth)
        case .array, .map:
            return skipBlocks(node, &cursor, end, depth: depth)
        }
        return nil
    }

    /// Steps over the blocks of an array or a map: a count, then as many items, until a count of 0. A negative count is
    /// followed by the block's size in bytes, which saves looking at the items.
    private func skipBlocks(
        _ node: UnsafePointer<AvroSkipNode>, _ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
        depth: Int
    ) -> RejectReason? {
        if depth >= Limits.nesting { return .tooDeep }
        let isMap = node.pointee.kind == .map
        let item = Int(current.children[node.pointee.first])
        let smallest = current.nodes[item].smallest + (isMap ? 1 : 0)
        while true {
            guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
            let count = zigzag(raw)
            if count == 0 { return nil }
            if count < 0 {
                guard count > Int64.min else { return .invalidValue }
                guard let rawSize = readVarint(&cursor, end) else { return varintReason(cursor, end) }
                let size = zigzag(rawSize)
                if size < 0 { return .invalidValue }
                if size > end - cursor { return .truncated }
                cursor += Int(size)
                continue
            }
            if smallest == 0 { continue }
            if count > (end - cursor) / smallest { return .truncated }
            for _ in 0..<count {
                if isMap, let reason = skipText(&cursor, end) { return reason }
                if let reason = skip(item, &cursor, end, depth: depth + 1) { return reason }
            }
        }
    }

    @inline(__always)
    private func skipText(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> RejectReason? {
        guard let raw = readVarint(&cursor, end) else { return varintReason(cursor, end) }
        let length = zigzag(raw)
        if length < 0 { return .invalidValue }
        if length > end - cursor { return .truncated }
        cursor += Int(length)
        return nil
    }
}

/// Reads a variable-length number of at most ten bytes and moves past it; nil leaves the cursor where it was.
@inline(__always)
private func readVarint(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UInt64? {
    guard cursor < end else { return nil }
    let first = cursor.pointee
    if first < 0x80 {
        cursor += 1
        return UInt64(first)
    }
    if end - cursor >= 8 {
        let word = UInt64(littleEndian: load64(cursor))
        let stops = ~word & 0x8080_8080_8080_8080
        if stops != 0 {
            // Up to eight groups of seven bits, closed up two by two.
            let bits = stops.trailingZeroBitCount
            var value = word & (UInt64.max &>> UInt64(63 &- bits)) & 0x7F7F_7F7F_7F7F_7F7F
            value = (value & 0x007F_007F_007F_007F) | ((value & 0x7F00_7F00_7F00_7F00) &>> 1)
            value = (value & 0x0000_3FFF_0000_3FFF) | ((value & 0x3FFF_0000_3FFF_0000) &>> 2)
            value = (value & 0x0000_0000_0FFF_FFFF) | ((value & 0x0FFF_FFFF_0000_0000) &>> 4)
            cursor += (bits &>> 3) &+ 1
            return value
        }
    }
    return readLongVarint(&cursor, end)
}

@inline(never)
private func readLongVarint(_ cursor: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UInt64? {
    let available = min(end - cursor, 10)
    var value: UInt64 = 0
    for index in 0..<available {
        let byte = cursor[index]
        if index == 9 && byte > 1 { return nil }
        value |= UInt64(byte & 0x7F) << UInt64(7 * index)
        if byte < 0x80 {
            cursor += index + 1
            return value
        }
    }
    return nil
}

/// Why no number could be read at `cursor`: it runs out of bytes, or it is longer than 64 bits.
private func varintReason(_ cursor: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> RejectReason {
    end - cursor >= 10 ? .invalidValue : .truncated
}

@inline(__always)
private func zigzag(_ raw: UInt64) -> Int64 { Int64(bitPattern: raw &>> 1) ^ -Int64(bitPattern: raw & 1) }

/// Microseconds or nanoseconds to the millisecond they lie in, also before 1970.
@inline(__always)
private func floored(_ value: Int64, by divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
