// bytea: length, parts, and its encodings as text.

extension FunctionTable {
    mutating func addByteFunctions() {
        for name in ["length", "octet_length"] { add(name, [.bytea], .int4) { $0.map { (a: Bytes) in Int64(a.count) } } }
        add("bit_length", [.bytea], .int4) { $0.map { (a: Bytes) in Int64(a.count) * 8 } }
        add("||", [.bytea, .bytea], .bytea) {
            $0.write { (a: Bytes, b: Bytes, out: inout ByteBuilder) in
                out.append(a)
                out.append(b)
            }
        }
        for name in ["substr", "substring"] {
            add(name, [.bytea, .int4], .bytea) { call in
                let start = call[1]
                call.slice { (row, bytes) in min(max(Int(start.word(row)) - 1, 0), bytes.count)..<bytes.count }
            }
            add(name, [.bytea, .int4, .int4], .bytea, fails: true) { call in
                let (start, length) = (call[1], call[2])
                call.slice { (row, bytes) throws(RowFault) in
                    let (first, count) = (start.word(row), length.word(row))
                    guard count >= 0 else { throw RowFault("22011", "negative substring length not allowed") }
                    let from = min(max(Int(first) - 1, 0), bytes.count)
                    return from..<max(min(Int(first + count) - 1, bytes.count), from)
                }
            }
        }
        add("position", [.bytea, .bytea], .int4) { $0.map { (a: Bytes, b: Bytes) in Characters.find(b, in: a).map { Int64($0) + 1 } ?? 0 } }
        add("get_byte", [.bytea, .int4], .int4, fails: true) {
            $0.map { (a: Bytes, n: Int64) throws(RowFault) -> Int64 in
                guard n >= 0, n < a.count else { throw RowFault("2202E", "index \(n) out of valid range, 0..\(a.count - 1)") }
                return Int64(a[Int(n)])
            }
        }
        add("encode", [.bytea, .text], .text, fails: true) {
            $0.write { (a: Bytes, form: Bytes, out: inout ByteBuilder) throws(RowFault) in try ByteEncoding.named(form).encode(a, &out) }
        }
        add("decode", [.text, .text], .bytea, fails: true) {
            $0.write { (a: Bytes, form: Bytes, out: inout ByteBuilder) throws(RowFault) in try ByteEncoding.named(form).decode(a, &out) }
        }
    }
}

/// The forms of `encode` and `decode`.
enum ByteEncoding {
    case hex, base64, escape

    static func named(_ name: Bytes) throws(RowFault) -> ByteEncoding {
        if name.isWord("hex") { return .hex }
        if name.isWord("base64") { return .base64 }
        if name.isWord("escape") { return .escape }
        throw .parameter("unrecognized encoding: \"\(name.string)\"")
    }

    func encode(_ bytes: Bytes, _ out: inout ByteBuilder) {
        switch self {
        case .hex: Hex.write(bytes, &out)
        case .base64: Base64.encode(bytes, &out)
        case .escape:
            for byte in bytes {
                if byte == 0 || byte >= 128 {
                    out.append(UInt8(ascii: "\\"))
                    out.append(48 + (byte >> 6))
                    out.append(48 + (byte >> 3 & 7))
                    out.append(48 + (byte & 7))
                } else {
                    if byte == UInt8(ascii: "\\") { out.append(byte) }
                    out.append(byte)
                }
            }
        }
    }

    func decode(_ text: Bytes, _ out: inout ByteBuilder) throws(RowFault) {
        switch self {
        case .hex: try Hex.parse(text, &out)
        case .base64: try Base64.decode(text, &out)
        case .escape: try ByteaText.parseEscaped(text, &out)
        }
    }
}

/// Base 64 with lines of 76 characters, as PostgreSQL writes it.
enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: Bytes, _ out: inout ByteBuilder) {
        var (place, column) = (0, 0)
        while place < bytes.count {
            if column == 76 {
                out.append(10)
                column = 0
            }
            let left = min(3, bytes.count - place)
            var group: UInt32 = 0
            for index in 0..<3 { group = group << 8 | UInt32(index < left ? bytes[place + index] : 0) }
            for index in 0..<4 { out.append(index <= left ? Self.digits[Int(group >> UInt32(18 - index * 6) & 63)] : UInt8(ascii: "=")) }
            place += 3
            column += 4
        }
        // A full last line is ended too.
        if column == 76 { out.append(10) }
    }

    static func decode(_ text: Bytes, _ out: inout ByteBuilder) throws(RowFault) {
        var (group, count, padding): (UInt32, Int, Int) = (0, 0, 0)
        for byte in text {
            if byte == 32 || byte == 9 || byte == 10 || byte == 13 { continue }
            if byte == UInt8(ascii: "=") {
                guard padding > 0 || count >= 2 else { throw .parameter("unexpected \"=\" while decoding base64 sequence") }
                padding += 1
                group <<= 6
            } else {
                guard padding == 0, let digit = Self.digits.firstIndex(of: byte) else {
                    throw .parameter("invalid symbol \"\(Unicode.Scalar(byte))\" found while decoding base64 sequence")
                }
                group = group << 6 | UInt32(digit)
            }
            count += 1
            guard count == 4 else { continue }
            for index in 0..<(3 - padding) { out.append(UInt8(truncatingIfNeeded: group >> UInt32(16 - index * 8))) }
            (group, count) = (0, 0)
        }
        guard count == 0 else { throw .parameter("invalid base64 end sequence") }
    }
}
