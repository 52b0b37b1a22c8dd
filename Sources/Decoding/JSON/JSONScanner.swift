// The parts of JSON that are walked byte by byte: strings, numbers, literals, and values that nobody needs.
//
// Every function takes the place where a part begins and the end of the document and gives the place behind the part; nil means that the
// document is broken, and `jsonFault` says in which way. Everything is checked against RFC 8259, also in values that are skipped: strings are
// closed and hold no bare control character, escapes are known, numbers have the grammar's form, brackets match, nothing is nested deeper than
// `RecordLimits.depth`. Strings are looked through sixteen bytes a step, those near the document's end eight bytes or one: nothing is read behind it.

import CLinux
import Values

/// Nearly always there is no space or one.
@inline(__always)
func skipJSONSpace(_ from: Place, _ end: Place) -> Place {
    if from < end, from.pointee <= 0x20 {
        if from.pointee == 0x20, end - from > 1, from[1] > 0x20 { return from + 1 }
        return skipMoreJSONSpace(from, end)
    }
    return from
}

@inline(never)
private func skipMoreJSONSpace(_ from: Place, _ end: Place) -> Place {
    var place = from
    while place < end, place.pointee == 0x20 || place.pointee == 0x0A || place.pointee == 0x0D || place.pointee == 0x09 { place += 1 }
    return place
}

/// Skips the rest of a string; `from` is behind its opening quote, the result behind its closing one.
@inline(__always)
func skipJSONString(_ from: Place, _ end: Place) -> Place? {
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
private func skipJSONStringEnd(_ from: Place, _ end: Place) -> Place? {
    var place = from
    if end - place >= 8 {
        let specials = jsonSpecials(load64(place))
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

/// High bits of the bytes of a word that are a quote, a backslash or a control character; the lowest one is right, those above may not be.
@inline(__always)
func jsonSpecials(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quotes = (word ^ 0x2222_2222_2222_2222) &- ones
    let backslashes = (word ^ 0x5C5C_5C5C_5C5C_5C5C) &- ones
    let controls = word &- 0x2020_2020_2020_2020
    return (quotes | backslashes | controls) & ~word & 0x8080_8080_8080_8080
}

/// Skips one escape; nil also when `from` is not at a backslash (a bare control character).
@inline(never)
func skipJSONEscape(_ from: Place, _ end: Place) -> Place? {
    guard from.pointee == 0x5C, end - from >= 2 else { return nil }
    switch from[1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
        return from + 2
    case UInt8(ascii: "u"): return jsonCodeUnit(from + 2, end) == nil ? nil : from + 6
    default: return nil
    }
}

/// Four hexadecimal digits.
func jsonCodeUnit(_ from: Place, _ end: Place) -> UInt32? {
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

/// Skips a number, which must have the grammar's form.
func skipJSONNumber(_ from: Place, _ end: Place) -> Place? {
    var place = from
    func skipDigits() -> Bool {
        let start = place
        while place < end, isDigit(place.pointee) { place += 1 }
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
@inline(__always)
func skipJSONLiteral(_ from: Place, _ end: Place) -> Place? {
    guard end - from >= 4 else { return nil }
    switch load32(from) {
    case 0x6575_7274, 0x6C6C_756E: return from + 4
    case 0x736C_6166 where end - from >= 5 && from[4] == UInt8(ascii: "e"): return from + 5
    default: return nil
    }
}

/// Skips a value of any kind that stands inside `depth` containers.
func skipJSONValue(_ from: Place, _ end: Place, depth: Int) -> Place? {
    guard from < end else { return nil }
    switch from.pointee {
    case UInt8(ascii: "\""): return skipJSONString(from + 1, end)
    case UInt8(ascii: "["), UInt8(ascii: "{"): return skipJSONContainer(from, end, depth: depth)
    case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): return skipJSONLiteral(from, end)
    default: return skipJSONNumber(from, end)
    }
}

/// Skips an array or an object. The kinds of the open containers are a word of bits; deeper ones are the next call's.
private func skipJSONContainer(_ from: Place, _ end: Place, depth: Int) -> Place? {
    // 1 for an object, the innermost last.
    var kinds: UInt64 = 0
    var level = 0
    var place = from
    while true {
        // At a value.
        guard place < end else { return nil }
        var isClosed = false
        switch place.pointee {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            if depth + level >= RecordLimits.depth { return nil }
            if level == 64 {
                guard let behind = skipJSONContainer(place, end, depth: depth + level) else { return nil }
                place = behind
            } else {
                let isObject = place.pointee == UInt8(ascii: "{")
                level += 1
                kinds = kinds << 1 | (isObject ? 1 : 0)
                place = skipJSONSpace(place + 1, end)
                guard place < end else { return nil }
                if place.pointee == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    isClosed = true
                } else {
                    if isObject {
                        guard let value = skipJSONName(place, end) else { return nil }
                        place = value
                    }
                    continue
                }
            }
        case 0x22:
            guard let behind = skipJSONString(place + 1, end) else { return nil }
            place = behind
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            guard let behind = skipJSONLiteral(place, end) else { return nil }
            place = behind
        default:
            guard let behind = skipJSONNumber(place, end) else { return nil }
            place = behind
        }
        // Behind a value, or at the bracket of an empty container.
        while true {
            if isClosed {
                place += 1
                level -= 1
                kinds >>= 1
            }
            if level == 0 { return place }
            place = skipJSONSpace(place, end)
            guard place < end else { return nil }
            let isObject = kinds & 1 == 1
            if place.pointee == UInt8(ascii: ",") {
                place = skipJSONSpace(place + 1, end)
                if isObject {
                    guard let value = skipJSONName(place, end) else { return nil }
                    place = value
                }
                break
            }
            guard place.pointee == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return nil }
            isClosed = true
        }
    }
}

/// A name with its colon; gives the place of the value.
private func skipJSONName(_ from: Place, _ end: Place) -> Place? {
    guard from < end, from.pointee == 0x22, let behind = skipJSONString(from + 1, end) else { return nil }
    let colon = skipJSONSpace(behind, end)
    guard colon < end, colon.pointee == UInt8(ascii: ":") else { return nil }
    return skipJSONSpace(colon + 1, end)
}

/// Why a document is broken, found by walking it once more, off the fast path.
@inline(never)
func jsonFault(_ from: Place, _ end: Place) -> RowFault {
    var (place, depth, deepest) = (from, 0, 0)
    while place < end {
        switch place.pointee {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            depth += 1
            deepest = max(deepest, depth)
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        case 0x22:
            place += 1
            while place < end, place.pointee != 0x22 { place += place.pointee == 0x5C && end - place > 1 ? 2 : 1 }
            if place == end { return RowFault("22P02", "invalid input syntax for type json: a text is not closed") }
        default: break
        }
        place += 1
    }
    if deepest > RecordLimits.depth { return RowFault("54001", "JSON is nested deeper than \(RecordLimits.depth) levels") }
    return RowFault("22P02", depth > 0 ? "invalid input syntax for type json: it ends too early" : "invalid input syntax for type json")
}
