// numeric: whole units of a power of ten, at most 38 digits, each value with its own scale.
//
// 1.50 is 150 units at scale 2. Values keep PostgreSQL's scale through every step (`1.0 + 1.00` is `2.00`), so two equal values
// can look different; `compare` and `canonical` say what is equal and which look is shown among equal keys. NaN and the
// infinities are PostgreSQL 14's.
//
// PostgreSQL's numeric has 131,072 digits; a result that needs more than 38 is a row error here and never a rounded value.
// What is between operands and result may have twice as many: `WideProduct` holds it, so nothing is lost on the way.
//
// When changing an operation: its scale is part of its answer; `FunctionOracleTests` compare with PostgreSQL digit by digit.

/// A decimal number with a scale.
public struct Numeric: Hashable, Sendable, BitwiseCopyable {
    /// The words of the units. An `Int128` here would want to lie at a multiple of 16, and Swift 6.3 places an enum that holds one at a
    /// multiple of 8 and reads it as if it had not.
    private var low: UInt64
    private var high: Int64
    /// Digits behind the point, at most `maxScale`; `special` for NaN and the infinities.
    public var scale: UInt8

    public static let maxDigits = 38
    public static let maxScale = 120
    static let special: UInt8 = 255

    public static let nan = Numeric(units: 0, scale: special)
    public static let infinity = Numeric(units: 1, scale: special)
    public static let zero = Numeric(units: 0, scale: 0)

    @inline(__always)
    public init(units: Int128, scale: UInt8) {
        low = UInt64(truncatingIfNeeded: units)
        high = Int64(truncatingIfNeeded: units >> 64)
        self.scale = scale
    }

    /// The value times 10^scale; for special values 0 (NaN), 1 and -1 (the infinities).
    @inline(__always)
    public var units: Int128 { Int128(high) << 64 | Int128(low) }

    public init(_ value: Int64) { self.init(units: Int128(value), scale: 0) }

    public var isNaN: Bool { scale == Self.special && units == 0 }
    public var isSpecial: Bool { scale == Self.special }
    public var isZero: Bool { units == 0 && scale != Self.special }
    public var isNegative: Bool { units < 0 }
    /// Digits behind the point; 0 for special values.
    var places: Int { isSpecial ? 0 : Int(scale) }
    var negated: Numeric { Numeric(units: -units, scale: scale) }
    var absolute: Numeric { isNegative ? negated : self }

    /// Ten to the power of 0 to 38.
    static let powers: [UInt128] = {
        var powers: [UInt128] = [1]
        for _ in 0..<38 { powers.append(powers.last! * 10) }
        return powers
    }()

    @inline(__always)
    static func power(_ exponent: Int) -> UInt128 { powers[exponent] }

    /// How many decimal digits a number has; 0 has none.
    static func digitCount(_ value: UInt128) -> Int {
        if value == 0 { return 0 }
        // 1233 / 4096 is just below log10(2).
        let guess = ((128 - value.leadingZeroBitCount) * 1233) >> 12
        return guess > 38 ? 39 : value >= powers[guess] ? guess + 1 : guess
    }

    /// A checked result.
    static func checked(_ magnitude: UInt128, negative: Bool, scale: Int) throws(RowFault) -> Numeric {
        guard magnitude < power(38), scale <= maxScale else { throw .numericOverflow }
        return Numeric(units: negative ? -Int128(magnitude) : Int128(magnitude), scale: UInt8(scale))
    }

    static func checked(_ magnitude: WideProduct, negative: Bool, scale: Int) throws(RowFault) -> Numeric {
        guard magnitude.high == 0 else { throw .numericOverflow }
        return try checked(magnitude.low, negative: negative, scale: scale)
    }

    // MARK: order

    /// -1, 0 or 1; NaN is above everything and equal to itself.
    package static func compare(_ a: Numeric, _ b: Numeric) -> Int {
        if a.scale == b.scale && a.scale != special { return a.units < b.units ? -1 : a.units > b.units ? 1 : 0 }
        if a.isSpecial || b.isSpecial { return a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0 }
        let (signA, signB) = (a.units.signum(), b.units.signum())
        if signA != signB { return signA < signB ? -1 : 1 }
        if signA == 0 { return 0 }
        let (x, y) = (a.units.magnitude, b.units.magnitude)
        // The place of the first digit decides, before anything is brought to one scale.
        let (leadA, leadB) = (digitCount(x) - Int(a.scale), digitCount(y) - Int(b.scale))
        let order: Int
        if leadA != leadB {
            order = leadA < leadB ? -1 : 1
        } else {
            let difference = Int(a.scale) - Int(b.scale)
            let left = x.multipliedFullWidth(by: power(max(-difference, 0)))
            let right = y.multipliedFullWidth(by: power(max(difference, 0)))
            order = left.high != right.high ? (left.high < right.high ? -1 : 1) : left.low == right.low ? 0 : left.low < right.low ? -1 : 1
        }
        return signA > 0 ? order : -order
    }

