// Bytes that somebody else wrote, read from the front: nothing is believed before it is looked at.
//
// Every read says how many bytes it wants and is refused where fewer are left; a count is read before the memory for it is asked for,
// and what it claims has to lie there. Numbers are written seven bits a byte, the low ones first, the eighth bit set where more follow, in
// their shortest form; words are little end first, as every machine has them that this runs on.
//
// When adding a read: it takes through `take`, and multiplies only what `Int` holds (counts are below 2^32).

/// Bytes that are not what they should be: damaged, or of another build.
package struct BytesFault: Error, Hashable, CustomStringConvertible {
    package let what: String
    package init(what: String) { self.what = what }
    package var description: String {
        "rows from another worker cannot be read: \(what) (now: run one build on all workers; with one build the bytes were damaged on their way)"
    }
}

/// A place in some bytes; valid while what they were made of is.
package struct ByteReader {
    private var place: UnsafeRawPointer?
    package private(set) var left: Int

    package init(_ bytes: UnsafeRawBufferPointer) { (place, left) = (bytes.baseAddress, bytes.count) }

    package var isAtEnd: Bool { left == 0 }

    /// The next bytes.
    package mutating func take(_ count: Int) throws(BytesFault) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= left else { throw BytesFault(what: "\(count) bytes are wanted and \(left) are left") }
        let taken = UnsafeRawBufferPointer(start: place, count: count)
        if count > 0 { place = place! + count }
        left -= count
        return taken
    }

    package mutating func byte() throws(BytesFault) -> UInt8 { try take(1)[0] }

    package mutating func word() throws(BytesFault) -> UInt64 { UInt64(littleEndian: try take(8).loadUnaligned(as: UInt64.self)) }

    /// What `append(number:)` wrote.
    package mutating func number() throws(BytesFault) -> Int {
        var (value, shift) = (0, 0)
        while true {
            let byte = try byte()
            value |= Int(byte & 0x7f) << shift
            if byte < 0x80 {
                if byte == 0 && shift > 0 { throw BytesFault(what: "a number has zeros before it") }
                return value
            }
            shift += 7
            // Nine times seven bits are all of a positive Int.
            guard shift < 63 else { throw BytesFault(what: "a number has more than 63 bits") }
        }
    }

    /// A number that counts what is there or what memory is asked for.
    mutating func number(atMost limit: Int, _ what: String) throws(BytesFault) -> Int {
        let value = try number()
        guard value <= limit else { throw BytesFault(what: "\(value) \(what), at most \(limit) can be") }
        return value
    }

    /// What `append(narrow:)` wrote, each handed on.
    /// - Returns: their sum.
    @inline(__always)
    mutating func narrow(_ count: Int, _ body: (_ place: Int, _ value: UInt32) -> Void) throws(BytesFault) -> Int {
        let width = Int(try byte())
        guard width == 1 || width == 2 || width == 4 else { throw BytesFault(what: "numbers of \(width) bytes") }
        let bytes = try take(count * width)
        guard count > 0, let base = bytes.baseAddress else { return 0 }
        var sum: UInt64 = 0
        func all<Width: FixedWidthInteger & UnsignedInteger>(_ type: Width.Type) {
            for place in 0..<count {
                let value = UInt32(truncatingIfNeeded: base.loadUnaligned(fromByteOffset: place * MemoryLayout<Width>.size, as: Width.self))
                sum &+= UInt64(value)
                body(place, value)
            }
        }
        switch width {
        case 1: all(UInt8.self)
        case 2: all(UInt16.self)
        default: all(UInt32.self)
        }
        return Int(sum)
    }
}

extension [UInt8] {
    /// Appends `count` bytes that the body writes; they are zero before.
    @inline(__always)
    mutating func extend(_ count: Int, _ body: (UnsafeMutableRawPointer) -> Void) {
        guard count > 0 else { return }
        let start = self.count
        append(contentsOf: repeatElement(0, count: count))
        withUnsafeMutableBytes { body($0.baseAddress! + start) }
    }

    mutating func append(number: Int) {
        precondition(number >= 0, "\(number) is no count")
        var rest = UInt(number)
        while rest > 0x7f {
            append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    mutating func append(word: UInt64) { Swift.withUnsafeBytes(of: word.littleEndian) { append(contentsOf: $0) } }

    /// Appends numbers in one, two or four bytes each, whatever the greatest one needs.
    @inline(__always)
    mutating func append(narrow numbers: UnsafePointer<UInt32>, count: Int, greatest: UInt32) {
        func all<Width: FixedWidthInteger & UnsignedInteger>(_ type: Width.Type) {
            append(UInt8(MemoryLayout<Width>.size))
            extend(count * MemoryLayout<Width>.size) { to in
                for place in 0..<count { to.storeBytes(of: Width(truncatingIfNeeded: numbers[place]), toByteOffset: place * MemoryLayout<Width>.size, as: Width.self) }
            }
        }
        if greatest <= 0xff { all(UInt8.self) } else if greatest <= 0xffff { all(UInt16.self) } else { all(UInt32.self) }
    }
}
