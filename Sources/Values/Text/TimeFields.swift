// The text of a date or time, cut into fields: digits, words, dates with delimiters, times with colons, offsets.
//
// The cut is that of PostgreSQL's ParseDateTime, on which its intervals rest as well: what a field is depends only on how it
// begins and on what delimits it; what it means is said by `TimeParser` and `IntervalText`.

/// One field of a time's text, in lower case.
struct TimeField {
    enum Kind { case number, word, date, time, offset, special }
    var kind: Kind
    var text: [UInt8]
}

enum TimeFields {
    /// nil for text that cannot be cut.
    static func cut(_ text: Bytes) -> [TimeField]? {
        var fields: [TimeField] = []
        var place = 0
        func at(_ place: Int) -> UInt8 { place < text.count ? text[place].lowered : 0 }
        while place < text.count {
            let byte = at(place)
            if Space.isSpace(byte) {
                place += 1
                continue
            }
            let start = place
            var kind = TimeField.Kind.number
            func skip(_ body: (UInt8) -> Bool) { while place < text.count && body(at(place)) { place += 1 } }
            if byte.isDigit {
                skip(\.isDigit)
                if at(place) == UInt8(ascii: ":") {
                    kind = .time
                    skip { $0.isDigit || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") }
                } else if isDelimiter(at(place)) {
                    let delimiter = at(place)
                    place += 1
                    if at(place).isDigit {
                        kind = delimiter == UInt8(ascii: ".") ? .number : .date
                        skip(\.isDigit)
                        if at(place) == delimiter {
                            kind = .date
                            skip { $0.isDigit || $0 == delimiter }
                        }
                    } else {
                        // A fraction may end with its point; a date goes on with a word.
                        kind = delimiter == UInt8(ascii: ".") && !at(place).isLetter ? .number : .date
                        skip { $0.isDigit || $0.isLetter || $0 == delimiter }
                    }
                }
            } else if byte == UInt8(ascii: ".") {
                place += 1
                skip(\.isDigit)
            } else if byte.isLetter {
                kind = .word
                skip(\.isLetter)
                if isDelimiter(at(place)) {
                    kind = .date
                    let delimiter = at(place)
                    skip { $0.isDigit || $0.isLetter || $0 == delimiter || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
                } else if at(place) == UInt8(ascii: "_") {
                    kind = .date
                    skip { $0.isDigit || $0.isLetter || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
                }
            } else if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") {
                var sign = [byte]
                place += 1
                skip(Space.isSpace)
                let body = place
                if at(place).isDigit || at(place) == UInt8(ascii: ".") {
                    kind = .offset
                    skip { $0.isDigit || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
                } else if at(place).isLetter {
                    kind = .special
                    skip(\.isLetter)
                } else {
                    return nil
                }
                sign += text[body..<place].map(\.lowered)
                fields.append(TimeField(kind: kind, text: sign))
                continue
            } else if (33...126).contains(byte) {
                // Other punctuation only separates.
                place += 1
                continue
            } else {
                return nil
            }
            fields.append(TimeField(kind: kind, text: text[start..<place].map(\.lowered)))
            if fields.count > 25 { return nil }
        }
        return fields
    }

    static func isDelimiter(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "-") || byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") }

    /// A fraction `.123` in microseconds, rounded.
    static func micros(fraction digits: ArraySlice<UInt8>) -> Int64? {
        guard digits.allSatisfy(\.isDigit) else { return nil }
        var value: Int64 = 0
        for place in 0..<6 { value = value * 10 + (place < digits.count ? Int64(digits[digits.startIndex + place] - 48) : 0) }
        guard digits.count > 6 else { return value }
        // Halves to the even digit, as `rint` of the fraction does.
        let rest = digits[(digits.startIndex + 6)...]
        let isHalf = rest.first == 53 && rest.dropFirst().allSatisfy { $0 == 48 }
        return rest.first! >= 53 && !(isHalf && value % 2 == 0) ? value + 1 : value
    }

    /// Digits as a number; nil where something else is there or it does not fit 32 bits.
    static func number(_ digits: some Collection<UInt8>) -> Int64? {
        guard !digits.isEmpty, digits.count < 12, digits.allSatisfy(\.isDigit) else { return nil }
        let value = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 48) }
        return value <= Int64(Int32.max) ? value : nil
    }
}
