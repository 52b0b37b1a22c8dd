// Integers: arithmetic, bits, and what is whole.
//
// A result has the wider of the two types, as in PostgreSQL; one that does not fit it is a row error. Division cuts towards zero,
// the remainder has the sign of the dividend. A shift takes its count modulo the width.

extension FunctionTable {
    private static func wider(_ a: SQLType, _ b: SQLType) -> SQLType {
        let order: [SQLType] = [.int2, .int4, .int8]
        return order.firstIndex(of: a)! >= order.firstIndex(of: b)! ? a : b
    }

    mutating func addIntegers() {
        let types: [SQLType] = [.int2, .int4, .int8]
        for left in types { for right in types { addArithmetic(left, right, Self.wider(left, right)) } }
        for type in types {
            addSigns(type)
            addBits(type)
        }
        for type: SQLType in [.int4, .int8] { addDivisors(type) }
    }

    private mutating func addArithmetic(_ left: SQLType, _ right: SQLType, _ result: SQLType) {
        let bounds = IntegerText.bounds(of: result)
        let fault = RowFault.range(result)
        @inline(__always) @Sendable func fit(_ value: (partialValue: Int64, overflow: Bool)) throws(RowFault) -> Int64 {
            guard !value.overflow, bounds.contains(value.partialValue) else { throw fault }
            return value.partialValue
        }
        add("+", [left, right], result, fails: true) {
            $0.map { (a: Int64, b: Int64) throws(RowFault) in try fit(a.addingReportingOverflow(b)) }
        }
        add("-", [left, right], result, fails: true) {
            $0.map { (a: Int64, b: Int64) throws(RowFault) in try fit(a.subtractingReportingOverflow(b)) }
        }
        add("*", [left, right], result, fails: true) {
            $0.map { (a: Int64, b: Int64) throws(RowFault) in try fit(a.multipliedReportingOverflow(by: b)) }
        }
        add("/", [left, right], result, fails: true) {
            $0.map { (a: Int64, b: Int64) throws(RowFault) -> Int64 in
                if b == 0 { throw .divisionByZero }
                return try fit(a.dividedReportingOverflow(by: b))
            }
        }
        guard left == right else { return }
        for name in ["%", "mod"] {
            add(name, [left, right], result, fails: true) {
                $0.map { (a: Int64, b: Int64) throws(RowFault) -> Int64 in
                    if b == 0 { throw .divisionByZero }
                    return b == -1 ? 0 : a % b
                }
            }
        }
    }

    private mutating func addSigns(_ type: SQLType) {
        let bounds = IntegerText.bounds(of: type)
        let fault = RowFault.range(type)
        add("+", [type], type) { $0.map { (a: Int64) in a } }
        add("-", [type], type, fails: true) {
            $0.map { (a: Int64) throws(RowFault) -> Int64 in
                if a == bounds.lowerBound { throw fault }
                return -a
            }
        }
        for name in ["abs", "@"] {
            add(name, [type], type, fails: true) {
                $0.map { (a: Int64) throws(RowFault) -> Int64 in
                    if a == bounds.lowerBound { throw fault }
                    return abs(a)
                }
            }
        }
    }

    private mutating func addBits(_ type: SQLType) {
        add("&", [type, type], type) { $0.map { (a: Int64, b: Int64) in a & b } }
        add("|", [type, type], type) { $0.map { (a: Int64, b: Int64) in a | b } }
        add("#", [type, type], type) { $0.map { (a: Int64, b: Int64) in a ^ b } }
        add("~", [type], type) { $0.map { (a: Int64) in ~a } }
        switch type {
        case .int2:
            // The number is widened to 32 bits before it is shifted, and cut back.
            add("<<", [type, .int4], type) { $0.map { (a: Int64, b: Int64) in Int64(Int16(truncatingIfNeeded: Int32(truncatingIfNeeded: a) << (b & 31))) } }
            add(">>", [type, .int4], type) { $0.map { (a: Int64, b: Int64) in a >> (b & 31) } }
        case .int4:
            add("<<", [type, .int4], type) { $0.map { (a: Int64, b: Int64) in Int64(Int32(truncatingIfNeeded: a) << (b & 31)) } }
            add(">>", [type, .int4], type) { $0.map { (a: Int64, b: Int64) in a >> (b & 31) } }
        default:
            add("<<", [type, .int4], type) { $0.map { (a: Int64, b: Int64) in a << (b & 63) } }
            add(">>", [type, .int4], type) { $0.map { (a: Int64, b: Int64) in a >> (b & 63) } }
        }
    }

    private mutating func addDivisors(_ type: SQLType) {
        let bounds = IntegerText.bounds(of: type)
        let fault = RowFault.range(type)
        @inline(__always) @Sendable func fit(_ magnitude: UInt64) throws(RowFault) -> Int64 {
            guard magnitude <= UInt64(bounds.upperBound) else { throw fault }
            return Int64(magnitude)
        }
        @Sendable func divisor(_ a: Int64, _ b: Int64) -> UInt64 {
            var (x, y) = (a.magnitude, b.magnitude)
            while y != 0 { (x, y) = (y, x % y) }
            return x
        }
        add("gcd", [type, type], type, fails: true) { $0.map { (a: Int64, b: Int64) throws(RowFault) in try fit(divisor(a, b)) } }
        add("lcm", [type, type], type, fails: true) {
            $0.map { (a: Int64, b: Int64) throws(RowFault) -> Int64 in
                if a == 0 || b == 0 { return 0 }
                let (product, isOver) = (a.magnitude / divisor(a, b)).multipliedReportingOverflow(by: b.magnitude)
                if isOver { throw fault }
                return try fit(product)
            }
        }
    }
}
