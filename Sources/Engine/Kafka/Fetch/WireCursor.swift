// Reads the primitives of Kafka's protocol out of borrowed bytes, and never a byte beyond them.
//
// Everything a broker says passes through here, so every read is checked against the end first. Two things can be wrong and are
// told apart: bytes that are not there (`incomplete`: more may come, as long as the frame says so) and bytes that cannot
// be (`malformed`: a length below -1, a number that does not end). Counts and lengths that are read here are claims; whoever
// reserves memory by one compares it with the bytes that are there (`count` does).
//
// Flexible versions write lengths as unsigned varints of length + 1 and end each structure with tagged fields; the caller
// knows which it reads.

package enum WireError: Error, Hashable {
    /// The bytes end within what was read.
    case incomplete
    /// No broker of ours writes this; what it was.
    case malformed(String)
}

package struct WireCursor {
    package private(set) var place: UnsafePointer<UInt8>
    package let end: UnsafePointer<UInt8>
    private let start: UnsafePointer<UInt8>

    /// - Parameter bytes: borrowed as long as the cursor is used.
    package init(_ bytes: UnsafeRawBufferPointer) {
        // An empty buffer may have no address; nothing is ever read at this one.
        let base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 16)!
        start = base.assumingMemoryBound(to: UInt8.self)
        place = start
        end = start + bytes.count
    }

    package var left: Int { end - place }
    package var consumed: Int { place - start }

    @inline(__always)
    private mutating func take(_ count: Int) throws(WireError) -> UnsafePointer<UInt8> {
        guard count <= left else { throw .incomplete }
        defer { place += count }
        return place
    }

    package mutating func skip(_ count: Int) throws(WireError) { _ = try take(count) }

    package mutating func int8() throws(WireError) -> Int8 { Int8(bitPattern: try take(1).pointee) }
    package mutating func int16() throws(WireError) -> Int16 { Int16(bitPattern: BigEndian.uint16(try take(2))) }
    package mutating func int32() throws(WireError) -> Int32 { Int32(bitPattern: BigEndian.uint32(try take(4))) }
    package mutating func int64() throws(WireError) -> Int64 { Int64(bitPattern: BigEndian.uint64(try take(8))) }
    package mutating func bool() throws(WireError) -> Bool { try take(1).pointee != 0 }

    package mutating func topicID() throws(WireError) -> TopicID {
        let place = try take(16)
        return TopicID(high: BigEndian.uint64(place), low: BigEndian.uint64(place + 8))
    }

    /// At most 32 bits.
    package mutating func unsignedVarint() throws(WireError) -> Int {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 35 {
            let byte = try take(1).pointee
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 {
                guard value <= UInt64(Int32.max) else { throw .malformed("a length of \(value)") }
                return Int(value)
            }
            shift += 7
        }
        throw .malformed("a varint without an end")
    }

    /// Length of a text or of bytes; nil for null.
    package mutating func length(_ isFlexible: Bool, wide: Bool = false) throws(WireError) -> Int? {
        if isFlexible {
            let length = try unsignedVarint()
            return length == 0 ? nil : length - 1
        }
        let length = wide ? Int(try int32()) : Int(try int16())
        guard length >= -1 else { throw .malformed("a length of \(length)") }
        return length == -1 ? nil : length
    }

    package mutating func optionalText(_ isFlexible: Bool) throws(WireError) -> String? {
        guard let length = try length(isFlexible) else { return nil }
        return String(decoding: UnsafeBufferPointer(start: try take(length), count: length), as: UTF8.self)
    }

    package mutating func text(_ isFlexible: Bool) throws(WireError) -> String {
        guard let text = try optionalText(isFlexible) else { throw .malformed("null where a text is due") }
        return text
    }

    package mutating func bytes(_ isFlexible: Bool) throws(WireError) -> [UInt8] {
        guard let length = try length(isFlexible, wide: true) else { return [] }
        return [UInt8](UnsafeBufferPointer(start: try take(length), count: length))
    }

    /// Elements of an array; 0 for null.
    /// - Parameter elementBytes: the least that one takes: a count that cannot be is refused before anything is made by it.
    package mutating func count(_ isFlexible: Bool, elementBytes: Int) throws(WireError) -> Int {
        let count = try claimedCount(isFlexible)
        guard count <= left / elementBytes else { throw .incomplete }
        return count
    }

    /// The same unchecked, for elements that come later.
    package mutating func claimedCount(_ isFlexible: Bool) throws(WireError) -> Int {
        let count = isFlexible ? try unsignedVarint() - 1 : Int(try int32())
        guard count >= -1 else { throw .malformed("an array of \(count) elements") }
        return max(0, count)
    }

    package mutating func skipInt32s(_ isFlexible: Bool) throws(WireError) {
        try skip(4 * count(isFlexible, elementBytes: 4))
    }

    /// The tagged fields that end a structure of a flexible version.
    /// - Parameter body: given each field's tag and a cursor over its bytes.
    package mutating func tags(_ isFlexible: Bool, _ body: (Int, inout WireCursor) throws(WireError) -> Void = { _, _ in }) throws(WireError) {
        guard isFlexible else { return }
        for _ in 0..<(try unsignedVarint()) {
            let tag = try unsignedVarint()
            let length = try unsignedVarint()
            var field = WireCursor(UnsafeRawBufferPointer(start: try take(length), count: length))
            do throws(WireError) { try body(tag, &field) } catch {
                throw error == .incomplete ? .malformed("tagged field \(tag) is cut") : error
            }
        }
    }
}

/// A topic's id: 16 bytes, all zero where a broker knows none.
package struct TopicID: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static let none = TopicID(high: 0, low: 0)
}

/// Numbers as the network has them.
enum BigEndian {
    @inline(__always)
    static func uint16(_ place: UnsafePointer<UInt8>) -> UInt16 {
        UInt16(bigEndian: UnsafeRawPointer(place).loadUnaligned(as: UInt16.self))
    }
    @inline(__always)
    static func uint32(_ place: UnsafePointer<UInt8>) -> UInt32 {
        UInt32(bigEndian: UnsafeRawPointer(place).loadUnaligned(as: UInt32.self))
    }
    @inline(__always)
    static func uint64(_ place: UnsafePointer<UInt8>) -> UInt64 {
        UInt64(bigEndian: UnsafeRawPointer(place).loadUnaligned(as: UInt64.self))
    }
}
