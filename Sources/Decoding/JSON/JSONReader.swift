// JSON objects to slots, one pass over each document.
//
// A document is taken only if all of it is JSON: an object, nothing behind it. Fields are found by `FieldNames`; values that nobody reads are
// skipped, which checks their form and copies nothing. Values go straight into the slots; one that does not become its column's type is noted
// there and skipped: of a name that comes twice the last value counts, whatever the earlier ones were.
//
//   JSON            becomes
//   text            what the type's input reads in it; times by ISO 8601
//   number          numbers (whole ones where the column is), times in the declared unit, as it is written in a text
//   true, false     bool; as it is written in a text
//   list            a list; as it is written in a text
//   any             jsonb, in the one form that CAST(... AS jsonb) gives
//
// Everything else is a failed value. Cost: see `Tests/DecodingTests/DecodingBench.swift`.

import Values

/// Reads records of one format into slots. Belongs to one thread.
protocol RecordReader: AnyObject {
    /// Reads a record into a row of each slot that it has something for.
    /// - Returns: false for a record that is not in the format.
    func read(_ bytes: Place, _ count: Int, row: Int, stamp: UInt64) -> Bool
    /// Why the last record is not in the format.
    func fault(_ bytes: Place, _ count: Int) -> RowFault
}

final class JSONReader: RecordReader {
    let table: SlotTable
    private let names: FieldNames
    private let memory = FieldMemory()
    private let input: TextInput
    private let times: TimeReading
    /// Whether a document may be a bare value, which is the only slot's: a key of one column.
    private let takesBareValue: Bool
    private let pool: BufferPool
    /// For texts on their way into another type.
    private var scratch: Buffer

    /// - Parameter names: of the table's slots.
    init(_ table: SlotTable, names: [String], times: TimeReading, takesBareValue: Bool = false, pool: BufferPool) {
        self.table = table
        self.names = FieldNames(names)
        self.times = times
        self.takesBareValue = takesBareValue
        self.pool = pool
        input = TextInput(table, times: times, pool: pool)
        scratch = pool.take(256)
    }

    func fault(_ bytes: Place, _ count: Int) -> RowFault {
        let end = bytes + count
        let from = skipJSONSpace(bytes, end)
        guard from < end else { return RowFault("22P02", "the record is empty") }
        if from.pointee != UInt8(ascii: "{"), let behind = skipJSONValue(from, end, depth: 0), skipJSONSpace(behind, end) == end {
            return RowFault("22023", "the record is no JSON object")
        }
        return jsonFault(from, end)
    }

    func read(_ bytes: Place, _ count: Int, row: Int, stamp: UInt64) -> Bool {
        let end = bytes + count
        let from = skipJSONSpace(bytes, end)
        guard from < end else { return false }
        let behind: Place?
        if from.pointee == UInt8(ascii: "{") {
            behind = object(from, end, row, stamp)
        } else {
            guard takesBareValue, from.pointee != UInt8(ascii: "[") else { return false }
            behind = value(from, end, table.slots, row, stamp)
        }
        guard let behind else { return false }
        return behind == end || skipJSONSpace(behind, end) == end
    }

    /// Reads the object at `from`; nil when it is broken.
    @inline(__always)
    private func object(_ from: Place, _ end: Place, _ row: Int, _ stamp: UInt64) -> Place? {
        var place = from + 1
        let known = memory.fields
        let slots = table.slots
        var position = 0
        while true {
            var column = -1
            if position < FieldMemory.places, known[position].matches(place, end) {
                column = Int(known[position].column)
                // It may be followed by more spaces than last time.
                place = skipJSONSpace(place + Int(known[position].count), end)
            } else {
                // Most often the document ends right behind its last value.
                if position > 0, place < end, place.pointee == UInt8(ascii: "}") { return place + 1 }
                guard let behind = learn(place, end, position, &column) else { return nil }
                if column == Self.noMore { return behind }
                place = behind
            }
            position &+= 1
            guard place < end else { return nil }
            if column >= 0 {
                guard let behind = value(place, end, slots + column, row, stamp) else { return nil }
                place = behind
            } else if place.pointee == 0x22 {
                guard let behind = skipJSONString(place + 1, end) else { return nil }
                place = behind
            } else {
                guard let behind = skipJSONValue(place, end, depth: 1) else { return nil }
                place = behind
            }
        }
    }

    /// The "column" of the closing bracket.
    private static let noMore = -2

