// Text: length, parts, search, case, padding.
//
// Positions count characters from 1. Functions that give a part of their argument copy nothing. A text that a function makes may
// have `maxTextBytes`; PostgreSQL's bound is higher, but there it is one statement's memory and here a worker's.

import Glibc

enum TextLimits {
    /// What repeat, lpad and their like may make of one row.
    static let maxTextBytes = 64 << 20
}

extension FunctionTable {
    mutating func addTexts() {
        for name in ["length", "char_length", "character_length"] { add(name, [.text], .int4) { $0.map { (a: Bytes) in Int64(Characters.count(a)) } } }
        add("octet_length", [.text], .int4) { $0.map { (a: Bytes) in Int64(a.count) } }
        add("bit_length", [.text], .int4) { $0.map { (a: Bytes) in Int64(a.count) * 8 } }
        addParts()
        addTrims()
        addPads()
        addSearches()
        addCases()
        addCodes()
        add("||", [.text, .text], .text) {
            $0.write { (a: Bytes, b: Bytes, out: inout ByteBuilder) in
                out.append(a)
                out.append(b)
            }
        }
        addConcatenations()
    }

    private mutating func addParts() {
        for name in ["substr", "substring"] {
            add(name, [.text, .int4], .text) { call in
                let start = call[1]
                call.slice { (row, text) in
                    let from = Characters.offset(text, max(Int(start.word(row)) - 1, 0))
                    return from..<text.count
                }
            }
            add(name, [.text, .int4, .int4], .text, fails: true) { call in
                let (start, length) = (call[1], call[2])
                call.slice { (row, text) throws(RowFault) in
                    let (first, count) = (start.word(row), length.word(row))
                    guard count >= 0 else { throw RowFault("22011", "negative substring length not allowed") }
                    let end = first + count
                    if end <= 1 { return 0..<0 }
                    let from = Characters.offset(text, max(Int(first) - 1, 0))
                    return from..<Characters.offset(text, Int(end) - max(Int(first), 1), from: from)
                }
            }
        }
        add("left", [.text, .int4], .text) { call in
            let count = call[1]
            call.slice { (row, text) in
                let n = Int(count.word(row))
                return 0..<(n >= 0 ? Characters.offset(text, n) : Characters.offset(text, fromEnd: -n))
            }
        }
        add("right", [.text, .int4], .text) { call in
            let count = call[1]
            call.slice { (row, text) in
                let n = Int(count.word(row))
                // PostgreSQL's negation of the lowest number is that number again.
                if n == Int(Int32.min) { return 0..<text.count }
                return (n >= 0 ? Characters.offset(text, fromEnd: n) : Characters.offset(text, -n))..<text.count
            }
        }
        add("split_part", [.text, .text, .int4], .text, fails: true) { call in
            let (separator, field) = (call[1], call[2])
            call.slice { (row, text) throws(RowFault) in try TextParts.field(text, separator.bytes(row), field.word(row)) }
        }
    }

    private mutating func addTrims() {
        for (name, left, right) in [("btrim", true, true), ("ltrim", true, false), ("rtrim", false, true)] {
            add(name, [.text], .text) { call in
                call.slice { (_, text) in TextParts.trimmed(text, left, right) { $0 == 32 } }
            }
            add(name, [.text, .text], .text) { call in
                let set = call[1]
                call.slice { (row, text) in TextParts.trimmed(text, left, right, of: set.bytes(row)) }
            }
        }
    }

    private mutating func addPads() {
        for (name, isLeft) in [("lpad", true), ("rpad", false)] {
            add(name, [.text, .int4], .text, fails: true) {
                $0.write { (a: Bytes, n: Int64, out: inout ByteBuilder) throws(RowFault) in
                    var space: UInt8 = 32
                    try withUnsafeBytes(of: &space) { (fill: Bytes) throws(RowFault) in try TextParts.pad(a, n, fill, isLeft, &out) }
                }
            }
            add(name, [.text, .int4, .text], .text, fails: true) {
                $0.write { (a: Bytes, n: Int64, fill: Bytes, out: inout ByteBuilder) throws(RowFault) in try TextParts.pad(a, n, fill, isLeft, &out) }
            }
        }
        add("repeat", [.text, .int4], .text, fails: true) {
            $0.write { (a: Bytes, n: Int64, out: inout ByteBuilder) throws(RowFault) in
                guard n > 0, !a.isEmpty else { return }
                guard Int64(a.count) * n <= Int64(TextLimits.maxTextBytes) else { throw .tooLong }
                for _ in 0..<n { out.append(a) }
            }
        }
        add("reverse", [.text], .text) {
            $0.write { (a: Bytes, out: inout ByteBuilder) in
                var end = a.count
                while end > 0 {
                    let start = Characters.offset(Bytes(rebasing: a[..<end]), fromEnd: 1)
                    out.append(a[start..<end])
                    end = start
                }
            }
        }
    }

