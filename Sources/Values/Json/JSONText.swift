// jsonb: any JSON in, one canonical text out, the text that PostgreSQL prints for a jsonb.
//
// Canonical: `, ` and `: `; the members of an object by the length of their names and then by their bytes, of repeated names the
// last; numbers as numeric prints them (1e3 is 1000, -0 is 0, 1.50 stays); strings with the shortest escapes. A jsonb lies in
// its vector as that text. So taking a member out is finding a part of it, and writing it is copying it.
//
// Refused as there: U+0000, halves of surrogate pairs, numbers outside numeric's range; and deeper nesting than `maxDepth`.

package struct JSONParser {
    private let text: Bytes
    private var place = 0
    private var depth = 0
    package static let maxDepth = 1000
    /// Bytes that the numbers of one document may become: `1e131071` is nine bytes, and as many digits.
    private static let maxNumberBytes = 64 << 20
    private var numberBytes = 0
    /// What numeric holds in PostgreSQL: digits before and behind the point.
    private static let (maxWhole, maxPlaces) = (131_072, 16_383)

    /// Writes the canonical text of some JSON.
    package static func canonical(_ text: Bytes, _ out: inout ByteBuilder) throws(RowFault) {
        var parser = JSONParser(text: text)
        try parser.value(&out)
        parser.skipSpace()
        guard parser.place == text.count else { throw parser.malformed }
    }

    private init(text: Bytes) { self.text = text }

    private var malformed: RowFault { RowFault("22P02", "invalid input syntax for type json") }

    private mutating func skipSpace() {
        while place < text.count, text[place] == 32 || text[place] == 9 || text[place] == 10 || text[place] == 13 { place += 1 }
    }

    private mutating func next() throws(RowFault) -> UInt8 {
        skipSpace()
        guard place < text.count else { throw malformed }
        return text[place]
    }

    private mutating func value(_ out: inout ByteBuilder) throws(RowFault) {
        switch try next() {
        case UInt8(ascii: "{"): try object(&out)
        case UInt8(ascii: "["): try array(&out)
        case UInt8(ascii: "\""):
            place += 1
            let start = out.count
            try string(&out)
            JSONString.escape(from: start, &out)
        case UInt8(ascii: "t"): try word("true", &out)
        case UInt8(ascii: "f"): try word("false", &out)
        case UInt8(ascii: "n"): try word("null", &out)
        default: try number(&out)
        }
    }

    private mutating func word(_ word: StaticString, _ out: inout ByteBuilder) throws(RowFault) {
        let end = place + word.utf8CodeUnitCount
        guard end <= text.count, (0..<word.utf8CodeUnitCount).allSatisfy({ text[place + $0] == word.utf8Start[$0] }),
            end == text.count || !(text[end].isLetter || text[end].isDigit || text[end] == UInt8(ascii: "_") || text[end] >= 128)
        else { throw malformed }
        out.append(word)
        place = end
    }

    private mutating func enter() throws(RowFault) {
        depth += 1
        place += 1
        guard depth <= Self.maxDepth else { throw RowFault("54001", "JSON is nested deeper than \(Self.maxDepth) levels") }
    }

    private mutating func array(_ out: inout ByteBuilder) throws(RowFault) {
        try enter()
        out.append(UInt8(ascii: "["))
        var isFirst = true
        if try next() == UInt8(ascii: "]") {
            place += 1
        } else {
            while true {
                if !isFirst { out.append(", ") }
                isFirst = false
                try value(&out)
                let byte = try next()
                place += 1
                if byte == UInt8(ascii: "]") { break }
                guard byte == UInt8(ascii: ",") else { throw malformed }
            }
        }
        out.append(UInt8(ascii: "]"))
        depth -= 1
    }

    private struct Member {
        var name: [UInt8]
        var value: [UInt8]
    }

    private mutating func object(_ out: inout ByteBuilder) throws(RowFault) {
        try enter()
        let start = out.count
        var members: [Member] = []
        if try next() == UInt8(ascii: "}") {
            place += 1
        } else {
            while true {
                guard try next() == UInt8(ascii: "\"") else { throw malformed }
                place += 1
                try string(&out)
                let name = Array(out.bytes[start...])
                out.truncate(to: start)
                guard try next() == UInt8(ascii: ":") else { throw malformed }
                place += 1
                try value(&out)
                members.append(Member(name: name, value: Array(out.bytes[start...])))
                out.truncate(to: start)
                let byte = try next()
                place += 1
                if byte == UInt8(ascii: "}") { break }
                guard byte == UInt8(ascii: ",") else { throw malformed }
            }
        }
        depth -= 1
        JSONText.writeObject(members.map { ($0.name, $0.value) }, &out)
    }

    /// Writes a string's characters, behind its opening quote; takes its closing one.
    private mutating func string(_ out: inout ByteBuilder) throws(RowFault) {
        while true {
            guard place < text.count else { throw malformed }
            let byte = text[place]
            place += 1
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"): try escape(&out)
            case 0..<32: throw malformed
            default: out.append(byte)
            }
        }
    }

    private mutating func escape(_ out: inout ByteBuilder) throws(RowFault) {
        guard place < text.count else { throw malformed }
        let byte = text[place]
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): out.append(8)
        case UInt8(ascii: "f"): out.append(12)
        case UInt8(ascii: "n"): out.append(10)
        case UInt8(ascii: "r"): out.append(13)
        case UInt8(ascii: "t"): out.append(9)
        case UInt8(ascii: "u"):
            var unit = try hexUnit()
            if unit == 0 { throw RowFault("22P05", "unsupported Unicode escape sequence") }
            if (0xD800..<0xDC00).contains(unit) {
                guard place + 1 < text.count, text[place] == UInt8(ascii: "\\"), text[place + 1] == UInt8(ascii: "u") else { throw malformed }
                place += 2
                let low = try hexUnit()
                guard (0xDC00..<0xE000).contains(low) else { throw malformed }
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(unit) else { throw malformed }
            out.append(scalar)
        default: throw malformed
        }
    }

    private mutating func hexUnit() throws(RowFault) -> UInt32 {
        guard place + 4 <= text.count else { throw malformed }
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Hex.value(text[place]) else { throw malformed }
            unit = unit << 4 | UInt32(digit)
            place += 1
        }
        return unit
    }

    private mutating func number(_ out: inout ByteBuilder) throws(RowFault) {
        let isNegative = text[place] == UInt8(ascii: "-")
        if isNegative { place += 1 }
        let start = place
        while place < text.count && text[place].isDigit { place += 1 }
        var digits = Array(text[start..<place])
        guard !digits.isEmpty, digits.count == 1 || digits[0] != 48 else { throw malformed }
        var point = digits.count
        if place < text.count && text[place] == UInt8(ascii: ".") {
            let behind = place + 1
            place = behind
            while place < text.count && text[place].isDigit { place += 1 }
            guard place > behind else { throw malformed }
            digits += text[behind..<place]
        }
        if place < text.count && text[place].lowered == UInt8(ascii: "e") {
            place += 1
            var isBelow = false
            if place < text.count, text[place] == UInt8(ascii: "-") || text[place] == UInt8(ascii: "+") {
                isBelow = text[place] == UInt8(ascii: "-")
                place += 1
            }
            let first = place
            var exponent = 0
            while place < text.count && text[place].isDigit {
                exponent = min(exponent * 10 + Int(text[place] - 48), 1_000_000)
                place += 1
            }
            guard place > first else { throw malformed }
            point += isBelow ? -exponent : exponent
        }
        if place < text.count, text[place].isLetter || text[place] == UInt8(ascii: "_") || text[place] == UInt8(ascii: ".") { throw malformed }
        let before = out.count
        try JSONNumberText.write(isNegative, digits, point: point, scale: max(digits.count - point, 0), &out)
        numberBytes += out.count - before
        guard numberBytes <= Self.maxNumberBytes else { throw RowFault("54000", "the numbers of a JSON document have more than \(Self.maxNumberBytes) digits") }
    }
}

