// Floats: arithmetic and math functions.
//
// A float4 is a Double that was rounded to 32 bits after each step. What overflows to infinity out of finite numbers, and what
// underflows to zero out of numbers that are not, is a row error, as in PostgreSQL.
//
// The functions from `exp` on are the C library's. They may differ in the last bit between its versions: `MathProbe` tells two of them apart by
// what they answer at chosen points.

import Glibc

extension FunctionTable {
    mutating func addFloats() {
        for left: SQLType in [.float4, .float8] {
            for right: SQLType in [.float4, .float8] { addFloatArithmetic(left, right, left == .float4 && right == .float4 ? .float4 : .float8) }
        }
        for type: SQLType in [.float4, .float8] {
            add("+", [type], type) { $0.map { (a: Double) in a } }
            add("-", [type], type) { $0.map { (a: Double) in -a } }
            for name in ["abs", "@"] { add(name, [type], type) { $0.map { (a: Double) in a.magnitude } } }
        }
        addRounding()
        addPowers()
        addTrigonometry()
    }

    private mutating func addFloatArithmetic(_ left: SQLType, _ right: SQLType, _ result: SQLType) {
        let isSingle = result == .float4
        @inline(__always) @Sendable func rounded(_ value: Double) -> Double { isSingle ? Double(Float(value)) : value }
        add("+", [left, right], result, fails: true) {
            $0.map { (a: Double, b: Double) throws(RowFault) -> Double in
                let sum = rounded(a + b)
                if sum.isInfinite && a.isFinite && b.isFinite { throw .floatOverflow }
                return sum
            }
        }
        add("-", [left, right], result, fails: true) {
            $0.map { (a: Double, b: Double) throws(RowFault) -> Double in
                let difference = rounded(a - b)
                if difference.isInfinite && a.isFinite && b.isFinite { throw .floatOverflow }
                return difference
            }
        }
        add("*", [left, right], result, fails: true) {
            $0.map { (a: Double, b: Double) throws(RowFault) -> Double in
                // A product of two 32-bit numbers is exact in 64 bits, so it is rounded once.
                let product = rounded(a * b)
                if product.isInfinite && a.isFinite && b.isFinite { throw .floatOverflow }
                if product == 0 && a != 0 && b != 0 { throw .floatUnderflow }
                return product
            }
        }
        add("/", [left, right], result, fails: true) {
            $0.map { (a: Double, b: Double) throws(RowFault) -> Double in
                if b == 0 && !a.isNaN { throw .divisionByZero }
                let quotient = isSingle ? Double(Float(a) / Float(b)) : a / b
                if quotient.isInfinite && a.isFinite { throw .floatOverflow }
                if quotient == 0 && a != 0 && b.isFinite { throw .floatUnderflow }
                return quotient
            }
        }
    }

    private mutating func addRounding() {
        for name in ["ceil", "ceiling"] { add(name, [.float8], .float8) { $0.map { (a: Double) in a.rounded(.up) } } }
        add("floor", [.float8], .float8) { $0.map { (a: Double) in a.rounded(.down) } }
        add("round", [.float8], .float8) { $0.map { (a: Double) in a.rounded(.toNearestOrEven) } }
        add("trunc", [.float8], .float8) { $0.map { (a: Double) in a.rounded(.towardZero) } }
        add("sign", [.float8], .float8) { $0.map { (a: Double) in a > 0 ? 1 : a < 0 ? -1 : 0 } }
    }

    private mutating func addPowers() {
        for name in ["sqrt", "|/"] {
            add(name, [.float8], .float8, fails: true) {
                $0.map { (a: Double) throws(RowFault) -> Double in
                    if a < 0 { throw RowFault("2201F", "cannot take square root of a negative number") }
                    return a.squareRoot()
                }
            }
        }
        for name in ["cbrt", "||/"] { add(name, [.float8], .float8) { $0.map { (a: Double) in Glibc.cbrt(a) } } }
        for name in ["power", "pow", "^"] {
            add(name, [.float8, .float8], .float8, fails: true) { $0.map { (a: Double, b: Double) throws(RowFault) in try FloatMath.power(a, b) } }
        }
        add("exp", [.float8], .float8, fails: true) {
            $0.map { (a: Double) throws(RowFault) -> Double in
                let value = Glibc.exp(a)
                if value.isInfinite && a.isFinite { throw .floatOverflow }
                if value == 0 && a.isFinite { throw .floatUnderflow }
                return value
            }
        }
        addLogarithm("ln") { Glibc.log($0) }
        addLogarithm("log") { Glibc.log10($0) }
        addLogarithm("log10") { Glibc.log10($0) }
        add("pi", [], .float8) { call in call.forEachRow { _ in Double.pi } }
        add("degrees", [.float8], .float8, fails: true) {
            $0.map { (a: Double) throws(RowFault) -> Double in
                let value = a / (Double.pi / 180)
                if value.isInfinite && a.isFinite { throw .floatOverflow }
                return value
            }
        }
        add("radians", [.float8], .float8, fails: true) {
            $0.map { (a: Double) throws(RowFault) -> Double in
                let value = a * (Double.pi / 180)
                if value == 0 && a != 0 { throw .floatUnderflow }
                return value
            }
        }
    }