    /// Special values in order around all others.
    private var rank: Int { isSpecial ? units == 0 ? 3 : units > 0 ? 2 : -2 : 0 }

    /// The shortest look of the value: no zeros behind the point.
    public var canonical: Numeric {
        if isSpecial { return self }
        if units == 0 { return .zero }
        var value = self
        while value.scale > 0 {
            let (quotient, rest) = value.units.quotientAndRemainder(dividingBy: 10)
            if rest != 0 { break }
            value = Numeric(units: quotient, scale: value.scale - 1)
        }
        return value
    }

    // MARK: four operations

    static func add(_ a: Numeric, _ b: Numeric) throws(RowFault) -> Numeric {
        if a.isSpecial || b.isSpecial {
            if a.isNaN || b.isNaN || (a.isSpecial && b.isSpecial && a.units != b.units) { return .nan }
            return a.isSpecial ? a : b
        }
        if a.scale == b.scale {
            let (sum, isOver) = a.units.addingReportingOverflow(b.units)
            guard !isOver, sum.magnitude < power(38) else { throw .numericOverflow }
            return Numeric(units: sum, scale: a.scale)
        }
        let scale = max(Int(a.scale), Int(b.scale))
        if a.isZero || b.isZero { return try (a.isZero ? b : a).rescaled(scale) }
        let (x, y) = (try WideProduct(a, scale: scale), try WideProduct(b, scale: scale))
        if a.isNegative == b.isNegative {
            return try checked(x.adding(y), negative: a.isNegative, scale: scale)
        }
        return x.isBelow(y)
            ? try checked(y.subtracting(x), negative: b.isNegative, scale: scale)
            : try checked(x.subtracting(y), negative: a.isNegative, scale: scale)
    }

    static func subtract(_ a: Numeric, _ b: Numeric) throws(RowFault) -> Numeric { try add(a, b.negated) }

    static func multiply(_ a: Numeric, _ b: Numeric) throws(RowFault) -> Numeric {
        if a.isSpecial || b.isSpecial {
            if a.isNaN || b.isNaN { return .nan }
            let sign = a.units.signum() * b.units.signum()
            return sign == 0 ? .nan : sign > 0 ? .infinity : infinity.negated
        }
        let scale = Int(a.scale) + Int(b.scale)
        let product = a.units.magnitude.multipliedFullWidth(by: b.units.magnitude)
        guard product.high == 0 else { throw .numericOverflow }
        return try checked(product.low, negative: a.isNegative != b.isNegative, scale: scale)
    }

    static func divide(_ a: Numeric, _ b: Numeric) throws(RowFault) -> Numeric {
        if a.isSpecial || b.isSpecial {
            if a.isNaN || b.isNaN || (a.isSpecial && b.isSpecial) { return .nan }
            if b.isSpecial { return .zero }
            if b.isZero { throw .divisionByZero }
            return (a.isNegative != b.isNegative) ? infinity.negated : .infinity
        }
        if b.isZero { throw .divisionByZero }
        let scale = quotientScale(a, b)
        return try divide(a, b, scale: scale, rounded: true)
    }

    /// The scale that PostgreSQL gives a quotient: at least 16 significant digits, and neither operand's places lost.
    static func quotientScale(_ a: Numeric, _ b: Numeric) -> Int {
        let (weightA, firstA) = leadingGroup(a)
        let (weightB, firstB) = leadingGroup(b)
        let weight = weightA - weightB - (firstA <= firstB ? 1 : 0)
        return max(16 - weight * 4, Int(a.scale), Int(b.scale), 0)
    }

    /// The weight and value of the first group of four digits, as PostgreSQL stores numbers.
    static func leadingGroup(_ a: Numeric) -> (weight: Int, first: Int) {
        let units = a.units.magnitude
        if units == 0 { return (0, 0) }
        let count = digitCount(units)
        let place = count - 1 - Int(a.scale)
        let weight = place >= 0 ? place / 4 : -((3 - place) / 4)
        let kept = place - 4 * weight + 1
        return (weight, Int(count >= kept ? units / power(count - kept) : units * power(kept - count)))
    }

