// Avro records in the Confluent framing to slots: the program of `AvroRowProgram`, run once a record on raw pointers.
//
// A record is a magic byte 0, four bytes of schema id (big end first), and its fields one after another. The id picks the program: a topic has as
// many writers' schemas as its producers had versions. Every read is held against the end of the record first, every length and count against the
// bytes that remain, so hostile input costs at most time in proportion to its size. A record is in the format only if its last byte is its last
// field's. Fields that nobody reads are stepped over, not judged; a value that does not become its column's type is noted in its slot, and the
// walk goes on behind it.

import Values

/// A schema that records of a topic are written with.
package struct AvroWriterSchema: Sendable, Hashable {
    /// The id in the framing of its records; nil for the only one, which then stands for any.
    package var id: UInt32?
    package var text: String

    package init(id: UInt32? = nil, text: String) {
        self.id = id
        self.text = text
    }
}

final class AvroReader: ValueReader {
    let table: SlotTable
    private let programs: [UInt32: AvroRowProgram]
    /// For records of any id.
    private let anyProgram: AvroRowProgram?
    private(set) var program: AvroRowProgram
    /// Of the current program: read for each record, so nothing that is counted.
    private var steps: UnsafePointer<AvroStep>
    private var lastStep: UnsafePointer<AvroStep>
    private var currentID: UInt32 = 0
    private var hasCurrent = false
    /// Why the last record is not in the format.
    private var broken = RowFault("22P02", "")
    let input: TextInput
    let times: TimeReading
    let documents: AvroDocuments
    var scratch: ByteBuilder

    /// - Parameters:
    ///   - names: of the table's slots.
    ///   - optional: which of them may be missing in the schema.
    ///   - owner: whose columns they are, for a person.
    ///   - takesBareValue: whether a schema may be a bare type, which is the only slot's: a key of one column.
    init(
        _ table: SlotTable, names: [String], optional: [Bool], of owner: String, writers: [AvroWriterSchema], takesBareValue: Bool = false, times: TimeReading,
        pool: BufferPool
    ) throws(DecodingError) {
        self.table = table
        self.times = times
        guard !writers.isEmpty else { throw DecodingError("\(owner) has no schema", why: "Avro records do not say what is in them", now: "name the file: schema = 'FILE'") }
        var schemas: [(UInt32?, AvroSchemaTree)] = []
        for writer in writers { schemas.append((writer.id, try Self.naming(writer.id, writers.count) { () throws(DecodingError) in try AvroSchemaTree(text: writer.text) })) }
        let fields = AvroFields(table: table, names: names, optional: optional, owner: owner, unit: times.unit)
        let known = schemas.count < 2 ? [] : Set(schemas.flatMap { ($0.1.rootFields ?? []).map(\.name) })
        var programs: [UInt32: AvroRowProgram] = [:]
        var any: AvroRowProgram?
        for (id, schema) in schemas {
            let program = try Self.naming(id, writers.count) { () throws(DecodingError) in
                try AvroRowProgram(schema, fields, knownElsewhere: known, takesBareValue: takesBareValue)
            }
            if let id { programs[id] = program } else { any = program }
        }
        self.programs = programs
        anyProgram = any
        let first = any ?? programs.values.first!
        program = first
        steps = UnsafePointer(first.steps)
        lastStep = steps + first.stepCount
        input = TextInput(table, times: times, pool: pool)
        documents = AvroDocuments()
        scratch = ByteBuilder(pool)
    }

    private static func naming<Result>(_ id: UInt32?, _ count: Int, _ body: () throws(DecodingError) -> Result) throws(DecodingError) -> Result {
        do { return try body() } catch {
            guard count > 1, let id else { throw error }
            throw DecodingError("\(error.what) (the schema with the id \(id))", why: error.why, now: error.now)
        }
    }

    func fault(_ bytes: Place, _ count: Int) -> RowFault { broken }

    /// Makes the program of an id the current one.
    @inline(never)
    private func turn(to id: UInt32) -> Bool {
        let number = UInt32(bigEndian: id)
        guard let found = programs[number] ?? anyProgram else { return no("no schema has the id \(number)") }
        program = found
        steps = UnsafePointer(found.steps)
        lastStep = steps + found.stepCount
        currentID = id
        hasCurrent = true
        return true
    }