    /// Reads what stands before a value and is not what is remembered: finds the name's column (-1: not read), and remembers. Gives the place of
    /// the value; behind the object where that ends (`noMore`).
    @inline(never)
    private func learn(_ from: Place, _ end: Place, _ position: Int, _ column: inout Int) -> Place? {
        var place = skipJSONSpace(from, end)
        guard place < end else { return nil }
        if place.pointee == UInt8(ascii: "}") {
            column = Self.noMore
            return place + 1
        }
        if position > 0 {
            guard place.pointee == UInt8(ascii: ",") else { return nil }
            place = skipJSONSpace(place + 1, end)
        }
        guard place < end, place.pointee == 0x22, let behind = skipJSONString(place + 1, end) else { return nil }
        column = number(place + 1, behind - place - 2, end)
        place = skipJSONSpace(behind, end)
        guard place < end, place.pointee == UInt8(ascii: ":") else { return nil }
        place = skipJSONSpace(place + 1, end)
        if position < FieldMemory.places { memory.fields[position].remember(from, place - from, column: column) }
        return place
    }

    private func number(_ start: Place, _ count: Int, _ end: Place) -> Int {
        guard (0..<count).contains(where: { start[$0] == 0x5C }) else { return names.number(start, count) }
        let copy = room(count)
        let text = copyJSONString(start, end, to: copy)
        return text.isText ? names.number(copy, text.count) : -1
    }

    private func room(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        if scratch.capacity < count + 16 { scratch = pool.take(count + 16) }
        return scratch.base.assumingMemoryBound(to: UInt8.self)
    }

    // MARK: values