    /// a / b at `scale`, cut or rounded half away from zero.
    static func divide(_ a: Numeric, _ b: Numeric, scale: Int, rounded: Bool) throws(RowFault) -> Numeric {
        // a.units / b.units * 10^(b.scale - a.scale + scale)
        let exponent = Int(b.scale) - Int(a.scale) + scale
        let divisor = b.units.magnitude
        var numerator = WideProduct(magnitude: a.units.magnitude)
        var scaledDivisor = WideProduct(magnitude: divisor)
        if exponent >= 0 {
            if a.isZero { return try checked(0, negative: false, scale: scale) }
            // The quotient has more digits than fit.
            guard digitCount(a.units.magnitude) + exponent <= 76 else {
                guard exponent - 38 <= 38, digitCount(a.units.magnitude) + exponent - digitCount(divisor) <= 39 else { throw .numericOverflow }
                return try divideSlowly(a, b, exponent: exponent, scale: scale, rounded: rounded)
            }
            numerator = numerator.multiplied(byTenTo: exponent)
        } else {
            guard digitCount(divisor) - exponent <= 76 else { return try checked(0, negative: false, scale: scale) }
            scaledDivisor = scaledDivisor.multiplied(byTenTo: -exponent)
        }
        let (quotient, rest) = numerator.divided(by: scaledDivisor)
        var magnitude = quotient
        if rounded && !rest.doubledIsBelow(scaledDivisor) { magnitude = magnitude.incremented }
        return try checked(magnitude, negative: a.isNegative != b.isNegative, scale: scale)
    }

    /// Digit by digit: for numerators beyond 76 digits whose quotient still fits.
    private static func divideSlowly(_ a: Numeric, _ b: Numeric, exponent: Int, scale: Int, rounded: Bool) throws(RowFault) -> Numeric {
        let divisor = b.units.magnitude
        var (quotient, rest) = a.units.magnitude.quotientAndRemainder(dividingBy: divisor)
        for _ in 0..<exponent {
            // rest * 10 < 10^39: one more digit than 128 bits hold, so it is divided in full width.
            let wide = rest.multipliedFullWidth(by: 10)
            let step = divisor.dividingFullWidth((wide.high, wide.low))
            guard quotient < power(37) else { throw .numericOverflow }
            quotient = quotient * 10 + step.quotient
            rest = step.remainder
        }
        if rounded && rest >= divisor - rest { quotient += 1 }
        return try checked(quotient, negative: a.isNegative != b.isNegative, scale: scale)
    }

    /// What is left of a after whole times b; the sign is a's.
    static func remainder(_ a: Numeric, _ b: Numeric) throws(RowFault) -> Numeric {
        if a.isSpecial || b.isSpecial {
            if a.isNaN || b.isNaN { return .nan }
            if a.isSpecial {
                if b.isZero { throw .divisionByZero }
                return .nan
            }
            return a
        }
        if b.isZero { throw .divisionByZero }
        let scale = max(Int(a.scale), Int(b.scale))
        if a.isZero { return Numeric(units: 0, scale: UInt8(scale)) }
        let rest = try WideProduct(a, scale: scale).divided(by: try WideProduct(b, scale: scale)).rest
        return try checked(rest, negative: a.isNegative, scale: scale)
    }

    // MARK: scale

    enum Rounding { case halfAwayFromZero, towardZero, up, down }

    /// The value at another scale; `places` may be negative: then digits before the point become zero.
    func rescaled(_ places: Int, _ rounding: Rounding = .halfAwayFromZero) throws(RowFault) -> Numeric {
        if isSpecial { return self }
        let magnitude = units.magnitude
        let scale = min(max(places, 0), Self.maxScale)
        if places >= Int(self.scale) {
            let more = scale - Int(self.scale)
            if units == 0 { return Numeric(units: 0, scale: UInt8(scale)) }
            guard more <= 38, Self.digitCount(magnitude) + more <= 38 else { throw .numericOverflow }
            return try Self.checked(magnitude * Self.power(more), negative: isNegative, scale: scale)
        }
        let dropped = Int(self.scale) - places
        var quotient: UInt128 = 0
        var (isHalf, isInexact) = (false, units != 0)
        if dropped <= 38 {
            let divisor = Self.power(dropped)
            let (q, rest) = magnitude.quotientAndRemainder(dividingBy: divisor)
            (quotient, isHalf, isInexact) = (q, rest >= divisor - rest && rest != 0, rest != 0)
        }
        switch rounding {
        case .halfAwayFromZero: if isHalf { quotient += 1 }
        case .towardZero: break
        case .up: if isInexact && !isNegative { quotient += 1 }
        case .down: if isInexact && isNegative { quotient += 1 }
        }
        if places < 0 && quotient != 0 {
            guard Self.digitCount(quotient) - places <= 38 else { throw .numericOverflow }
            quotient *= Self.power(-places)
        }
        return try Self.checked(quotient, negative: isNegative, scale: scale)
    }

