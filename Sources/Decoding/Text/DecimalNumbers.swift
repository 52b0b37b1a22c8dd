// Numbers in the form that JSON has: exact where the column is exact, rounded once where it is a float.
//
// An integer column takes every number whose value is whole, however it is written (12, 1.0, 1e3, 10e-1), and no other. A double takes the
// short way where that is exact: up to 15 digits and a power of ten up to 22 are both doubles without loss, and one multiplication or division
// rounds once. Everything else goes the way of Values' own input.

import Values

enum WholeNumber {
    case value(Int64, behind: Place)
    /// It has a point or an exponent, or more than 18 digits: its form was checked.
    case long(behind: Place)
    case broken
}

/// Reads a number that shall be an integer.
@inline(__always)
func readWholeNumber(_ from: Place, _ end: Place) -> WholeNumber {
    var place = from
    let isNegative = place.pointee == UInt8(ascii: "-")
    if isNegative { place += 1 }
    let digits = place
    var magnitude: UInt64 = 0
    if end - place >= 8 {
        let word = load64(place) ^ 0x3030_3030_3030_3030
        // All eight are digits: no byte above 9.
        if (word | (word &+ 0x0606_0606_0606_0606)) & 0xF0F0_F0F0_F0F0_F0F0 == 0 {
            let pairs = (word &* 10) &+ (word &>> 8)
            let low = (pairs & 0x0000_00FF_0000_00FF) &* 0x000F_4240_0000_0064
            let high = ((pairs &>> 16) & 0x0000_00FF_0000_00FF) &* 0x0000_2710_0000_0001
            magnitude = (low &+ high) &>> 32
            place += 8
        }
    }
    while place < end, isDigit(place.pointee) {
        magnitude = magnitude &* 10 &+ UInt64(place.pointee &- 48)
        place += 1
    }
    let count = place - digits
    guard count > 0, count == 1 || digits.pointee != UInt8(ascii: "0") else { return .broken }
    if count > 18 || place < end && (place.pointee == UInt8(ascii: ".") || place.pointee | 0x20 == UInt8(ascii: "e")) {
        guard let behind = skipJSONNumber(from, end) else { return .broken }
        return .long(behind: behind)
    }
    return .value(isNegative ? 0 &- Int64(magnitude) : Int64(magnitude), behind: place)
}

enum ExactDecimal {
    /// What becomes of a fraction.
    enum Cut { case refuse, down }

    /// The value times a power of ten, whole; nil where it is not, or has more than 38 digits.
    /// - Parameters from, behind: a number of JSON's form.
    static func value(_ from: Place, _ behind: Place, timesTenTo power: Int = 0, cut: Cut) -> Int128? {
        var place = from
        let isNegative = place.pointee == UInt8(ascii: "-")
        if isNegative { place += 1 }
        // Zeros are held back until a digit follows them: those at the end are a power of ten.
        var (units, kept, zeros, fraction, isBehindPoint) = (UInt128(0), 0, 0, 0, false)
        while place < behind {
            let byte = place.pointee
            if byte == UInt8(ascii: ".") {
                isBehindPoint = true
            } else if isDigit(byte) {
                if isBehindPoint { fraction += 1 }
                if byte == UInt8(ascii: "0") {
                    if kept > 0 { zeros += 1 }
                } else {
                    kept += zeros + 1
                    if kept > 38 { return nil }
                    for _ in 0...zeros { units *= 10 }
                    units += UInt128(byte - 48)
                    zeros = 0
                }
            } else {
                break
            }
            place += 1
        }
        if units == 0 { return 0 }
        var exponent = 0
        if place < behind {
            place += 1
            let isMinus = place.pointee == UInt8(ascii: "-")
            if isMinus || place.pointee == UInt8(ascii: "+") { place += 1 }
            while place < behind {
                exponent = min(exponent * 10 + Int(place.pointee - 48), 100_000_000)
                place += 1
            }
            if isMinus { exponent = -exponent }
        }
        let shift = zeros - fraction + exponent + power
        if shift >= 0 {
            guard kept + shift <= 38 else { return nil }
            for _ in 0..<shift { units *= 10 }
            return isNegative ? -Int128(units) : Int128(units)
        }
        if cut == .refuse { return nil }
        var isInexact = false
        for _ in 0..<min(-shift, 39) {
            if units % 10 != 0 { isInexact = true }
            units /= 10
        }
        return isNegative ? -Int128(units) - (isInexact ? 1 : 0) : Int128(units)
    }
}

/// The number `from ..< behind`, whose form was checked, as a double; nil where the long way is needed.
@inline(__always)
func readShortDouble(_ from: Place, _ behind: Place) -> Double? {
    var place = from
    let isNegative = place.pointee == UInt8(ascii: "-")
    if isNegative { place += 1 }
    var (digits, mantissa, exponent, isAfterPoint) = (0, UInt64(0), 0, false)
    while place < behind {
        let byte = place.pointee
        if byte == UInt8(ascii: ".") {
            isAfterPoint = true
        } else if isDigit(byte) {
            if mantissa > 0 || byte > 48 { digits += 1 }
            if digits > 15 { return nil }
            mantissa = mantissa &* 10 &+ UInt64(byte &- 48)
            if isAfterPoint { exponent &-= 1 }
        } else {
            return nil
        }
        place += 1
    }
    guard exponent >= -22 else { return mantissa == 0 ? (isNegative ? -0.0 : 0) : nil }
    let value = exponent == 0 ? Double(mantissa) : Double(mantissa) / powersOfTen.pointer[-exponent]
    return isNegative ? -value : value
}

/// The same as a numeric: up to 18 digits, no exponent.
@inline(__always)
func readShortNumeric(_ from: Place, _ behind: Place) -> Numeric? {
    guard behind - from <= 19 else { return nil }
    var place = from
    let isNegative = place.pointee == UInt8(ascii: "-")
    if isNegative { place += 1 }
    var (units, scale, isAfterPoint) = (UInt64(0), UInt8(0), false)
    while place < behind {
        let byte = place.pointee
        if byte == UInt8(ascii: ".") {
            isAfterPoint = true
        } else if isDigit(byte) {
            units = units &* 10 &+ UInt64(byte &- 48)
            if isAfterPoint { scale &+= 1 }
        } else {
            return nil
        }
        place += 1
    }
    return Numeric(units: isNegative ? -Int128(units) : Int128(units), scale: scale)
}

/// 10^0 to 10^22, which are doubles exactly; lives as long as the process.
private struct DecimalPowers: @unchecked Sendable {
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
private let powersOfTen = DecimalPowers()