    /// Reads one value into its slot; nil when it is not JSON.
    @inline(__always)
    private func value(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ColumnSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
        switch slot.pointee.conversion {
        case .text where from.pointee == 0x22:
            table.reserve(slot, end - from + 16)
            let copy = copyJSONString(from + 1, end, to: slot.pointee.bytes + slot.pointee.byteCount)
            guard let behind = copy.behind else { return nil }
            slot.pointee.setBytes(copy.count, row)
            slot.pointee.mark = stamp | Found.value
            if !copy.isText { table.fail(slot, stamp, .notText, at: bytes(from, behind)) }
            return behind
        case .int8 where from.pointee != 0x22:
            if case .value(let number, let behind) = readWholeNumber(from, end) {
                slot.pointee.set(number, row)
                slot.pointee.mark = stamp | Found.value
                return behind
            }
            return number(from, end, slot, row, stamp)
        case .timestamptz where from.pointee != 0x22:
            if case .value(let number, let behind) = readWholeNumber(from, end), let moment = times.moment(number) {
                slot.pointee.set(moment, row)
                slot.pointee.mark = stamp | Found.value
                return behind
            }
            return number(from, end, slot, row, stamp)
        default: break
        }
        switch from.pointee {
        case 0x22: return text(from, end, slot, row, stamp)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): return number(from, end, slot, row, stamp)
        default: return other(from, end, slot, row, stamp)
        }
    }

    /// A text for a slot that is of another type.
    @inline(never)
    private func text(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ColumnSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
        let conversion = slot.pointee.conversion
        slot.pointee.mark = stamp | Found.value
        if conversion == .timestamptz || conversion == .timestamp, case .time(let time, let behind) = ISOTime.read(from + 1, end), behind < end,
            behind.pointee == 0x22
        {
            do throws(RowFault) {
                if let value = try times.value(time, as: conversion) {
                    slot.pointee.set(value, row)
                    return behind + 1
                }
            } catch {
                table.fail(slot, stamp, error, at: bytes(from, behind + 1))
                return behind + 1
            }
        }
        guard let behind = skipJSONString(from + 1, end) else { return nil }
        switch conversion {
        case .presence: break
        case .list: table.fail(slot, stamp, .wrongKind("a text", table.types[slot - table.slots]), at: bytes(from, behind))
        case .jsonb: document(from, behind, slot, row, stamp)
        default:
            let copy = room(behind - from)
            let text = copyJSONString(from + 1, end, to: copy)
            if text.isText {
                input.store(UnsafeRawBufferPointer(start: copy, count: text.count), slot, row, stamp)
                // The text lies in our memory, which the next one takes.
                if slot.pointee.mark & Found.bits == Found.failed { table.place(slot, bytes(from, behind)) }
            } else {
                table.fail(slot, stamp, .notText, at: bytes(from, behind))
            }
        }
        return behind
    }

    @inline(never)
    private func number(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ColumnSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
        let conversion = slot.pointee.conversion
        switch from.pointee {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): break
        default: return other(from, end, slot, row, stamp)
        }
        slot.pointee.mark = stamp | Found.value
        let whole = readWholeNumber(from, end)
        let behind: Place
        switch whole {
        case .value(_, let place): behind = place
        case .long(let place): behind = place
        case .broken: return nil
        }
        let type = table.types[slot - table.slots]
        do throws(RowFault) {
            switch conversion {
            case .int2, .int4, .int8:
                let number: Int64
                if case .value(let value, _) = whole {
                    number = value
                } else if let value = ExactDecimal.value(from, behind, cut: .refuse) {
                    guard let value = Int64(exactly: value) else { throw .outOfRange(type) }
                    number = value
                } else {
                    throw ExactDecimal.value(from, behind, cut: .down) == nil ? .outOfRange(type) : .noWhole(type)
                }
                guard IntegerText.bounds(of: type).contains(number) else { throw .outOfRange(type) }
                slot.pointee.set(number, row)
            case .float8:
                if let value = readShortDouble(from, behind) {
                    slot.pointee.set(value, row)
                } else {
                    slot.pointee.set(try FloatText.parse(bytes(from, behind), type), row)
                }
            case .float4: slot.pointee.set(try FloatText.parse(bytes(from, behind), type), row)
            case .numeric:
                if let value = readShortNumeric(from, behind) {
                    slot.pointee.set(value, row)
                } else {
                    slot.pointee.set(try NumericText.parse(bytes(from, behind)), row)
                }
            case .text: table.store(bytes(from, behind), slot, row)
            case .jsonb: document(from, behind, slot, row, stamp)
            case .time, .timestamp, .timestamptz:
                if case .value(let value, _) = whole {
                    slot.pointee.set(try times.read(value, as: conversion), row)
                } else {
                    slot.pointee.set(try times.read(micros: try times.micros(from, behind), as: conversion), row)
                }
            case .interval: slot.pointee.set(Interval(micros: try times.micros(from, behind)), row)
            case .presence: break
            case .bool, .bytea, .uuid, .date, .list: throw .wrongKind("a number", type)
            }
        } catch {
            table.fail(slot, stamp, error, at: bytes(from, behind))
        }
        return behind
    }

    /// Literals, lists and objects.
    @inline(never)
    private func other(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ColumnSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
        let conversion = slot.pointee.conversion
        if from.pointee == UInt8(ascii: "[") && conversion == .list { return list(from, end, slot, row, stamp) }
        guard let behind = skipJSONValue(from, end, depth: 1) else { return nil }
        if from.pointee == UInt8(ascii: "n") {
            slot.pointee.mark = stamp | Found.null
            return behind
        }
        slot.pointee.mark = stamp | Found.value
        let isLiteral = from.pointee == UInt8(ascii: "t") || from.pointee == UInt8(ascii: "f")
        switch conversion {
        case .bool where isLiteral: slot.pointee.set(from.pointee == UInt8(ascii: "t"), row)
        case .text:
            if isText(from, behind - from) {
                table.store(bytes(from, behind), slot, row)
            } else {
                table.fail(slot, stamp, .notText, at: bytes(from, behind))
            }
        case .jsonb: document(from, behind, slot, row, stamp)
        case .presence: break
        default:
            let kind: StaticString = isLiteral ? "a truth value" : from.pointee == UInt8(ascii: "[") ? "a list" : "an object"
            table.fail(slot, stamp, .wrongKind(kind, table.types[slot - table.slots]), at: bytes(from, behind))
        }
        return behind
    }

    private func document(_ from: Place, _ behind: Place, _ slot: UnsafeMutablePointer<ColumnSlot>, _ row: Int, _ stamp: UInt64) {
        if isText(from, behind - from) {
            input.store(document: bytes(from, behind), slot, row, stamp)
        } else {
            table.fail(slot, stamp, .notText, at: bytes(from, behind))
        }
    }

    /// A list, whose elements go into a slot of their own; one that fails fails the list.
    private func list(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ColumnSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
        let child = Int(slot.pointee.child)
        let element = table.slots + child
        let start = Int(element.pointee.entryCount)
        var hasFailed = false
        var place = skipJSONSpace(from + 1, end)
        guard place < end else { return nil }
        if place.pointee == UInt8(ascii: "]") {
            place += 1
        } else {
            while true {
                guard place < end else { return nil }
                let entry = table.nextEntry(child)
                element.pointee.mark = 0
                guard let behind = value(place, end, element, entry, stamp) else { return nil }
                switch element.pointee.mark & Found.bits {
                case Found.value: break
                case Found.null: table.setNull(child, entry)
                default:
                    table.setNull(child, entry)
                    if !hasFailed { table.fail(slot, stamp, table.faults[child]!, at: table.failedAt[child]) }
                    hasFailed = true
                }
                place = skipJSONSpace(behind, end)
                guard place < end else { return nil }
                if place.pointee == UInt8(ascii: "]") { break }
                guard place.pointee == UInt8(ascii: ",") else { return nil }
                place = skipJSONSpace(place + 1, end)
            }
            place += 1
        }
        if !hasFailed {
            slot.pointee.set(start: start, count: Int(element.pointee.entryCount) - start, row)
            slot.pointee.mark = stamp | Found.value
        }
        return place
    }
}
