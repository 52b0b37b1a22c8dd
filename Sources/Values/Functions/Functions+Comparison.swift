// Comparisons: = <> < <= > >= over every scalar type.
//
// Integers of all widths are compared as they are, floats too: the mixed ones have lines of their own, so that no cast stands
// between a column and its constant. Equality and order are `KeyOrder`'s.

extension FunctionTable {
    mutating func addComparisons() {
        let integers: [SQLType] = [.int2, .int4, .int8]
        for left in integers { for right in integers { addWordComparisons(left, right) } }
        for type: SQLType in [.date, .time, .timestamp, .timestamptz] { addWordComparisons(type, type) }
        for left: SQLType in [.float4, .float8] { for right: SQLType in [.float4, .float8] { addFloatComparisons(left, right) } }
        addOrdered(.bool, .bool) { (a: Bool, b: Bool) in Int(a ? 1 : 0) - Int(b ? 1 : 0) }
        addOrdered(.numeric, .numeric) { (a: Numeric, b: Numeric) in Numeric.compare(a, b) }
        addOrdered(.interval, .interval) { (a: Interval, b: Interval) in a.span < b.span ? -1 : a.span == b.span ? 0 : 1 }
        addOrdered(.uuid, .uuid) { (a: UUIDWords, b: UUIDWords) in UUIDWords.compare(a, b) }
        addOrdered(.jsonb, .jsonb) { (a: Bytes, b: Bytes) in JSONOrder.compare(a, b) }
        addByteComparisons(.text)
        addByteComparisons(.bytea)
        addMixedTimeComparisons()
    }

    private mutating func addWordComparisons(_ left: SQLType, _ right: SQLType) {
        add("=", [left, right], .bool) { $0.map { (a: Int64, b: Int64) in a == b } }
        add("<>", [left, right], .bool) { $0.map { (a: Int64, b: Int64) in a != b } }
        add("<", [left, right], .bool) { $0.map { (a: Int64, b: Int64) in a < b } }
        add("<=", [left, right], .bool) { $0.map { (a: Int64, b: Int64) in a <= b } }
        add(">", [left, right], .bool) { $0.map { (a: Int64, b: Int64) in a > b } }
        add(">=", [left, right], .bool) { $0.map { (a: Int64, b: Int64) in a >= b } }
    }

    private mutating func addFloatComparisons(_ left: SQLType, _ right: SQLType) {
        add("=", [left, right], .bool) { $0.map { (a: Double, b: Double) in FloatOrder.compare(a, b) == 0 } }
        add("<>", [left, right], .bool) { $0.map { (a: Double, b: Double) in FloatOrder.compare(a, b) != 0 } }
        add("<", [left, right], .bool) { $0.map { (a: Double, b: Double) in FloatOrder.compare(a, b) < 0 } }
        add("<=", [left, right], .bool) { $0.map { (a: Double, b: Double) in FloatOrder.compare(a, b) <= 0 } }
        add(">", [left, right], .bool) { $0.map { (a: Double, b: Double) in FloatOrder.compare(a, b) > 0 } }
        add(">=", [left, right], .bool) { $0.map { (a: Double, b: Double) in FloatOrder.compare(a, b) >= 0 } }
    }

    private mutating func addByteComparisons(_ type: SQLType) {
        add("=", [type, type], .bool) { $0.map { (a: Bytes, b: Bytes) in a.count == b.count && Bytes.compare(a, b) == 0 } }
        add("<>", [type, type], .bool) { $0.map { (a: Bytes, b: Bytes) in a.count != b.count || Bytes.compare(a, b) != 0 } }
        add("<", [type, type], .bool) { $0.map { (a: Bytes, b: Bytes) in Bytes.compare(a, b) < 0 } }
        add("<=", [type, type], .bool) { $0.map { (a: Bytes, b: Bytes) in Bytes.compare(a, b) <= 0 } }
        add(">", [type, type], .bool) { $0.map { (a: Bytes, b: Bytes) in Bytes.compare(a, b) > 0 } }
        add(">=", [type, type], .bool) { $0.map { (a: Bytes, b: Bytes) in Bytes.compare(a, b) >= 0 } }
    }

    private mutating func addOrdered<A: VectorElement & SendableMetatype, B: VectorElement & SendableMetatype>(
        _ left: SQLType, _ right: SQLType, _ order: @escaping @Sendable (A, B) -> Int
    ) {
        add("=", [left, right], .bool) { $0.map { (a: A, b: B) in order(a, b) == 0 } }
        add("<>", [left, right], .bool) { $0.map { (a: A, b: B) in order(a, b) != 0 } }
        add("<", [left, right], .bool) { $0.map { (a: A, b: B) in order(a, b) < 0 } }
        add("<=", [left, right], .bool) { $0.map { (a: A, b: B) in order(a, b) <= 0 } }
        add(">", [left, right], .bool) { $0.map { (a: A, b: B) in order(a, b) > 0 } }
        add(">=", [left, right], .bool) { $0.map { (a: A, b: B) in order(a, b) >= 0 } }
    }

    /// A date is its midnight, a time without a zone is one of the session's.
    private mutating func addMixedTimeComparisons() {
        let pairs: [(SQLType, SQLType)] = [
            (.date, .timestamp), (.timestamp, .date), (.date, .timestamptz), (.timestamptz, .date), (.timestamp, .timestamptz),
            (.timestamptz, .timestamp),
        ]
        for (left, right) in pairs {
            addMixed("=", left, right) { $0 == 0 }
            addMixed("<>", left, right) { $0 != 0 }
            addMixed("<", left, right) { $0 < 0 }
            addMixed("<=", left, right) { $0 <= 0 }
            addMixed(">", left, right) { $0 > 0 }
            addMixed(">=", left, right) { $0 >= 0 }
        }
    }

    private mutating func addMixed(_ name: String, _ left: SQLType, _ right: SQLType, _ test: @escaping @Sendable (Int) -> Bool) {
        let hasZone = left == .timestamptz || right == .timestamptz
        add(name, [left, right], .bool, volatility: hasZone ? .stable : .immutable) { call in
            let zone = call.context.zone
            // Beyond the range of moments there are only dates: they stay in their order.
            func moment(_ value: Int64, _ type: SQLType) -> Int128 {
                if type == .timestamptz { return Int128(value) }
                let local = Int128(value) * (type == .date ? Int128(Calendar.microsPerDay) : 1)
                guard hasZone, let inRange = Int64(exactly: local) else { return local }
                return Int128((try? zone.moment(inRange)) ?? inRange)
            }
            call.map { (a: Int64, b: Int64) in
                let (x, y) = (moment(a, left), moment(b, right))
                return test(x < y ? -1 : x == y ? 0 : 1)
            }
        }
    }
}