    private mutating func addSearches() {
        for name in ["strpos", "position"] { add(name, [.text, .text], .int4) { $0.map { (a: Bytes, b: Bytes) in TextParts.position(of: b, in: a) } } }
        for name in ["starts_with", "^@"] {
            add(name, [.text, .text], .bool) { $0.map { (a: Bytes, b: Bytes) in a.count >= b.count && Bytes.compare(Bytes(rebasing: a[..<b.count]), b) == 0 } }
        }
        add("replace", [.text, .text, .text], .text, fails: true) {
            $0.write { (a: Bytes, from: Bytes, to: Bytes, out: inout ByteBuilder) throws(RowFault) in try TextParts.replace(a, from, to, &out) }
        }
        add("translate", [.text, .text, .text], .text) {
            $0.write { (a: Bytes, from: Bytes, to: Bytes, out: inout ByteBuilder) in TextParts.translate(a, from, to, &out) }
        }
        add("overlay", [.text, .text, .int4], .text, fails: true) { call in
            let (a, b, start) = (call[0], call[1], call[2])
            call.writeEachRow { (row, out) throws(RowFault) in
                let with = b.bytes(row)
                try TextParts.overlay(a.bytes(row), with, start.word(row), Int64(Characters.count(with)), &out)
                return true
            }
        }
        add("overlay", [.text, .text, .int4, .int4], .text, fails: true) { call in
            let (a, b, start, count) = (call[0], call[1], call[2], call[3])
            call.writeEachRow { (row, out) throws(RowFault) in
                try TextParts.overlay(a.bytes(row), b.bytes(row), start.word(row), count.word(row), &out)
                return true
            }
        }
    }

    private mutating func addCases() {
        add("lower", [.text], .text) { $0.write { (a: Bytes, out: inout ByteBuilder) in Characters.map(a, &out) { Characters.lower($0) } } }
        add("upper", [.text], .text) { $0.write { (a: Bytes, out: inout ByteBuilder) in Characters.map(a, &out) { Characters.upper($0) } } }
        add("initcap", [.text], .text) {
            $0.write { (a: Bytes, out: inout ByteBuilder) in
                var isInside = false
                Characters.map(a, &out) { scalar in
                    let changed = isInside ? Characters.lower(scalar) : Characters.upper(scalar)
                    isInside = Characters.isWordPart(scalar)
                    return changed
                }
            }
        }
    }

    private mutating func addCodes() {
        add("ascii", [.text], .int4) { $0.map { (a: Bytes) in a.isEmpty ? 0 : Int64(Characters.scalar(a, 0).value) } }
        add("chr", [.int4], .text, fails: true) {
            $0.write { (a: Int64, out: inout ByteBuilder) throws(RowFault) in
                if a < 0 { throw .parameter("character number must be positive") }
                if a == 0 { throw RowFault("54000", "null character not permitted") }
                guard let scalar = Unicode.Scalar(UInt32(a)) else { throw RowFault("54000", "requested character not valid for encoding: \(a)") }
                out.append(scalar)
            }
        }
        for type: SQLType in [.int4, .int8] {
            add("to_hex", [type], .text) {
                $0.write { (a: Int64, out: inout ByteBuilder) in
                    let value = type == .int4 ? UInt64(UInt32(truncatingIfNeeded: a)) : UInt64(bitPattern: a)
                    let digits = max(16 - value.leadingZeroBitCount / 4, 1)
                    for place in (0..<digits).reversed() { out.append(Hex.digit(UInt8(value >> UInt64(place * 4) & 15))) }
                }
            }
        }
    }

    /// NULLs are passed over; arguments come as their output texts.
    private mutating func addConcatenations() {
        add("concat", [], .text, more: true, nulls: .own) { call in
            let (arguments, count) = (call.arguments, call.argumentCount)
            call.writeEachRow { (row, out) in
                for index in 0..<count where !arguments[index].isNull(row) { out.append(arguments[index].bytes(row)) }
                return true
            }
        }
        add("concat_ws", [.text], .text, more: true, nulls: .own) { call in
            let (arguments, count) = (call.arguments, call.argumentCount)
            call.writeEachRow { (row, out) in
                if arguments[0].isNull(row) { return false }
                var isFirst = true
                for index in 1..<max(count, 1) where !arguments[index].isNull(row) {
                    if !isFirst { out.append(arguments[0].bytes(row)) }
                    isFirst = false
                    out.append(arguments[index].bytes(row))
                }
                return true
            }
        }
    }
}
