// JSON objects to columns, one pass over each document.
//
// Producers write the same keys in the same order, so the decoder remembers by position what stood before each value of the last
// document: comma, key, colon, and the spaces between them. That is compared in words of eight bytes, and only where it differs are its
// parts read, the key looked for among the needed names, and all of it remembered. What is remembered also says that nobody needs the
// field; its value is then skipped, which checks its form but copies nothing. Values of needed fields go straight into the columns.
//
// A document is accepted only if all of it is JSON: an object, nothing behind it. Of a key that comes twice the last value
// counts, whatever the earlier ones were. A missing or null field is NULL where the column is nullable and rejects the
// record elsewhere. Timestamps are integers (milliseconds) or RFC 3339 texts, of the years 1 to 9999 (`rowTimes`). Structure is judged before values: a broken
// document is `truncated`, `tooDeep`, `trailingBytes` or `invalidValue` whatever its fields hold.
//
// Where strings end is found for the whole document first, where that can be (`JSONStrings`). Cost per ad event with 3 of 7 fields, out of
// memory: 62 ns, where Avro's decoder takes 31 (`sluice bench overhead`, on 2 shared cores).

package final class JSONRowDecoder: RowDecoder {
    package let schema: Schema
    private let slots: ColumnSlots
    private let names: TextColumn
    private let memory: KeyMemory
    private let marks = JSONMarks()
    /// What came out of the last value that was no time; nil where it did not even fit 64 bits.
    private var wrongTimeMillis: Int64?

    /// - Parameter needed: the columns to fill, by key; each name once.
    package init(needed: Schema) throws {
        try requireDistinctNames(needed)
        schema = needed
        slots = ColumnSlots(needed)
        names = TextColumn(capacity: needed.fields.count)
        for name in needed.names { names.append(name) }
        memory = KeyMemory()
    }

    package func decode(
        _ records: UnsafeBufferPointer<RawRecord>, into columns: [Column], kept: UnsafeMutablePointer<Int32>?,
        rejected: inout [RejectedRecord]
    ) -> Int {
        var textBytes = 0
        for record in records where record.length <= Limits.recordBytes { textBytes += record.length }
        slots.open(columns, rows: records.count, textBytes: textBytes)
        var row = 0
        for index in 0..<records.count {
            let record = records[index]
            if let reason = decode(record, row, Int32(truncatingIfNeeded: index)) {
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

    @inline(__always)
    private func decode(_ record: RawRecord, _ row: Int, _ stamp: Int32) -> RejectReason? {
        guard let payload = record.payload else { return .tombstone }
        guard record.length > 0 else { return .empty }
        if record.length > Limits.recordBytes { return .tooLarge }
        let end = payload + record.length
        let from = skipJSONSpace(payload, end)
        guard from < end, from.pointee == UInt8(ascii: "{") else {
            return skipJSONValue(from, end, depth: 0) == nil ? jsonReason(from, end) : .wrongType
        }
        let whole =
            if let strings = MarkedStrings(payload, end, marks) {
                object(from, end, row, stamp, strings)
            } else {
                object(from, end, row, stamp, ScannedStrings())
            }
        guard let behind = whole else { return jsonReason(from, end) }
        if skipJSONSpace(behind, end) < end { return .trailingBytes }

        let columns = slots.slots
        for index in 0..<slots.count {
            if columns[index].stamp != stamp {
                if !columns[index].nullable { return .missingField }
                slots.setNull(index, row)
            } else if let problem = columns[index].problem {
                return problem
            }
        }
        return nil
    }

    /// Reads the object at `from`; nil when it is broken.
    @inline(__always)
    private func object<Strings: JSONStrings>(
        _ from: JSONPlace, _ end: JSONPlace, _ row: Int, _ stamp: Int32, _ strings: Strings
    ) -> JSONPlace? {
        var place = from + 1
        let known = memory.keys
        var position = 0
        while true {
            var column = -1
            if position < KeyMemory.positions, known[position].matches(place, end) {
                column = Int(known[position].column)
                // It may be followed by more spaces than last time.
                place = skipJSONSpace(place + Int(known[position].length), end)
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
                guard let behind = value(place, end, column, row, stamp, strings) else { return nil }
                place = behind
            } else if place.pointee == 0x22 {
                guard let behind = strings.skip(place + 1, end) else { return nil }
                place = behind
            } else {
                guard let behind = skipJSONValue(place, end, depth: 1) else { return nil }
                place = behind
            }
        }
    }

    /// The "column" of the closing bracket.
    private static let noMore = -2

    /// Reads one value into its column; a value that does not fit is noted there and skipped.
    @inline(__always)
    private func value<Strings: JSONStrings>(
        _ from: JSONPlace, _ end: JSONPlace, _ index: Int, _ row: Int, _ stamp: Int32, _ strings: Strings
    ) -> JSONPlace? {
        let column = slots.slots + index
        column.pointee.stamp = stamp
        column.pointee.problem = nil
        column.pointee.setValid(row)
        if from.pointee == UInt8(ascii: "n") {
            if column.pointee.nullable { slots.setNull(index, row) } else { column.pointee.problem = .nullField }
            return skipJSONLiteral(from, end)
        }
        switch column.pointee.type {
        case .text:
            guard from.pointee == 0x22 else { break }
            let start = Int(column.pointee.offsets[row])
            let text = strings.copy(from + 1, end, to: column.pointee.bytes + start)
            column.pointee.offsets[row &+ 1] = Int32(truncatingIfNeeded: start &+ text.length)
            if !text.isValid { column.pointee.problem = .invalidText }
            return text.behind
        case .int64, .timestamp:
            if from.pointee &- 48 >= 10, from.pointee != UInt8(ascii: "-") {
                guard column.pointee.type == .timestamp, from.pointee == 0x22 else { break }
                return timeText(from, end, index, row)
            }
            switch readJSONInteger(from, end) {
            case .value(let value, let behind):
                column.pointee.set(value, row)
                if column.pointee.type == .timestamp, !value.isRowTime { outOfRange(value, index) }
                return behind
            case .fraction(let behind):
                column.pointee.problem = .wrongType
                return behind
            case .tooLarge(let behind):
                if column.pointee.type == .timestamp { outOfRange(nil, index) } else { column.pointee.problem = .invalidValue }
                return behind
            case .broken: return nil
            }
        case .float64:
            guard from.pointee &- 48 < 10 || from.pointee == UInt8(ascii: "-") else { break }
            guard let behind = skipJSONNumber(from, end) else { return nil }
            if let value = readJSONDouble(from, behind) {
                column.pointee.set(value, row)
            } else {
                column.pointee.problem = .invalidValue
            }
            return behind
        case .bool:
            guard from.pointee == UInt8(ascii: "t") || from.pointee == UInt8(ascii: "f") else { break }
            column.pointee.set(from.pointee == UInt8(ascii: "t"), row)
            return skipJSONLiteral(from, end)
        }
        column.pointee.problem = .wrongType
        return skipJSONValue(from, end, depth: 1)
    }

    @inline(never)
    private func outOfRange(_ millis: Int64?, _ index: Int) {
        wrongTimeMillis = millis
        slots.slots[index].problem = .timeOutOfRange
    }

    @inline(never)
    private func timeText(_ from: JSONPlace, _ end: JSONPlace, _ index: Int, _ row: Int) -> JSONPlace? {
        guard let behind = skipJSONString(from + 1, end) else { return nil }
        // Escapes only ever shorten a text. No time takes 64 bytes.
        let bound = behind - from
        let millis: Int64? =
            bound > 64
            ? nil
            : withUnsafeTemporaryAllocation(of: UInt8.self, capacity: bound + ColumnSlots.slack) { copy in
                let text = copyJSONString(from + 1, end, to: copy.baseAddress!)
                return text.isValid ? parseTime(UnsafeBufferPointer(start: copy.baseAddress!, count: text.length)) : nil
            }
        if let millis {
            slots.slots[index].set(millis, row)
            if !millis.isRowTime { outOfRange(millis, index) }
        } else {
            slots.slots[index].problem = .invalidValue
        }
        return behind
    }

    /// Reads what stands before a value and is not what is remembered: finds the key's column (-1: not needed), and remembers. Gives the
    /// place of the value; behind the object where that ends (`noMore`).
    @inline(never)
    private func learn(_ from: JSONPlace, _ end: JSONPlace, _ position: Int, _ column: inout Int) -> JSONPlace? {
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
        column = columnOfKey(place + 1, behind - place - 2, end)
        place = skipJSONSpace(behind, end)
        guard place < end, place.pointee == UInt8(ascii: ":") else { return nil }
        place = skipJSONSpace(place + 1, end)
        if position < KeyMemory.positions { memory.keys[position].remember(from, place - from, column: column) }
        return place
    }

    private func columnOfKey(_ start: JSONPlace, _ length: Int, _ end: JSONPlace) -> Int {
        guard (0..<length).contains(where: { start[$0] == 0x5C }) else { return columnNamed(start, length) }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: length + ColumnSlots.slack) { copy in
            let text = copyJSONString(start, end, to: copy.baseAddress!)
            return text.isValid ? columnNamed(UnsafePointer(copy.baseAddress!), text.length) : -1
        }
    }

    private func columnNamed(_ start: UnsafePointer<UInt8>, _ length: Int) -> Int {
        for index in 0..<names.count {
            let name = names.slice(index)
            if name.count == length, (0..<length).allSatisfy({ name[$0] == start[$0] }) { return index }
        }
        return -1
    }
}

/// What stood before the values of the last document, by position.
private final class KeyMemory {
    static let positions = 64
    let keys: UnsafeMutablePointer<RememberedKey>

    init() {
        keys = .allocate(capacity: Self.positions)
        keys.initialize(repeating: RememberedKey(), count: Self.positions)
    }

    deinit { keys.deallocate() }
}

/// One key with all between the value before it and its own, at most 32 bytes, as words padded with zeros.
private struct RememberedKey {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    /// The bytes of the last word that count.
    var lastMask: UInt64 = 0
    /// 0 while nothing is remembered.
    var length: Int32 = 0
    var column: Int32 = -1

    @inline(__always)
    func matches(_ place: JSONPlace, _ end: JSONPlace) -> Bool {
        // A key is followed by a value in every whole document; near the end of a cut one, or before a very short one, it is read slowly.
        let length = Int(length)
        if length == 0 || end - place < (length &+ 7) & ~7 { return false }
        let first = UInt64(littleEndian: load64(place)) ^ words.0
        if length <= 8 { return first & lastMask == 0 }
        let second = UInt64(littleEndian: load64(place + 8)) ^ words.1
        if length <= 16 { return first | (second & lastMask) == 0 }
        let third = UInt64(littleEndian: load64(place + 16)) ^ words.2
        if length <= 24 { return first | second | (third & lastMask) == 0 }
        let fourth = UInt64(littleEndian: load64(place + 24)) ^ words.3
        return first | second | third | (fourth & lastMask) == 0
    }

    mutating func remember(_ from: JSONPlace, _ length: Int, column: Int) {
        guard length <= 32 else {
            self.length = 0
            return
        }
        var copy: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &copy) { $0.copyMemory(from: UnsafeRawBufferPointer(start: from, count: length)) }
        words = (
            UInt64(littleEndian: copy.0), UInt64(littleEndian: copy.1), UInt64(littleEndian: copy.2),
            UInt64(littleEndian: copy.3)
        )
        let rest = length & 7
        lastMask = rest == 0 ? .max : (1 << UInt64(rest * 8)) - 1
        self.length = Int32(length)
        self.column = Int32(column)
    }
}
