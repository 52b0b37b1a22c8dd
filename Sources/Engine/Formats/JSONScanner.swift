// The parts of JSON that are walked byte by byte: strings, numbers, literals, and values that nobody needs.
//
// Every function takes the place where a part begins and the end of the document and gives the place behind the part;
// nil means that the document is broken, and `jsonReason` says in which way. Everything is checked against RFC 8259, also
// in values that are skipped: strings are closed and hold no bare control character, escapes are known, numbers have the
// grammar's form, brackets match, nothing is nested deeper than `Limits.nesting`. Strings are looked through sixteen bytes
// at a time (`text.h`), eight near the end of a document and its last ones one by one: no byte behind it is read.

import CLinux

typealias JSONPlace = UnsafePointer<UInt8>

/// The high bit of each byte that is a quote, a backslash or a control character. Bits above the lowest set one may be
/// wrong; the lowest is right.
@inline(__always)
private func jsonSpecials(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quotes = (word ^ 0x2222_2222_2222_2222) &- ones
    let backslashes = (word ^ 0x5C5C_5C5C_5C5C_5C5C) &- ones
    let controls = word &- 0x2020_2020_2020_2020
    return (quotes | backslashes | controls) & ~word & 0x8080_8080_8080_8080
}

/// Nearly always there is no space or one.
@inline(__always)
func skipJSONSpace(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace {
    if from < end, from.pointee <= 0x20 {
        if from.pointee == 0x20, end - from > 1, from[1] > 0x20 { return from + 1 }
        return skipMoreJSONSpace(from, end)
    }
    return from
}

@inline(never)
private func skipMoreJSONSpace(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace {
    var place = from
    while place < end, isJSONSpace(place.pointee) { place += 1 }
    return place
}

@inline(__always)
private func isJSONSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

/// Skips the rest of a string; `from` is behind its opening quote, the result behind its closing one.
@inline(__always)
func skipJSONString(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace? {
    var place = from
    while end - place >= 16 {
        let stops = sluice_json_stops(place)
        if stops == 0 {
            place += 16
            continue
        }
        place += stops.trailingZeroBitCount
        if place.pointee == 0x22 { return place + 1 }
        guard let behind = skipJSONEscape(place, end) else { return nil }
        place = behind
    }
    return skipJSONStringEnd(place, end)
}

/// The same within the last bytes of a document.
@inline(never)
private func skipJSONStringEnd(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace? {
    var place = from
    if end - place >= 8 {
        let specials = jsonSpecials(UInt64(littleEndian: load64(place)))
        place += specials == 0 ? 8 : specials.trailingZeroBitCount &>> 3
    }
    while place < end {
        if place.pointee == 0x22 { return place + 1 }
        if place.pointee >= 0x20, place.pointee != 0x5C {
            place += 1
        } else {
            guard let behind = skipJSONEscape(place, end) else { return nil }
            place = behind
        }
    }
    return nil
}

/// Skips one escape; nil also when `from` is not at a backslash (a bare control character).
@inline(never)
private func skipJSONEscape(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace? {
    guard from.pointee == 0x5C, end - from >= 2 else { return nil }
    switch from[1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
        UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
        return from + 2
    case UInt8(ascii: "u"):
        return jsonCodeUnit(from + 2, end) == nil ? nil : from + 6
    default:
        return nil
    }
}

/// Four hexadecimal digits.
private func jsonCodeUnit(_ from: JSONPlace, _ end: JSONPlace) -> UInt32? {
    guard end - from >= 4 else { return nil }
    var value: UInt32 = 0
    for index in 0..<4 {
        let byte = from[index]
        let digit: UInt8
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
        default: return nil
        }
        value = value << 4 | UInt32(digit)
    }
    return value
}

/// What became of a string that was copied out.
struct JSONText {
    /// Behind the closing quote; nil when the document is broken.
    var behind: JSONPlace?
    var length: Int
    var isValid: Bool
}

/// Copies the rest of a string to `target`, escapes resolved; `from` is behind its opening quote. Writes up to fifteen bytes
/// past the text. `isValid` tells whether it is UTF-8 without lone surrogates and U+0000.
@inline(__always)
func copyJSONString(_ from: JSONPlace, _ end: JSONPlace, to target: UnsafeMutablePointer<UInt8>) -> JSONText {
    var place = from
    var written = target
    var others: UInt32 = 0
    while end - place >= 16 {
        let marks = sluice_json_copy(written, place)
        let stops = marks & 0xFFFF
        if stops == 0 {
            others |= marks
            place += 16
            written += 16
            continue
        }
        let count = stops.trailingZeroBitCount
        others |= (marks &>> 16) & ((1 &<< UInt32(count)) &- 1)
        place += count
        written += count
        guard place.pointee == 0x22 else { break }
        let length = written - target
        return JSONText(behind: place + 1, length: length, isValid: others == 0 || isText(UnsafePointer(target), length))
    }
    return copyJSONStringSlowly(place, end, written: written, target: target)
}

@inline(never)
private func copyJSONStringSlowly(
    _ from: JSONPlace, _ end: JSONPlace, written start: UnsafeMutablePointer<UInt8>,
    target: UnsafeMutablePointer<UInt8>
) -> JSONText {
    var place = from
    var written = start
    var isValid = true
    if end - place >= 8 {
        let word = UInt64(littleEndian: load64(place))
        store64(word.littleEndian, written)
        let specials = jsonSpecials(word)
        let count = specials == 0 ? 8 : specials.trailingZeroBitCount &>> 3
        place += count
        written += count
    }
    while place < end {
        let byte = place.pointee
        if byte == 0x22 {
            let length = written - target
            return JSONText(behind: place + 1, length: length, isValid: isValid && isText(UnsafePointer(target), length))
        }
        if byte != 0x5C {
            if byte < 0x20 { break }
            written.pointee = byte
            written += 1
            place += 1
            continue
        }
        guard let behind = skipJSONEscape(place, end) else { break }
        switch place[1] {
        case UInt8(ascii: "b"): append(0x08)
        case UInt8(ascii: "f"): append(0x0C)
        case UInt8(ascii: "n"): append(0x0A)
        case UInt8(ascii: "r"): append(0x0D)
        case UInt8(ascii: "t"): append(0x09)
        case UInt8(ascii: "u"):
            let (scalar, next) = jsonScalar(place, end)
            if let scalar, scalar != 0 { appendScalar(scalar) } else { isValid = false }
            place = next
            continue
        default: append(place[1])
        }
        place = behind
    }
    return JSONText(behind: nil, length: 0, isValid: false)

    func append(_ byte: UInt8) {
        written.pointee = byte
        written += 1
    }
    func appendScalar(_ scalar: UInt32) {
        let tail = { (shift: UInt32) in 0x80 | UInt8(truncatingIfNeeded: scalar >> shift) & 0x3F }
        if scalar < 0x80 {
            append(UInt8(scalar))
        } else if scalar < 0x800 {
            append(0xC0 | UInt8(scalar >> 6))
            append(tail(0))
        } else if scalar < 0x10000 {
            append(0xE0 | UInt8(scalar >> 12))
            append(tail(6))
            append(tail(0))
        } else {
            append(0xF0 | UInt8(scalar >> 18))
            append(tail(12))
            append(tail(6))
            append(tail(0))
        }
    }
}

/// The scalar of a `\u` escape, or of two that are a surrogate pair; nil for a lone surrogate. `from` is at a backslash whose
/// four digits were checked.
private func jsonScalar(_ from: JSONPlace, _ end: JSONPlace) -> (UInt32?, JSONPlace) {
    let first = jsonCodeUnit(from + 2, end)!
    guard (0xD800...0xDFFF).contains(first) else { return (first, from + 6) }
    guard first < 0xDC00, end - from >= 12, from[6] == 0x5C, from[7] == UInt8(ascii: "u"),
        let second = jsonCodeUnit(from + 8, end), (0xDC00...0xDFFF).contains(second)
    else { return (nil, from + 6) }
    return (0x10000 + (first - 0xD800) << 10 + (second - 0xDC00), from + 12)
}

/// Skips a number, which must have the grammar's form.
func skipJSONNumber(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace? {
    var place = from
    func skipDigits() -> Bool {
        let start = place
        while place < end, place.pointee &- 48 < 10 { place += 1 }
        return place > start
    }
    if place < end, place.pointee == UInt8(ascii: "-") { place += 1 }
    let isZero = place < end && place.pointee == UInt8(ascii: "0")
    if isZero { place += 1 } else if !skipDigits() { return nil }
    if place < end, place.pointee == UInt8(ascii: ".") {
        place += 1
        if !skipDigits() { return nil }
    }
    if place < end, place.pointee | 0x20 == UInt8(ascii: "e") {
        place += 1
        if place < end, place.pointee == UInt8(ascii: "+") || place.pointee == UInt8(ascii: "-") { place += 1 }
        if !skipDigits() { return nil }
    }
    return place
}

/// Skips `true`, `false` or `null`.
func skipJSONLiteral(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace? {
    func isHere(_ word: StaticString) -> JSONPlace? {
        guard end - from >= word.utf8CodeUnitCount else { return nil }
        for index in 0..<word.utf8CodeUnitCount where from[index] != word.utf8Start[index] { return nil }
        return from + word.utf8CodeUnitCount
    }
    return isHere("true") ?? isHere("false") ?? isHere("null")
}

/// Skips a value of any kind that stands inside `depth` containers. Deeper than `Limits.nesting` is nil as well; the caller
/// tells the two apart with `jsonReason`.
func skipJSONValue(_ from: JSONPlace, _ end: JSONPlace, depth: Int) -> JSONPlace? {
    guard from < end else { return nil }
    switch from.pointee {
    case UInt8(ascii: "\""): return skipJSONString(from + 1, end)
    case UInt8(ascii: "["), UInt8(ascii: "{"): return skipJSONContainer(from, end, depth: depth + 1)
    case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): return skipJSONLiteral(from, end)
    default: return skipJSONNumber(from, end)
    }
}

private func skipJSONContainer(_ from: JSONPlace, _ end: JSONPlace, depth: Int) -> JSONPlace? {
    if depth > Limits.nesting { return nil }
    let isObject = from.pointee == UInt8(ascii: "{")
    let closing = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
    var place = skipJSONSpace(from + 1, end)
    if place < end, place.pointee == closing { return place + 1 }
    while true {
        if isObject {
            guard place < end, place.pointee == 0x22, let behind = skipJSONString(place + 1, end) else { return nil }
            place = skipJSONSpace(behind, end)
            guard place < end, place.pointee == UInt8(ascii: ":") else { return nil }
            place = skipJSONSpace(place + 1, end)
        }
        guard let behind = skipJSONValue(place, end, depth: depth) else { return nil }
        place = skipJSONSpace(behind, end)
        guard place < end else { return nil }
        if place.pointee == closing { return place + 1 }
        guard place.pointee == UInt8(ascii: ",") else { return nil }
        place = skipJSONSpace(place + 1, end)
    }
}

/// Why a document is broken, found by walking it once more, off the fast path: too deep, cut off, or not JSON.
@inline(never)
func jsonReason(_ from: JSONPlace, _ end: JSONPlace) -> RejectReason {
    var place = from
    var depth = 0
    // The kinds of the open containers, a bit each: 1 for an object, the innermost last.
    var kinds: UInt128 = 0
    while place < end {
        switch place.pointee {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            depth += 1
            if depth > Limits.nesting { return .tooDeep }
            kinds = kinds << 1 | (place.pointee == UInt8(ascii: "{") ? 1 : 0)
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            if depth == 0 || kinds & 1 != (place.pointee == UInt8(ascii: "}") ? 1 : 0) { return .invalidValue }
            depth -= 1
            kinds >>= 1
        case 0x22:
            place += 1
            while place < end, place.pointee != 0x22 { place += place.pointee == 0x5C && end - place > 1 ? 2 : 1 }
            if place == end { return .truncated }
        default: break
        }
        place += 1
    }
    return depth > 0 ? .truncated : .invalidValue
}
