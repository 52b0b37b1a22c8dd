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
// Everything else is a failed value. Cost of an ad event of 244 bytes, chunk and all: 66 ns with 3 of 7 fields, 77 ns with all (release build, best
// of 60 rounds on 2 shared cores).

import Values

/// Reads records of one format into slots. Belongs to one thread.
protocol ValueReader: AnyObject {
    /// Reads a record into a row of each slot that it has something for.
    /// - Returns: false for a record that is not in the format.
    func read(_ bytes: Place, _ count: Int, row: Int, stamp: UInt64) -> Bool
    /// Why the last record is not in the format.
    func fault(_ bytes: Place, _ count: Int) -> RowFault
}

final class JSONReader: ValueReader {
    let table: SlotTable
    private let names: FieldNames
    private let memory = FieldMemory()
    let input: TextInput
    let times: TimeReading
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

    func room(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        if scratch.capacity < count + 16 { scratch = pool.take(count + 16) }
        return scratch.base.assumingMemoryBound(to: UInt8.self)
    }

    // MARK: values

    /// Reads one value into its slot; nil when it is not JSON.
    @inline(__always)
    func value(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
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
        case .int4 where from.pointee != 0x22:
            if case .value(let number, let behind) = readWholeNumber(from, end), Int32(exactly: number) != nil {
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
}