    /// The value as numeric(precision, scale) holds it.
    func fitted(precision: Int, scale: Int) throws(RowFault) -> Numeric {
        if isSpecial {
            if isNaN { return self }
            throw RowFault("22003", "numeric field overflow")
        }
        let value: Numeric
        do { value = try rescaled(scale) } catch { throw RowFault("22003", "numeric field overflow") }
        // A negative scale counts its zeros among the digits.
        let allowed = scale < 0 ? precision - scale : precision
        guard Self.digitCount(value.units.magnitude) <= allowed else { throw RowFault("22003", "numeric field overflow") }
        return value
    }
}

/// 256 bits: what stands between the operands and the result of one step.
struct WideProduct: Equatable {
    var high: UInt128 = 0
    var low: UInt128 = 0

    init(high: UInt128, low: UInt128) { (self.high, self.low) = (high, low) }
    init(magnitude: UInt128) { low = magnitude }

    func multiplied(byTenTo exponent: Int) -> WideProduct {
        var value = self
        var left = exponent
        while left > 0 {
            let step = min(left, 38)
            let factor = Numeric.power(step)
            let product = value.low.multipliedFullWidth(by: factor)
            value = WideProduct(high: product.high &+ value.high &* factor, low: product.low)
            left -= step
        }
        return value
    }

    var incremented: WideProduct { adding(WideProduct(magnitude: 1)) }

    func adding(_ other: WideProduct) -> WideProduct {
        let (sum, isOver) = low.addingReportingOverflow(other.low)
        return WideProduct(high: high &+ other.high &+ (isOver ? 1 : 0), low: sum)
    }

    func subtracting(_ other: WideProduct) -> WideProduct {
        let (difference, isUnder) = low.subtractingReportingOverflow(other.low)
        return WideProduct(high: high &- other.high &- (isUnder ? 1 : 0), low: difference)
    }

    func isBelow(_ other: WideProduct) -> Bool { high != other.high ? high < other.high : low < other.low }

    /// Whether twice the number is below `other`; for numbers below `other`.
    func doubledIsBelow(_ other: WideProduct) -> Bool { isBelow(other.subtracting(self)) }

    func divided(by divisor: WideProduct) -> (quotient: WideProduct, rest: WideProduct) {
        if divisor.high == 0 {
            let (top, rest) = high.quotientAndRemainder(dividingBy: divisor.low)
            if rest == 0 && high == 0 {
                let (q, r) = low.quotientAndRemainder(dividingBy: divisor.low)
                return (WideProduct(magnitude: q), WideProduct(magnitude: r))
            }
            let (bottom, last) = divisor.low.dividingFullWidth((rest, low))
            return (WideProduct(high: top, low: bottom), WideProduct(magnitude: last))
        }
        if isBelow(divisor) { return (WideProduct(magnitude: 0), self) }
        // Both are beyond 128 bits: the quotient is small, and shifting is quick enough.
        let shift = divisor.high.leadingZeroBitCount - high.leadingZeroBitCount
        var (quotient, rest) = (UInt128(0), self)
        for step in (0...max(shift, 0)).reversed() {
            let shifted = divisor.shifted(left: step)
            quotient <<= 1
            if !rest.isBelow(shifted) {
                rest = rest.subtracting(shifted)
                quotient |= 1
            }
        }
        return (WideProduct(magnitude: quotient), rest)
    }

    private func shifted(left count: Int) -> WideProduct {
        count == 0 ? self : WideProduct(high: high << UInt128(count) | low >> UInt128(128 - count), low: low << UInt128(count))
    }
}

extension WideProduct {
    /// The units of a value at a scale that is not below its own; beyond 76 digits a sum or a rest could not fit any more.
    init(_ value: Numeric, scale: Int) throws(RowFault) {
        guard Numeric.digitCount(value.units.magnitude) + scale - Int(value.scale) <= 76 else { throw .numericOverflow }
        self = WideProduct(magnitude: value.units.magnitude).multiplied(byTenTo: scale - Int(value.scale))
    }
}
