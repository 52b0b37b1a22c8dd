// numeric: exact arithmetic with PostgreSQL's scales.
//
// `exp`, `ln`, `log` and `power` over numeric are refused by name (see `FunctionTable`): cast to double precision.

extension FunctionTable {
    mutating func addNumerics() {
        add("+", [.numeric, .numeric], .numeric, fails: true) { $0.map { (a: Numeric, b: Numeric) throws(RowFault) in try Numeric.add(a, b) } }
        add("-", [.numeric, .numeric], .numeric, fails: true) { $0.map { (a: Numeric, b: Numeric) throws(RowFault) in try Numeric.subtract(a, b) } }
        add("*", [.numeric, .numeric], .numeric, fails: true) { $0.map { (a: Numeric, b: Numeric) throws(RowFault) in try Numeric.multiply(a, b) } }
        add("/", [.numeric, .numeric], .numeric, fails: true) { $0.map { (a: Numeric, b: Numeric) throws(RowFault) in try Numeric.divide(a, b) } }
        for name in ["%", "mod"] {
            add(name, [.numeric, .numeric], .numeric, fails: true) { $0.map { (a: Numeric, b: Numeric) throws(RowFault) in try Numeric.remainder(a, b) } }
        }
        add("div", [.numeric, .numeric], .numeric, fails: true) {
            $0.map { (a: Numeric, b: Numeric) throws(RowFault) -> Numeric in
                if a.isSpecial || b.isSpecial { return try Numeric.divide(a, b) }
                if b.isZero { throw .divisionByZero }
                return try Numeric.divide(a, b, scale: 0, rounded: false)
            }
        }
        add("sqrt", [.numeric], .numeric, fails: true) { $0.map { (a: Numeric) throws(RowFault) in try Numeric.squareRoot(a) } }
        add("+", [.numeric], .numeric) { $0.map { (a: Numeric) in a } }
        add("-", [.numeric], .numeric) { $0.map { (a: Numeric) in a.negated } }
        for name in ["abs", "@"] { add(name, [.numeric], .numeric) { $0.map { (a: Numeric) in a.absolute } } }
        add("sign", [.numeric], .numeric) { $0.map { (a: Numeric) in a.isNaN ? a : Numeric(Int64(a.units.signum())) } }
        addNumericRounding()
        addScales()
    }

    private mutating func addNumericRounding() {
        for name in ["ceil", "ceiling"] { add(name, [.numeric], .numeric, fails: true) { $0.map { (a: Numeric) throws(RowFault) in try a.rescaled(0, .up) } } }
        add("floor", [.numeric], .numeric, fails: true) { $0.map { (a: Numeric) throws(RowFault) in try a.rescaled(0, .down) } }
        add("round", [.numeric], .numeric, fails: true) { $0.map { (a: Numeric) throws(RowFault) in try a.rescaled(0) } }
        add("trunc", [.numeric], .numeric, fails: true) { $0.map { (a: Numeric) throws(RowFault) in try a.rescaled(0, .towardZero) } }
        add("round", [.numeric, .int4], .numeric, fails: true) { $0.map { (a: Numeric, b: Int64) throws(RowFault) in try a.rescaled(Int(b)) } }
        add("trunc", [.numeric, .int4], .numeric, fails: true) { $0.map { (a: Numeric, b: Int64) throws(RowFault) in try a.rescaled(Int(b), .towardZero) } }
    }

    private mutating func addScales() {
        add("scale", [.numeric], .int4) { $0.mapOrNull { (a: Numeric) in a.isSpecial ? nil : Int64(a.scale) } }
        add("min_scale", [.numeric], .int4) { $0.mapOrNull { (a: Numeric) in a.isSpecial ? nil : Int64(a.canonical.scale) } }
        add("trim_scale", [.numeric], .numeric) { $0.map { (a: Numeric) in a.canonical.isZero ? .zero : a.canonical } }
    }
}
