// Looking at text in words: what every format does with the bytes of a value.
//
// A text is well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF) without U+0000: PostgreSQL cannot store that
// character, and what a record is may not depend on the sink. Nearly all text is ASCII and is looked at eight bytes a step. Bytes past the text
// are never read.

import CLinux
import Values

typealias Place = UnsafePointer<UInt8>

@inline(__always)
func load64(_ place: Place) -> UInt64 { UInt64(littleEndian: UnsafeRawPointer(place).loadUnaligned(as: UInt64.self)) }

@inline(__always)
func load32(_ place: Place) -> UInt32 { UInt32(littleEndian: UnsafeRawPointer(place).loadUnaligned(as: UInt32.self)) }

@inline(__always)
func bytes(_ from: Place, _ until: Place) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: from, count: until - from) }

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

/// High bits of bytes that are not ASCII, and of zero bytes; perhaps of others behind a zero.
@inline(__always)
private func marks(_ word: UInt64) -> UInt64 { (word | (word &- 0x0101_0101_0101_0101)) & 0x8080_8080_8080_8080 }

/// Whether some bytes are a text.
@inline(__always)
func isText(_ start: Place, _ count: Int) -> Bool {
    if count >= 8 {
        var (place, seen) = (0, UInt64(0))
        while place &+ 8 <= count {
            seen |= marks(load64(start + place))
            place &+= 8
        }
        // The last step overlaps the one before.
        seen |= marks(load64(start + (count &- 8)))
        return seen == 0 || isWellFormed(start, count)
    }
    var seen: UInt8 = 0
    for index in 0..<count { seen |= start[index] | (start[index] &- 1) }
    return seen < 0x80 || isWellFormed(start, count)
}

/// The whole check (Unicode, table 3-7, without U+0000).
@inline(never)
private func isWellFormed(_ start: Place, _ count: Int) -> Bool {
    var place = 0
    @inline(__always) func isTail(_ at: Int) -> Bool { start[at] & 0xC0 == 0x80 }
    while place < count {
        if place &+ 8 <= count, marks(load64(start + place)) == 0 {
            place &+= 8
            continue
        }
        let lead = start[place]
        switch lead {
        case 1..<0x80: place += 1
        case 0xC2...0xDF:
            guard place + 1 < count, isTail(place + 1) else { return false }
            place += 2
        case 0xE0...0xEF:
            guard place + 2 < count, isTail(place + 1), isTail(place + 2) else { return false }
            let second = start[place + 1]
            if lead == 0xE0 && second < 0xA0 || lead == 0xED && second > 0x9F { return false }
            place += 3
        case 0xF0...0xF4:
            guard place + 3 < count, isTail(place + 1), isTail(place + 2), isTail(place + 3) else { return false }
            let second = start[place + 1]
            if lead == 0xF0 && second < 0x90 || lead == 0xF4 && second > 0x8F { return false }
            place += 4
        default: return false
        }
    }
    return true
}

extension RowFault {
    static let notText = RowFault("22021", "the bytes are no text: not UTF-8, or with U+0000")

    static func wrongKind(_ kind: StaticString, _ type: SQLType) -> RowFault { RowFault("22023", "\(kind) is no \(type.name)") }

    static func outOfRange(_ type: SQLType) -> RowFault { RowFault("22003", "\(type.name) out of range") }

    static func noWhole(_ type: SQLType) -> RowFault { RowFault("22P02", "a number with a fraction is no \(type.name)") }

    static let outsideYears = RowFault("22008", "the time is outside the years 1 to 9999")

    static func notISO(_ type: SQLType, _ text: UnsafeRawBufferPointer) -> RowFault {
        RowFault("22007", "invalid input syntax for type \(type.name): \"\(String(decoding: text.prefix(RecordLimits.shownBytes), as: UTF8.self))\" is not ISO 8601")
    }
}

/// Copies `count` bytes; nothing is read or written behind them.
/// - Returns: whether they are a text.
@inline(__always)
func copyText(_ source: Place, _ count: Int, to target: UnsafeMutablePointer<UInt8>) -> Bool {
    let (from, to) = (UnsafeRawPointer(source), UnsafeMutableRawPointer(target))
    if count >= 16 {
        // The last step overlaps the one before.
        let last = count &- 16
        var (seen, place) = (UInt32(0), 0)
        while place < last {
            seen |= sluice_text_copy(target + place, source + place)
            place &+= 16
        }
        seen |= sluice_text_copy(target + last, source + last)
        return seen == 0 || isWellFormed(source, count)
    }
    if count >= 8 {
        let head = from.loadUnaligned(as: UInt64.self)
        let tail = from.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        to.storeBytes(of: head, as: UInt64.self)
        to.storeBytes(of: tail, toByteOffset: count &- 8, as: UInt64.self)
        return marks(head) | marks(tail) == 0 || isWellFormed(source, count)
    }
    if count >= 4 {
        let head = from.loadUnaligned(as: UInt32.self)
        let tail = from.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
        to.storeBytes(of: head, as: UInt32.self)
        to.storeBytes(of: tail, toByteOffset: count &- 4, as: UInt32.self)
        let seen = head | tail | (head &- 0x0101_0101) | (tail &- 0x0101_0101)
        return seen & 0x8080_8080 == 0 || isWellFormed(source, count)
    }
    if count == 0 { return true }
    // One to three bytes: the first, the middle and the last.
    let (first, middle, last) = (source[0], source[count &>> 1], source[count &- 1])
    target[0] = first
    target[count &>> 1] = middle
    target[count &- 1] = last
    let seen = first | middle | last | (first &- 1) | (middle &- 1) | (last &- 1)
    return seen < 0x80 || isWellFormed(source, count)
}

/// Copies sixteen bytes, of which `count` are meant.
/// - Returns: whether these are a text.
@inline(__always)
func isShortText(_ source: Place, _ count: Int, copiedTo target: UnsafeMutablePointer<UInt8>) -> Bool {
    sluice_text_copy(target, source) & ((1 &<< UInt32(truncatingIfNeeded: count)) &- 1) == 0 || isWellFormed(source, count)
}
