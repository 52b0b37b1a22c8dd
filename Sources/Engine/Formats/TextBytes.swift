// Copying and checking text: what both decoders do with the bytes of a value, without leaving registers.
//
// A text is well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF) without U+0000: PostgreSQL cannot
// store that character, and what a record is may not depend on the sink. Nearly all text is ASCII, so the copy looks on
// its way for a set high bit and for zeros; only text with one goes through the whole check. Where the record goes on behind the text
// that is 16 bytes a step, else 8, the last step overlapping the one before: no byte past the record is read.

import CLinux

@inline(__always)
func load64(_ pointer: UnsafePointer<UInt8>) -> UInt64 {
    UnsafeRawPointer(pointer).loadUnaligned(as: UInt64.self)
}

@inline(__always)
func load32(_ pointer: UnsafePointer<UInt8>) -> UInt32 {
    UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self)
}

@inline(__always)
func store64(_ value: UInt64, _ pointer: UnsafeMutablePointer<UInt8>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: UInt64.self)
}

@inline(__always)
func store32(_ value: UInt32, _ pointer: UnsafeMutablePointer<UInt8>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: UInt32.self)
}

/// Copies `length` bytes, sixteen at a time while they are within `end`; may write up to fifteen bytes past them.
/// - Returns: whether they are a text.
@inline(__always)
func copyText(
    _ source: UnsafePointer<UInt8>, _ length: Int, within end: UnsafePointer<UInt8>, to target: UnsafeMutablePointer<UInt8>
) -> Bool {
    // What is read past the text is the record's own.
    guard end - source >= length &+ 15 else { return copyText(source, length, to: target) }
    var (done, marks) = (0, UInt32(0))
    while done &+ 16 < length {
        marks |= sluice_text_copy(target + done, source + done)
        done &+= 16
    }
    marks |= sluice_text_copy(target + done, source + done) & ((1 &<< UInt32(truncatingIfNeeded: length &- done)) &- 1)
    return marks == 0 || isText(source, length)
}

/// Copies `length` bytes.
/// - Returns: whether they are a text.
@inline(__always)
func copyText(_ source: UnsafePointer<UInt8>, _ length: Int, to target: UnsafeMutablePointer<UInt8>) -> Bool {
    copyBytes(source, length, to: target) & 0x8080_8080_8080_8080 == 0 || isText(source, length)
}

/// High bits of bytes that are not ASCII, and of zero bytes; perhaps of others behind a zero.
@inline(__always)
private func marks(_ word: UInt64) -> UInt64 { word | (word &- 0x0101_0101_0101_0101) }

/// Copies `length` bytes.
/// - Returns: without any high bit of a byte when all of them are ASCII and none is zero.
@inline(__always)
@discardableResult
func copyBytes(_ source: UnsafePointer<UInt8>, _ length: Int, to target: UnsafeMutablePointer<UInt8>) -> UInt64 {
    if length >= 8 {
        let last = length &- 8
        let tail = load64(source + last)
        var seen = marks(tail)
        var index = 0
        while index < last {
            let word = load64(source + index)
            seen |= marks(word)
            store64(word, target + index)
            index &+= 8
        }
        store64(tail, target + last)
        return seen
    }
    if length >= 4 {
        let head = load32(source)
        let tail = load32(source + (length &- 4))
        store32(head, target)
        store32(tail, target + (length &- 4))
        return UInt64(head | tail | (head &- 0x0101_0101) | (tail &- 0x0101_0101))
    }
    var seen: UInt8 = 0
    for index in 0..<length {
        seen |= source[index] | (source[index] &- 1)
        target[index] = source[index]
    }
    return UInt64(seen)
}

/// Whether `length` bytes are well-formed UTF-8 (Unicode, table 3-7) without U+0000.
@inline(never)
func isText(_ start: UnsafePointer<UInt8>, _ length: Int) -> Bool {
    var index = 0
    @inline(__always) func isTail(_ at: Int) -> Bool { start[at] & 0xC0 == 0x80 }
    while index < length {
        if index &+ 8 <= length, marks(load64(start + index)) & 0x8080_8080_8080_8080 == 0 {
            index &+= 8
            continue
        }
        let lead = start[index]
        switch lead {
        case 1..<0x80:
            index += 1
        case 0xC2...0xDF:
            guard index + 1 < length, isTail(index + 1) else { return false }
            index += 2
        case 0xE0...0xEF:
            guard index + 2 < length, isTail(index + 1), isTail(index + 2) else { return false }
            let second = start[index + 1]
            if lead == 0xE0 && second < 0xA0 || lead == 0xED && second > 0x9F { return false }
            index += 3
        case 0xF0...0xF4:
            guard index + 3 < length, isTail(index + 1), isTail(index + 2), isTail(index + 3) else { return false }
            let second = start[index + 1]
            if lead == 0xF0 && second < 0x90 || lead == 0xF4 && second > 0x8F { return false }
            index += 4
        default:
            return false
        }
    }
    return true
}