    private mutating func addLogarithm(_ name: String, _ body: @escaping @Sendable (Double) -> Double) {
        add(name, [.float8], .float8, fails: true) {
            $0.map { (a: Double) throws(RowFault) -> Double in
                if a == 0 { throw RowFault("2201E", "cannot take logarithm of zero") }
                if a < 0 { throw RowFault("2201E", "cannot take logarithm of a negative number") }
                return body(a)
            }
        }
    }

    private mutating func addTrigonometry() {
        let waves: [(String, @Sendable (Double) -> Double)] = [
            ("sin", { Glibc.sin($0) }), ("cos", { Glibc.cos($0) }), ("tan", { Glibc.tan($0) }),
        ]
        for (name, body) in waves {
            add(name, [.float8], .float8, fails: true) {
                $0.map { (a: Double) throws(RowFault) -> Double in
                    if a.isInfinite { throw RowFault("22003", "input is out of range") }
                    return body(a)
                }
            }
        }
        add("cot", [.float8], .float8, fails: true) {
            $0.map { (a: Double) throws(RowFault) -> Double in
                if a.isInfinite { throw RowFault("22003", "input is out of range") }
                return 1 / Glibc.tan(a)
            }
        }
        let inverses: [(String, @Sendable (Double) -> Double)] = [("asin", { Glibc.asin($0) }), ("acos", { Glibc.acos($0) })]
        for (name, body) in inverses {
            add(name, [.float8], .float8, fails: true) {
                $0.map { (a: Double) throws(RowFault) -> Double in
                    if a.magnitude > 1 { throw RowFault("22003", "input is out of range") }
                    return body(a)
                }
            }
        }
        add("atan", [.float8], .float8) { $0.map { (a: Double) in Glibc.atan(a) } }
        add("atan2", [.float8, .float8], .float8) { $0.map { (a: Double, b: Double) in Glibc.atan2(a, b) } }
        add("sinh", [.float8], .float8) { $0.map { (a: Double) in Glibc.sinh(a) } }
        add("cosh", [.float8], .float8) { $0.map { (a: Double) in Glibc.cosh(a) } }
        add("tanh", [.float8], .float8) { $0.map { (a: Double) in Glibc.tanh(a) } }
        add("asinh", [.float8], .float8) { $0.map { (a: Double) in Glibc.asinh(a) } }
        add("acosh", [.float8], .float8, fails: true) {
            $0.map { (a: Double) throws(RowFault) -> Double in
                if a < 1 { throw RowFault("22003", "input is out of range") }
                return Glibc.acosh(a)
            }
        }
        add("atanh", [.float8], .float8, fails: true) {
            $0.map { (a: Double) throws(RowFault) -> Double in
                if a.magnitude > 1 { throw RowFault("22003", "input is out of range") }
                if a.magnitude == 1 { return a < 0 ? -.infinity : .infinity }
                return Glibc.atanh(a)
            }
        }
    }
}

enum FloatMath {
    /// PostgreSQL's `power`, with its special cases.
    static func power(_ a: Double, _ b: Double) throws(RowFault) -> Double {
        if a.isNaN { return b == 0 ? 1 : a }
        if b.isNaN { return a == 1 ? 1 : b }
        if a == 0 && b < 0 { throw RowFault("2201F", "zero raised to a negative power is undefined") }
        if a < 0 && b.isFinite && b.rounded(.down) != b { throw RowFault("2201F", "a negative number raised to a non-integer power yields a complex result") }
        let value = Glibc.pow(a, b)
        if a.isInfinite || b.isInfinite { return value }
        if value.isInfinite { throw .floatOverflow }
        if value == 0 && a != 0 { throw .floatUnderflow }
        return value
    }
}

/// What this machine's math functions answer at points that versions of the C library are known to differ at, and at others.
public enum MathProbe {
    /// One number for all answers: machines with another one may give other answers.
    public static let digest = digest(of: functions)

    package static let functions: [@Sendable (Double) -> Double] = [
        { Glibc.cbrt($0) }, { Glibc.exp($0) }, { Glibc.log($0) }, { Glibc.log10($0) }, { Glibc.sin($0) }, { Glibc.cos($0) },
        { Glibc.tan($0) }, { Glibc.asin($0) }, { Glibc.acos($0) }, { Glibc.atan($0) }, { Glibc.sinh($0) }, { Glibc.cosh($0) },
        { Glibc.tanh($0) }, { Glibc.asinh($0) }, { Glibc.acosh($0) }, { Glibc.atanh($0) }, { Glibc.pow($0, 1.7) },
        { Glibc.pow(1.1, $0) }, { Glibc.atan2($0, 1.3) },
    ]

    package static func digest(of functions: [@Sendable (Double) -> Double]) -> UInt64 {
        let points: [Double] = [
            0.1, 0.5, 0.9, 1.0000001, 1.5, 2.5, 3.141592653589793, 10.123456789, 100.7, 709.5, -0.3, -2.7, 1e-10, 1e10, 12345.678901,
            0.7071067811865476, 2.718281828459045, 22.0, 1e22,
        ]
        var answers: [UInt8] = []
        for function in functions {
            for point in points { withUnsafeBytes(of: FloatOrder.bits(function(point)).littleEndian) { answers += Array($0) } }
        }
        return Bytes.digest(answers)
    }
}
