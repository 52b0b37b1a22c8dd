// What `AvroReader` does with values that are not of the most frequent kinds: numbers of all meanings, lists, and what is only stepped over.

import Values

extension AvroReader {
    func store(_ number: Int64, _ step: UnsafePointer<AvroStep>, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int) throws(RowFault) {
        let type = table.types[slot - table.slots]
        let conversion = slot.pointee.conversion
        switch step.pointee.code {
        case .integer:
            guard IntegerText.bounds(of: type).contains(number) else { throw .outOfRange(type) }
            slot.pointee.set(number, row)
        case .integerFloat: slot.pointee.set(conversion == .float4 ? Double(Float(number)) : Double(number), row)
        case .integerNumeric: slot.pointee.set(Numeric(number), row)
        case .integerText:
            scratch.truncate(to: 0)
            scratch.append(decimal: number)
            table.store(scratch.bytes, slot, row)
        case .integerTime:
            if conversion == .interval {
                slot.pointee.set(Interval(micros: try micros(number, times.unit.power)), row)
            } else {
                slot.pointee.set(try times.read(number, as: conversion), row)
            }
        case .date:
            guard ISOTime.isTaken(day: number) else { throw .outsideYears }
            slot.pointee.set(number, row)
        case .timeOfDay: slot.pointee.set(try times.value(timeOfDay: try micros(number, step.pointee.argument)), row)
        case .moment: slot.pointee.set(try times.value(moment: try micros(number, step.pointee.argument), as: conversion), row)
        case .local: slot.pointee.set(try times.value(local: try micros(number, step.pointee.argument), as: conversion), row)
        default: slot.pointee.set(Interval(micros: number), row)
        }
    }

    private func micros(_ number: Int64, _ power: Int) throws(RowFault) -> Int64 {
        guard let micros = AvroTime.micros(number, power) else { throw .outsideYears }
        return micros
    }

    func store(_ text: StaticString, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int) {
        table.store(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount), slot, row)
    }

    func store(fixed from: Place, _ step: UnsafePointer<AvroStep>, _ slot: UnsafeMutablePointer<ValueSlot>, _ row: Int) {
        switch step.pointee.code {
        case .uuid: slot.pointee.set(AvroTime.uuid(from), row)
        case .duration: slot.pointee.set(AvroTime.duration(from), row)
        default: table.store(UnsafeRawBufferPointer(start: from, count: Int(step.pointee.count)), slot, row)
        }
    }

    /// An array, whose items go into a slot of their own; one that fails fails the list.
    func list(
        _ step: UnsafePointer<AvroStep>, _ slot: UnsafeMutablePointer<ValueSlot>, _ cursor: inout Place, _ end: Place, _ row: Int, _ stamp: UInt64
    ) -> Bool {
        let child = Int(slot.pointee.child)
        let element = table.slots + child
        let start = Int(element.pointee.entryCount)
        let items = program.branches + step.pointee.argument
        let smallest = program.skips[Int(step.pointee.count)].smallest
        var hasFailed = false
        while true {
            guard let count = readBlock(&cursor, end) else { return cut() }
            if count == 0 { break }
            if count > (end - cursor) / smallest { return cut() }
            for _ in 0..<count {
                let entry = table.nextEntry(child)
                guard value(UnsafePointer(items), element, &cursor, end, entry, stamp) else { return false }
                switch element.pointee.mark & Found.bits {
                case Found.value: break
                case Found.null: table.setNull(child, entry)
                default:
                    table.setNull(child, entry)
                    if !hasFailed { table.fail(slot, stamp, table.faults[child]!, at: table.failedAt[child]) }
                    hasFailed = true
                }
            }
        }
        if !hasFailed { slot.pointee.set(start: start, count: Int(element.pointee.entryCount) - start, row) }
        return true
    }

    /// Whether there is a value, which is skipped.
    func present(_ node: Int, _ slot: UnsafeMutablePointer<ValueSlot>, _ cursor: inout Place, _ end: Place, _ stamp: UInt64) -> Bool {
        var part = node
        if case .union(let branches) = program.schema.nodes[node] {
            guard let branch = readVarint(&cursor, end) else { return cut() }
            guard branch & 1 == 0, branch &>> 1 < UInt64(branches.count) else { return no("a union has no such branch") }
            part = branches[Int(branch &>> 1)]
        }
        if case .null = program.schema.nodes[part] { slot.pointee.mark = stamp | Found.null }
        return skip(part, &cursor, end, depth: 1)
    }

    // MARK: what nobody reads

    func skip(_ index: Int, _ cursor: inout Place, _ end: Place, depth: Int) -> Bool {
        let node = program.skips + index
        if node.pointee.smallest > end - cursor { return cut() }
        switch node.pointee.kind {
        case .bytes: cursor += node.pointee.first
        case .varint: guard readVarint(&cursor, end) != nil else { return cut() }
        case .symbol:
            guard let raw = readVarint(&cursor, end) else { return cut() }
            guard raw & 1 == 0, raw &>> 1 < UInt64(node.pointee.first) else { return no("an enum has no such symbol") }
        case .text: guard skipAvroText(&cursor, end) else { return cut() }
        case .record:
            if depth >= RecordLimits.depth { return no("it is nested deeper than \(RecordLimits.depth) levels") }
            if node.pointee.smallest == 0 { return true }
            for child in 0..<node.pointee.count {
                guard skip(Int(program.children[node.pointee.first + child]), &cursor, end, depth: depth + 1) else { return false }
            }
        case .union:
            guard let raw = readVarint(&cursor, end) else { return cut() }
            guard raw & 1 == 0, raw &>> 1 < UInt64(node.pointee.count) else { return no("a union has no such branch") }
            return skip(Int(program.children[node.pointee.first + Int(raw &>> 1)]), &cursor, end, depth: depth)
        case .array, .map: return skipBlocks(node, &cursor, end, depth: depth)
        }
        return true
    }

    private func skipBlocks(_ node: UnsafePointer<AvroSkip>, _ cursor: inout Place, _ end: Place, depth: Int) -> Bool {
        if depth >= RecordLimits.depth { return no("it is nested deeper than \(RecordLimits.depth) levels") }
        let isMap = node.pointee.kind == .map
        let item = Int(program.children[node.pointee.first])
        let smallest = program.skips[item].smallest + (isMap ? 1 : 0)
        while true {
            guard let count = readBlock(&cursor, end) else { return cut() }
            if count == 0 { return true }
            if smallest == 0 { continue }
            if count > (end - cursor) / smallest { return cut() }
            for _ in 0..<count {
                if isMap, !skipAvroText(&cursor, end) { return cut() }
                guard skip(item, &cursor, end, depth: depth + 1) else { return false }
            }
        }
    }
}
