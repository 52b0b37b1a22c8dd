// What `JSONReader` does with values off its fast path: texts and numbers for other types than theirs, literals, lists and objects.
//
// Every function marks the slot and gives the place behind the value; nil means that it is not JSON, and the record is rejected whole.

import Values

extension JSONReader {
    /// A text for a slot that is of another type.
    @inline(never)
    func text(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
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
    func number(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
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
    func other(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
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

    private func document(_ from: Place, _ behind: Place, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int, _ stamp: UInt64) {
        if isText(from, behind - from) {
            input.store(document: bytes(from, behind), slot, row, stamp)
        } else {
            table.fail(slot, stamp, .notText, at: bytes(from, behind))
        }
    }

    /// A list, whose elements go into a slot of their own; one that fails fails the list.
    private func list(_ from: Place, _ end: Place, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int, _ stamp: UInt64) -> Place? {
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
