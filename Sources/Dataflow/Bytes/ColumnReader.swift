// Columns of a chunk out of bytes: the form is written in `ChunkBytes`.
//
// Nothing is believed: a tag is compared with the type, lengths are added up and the sum has to lie there, codes are below the number of
// entries, and values are such as their type can hold, because the loops behind trust them: text is UTF-8 value by value, jsonb is written
// as ours is, int2 and int4 and the digits of a numeric are within their bounds. Memory is asked for when the bytes that it is for were
// taken. How deep values nest is the type's and not the bytes' to say, but for jsonb (`CanonicalJSON`).

import Values

enum ColumnReader {
    static func column(_ type: SQLType, _ count: Int, _ reader: inout ByteReader, _ pool: BufferPool) throws(BytesFault) -> Vector {
        let head = try reader.byte()
        guard head & ~(ColumnHead.forms | ColumnHead.hasNulls) == ColumnHead.tag(type) else { throw BytesFault(what: "a column of \(type.name) begins with \(head)") }
        if case .row(let fields) = type {
            let width = try reader.number()
            guard width == fields.count else { throw BytesFault(what: "rows of \(width) fields, expected are \(fields.count)") }
        }
        let hasNulls = head & ColumnHead.hasNulls != 0
        switch head & ColumnHead.forms {
        case 0: return try entries(type, count, hasNulls, &reader, pool)
        case ColumnHead.constant:
            let one = try entries(type, 1, hasNulls, &reader, pool)
            return Vector(type, form: .constant, count: 1, values: one.values, extra: one.extra, validity: one.validity, children: one.children)
        case ColumnHead.dictionary:
            let bound = try reader.number(atMost: count, "entries of a dictionary")
            let left = reader.left
            var greatest: UInt32 = 0
            // Asked for behind the look at what is left: a code takes a byte at least.
            guard left > count else { throw BytesFault(what: "\(count) codes, \(left) bytes are left") }
            let codes = pool.take(max(count, 1) * 4)
            let words = codes.base.assumingMemoryBound(to: UInt32.self)
            _ = try reader.narrow(count) { place, code in
                words[place] = code
                greatest = max(greatest, code)
            }
            guard count == 0 || Int(greatest) < bound else { throw BytesFault(what: "a code of \(greatest), of \(bound) entries") }
            return Vector(dictionary: try entries(type, bound, hasNulls, &reader, pool), codes: codes, count: count)
        default: throw BytesFault(what: "a column of an unknown form begins with \(head)")
        }
    }

    private static func entries(_ type: SQLType, _ count: Int, _ hasNulls: Bool, _ reader: inout ByteReader, _ pool: BufferPool) throws(BytesFault) -> Vector {
        let validity = hasNulls ? try bits(count, &reader, pool) : nil
        switch type.layout {
        case .bool:
            let from = try reader.take((count + 7) >> 3)
            let values = pool.take(max(count, 1))
            for place in 0..<count { values.base.storeBytes(of: from[place >> 3] >> UInt8(place & 7) & 1, toByteOffset: place, as: UInt8.self) }
            return Vector(type, count: count, values: values, validity: validity)
        case .word, .float:
            let values = try copied(count * 8, &reader, pool)
            try check(type, UnsafePointer(values.base.assumingMemoryBound(to: Int64.self)), count)
            return Vector(type, count: count, values: values, validity: validity)
        case .wide:
            if type == .numeric { return try numerics(count, validity, &reader, pool) }
            return Vector(type, count: count, values: try copied(count * 16, &reader, pool), validity: validity)
        case .bytes: return try texts(type, count, validity, &reader, pool)
        case .list:
            let (values, total) = try spans(count, &reader, pool)
            guard case .list(let element) = type, total <= ChunkBytes.mostRows else { throw BytesFault(what: "\(total) elements of lists") }
            return Vector(type, count: count, values: values, validity: validity, children: [try column(element, total, &reader, pool)])
        case .row:
            guard case .row(let fields) = type else { preconditionFailure("\(type.name) lies as a row") }
            var children: [Vector] = []
            for field in fields { children.append(try column(field.type, count, &reader, pool)) }
            return Vector(type, count: count, values: pool.take(1), validity: validity, children: children)
        }
    }

    private static func copied(_ count: Int, _ reader: inout ByteReader, _ pool: BufferPool) throws(BytesFault) -> Buffer {
        let from = try reader.take(count)
        let buffer = pool.take(max(count, 1))
        if let base = from.baseAddress { buffer.base.copyMemory(from: base, byteCount: count) }
        return buffer
    }

    private static func bits(_ count: Int, _ reader: inout ByteReader, _ pool: BufferPool) throws(BytesFault) -> Buffer {
        let from = try reader.take((count + 7) >> 3)
        let buffer = pool.take(max((count + 63) >> 6, 1) * 8)
        buffer.base.initializeMemory(as: UInt8.self, repeating: 0, count: max((count + 63) >> 6, 1) * 8)
        if let base = from.baseAddress { buffer.base.copyMemory(from: base, byteCount: from.count) }
        return buffer
    }

