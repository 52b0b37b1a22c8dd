// Casts between numbers, and to and from bool.
//
// A float becomes an integer or a numeric by rounding halves to the even neighbour; a numeric becomes an integer by rounding halves
// away from zero.

import Glibc

extension Casts {
    static func addNumberCasts(_ add: Adder) {
        let integers: [SQLType] = [.int2, .int4, .int8]
        for (i, source) in integers.enumerated() {
            for (j, target) in integers.enumerated() where i != j {
                let bounds = IntegerText.bounds(of: target)
                let fault = RowFault.range(target)
                add(source, target, i < j ? .implicit : .assignment, i > j) {
                    $0.map { (a: Int64) throws(RowFault) -> Int64 in
                        guard bounds.contains(a) else { throw fault }
                        return a
                    }
                }
            }
            add(source, .float4, .implicit, false) { $0.map { (a: Int64) in Double(Float(a)) } }
            add(source, .float8, .implicit, false) { $0.map { (a: Int64) in Double(a) } }
            add(source, .numeric, .implicit, false) { $0.map { (a: Int64) in Numeric(a) } }
            for float: SQLType in [.float4, .float8] { add(float, source, .assignment, true) { fromFloat(&$0, to: source) } }
            add(.numeric, source, .assignment, true) { fromNumeric(&$0, to: source) }
        }
        add(.float4, .float8, .implicit, false) { $0.map { (a: Double) in a } }
        add(.float8, .float4, .assignment, true) { $0.map { (a: Double) throws(RowFault) in try single(a) } }
        add(.numeric, .float8, .implicit, true) { call in
            var scratch = call.scratch()
            call.map { (a: Numeric) throws(RowFault) in try float(a, .float8, &scratch) }
        }
        add(.numeric, .float4, .implicit, true) { call in
            var scratch = call.scratch()
            call.map { (a: Numeric) throws(RowFault) in try float(a, .float4, &scratch) }
        }
        // As many digits as a float surely has: 15, or 6.
        add(.float8, .numeric, .assignment, true) { $0.map { (a: Double) throws(RowFault) in try numeric(a, digits: 15) } }
        add(.float4, .numeric, .assignment, true) { $0.map { (a: Double) throws(RowFault) in try numeric(a, digits: 6) } }
        add(.bool, .int4, .explicit, false) { $0.map { (a: Bool) in a ? Int64(1) : 0 } }
        add(.int4, .bool, .explicit, false) { $0.map { (a: Int64) in a != 0 } }
    }

    private static func fromFloat(_ call: inout KernelCall, to type: SQLType) {
        let bounds = IntegerText.bounds(of: type)
        let fault = RowFault.range(type)
        call.map { (a: Double) throws(RowFault) -> Int64 in
            guard let value = Int64(exactly: a.rounded(.toNearestOrEven)), bounds.contains(value) else { throw fault }
            return value
        }
    }

    private static func fromNumeric(_ call: inout KernelCall, to type: SQLType) {
        let bounds = IntegerText.bounds(of: type)
        let fault = RowFault.range(type)
        call.map { (a: Numeric) throws(RowFault) -> Int64 in try integer(a, bounds, fault, type) }
    }

    /// A numeric as an integer of some type.
    static func integer(_ value: Numeric, _ bounds: ClosedRange<Int64>, _ fault: RowFault, _ type: SQLType) throws(RowFault) -> Int64 {
        if value.isSpecial { throw .unsupported("cannot convert \(value.isNaN ? "NaN" : "infinity") to \(type.name)") }
        guard let whole = Int64(exactly: try value.rescaled(0).units), bounds.contains(whole) else { throw fault }
        return whole
    }

    private static func single(_ value: Double) throws(RowFault) -> Double {
        let single = Double(Float(value))
        if single.isInfinite && value.isFinite { throw .floatOverflow }
        if single == 0 && value != 0 { throw .floatUnderflow }
        return single
    }

    /// - Parameter scratch: memory for its digits, whatever is in it.
    static func float(_ value: Numeric, _ type: SQLType, _ scratch: inout ByteBuilder) throws(RowFault) -> Double {
        if value.isSpecial { return value.isNaN ? .nan : value.isNegative ? -.infinity : .infinity }
        // Through its digits, as the text would be read: rounded once.
        if value.scale == 0, let small = Int64(exactly: value.units), small.magnitude < 1 << 53, type == .float8 { return Double(small) }
        scratch.truncate(to: 0)
        NumericText.write(value, &scratch)
        return try FloatText.parse(scratch.bytes, type)
    }

    static func numeric(_ value: Double, digits: Int) throws(RowFault) -> Numeric {
        if value.isNaN { return .nan }
        if value.isInfinite { return value < 0 ? Numeric.infinity.negated : .infinity }
        // `gcvt` is `%.*g` without a list of arguments, which would be an object.
        return try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text throws(RowFault) -> Numeric in
            let start = gcvt(value, Int32(digits), text.baseAddress!)!
            return try NumericText.parse(Bytes(start: start, count: strlen(start)))
        }
    }

    /// numeric(precision, scale).
    static let fitDigits = overload("fit", [.numeric, .int4, .int4], .numeric, fails: true) {
        $0.map { (a: Numeric, p: Int64, s: Int64) throws(RowFault) in try a.fitted(precision: Int(p), scale: Int(s)) }
    }
}