/// A number of any length as numeric prints it.
enum JSONNumberText {
    /// - Parameters:
    ///   - point: how many of `digits` stand before the point; may be negative or beyond them.
    ///   - scale: digits to show behind the point.
    static func write(_ isNegative: Bool, _ digits: [UInt8], point: Int, scale: Int, _ out: inout ByteBuilder) throws(RowFault) {
        let lead = digits.prefix { $0 == 48 }.count
        guard lead == digits.count || point - lead <= 131_072, scale <= 16_383 else { throw RowFault("22003", "value overflows numeric format") }
        if isNegative && lead < digits.count { out.append(UInt8(ascii: "-")) }
        func digit(_ place: Int) -> UInt8 { digits.indices.contains(place) ? digits[place] : 48 }
        let first = min(lead, digits.count)
        if first >= point || lead == digits.count { out.append(48) } else { for place in first..<point { out.append(digit(place)) } }
        guard scale > 0 else { return }
        out.append(UInt8(ascii: "."))
        for place in point..<(point + scale) { out.append(digit(place)) }
    }
}

enum JSONText {
    /// Writes an object of members whose values are canonical: sorted, of repeated names the last.
    static func writeObject(_ members: [(name: [UInt8], value: [UInt8])], _ out: inout ByteBuilder) {
        let order = members.indices.sorted { a, b in
            let (left, right) = (members[a].name, members[b].name)
            if left.count != right.count { return left.count < right.count }
            if left == right { return a < b }
            return left.lexicographicallyPrecedes(right)
        }
        out.append(UInt8(ascii: "{"))
        var isFirst = true
        for (position, index) in order.enumerated() {
            if position + 1 < order.count && members[order[position + 1]].name == members[index].name { continue }
            if !isFirst { out.append(", ") }
            isFirst = false
            let start = out.count
            members[index].name.withUnsafeBytes { out.append($0) }
            JSONString.escape(from: start, &out)
            out.append(": ")
            members[index].value.withUnsafeBytes { out.append($0) }
        }
        out.append(UInt8(ascii: "}"))
    }
}