    private static func check(_ type: SQLType, _ words: UnsafePointer<Int64>, _ count: Int) throws(BytesFault) {
        let bounds: ClosedRange<Int64>
        switch type {
        case .int2: bounds = Int64(Int16.min)...Int64(Int16.max)
        case .int4: bounds = Int64(Int32.min)...Int64(Int32.max)
        default: return
        }
        var (least, greatest): (Int64, Int64) = (0, 0)
        for place in 0..<count { (least, greatest) = (min(least, words[place]), max(greatest, words[place])) }
        guard bounds.contains(least), bounds.contains(greatest) else { throw BytesFault(what: "a \(type.name) of \(bounds.contains(least) ? greatest : least)") }
    }

    private static func numerics(_ count: Int, _ validity: Buffer?, _ reader: inout ByteReader, _ pool: BufferPool) throws(BytesFault) -> Vector {
        let head = try reader.byte()
        guard head & ~(NumericHead.narrow | NumericHead.oneScale) == 0 else { throw BytesFault(what: "numerics of kind \(head)") }
        let scaleBytes = try reader.take(head & NumericHead.oneScale != 0 ? 1 : count)
        for scale in scaleBytes where scale > Numeric.maxScale && scale != Numeric.nan.scale { throw BytesFault(what: "a numeric has \(scale) digits behind the point") }
        let isNarrow = head & NumericHead.narrow != 0
        let from = try reader.take(count * (isNarrow ? 8 : 16))
        let (values, scales) = (pool.take(max(count, 1) * 16), pool.take(max(count, 1)))
        guard count > 0, let base = from.baseAddress, let first = scaleBytes.first else { return Vector(.numeric, count: count, values: values, extra: scales, validity: validity) }
        if head & NumericHead.oneScale != 0 {
            scales.base.initializeMemory(as: UInt8.self, repeating: first, count: count)
        } else {
            scales.base.copyMemory(from: scaleBytes.baseAddress!, byteCount: count)
        }
        let units = values.base.assumingMemoryBound(to: Int128.self)
        if isNarrow {
            for place in 0..<count { units[place] = Int128(base.loadUnaligned(fromByteOffset: place * 8, as: Int64.self)) }
        } else {
            values.base.copyMemory(from: base, byteCount: count * 16)
            for place in 0..<count where units[place].magnitude >= mostUnits { throw BytesFault(what: "a numeric has more than \(Numeric.maxDigits) digits") }
        }
        return Vector(.numeric, count: count, values: values, extra: scales, validity: validity)
    }

    /// The least number of too many digits.
    private static let mostUnits: UInt128 = (0..<Numeric.maxDigits).reduce(1) { power, _ in power * 10 }

    /// Spans one behind the other, and where the last one ends.
    private static func spans(_ count: Int, _ reader: inout ByteReader, _ pool: BufferPool) throws(BytesFault) -> (Buffer, Int) {
        guard reader.left > count else { throw BytesFault(what: "\(count) lengths, \(reader.left) bytes are left") }
        let buffer = pool.take(max(count, 1) * 8)
        let spans = buffer.base.assumingMemoryBound(to: Span.self)
        var start = 0
        let total = try reader.narrow(count) { place, length in
            spans[place] = Span(start: start, count: Int(length))
            start &+= Int(length)
        }
        guard total <= UInt32.max else { throw BytesFault(what: "lengths of \(total) in all") }
        return (buffer, total)
    }

    private static func texts(_ type: SQLType, _ count: Int, _ validity: Buffer?, _ reader: inout ByteReader, _ pool: BufferPool) throws(BytesFault) -> Vector {
        let (values, total) = try spans(count, &reader, pool)
        let extra = try copied(total, &reader, pool)
        let bytes = UnsafeRawBufferPointer(start: extra.base, count: total)
        let spans = UnsafePointer(values.base.assumingMemoryBound(to: Span.self))
        if type != .bytea, !isText(bytes, spans, count) { throw BytesFault(what: "a \(type.name) is not UTF-8") }
        if type == .jsonb {
            let words = validity.map { UnsafePointer($0.base.assumingMemoryBound(to: UInt64.self)) }
            for place in 0..<count where words == nil || Bitmap.isSet(words!, place) {
                let value = UnsafeRawBufferPointer(rebasing: bytes[Int(spans[place].start)..<Int(spans[place].start) + Int(spans[place].count)])
                guard CanonicalJSON.isOne(value) else { throw BytesFault(what: "a jsonb of \(value.count) bytes is not written as jsonb is") }
            }
        }
        return Vector(type, count: count, values: values, extra: extra, validity: validity)
    }

    /// Whether each span is UTF-8: all of them together are, and none begins within a character.
    private static func isText(_ bytes: UnsafeRawBufferPointer, _ spans: UnsafePointer<Span>, _ count: Int) -> Bool {
        var (place, high): (Int, UInt64) = (0, 0)
        while place + 8 <= bytes.count {
            high |= bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            place += 8
        }
        while place < bytes.count {
            high |= UInt64(bytes[place])
            place += 1
        }
        if high & 0x8080_8080_8080_8080 == 0 { return true }
        guard (try? UTF8Span(validating: bytes.assumingMemoryBound(to: UInt8.self).span)) != nil else { return false }
        for place in 0..<count where spans[place].count > 0 && bytes[Int(spans[place].start)] & 0xc0 == 0x80 { return false }
        return true
    }
}