    @inline(never)
    func no(_ why: String) -> Bool {
        broken = RowFault("22P02", "invalid Avro: \(why)")
        return false
    }

    @inline(never)
    func cut() -> Bool { no("it ends too early, or a length does not fit") }

    // MARK: one record

    func read(_ bytes: Place, _ count: Int, row: Int, stamp: UInt64) -> Bool {
        guard count >= 5, bytes[0] == 0 else { return no("it does not begin with 0 and the id of a schema") }
        let id = UnsafeRawPointer(bytes + 1).loadUnaligned(as: UInt32.self)
        if id != currentID || !hasCurrent { guard turn(to: id) else { return false } }
        let end = bytes + count
        var cursor = bytes + 5
        var step = steps
        let last = lastStep
        let slots = table.slots
        while step < last {
            let slot = slots + Int(step.pointee.slot)
            switch step.pointee.code {
            case .text:
                guard let raw = readVarint(&cursor, end) else { return cut() }
                // An odd one is below zero. The next field waits for this sum: the fewer steps the better.
                let length = Int(truncatingIfNeeded: raw &>> 1)
                if raw & 1 != 0 || length > end - cursor { return cut() }
                table.reserve(slot, length &+ 16)
                let target = slot.pointee.bytes + slot.pointee.byteCount
                // Short texts of whatever length take one way: which of several is nothing that a processor could guess.
                let isText =
                    length <= 16 && end - cursor >= 16 ? isShortText(cursor, length, copiedTo: target) : copyText(cursor, length, to: target)
                slot.pointee.setBytes(length, row)
                slot.pointee.mark = stamp | Found.value
                if !isText { table.fail(slot, stamp, .notText, at: UnsafeRawBufferPointer(start: cursor, count: length)) }
                cursor += length
            case .long, .instant: guard number(step, slot, &cursor, end, row, stamp) else { return cut() }
            case .skipTexts:
                var left = step.pointee.argument
                while left > 0 {
                    guard let raw = readVarint(&cursor, end) else { return cut() }
                    let length = Int(truncatingIfNeeded: raw &>> 1)
                    if raw & 1 != 0 || length > end - cursor { return cut() }
                    cursor += length
                    left &-= 1
                }
            case .skipVarints:
                var left = step.pointee.argument
                while left > 0 {
                    guard readVarint(&cursor, end) != nil else { return cut() }
                    left &-= 1
                }
            case .skipBytes:
                if step.pointee.argument > end - cursor { return cut() }
                cursor += step.pointee.argument
            default: guard value(step, slot, &cursor, end, row, stamp) else { return false }
            }
            step += 1
        }
        return cursor == end || no("bytes are left behind its last field")
    }

    /// A long as it is, or as a moment.
    @inline(__always)
    private func number(
        _ step: UnsafePointer<AvroStep>, _ slot: UnsafeMutablePointer<ValueSlot>, _ cursor: inout Place, _ end: Place, _ row: Int, _ stamp: UInt64
    ) -> Bool {
        let from = cursor
        guard let raw = readVarint(&cursor, end) else { return false }
        let number = zigzag(raw)
        slot.pointee.mark = stamp | Found.value
        if step.pointee.code == .long {
            slot.pointee.set(number, row)
            return true
        }
        let (micros, isOver) = number.multipliedReportingOverflow(by: Int64(step.pointee.argument))
        slot.pointee.set(micros, row)
        if isOver || !ISOTime.isTaken(micros: micros) { table.fail(slot, stamp, .outsideYears, at: bytes(from, cursor)) }
        return true
    }

