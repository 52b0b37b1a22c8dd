// The parts of Avro's encoding, and what its logical types mean.

import Values

/// A number of seven bits a byte, the lowest first; nil where it does not end, or is beyond 64 bits.
@inline(__always)
func readVarint(_ cursor: inout Place, _ end: Place) -> UInt64? {
    guard cursor < end else { return nil }
    let first = cursor.pointee
    if first < 0x80 {
        cursor += 1
        return UInt64(first)
    }
    if end - cursor >= 8 {
        let word = load64(cursor)
        // The first byte without its highest bit is the last one of the number.
        let ends = ~word & 0x8080_8080_8080_8080
        if ends != 0 {
            let bits = word & (ends ^ (ends &- 1)) & 0x7F7F_7F7F_7F7F_7F7F
            let pairs = (bits & 0x007F_007F_007F_007F) | ((bits & 0x7F00_7F00_7F00_7F00) &>> 1)
            let fours = (pairs & 0x0000_3FFF_0000_3FFF) | ((pairs & 0x3FFF_0000_3FFF_0000) &>> 2)
            cursor += (ends.trailingZeroBitCount &>> 3) &+ 1
            return (fours & 0x0FFF_FFFF) | ((fours & 0x0FFF_FFFF_0000_0000) &>> 4)
        }
    }
    return readLongVarint(&cursor, end)
}

@inline(never)
private func readLongVarint(_ cursor: inout Place, _ end: Place) -> UInt64? {
    var (value, shift) = (UInt64(0), UInt64(0))
    while cursor < end {
        let byte = cursor.pointee
        cursor += 1
        if shift == 63 && byte > 1 { return nil }
        value |= UInt64(byte & 0x7F) &<< shift
        if byte < 0x80 { return value }
        shift &+= 7
        if shift > 63 { return nil }
    }
    return nil
}

@inline(__always)
func zigzag(_ raw: UInt64) -> Int64 { Int64(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1))) }

func skipAvroText(_ cursor: inout Place, _ end: Place) -> Bool {
    guard let raw = readVarint(&cursor, end) else { return false }
    let length = zigzag(raw)
    if length < 0 || length > end - cursor { return false }
    cursor += Int(length)
    return true
}

/// How many items a block has; 0 at the end of an array or a map. A negative count is followed by the block's size in bytes, which says nothing more.
func readBlock(_ cursor: inout Place, _ end: Place) -> Int64? {
    guard let raw = readVarint(&cursor, end) else { return nil }
    let count = zigzag(raw)
    if count >= 0 { return count }
    guard count > Int64.min, let size = readVarint(&cursor, end) else { return nil }
    guard zigzag(size) >= 0, zigzag(size) <= end - cursor else { return nil }
    return -count
}

func readFloat(_ isSingle: Bool, _ cursor: inout Place, _ end: Place) -> Double? {
    if isSingle {
        guard end - cursor >= 4 else { return nil }
        defer { cursor += 4 }
        return Double(Float(bitPattern: load32(cursor)))
    }
    guard end - cursor >= 8 else { return nil }
    defer { cursor += 8 }
    return Double(bitPattern: load64(cursor))
}

/// The bytes of a decimal.
/// - Parameter count: of a fixed type; -1 where the length stands before them.
func decimalBytes(_ count: Int, _ cursor: inout Place, _ end: Place) -> (Place, Int)? {
    var length = Int64(count)
    if count < 0 {
        guard let raw = readVarint(&cursor, end) else { return nil }
        length = zigzag(raw)
    }
    guard length >= 0, length <= end - cursor else { return nil }
    defer { cursor += Int(length) }
    return (cursor, Int(length))
}

enum AvroRowDecimal {
    /// A whole number in two's complement, big end first, with `scale` of its digits behind the point.
    static func numeric(_ start: Place, _ count: Int, scale: Int) throws(RowFault) -> Numeric {
        guard count > 0 else { throw RowFault("22P02", "a decimal has no bytes") }
        let sign: UInt8 = start[0] & 0x80 != 0 ? 0xFF : 0
        var first = 0
        // Bytes that only repeat the sign.
        while count - first > 16 {
            guard start[first] == sign, start[first + 1] & 0x80 == sign & 0x80 else { throw tooLong }
            first += 1
        }
        var units: Int128 = sign == 0 ? 0 : -1
        for index in first..<count { units = units << 8 | Int128(start[index]) }
        guard units.magnitude < limit else { throw tooLong }
        return Numeric(units: units, scale: UInt8(scale))
    }

    private static let limit: UInt128 = (0..<Numeric.maxDigits).reduce(UInt128(1)) { power, _ in power * 10 }
    private static let tooLong = RowFault("22003", "value has more than the 38 digits that a numeric holds here")
}

enum AvroTime {
    /// Microseconds of a number in a unit, rounded down.
    /// - Parameter power: microseconds are the unit times ten to this.
    static func micros(_ number: Int64, _ power: Int) -> Int64? {
        if power < 0 { return floored(number, by: 1000) }
        let (product, isOver) = number.multipliedReportingOverflow(by: power == 0 ? 1 : power == 3 ? 1000 : 1_000_000)
        return isOver ? nil : product
    }

    static func uuid(_ from: Place) -> UUIDWords { UUIDWords(high: load64(from).byteSwapped, low: load64(from + 8).byteSwapped) }

    /// Months, days and milliseconds, each unsigned, low end first.
    static func duration(_ from: Place) -> Interval {
        Interval(months: Int32(clamping: load32(from)), days: Int32(clamping: load32(from + 4)), micros: Int64(load32(from + 8)) * 1000)
    }
}