package enum JSONString {
    /// Puts the bytes from `start` on into quotes, with the escapes that they need.
    static func escape(from start: Int, _ out: inout ByteBuilder) {
        let raw = Array(out.bytes[start...])
        out.truncate(to: start)
        raw.withUnsafeBytes { write($0, &out) }
    }

    /// Writes some text as a JSON string.
    package static func write(_ raw: Bytes, _ out: inout ByteBuilder) {
        out.append(UInt8(ascii: "\""))
        for byte in raw {
            switch byte {
            case UInt8(ascii: "\""): out.append("\\\"")
            case UInt8(ascii: "\\"): out.append("\\\\")
            case 8: out.append("\\b")
            case 12: out.append("\\f")
            case 10: out.append("\\n")
            case 13: out.append("\\r")
            case 9: out.append("\\t")
            case 0..<32:
                out.append("\\u00")
                out.append(Hex.digit(byte >> 4))
                out.append(Hex.digit(byte & 15))
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    /// Writes the characters of a canonical string, which stands in quotes.
    static func unescape(_ quoted: Bytes, _ out: inout ByteBuilder) {
        var plain = Plain(quoted)
        while let byte = plain.next() { out.append(byte) }
    }

    /// The bytes of a canonical string, which stands in quotes, one after another and without its escapes.
    struct Plain {
        private let quoted: Bytes
        private var place = 1

        init(_ quoted: Bytes) { self.quoted = quoted }

        @inline(__always)
        mutating func next() -> UInt8? {
            guard place < quoted.count - 1 else { return nil }
            let byte = quoted[place]
            place += 1
            return byte == UInt8(ascii: "\\") ? escaped() : byte
        }

        private mutating func escaped() -> UInt8 {
            let letter = quoted[place]
            place += 1
            switch letter {
            case UInt8(ascii: "b"): return 8
            case UInt8(ascii: "f"): return 12
            case UInt8(ascii: "n"): return 10
            case UInt8(ascii: "r"): return 13
            case UInt8(ascii: "t"): return 9
            case UInt8(ascii: "u"):
                // Only what is below a space is escaped by number.
                place += 4
                return Hex.value(quoted[place - 2])! << 4 | Hex.value(quoted[place - 1])!
            default: return letter
            }
        }
    }
}