    /// Runs one step that is not of the most frequent ones.
    func value(
        _ first: UnsafePointer<AvroStep>, _ slot: UnsafeMutablePointer<ValueSlot>, _ cursor: inout Place, _ end: Place, _ row: Int, _ stamp: UInt64
    ) -> Bool {
        var step = first
        if step.pointee.code == .union {
            guard let branch = readVarint(&cursor, end) else { return cut() }
            guard branch & 1 == 0, branch &>> 1 < UInt64(step.pointee.count) else { return no("a union has no such branch") }
            step = UnsafePointer(program.branches + step.pointee.argument + Int(branch &>> 1))
        }
        let from = cursor
        slot.pointee.mark = stamp | Found.value
        switch step.pointee.code {
        case .integer, .integerFloat, .integerNumeric, .integerText, .integerTime, .date, .timeOfDay, .moment, .local, .length:
            guard let raw = readVarint(&cursor, end) else { return cut() }
            let number = zigzag(raw)
            if step.pointee.isInt, Int32(exactly: number) == nil { return no("an int is beyond 32 bits") }
            do throws(RowFault) { try store(number, step, slot, row) } catch { table.fail(slot, stamp, error, at: bytes(from, cursor)) }
        case .long, .instant: guard number(step, slot, &cursor, end, row, stamp) else { return cut() }
        case .bool, .boolText:
            guard cursor < end else { return cut() }
            if cursor.pointee > 1 { return no("a boolean is neither 0 nor 1") }
            let isTrue = cursor.pointee == 1
            cursor += 1
            if step.pointee.code == .bool { slot.pointee.set(isTrue, row) } else { store(isTrue ? "true" : "false", slot, row) }
        case .float, .double:
            guard let number = readFloat(step.pointee.code == .float, &cursor, end) else { return cut() }
            if slot.pointee.conversion == .float4, step.pointee.code == .double {
                let single = Double(Float(number))
                if single.isInfinite != number.isInfinite || single == 0 && number != 0 {
                    table.fail(slot, stamp, .outOfRange(.float4), at: bytes(from, cursor))
                } else {
                    slot.pointee.set(single, row)
                }
            } else {
                slot.pointee.set(number, row)
            }
        case .text, .input, .json, .bytes:
            guard let raw = readVarint(&cursor, end) else { return cut() }
            let length = zigzag(raw)
            if length < 0 || length > end - cursor { return cut() }
            let text = UnsafeRawBufferPointer(start: cursor, count: Int(length))
            let isText = step.pointee.code == .bytes || isText(cursor, Int(length))
            cursor += Int(length)
            if !isText {
                table.fail(slot, stamp, .notText, at: text)
            } else if step.pointee.code == .text || step.pointee.code == .bytes {
                table.store(text, slot, row)
            } else {
                input.store(text, slot, row, stamp)
            }
        case .fixed, .uuid, .duration:
            let count = Int(step.pointee.count)
            if count > end - cursor { return cut() }
            cursor += count
            store(fixed: from, step, slot, row)
        case .symbol:
            guard let raw = readVarint(&cursor, end) else { return cut() }
            let names = program.symbols[step.pointee.argument]
            guard raw & 1 == 0, raw &>> 1 < UInt64(names.count) else { return no("an enum has no such symbol") }
            names[Int(raw &>> 1)].withUnsafeBytes { table.store($0, slot, row) }
        case .decimal:
            guard let (start, length) = decimalBytes(Int(step.pointee.count), &cursor, end) else { return cut() }
            do throws(RowFault) { slot.pointee.set(try AvroRowDecimal.numeric(start, length, scale: step.pointee.argument), row) } catch {
                table.fail(slot, stamp, error, at: bytes(from, cursor))
            }
        case .list: return list(step, slot, &cursor, end, row, stamp)
        case .document:
            scratch.truncate(to: 0)
            var walk = AvroWalk(program: program, cursor: cursor, end: end)
            let problem = documents.write(step.pointee.argument, &walk, &scratch, depth: 1)
            cursor = walk.cursor
            switch problem {
            case nil: input.store(document: scratch.bytes, slot, row, stamp)
            case .broken: return no("a nested value ends too early, or is none")
            // The rest of the record is known no more than the rest of the value.
            case .failed(let fault):
                cursor = from
                guard skip(step.pointee.argument, &cursor, end, depth: 1) else { return false }
                table.fail(slot, stamp, fault, at: bytes(from, cursor))
            }
            if slot.pointee.mark & Found.bits == Found.failed { table.place(slot, bytes(from, cursor)) }
        case .null: slot.pointee.mark = stamp | Found.null
        case .present: return present(step.pointee.argument, slot, &cursor, end, stamp)
        case .skipNode: return skip(step.pointee.argument, &cursor, end, depth: 1)
        case .skipBytes, .skipVarints, .skipTexts, .union: preconditionFailure("\(step.pointee.code) stands in a union")
        }
        return true
    }
}
