// The square root of a numeric: exact to its last digit, with the scale that PostgreSQL gives it.

extension Numeric {
    static func squareRoot(_ a: Numeric) throws(RowFault) -> Numeric {
        if a.isNegative { throw RowFault("2201F", "cannot take square root of a negative number") }
        if a.isSpecial { return a }
        // At least 16 significant digits, and not fewer places than the argument.
        let weight = leadingGroup(a).weight
        let scale = max(16 - (weight * 4 / 2 + 1), Int(a.scale), 0)
        if a.isZero { return try checked(0, negative: false, scale: scale) }
        let exponent = 2 * scale - Int(a.scale)
        guard digitCount(a.units.magnitude) + exponent <= 76 else { throw .numericOverflow }
        let square = WideProduct(magnitude: a.units.magnitude).multiplied(byTenTo: exponent)
        var root: UInt128 = 0
        for bit in (0..<128).reversed() {
            let tried = root | UInt128(1) << UInt128(bit)
            let product = tried.multipliedFullWidth(by: tried)
            if !square.isBelow(WideProduct(high: product.high, low: product.low)) { root = tried }
        }
        // Half way between two roots lies root * root + root + 1/4.
        let exact = root.multipliedFullWidth(by: root)
        let rest = square.subtracting(WideProduct(high: exact.high, low: exact.low))
        if WideProduct(magnitude: root).isBelow(rest) { root += 1 }
        return try checked(root, negative: false, scale: scale)
    }
}
