// bytea and uuid as text, and hexadecimal digits.

enum Hex {
    static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }

    static func value(_ byte: UInt8) -> UInt8? {
        if byte.isDigit { return byte - 48 }
        let letter = byte | 32
        return (97...102).contains(letter) ? letter - 87 : nil
    }

    static func write(_ bytes: Bytes, _ out: inout ByteBuilder) {
        out.reserve(bytes.count * 2)
        for byte in bytes {
            out.append(digit(byte >> 4))
            out.append(digit(byte & 15))
        }
    }

    /// Digits in pairs, white space between pairs.
    static func parse(_ text: Bytes, _ out: inout ByteBuilder) throws(RowFault) {
        var place = 0
        while place < text.count {
            if Space.isSpace(text[place]) {
                place += 1
                continue
            }
            guard let high = value(text[place]) else { throw invalidDigit(text, place) }
            guard place + 1 < text.count else { throw .parameter("invalid hexadecimal data: odd number of digits") }
            guard let low = value(text[place + 1]) else { throw invalidDigit(text, place + 1) }
            out.append(high << 4 | low)
            place += 2
        }
    }

    private static func invalidDigit(_ text: Bytes, _ place: Int) -> RowFault {
        .parameter("invalid hexadecimal digit: \"\(Unicode.Scalar(text[place]))\"")
    }
}

package enum ByteaText {
    package static func write(_ bytes: Bytes, _ out: inout ByteBuilder) {
        out.append("\\x")
        Hex.write(bytes, &out)
    }

    /// `\x` and hexadecimal digits, or the old form: `\\` and `\ooo` in plain text.
    package static func parse(_ text: Bytes, _ out: inout ByteBuilder) throws(RowFault) {
        if text.count >= 2 && text[0] == UInt8(ascii: "\\") && text[1] == UInt8(ascii: "x") {
            return try Hex.parse(Bytes(rebasing: text[2...]), &out)
        }
        try parseEscaped(text, &out)
    }

    static func parseEscaped(_ text: Bytes, _ out: inout ByteBuilder) throws(RowFault) {
        var place = 0
        while place < text.count {
            let byte = text[place]
            guard byte == UInt8(ascii: "\\") else {
                out.append(byte)
                place += 1
                continue
            }
            let octal = place + 3 < text.count ? (text[place + 1] &- 48, text[place + 2] &- 48, text[place + 3] &- 48) : (8, 8, 8)
            if octal.0 < 4, octal.1 < 8, octal.2 < 8 {
                out.append(octal.0 << 6 | octal.1 << 3 | octal.2)
                place += 4
            } else if place + 1 < text.count && text[place + 1] == UInt8(ascii: "\\") {
                out.append(byte)
                place += 2
            } else {
                throw RowFault("22P02", "invalid input syntax for type bytea")
            }
        }
    }
}

package enum UUIDText {
    package static func write(_ value: UUIDWords, _ out: inout ByteBuilder) {
        for (index, word) in [value.high, value.low].enumerated() {
            for byte in 0..<8 {
                let place = index * 8 + byte
                if place == 4 || place == 6 || place == 8 || place == 10 { out.append(UInt8(ascii: "-")) }
                let shown = UInt8(truncatingIfNeeded: word >> UInt64(56 - byte * 8))
                out.append(Hex.digit(shown >> 4))
                out.append(Hex.digit(shown & 15))
            }
        }
    }

    /// Digits with a hyphen after any group of four, in braces or not.
    package static func parse(_ text: Bytes) throws(RowFault) -> UUIDWords {
        var body = text
        if body.first == UInt8(ascii: "{") {
            guard body.count > 1, body.last == UInt8(ascii: "}") else { throw .syntax(.uuid, text) }
            body = Bytes(rebasing: body[1..<(body.count - 1)])
        }
        var (words, place) = ([UInt64(0), UInt64(0)], 0)
        for byte in 0..<16 {
            guard place + 1 < body.count, let high = Hex.value(body[place]), let low = Hex.value(body[place + 1]) else { throw .syntax(.uuid, text) }
            words[byte / 8] = words[byte / 8] << 8 | UInt64(high << 4 | low)
            place += 2
            if byte % 2 == 1 && byte < 15 && place < body.count && body[place] == UInt8(ascii: "-") { place += 1 }
        }
        guard place == body.count else { throw .syntax(.uuid, text) }
        return UUIDWords(high: words[0], low: words[1])
    }
}
