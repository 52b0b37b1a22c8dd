// Strings of JSON, copied out with their escapes resolved.

import CLinux
import Values

/// What became of a string that was copied out.
struct JSONCopy {
    /// Behind the closing quote; nil when the document is broken.
    var behind: Place?
    var count: Int
    /// Whether it is a text: UTF-8 without halves of surrogate pairs and without U+0000.
    var isText: Bool
}

/// Copies the rest of a string to `target`, escapes resolved; `from` is behind its opening quote. Writes up to fifteen bytes past the text, so
/// that `target` has room for all that is left of the document and 16 bytes.
@inline(__always)
func copyJSONString(_ from: Place, _ end: Place, to target: UnsafeMutablePointer<UInt8>) -> JSONCopy {
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
        return JSONCopy(behind: place + 1, count: length, isText: others == 0 || isText(target, length))
    }
    return copyJSONStringSlowly(place, end, written: written, target: target)
}

@inline(never)
private func copyJSONStringSlowly(_ from: Place, _ end: Place, written start: UnsafeMutablePointer<UInt8>, target: UnsafeMutablePointer<UInt8>) -> JSONCopy {
    var place = from
    var written = start
    var isWhole = true
    if end - place >= 8 {
        let word = load64(place)
        UnsafeMutableRawPointer(written).storeBytes(of: word.littleEndian, as: UInt64.self)
        let specials = jsonSpecials(word)
        let count = specials == 0 ? 8 : specials.trailingZeroBitCount &>> 3
        place += count
        written += count
    }
    func append(_ byte: UInt8) {
        written.pointee = byte
        written += 1
    }
    func append(scalar: UInt32) {
        func tail(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: scalar >> shift) & 0x3F }
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
    while place < end {
        let byte = place.pointee
        if byte == 0x22 {
            let count = written - target
            return JSONCopy(behind: place + 1, count: count, isText: isWhole && isText(target, count))
        }
        if byte != 0x5C {
            if byte < 0x20 { break }
            append(byte)
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
            if let scalar { append(scalar: scalar) } else { isWhole = false }
            place = next
            continue
        default: append(place[1])
        }
        place = behind
    }
    return JSONCopy(behind: nil, count: 0, isText: false)
}

/// The scalar of a `\u` escape, or of two that are a surrogate pair; nil for half of one. `from` is at a backslash whose four digits were checked.
private func jsonScalar(_ from: Place, _ end: Place) -> (UInt32?, Place) {
    let first = jsonCodeUnit(from + 2, end)!
    guard (0xD800...0xDFFF).contains(first) else { return (first, from + 6) }
    guard first < 0xDC00, end - from >= 12, from[6] == 0x5C, from[7] == UInt8(ascii: "u"), let second = jsonCodeUnit(from + 8, end),
        (0xDC00...0xDFFF).contains(second)
    else { return (nil, from + 6) }
    return (0x10000 + (first - 0xD800) << 10 + (second - 0xDC00), from + 12)
}
