// Comparisons: = <> < <= > >= over every scalar type.
//
// Integers of all widths are compared as they are, floats too: the mixed ones have lines of their own, so that no cast stands
// between a column and its constant. Equality and order are `ValueOrder`'s.

extension FunctionTable {
    mutating func addComparisons() {
        let integers: [SQLType] = [.int2, .int4, .int8]
        for left in integers { for right in integers { addComparisons(left, right, WordOrder.self) } }
        for type: SQLType in [.date, .time, .timestamp, .timestamptz] { addComparisons(type, type, WordOrder.self) }
        for left: SQLType in [.float4, .float8] { for right: SQLType in [.float4, .float8] { addComparisons(left, right, FloatOrder.self) } }
        addComparisons(.bool, .bool, BoolOrder.self)
        addComparisons(.numeric, .numeric, NumericOrder.self)
        addComparisons(.interval, .interval, IntervalOrder.self)
        addComparisons(.uuid, .uuid, UUIDOrder.self)
        addComparisons(.jsonb, .jsonb, DocumentOrder.self)
        addComparisons(.text, .text, BytesOrder.self)
        addComparisons(.bytea, .bytea, BytesOrder.self)
        let pairs: [(SQLType, SQLType)] = [
            (.date, .timestamp), (.timestamp, .date), (.date, .timestamptz), (.timestamptz, .date), (.timestamp, .timestamptz),
            (.timestamptz, .timestamp),
        ]
        for (left, right) in pairs {
            addMixed(left, right, EqualTest.self)
            addMixed(left, right, UnequalTest.self)
            addMixed(left, right, LessTest.self)
            addMixed(left, right, NotGreaterTest.self)
            addMixed(left, right, GreaterTest.self)
            addMixed(left, right, NotLessTest.self)
        }
    }

    private mutating func addComparisons<Order: ValueOrder>(_ left: SQLType, _ right: SQLType, _ order: Order.Type) {
        addComparison(left, right, order, EqualTest.self)
        addComparison(left, right, order, UnequalTest.self)
        addComparison(left, right, order, LessTest.self)
        addComparison(left, right, order, NotGreaterTest.self)
        addComparison(left, right, order, GreaterTest.self)
        addComparison(left, right, order, NotLessTest.self)
    }

    private mutating func addComparison<Order: ValueOrder, Test: OrderTest>(_ left: SQLType, _ right: SQLType, _: Order.Type, _: Test.Type) {
        add(Test.name, [left, right], .bool) { $0.map { (a: Order.Value, b: Order.Value) in Test.holds(Order.compare(a, b)) } }
    }

    /// A date is its midnight, a time without a zone is one of the session's.
    private mutating func addMixed<Test: OrderTest>(_ left: SQLType, _ right: SQLType, _: Test.Type) {
        let hasZone = left == .timestamptz || right == .timestamptz
        add(Test.name, [left, right], .bool, volatility: hasZone ? .stable : .immutable) { call in
            let zone = hasZone ? call.context.zone : nil
            let (leftUnit, rightUnit) = (MixedTime.unit(left), MixedTime.unit(right))
            let (leftZone, rightZone) = (left == .timestamptz ? nil : zone, right == .timestamptz ? nil : zone)
            call.map { (a: Int64, b: Int64) in
                let (x, y) = (MixedTime.moment(a, leftUnit, leftZone), MixedTime.moment(b, rightUnit, rightZone))
                return Test.holds(x < y ? -1 : x == y ? 0 : 1)
            }
        }
    }
}

private enum MixedTime {
    /// Microseconds in one of the type's values.
    static func unit(_ type: SQLType) -> Int64 { type == .date ? Calendar.microsPerDay : 1 }

    /// - Parameter zone: whose local time it is; nil where it is compared as it is.
    @inline(__always)
    static func moment(_ value: Int64, _ unit: Int64, _ zone: Zone?) -> Int128 {
        let local = Int128(value) * Int128(unit)
        // Beyond the range of moments there are only dates: they stay in their order.
        guard let zone, let inRange = Int64(exactly: local) else { return local }
        return Int128((try? zone.moment(inRange)) ?? inRange)
    }
}

/// What a comparison asks of an order.
private protocol OrderTest: SendableMetatype {
    static var name: String { get }
    static func holds(_ order: Int) -> Bool
}

private enum EqualTest: OrderTest {
    static let name = "="
    @inline(__always)
    static func holds(_ order: Int) -> Bool { order == 0 }
}

private enum UnequalTest: OrderTest {
    static let name = "<>"
    @inline(__always)
    static func holds(_ order: Int) -> Bool { order != 0 }
}

private enum LessTest: OrderTest {
    static let name = "<"
    @inline(__always)
    static func holds(_ order: Int) -> Bool { order < 0 }
}

private enum NotGreaterTest: OrderTest {
    static let name = "<="
    @inline(__always)
    static func holds(_ order: Int) -> Bool { order <= 0 }
}

private enum GreaterTest: OrderTest {
    static let name = ">"
    @inline(__always)
    static func holds(_ order: Int) -> Bool { order > 0 }
}

private enum NotLessTest: OrderTest {
    static let name = ">="
    @inline(__always)
    static func holds(_ order: Int) -> Bool { order >= 0 }
}
