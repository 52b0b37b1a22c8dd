// A text becomes a value of its column: what a quoted value of JSON, a string of Avro and a text key have in common.
//
// Times are read by ISO 8601 (`TimeReading`); all others by the input functions of their types, so that '12' is what CAST('12' AS ...) gives, in
// the same words where it gives none.

import Values

/// Converts texts into slots. Belongs to one thread.
final class TextInput {
    let times: TimeReading
    private let table: SlotTable
    private var scratch: ByteBuilder

    init(_ table: SlotTable, times: TimeReading, pool: BufferPool) {
        self.table = table
        self.times = times
        scratch = ByteBuilder(pool)
    }

    /// Writes a text, which is well formed, into a slot as its type; marks the slot as failed where it is none.
    @inline(never)
    func store(_ text: Bytes, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int, _ stamp: UInt64) {
        do throws(RowFault) {
            try convert(text, slot, row)
        } catch {
            table.fail(slot, stamp, error, at: text)
        }
    }

    private func convert(_ text: Bytes, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int) throws(RowFault) {
        let type = table.types[slot - table.slots]
        switch slot.pointee.conversion {
        case .bool: slot.pointee.set(try BoolText.parse(text), row)
        case .int2, .int4, .int8: slot.pointee.set(try IntegerText.parse(text, type), row)
        case .float4, .float8: slot.pointee.set(try FloatText.parse(text, type), row)
        case .numeric: slot.pointee.set(try NumericText.parse(text), row)
        case .text: table.store(text, slot, row)
        case .bytea:
            scratch.truncate(to: 0)
            try ByteaText.parse(text, &scratch)
            table.store(scratch.bytes, slot, row)
        case .jsonb:
            scratch.truncate(to: 0)
            try JSONParser.canonical(text, &scratch)
            table.storeDocument(scratch.bytes, slot, row)
        case .uuid:
            if let plain = Self.plainUUID(text) { slot.pointee.set(plain, row) } else { slot.pointee.set(try UUIDText.parse(text), row) }
        case .date, .time, .timestamp, .timestamptz: slot.pointee.set(try times.read(text, as: slot.pointee.conversion, type), row)
        case .interval: slot.pointee.set(try IntervalText.parse(text), row)
        case .list: throw .wrongKind("a text", type)
        case .presence: break
        }
    }

    /// A uuid as nearly all are written: 36 characters; nil for all other spellings.
    private static func plainUUID(_ text: Bytes) -> UUIDWords? {
        guard text.count == 36, text[8] == 45, text[13] == 45, text[18] == 45, text[23] == 45 else { return nil }
        var (high, low, digits) = (UInt64(0), UInt64(0), 0)
        for byte in text where byte != 45 {
            let letter = (byte | 0x20) &- 97
            let digit = isDigit(byte) ? byte &- 48 : letter < 6 ? letter &+ 10 : 16
            if digit == 16 { return nil }
            high = high &<< 4 | low &>> 60
            low = low &<< 4 | UInt64(digit)
            digits &+= 1
        }
        return digits == 32 ? UUIDWords(high: high, low: low) : nil
    }

    /// Writes some JSON, whose bytes are well formed, into a slot of jsonb.
    @inline(never)
    func store(document: Bytes, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int, _ stamp: UInt64) {
        do throws(RowFault) {
            scratch.truncate(to: 0)
            try JSONParser.canonical(document, &scratch)
            table.storeDocument(scratch.bytes, slot, row)
        } catch {
            table.fail(slot, stamp, error, at: document)
        }
    }
}
