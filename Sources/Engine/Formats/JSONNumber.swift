// Numbers in JSON documents: integers exact in 64 bits, floating point correctly rounded.
//
// An integer is digits only; `1.0` and `1e3` are not integers here, because whoever writes them may one day write `1.5`.
// A double takes the short way when it is exact there: up to 15 digits and a power of ten up to 22 are both doubles
// without loss, and one multiplication or division rounds once. Everything else goes to the C library's `strtod` in
// the C locale. A magnitude beyond the largest double is refused, not made infinite.

import Glibc

enum JSONInteger {
    case value(Int64, behind: JSONPlace)
    /// A number, but with a fraction or an exponent.
    case fraction(behind: JSONPlace)
    /// An integer beyond 64 bits.
    case tooLarge(behind: JSONPlace)
    case broken
}

/// Reads a number that shall be an integer.
@inline(__always)
func readJSONInteger(_ from: JSONPlace, _ end: JSONPlace) -> JSONInteger {
    var place = from
    let isNegative = place.pointee == UInt8(ascii: "-")
    if isNegative { place += 1 }
    let digits = place
    var magnitude: UInt64 = 0
    if end - place >= 8 {
        let word = UInt64(littleEndian: load64(place)) ^ 0x3030_3030_3030_3030
        // All eight are digits: no byte above 9.
        if (word | (word &+ 0x0606_0606_0606_0606)) & 0xF0F0_F0F0_F0F0_F0F0 == 0 {
            let pairs = (word &* 10) &+ (word &>> 8)
            let low = (pairs & 0x0000_00FF_0000_00FF) &* 0x000F_4240_0000_0064
            let high = ((pairs &>> 16) & 0x0000_00FF_0000_00FF) &* 0x0000_2710_0000_0001
            magnitude = (low &+ high) &>> 32
            place += 8
        }
    }
    while place < end, place.pointee &- 48 < 10 {
        // Nineteen digits always fit; a twentieth is refused below.
        magnitude = magnitude &* 10 &+ UInt64(place.pointee &- 48)
        place += 1
    }
    let count = place - digits
    guard count > 0, count == 1 || digits.pointee != UInt8(ascii: "0") else { return .broken }
    if place < end, place.pointee == UInt8(ascii: ".") || place.pointee | 0x20 == UInt8(ascii: "e") {
        guard let behind = skipJSONNumber(from, end) else { return .broken }
        return .fraction(behind: behind)
    }
    if count > 19 { return .tooLarge(behind: place) }
    if isNegative {
        guard magnitude <= UInt64(Int64.max) + 1 else { return .tooLarge(behind: place) }
        return .value(Int64(bitPattern: 0 &- magnitude), behind: place)
    }
    guard magnitude <= UInt64(Int64.max) else { return .tooLarge(behind: place) }
    return .value(Int64(magnitude), behind: place)
}

/// Reads the number `from ..< behind`, whose form was checked; nil when its magnitude is beyond all doubles.
func readJSONDouble(_ from: JSONPlace, _ behind: JSONPlace) -> Double? {
    var place = from
    let isNegative = place.pointee == UInt8(ascii: "-")
    if isNegative { place += 1 }
    var digits = 0
    var mantissa: UInt64 = 0
    var exponent = 0
    var isAfterPoint = false
    while place < behind {
        let byte = place.pointee
        if byte == UInt8(ascii: ".") {
            isAfterPoint = true
        } else if byte &- 48 < 10 {
            if mantissa > 0 || byte > 48 { digits += 1 }
            if digits > 15 { return readLongJSONDouble(from, behind) }
            mantissa = mantissa * 10 + UInt64(byte - 48)
            if isAfterPoint { exponent -= 1 }
        } else {
            break
        }
        place += 1
    }
    if place < behind {
        place += 1
        let isMinus = place.pointee == UInt8(ascii: "-")
        if isMinus || place.pointee == UInt8(ascii: "+") { place += 1 }
        var written = 0
        while place < behind {
            if written > 9999 { return readLongJSONDouble(from, behind) }
            written = written * 10 + Int(place.pointee - 48)
            place += 1
        }
        exponent += isMinus ? -written : written
    }
    let value: Double
    if mantissa == 0 {
        value = 0
    } else if exponent >= 0 && exponent <= 22 {
        value = Double(mantissa) * powersOfTen.pointer[exponent]
    } else if exponent < 0 && exponent >= -22 {
        value = Double(mantissa) / powersOfTen.pointer[-exponent]
    } else {
        return readLongJSONDouble(from, behind)
    }
    return isNegative ? -value : value
}

/// The long way: a terminated copy for `strtod`, on the stack unless the number is absurdly long.
@inline(never)
private func readLongJSONDouble(_ from: JSONPlace, _ behind: JSONPlace) -> Double? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: behind - from + 1) { copy in
        for index in 0..<behind - from { copy[index] = CChar(bitPattern: from[index]) }
        copy[behind - from] = 0
        let before = uselocale(plainLocale.locale)
        let value = strtod(copy.baseAddress!, nil)
        _ = uselocale(before)
        return value.isFinite ? value : nil
    }
}

/// 10^0 to 10^22, which are doubles exactly; lives as long as the process.
private struct PowersOfTen: @unchecked Sendable {
    let pointer: UnsafePointer<Double>
    init() {
        let table = UnsafeMutablePointer<Double>.allocate(capacity: 23)
        var power = 1.0
        for index in 0..<23 {
            (table + index).initialize(to: power)
            power *= 10
        }
        pointer = UnsafePointer(table)
    }
}
private let powersOfTen = PowersOfTen()

/// The C locale for numbers, whatever the process is set to: a comma must never become the decimal point.
private struct PlainLocale: @unchecked Sendable {
    let locale: locale_t
    init() {
        guard let made = newlocale(1 << LC_NUMERIC, "C", nil) else {
            preconditionFailure("the C library has no C locale")
        }
        locale = made
    }
}
private let plainLocale = PlainLocale()
