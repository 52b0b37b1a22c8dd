// How values of one type stand to each other: an order a type, known to the compiler wherever rows are compared.
//
//   ValueOrder   two values                     kernels of = and <, out of `Functions+Comparison`
//   RowOrder     two rows, NULLs among them     loops of the program: IN, IS DISTINCT FROM, GREATEST
//
// A loop over rows is generic over its order (`RowOrderLoop`), and `KeyOrder.run` chooses the order once for a chunk: so each loop is
// compiled for each order, and nothing is called through a pointer per row. Lists and rows are the exception: they ask their parts' orders,
// which are made once for a chunk, too.

/// The order of a type's values.
package protocol ValueOrder: SendableMetatype {
    associatedtype Value: VectorElement & SendableMetatype
    /// -1, 0 or 1.
    static func compare(_ a: Value, _ b: Value) -> Int
}

enum BoolOrder: ValueOrder {
    @inline(__always)
    static func compare(_ a: Bool, _ b: Bool) -> Int { (a ? 1 : 0) - (b ? 1 : 0) }
}

/// Integers, dates and times.
enum WordOrder: ValueOrder {
    @inline(__always)
    static func compare(_ a: Int64, _ b: Int64) -> Int { a < b ? -1 : a == b ? 0 : 1 }
}

/// Floats: NaN is equal to itself and above every number, 0 and -0 are equal.
enum FloatOrder: ValueOrder {
    /// What two equal floats have in common.
    @inline(__always)
    static func bits(_ value: Double) -> UInt64 { value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : value.bitPattern }

    @inline(__always)
    static func compare(_ a: Double, _ b: Double) -> Int {
        if a < b { return -1 }
        if a > b { return 1 }
        if a == b { return 0 }
        return a.isNaN ? b.isNaN ? 0 : 1 : -1
    }
}

enum NumericOrder: ValueOrder {
    @inline(__always)
    static func compare(_ a: Numeric, _ b: Numeric) -> Int { Numeric.compare(a, b) }
}

enum IntervalOrder: ValueOrder {
    @inline(__always)
    static func compare(_ a: Interval, _ b: Interval) -> Int {
        let (x, y) = (a.span, b.span)
        return x < y ? -1 : x == y ? 0 : 1
    }
}

enum UUIDOrder: ValueOrder {
    @inline(__always)
    static func compare(_ a: UUIDWords, _ b: UUIDWords) -> Int {
        if a.high != b.high { return a.high < b.high ? -1 : 1 }
        return a.low == b.low ? 0 : a.low < b.low ? -1 : 1
    }
}

/// Text and bytea.
enum BytesOrder: ValueOrder {
    @inline(__always)
    static func compare(_ a: Bytes, _ b: Bytes) -> Int { Bytes.compare(a, b) }
}

enum DocumentOrder: ValueOrder {
    static func compare(_ a: Bytes, _ b: Bytes) -> Int { JSONOrder.compare(a, b) }
}

/// The order of the rows of two vectors of one type. NULL equals NULL, and is above everything.
package protocol RowOrder {
    /// -1, 0 or 1.
    func compare(_ row: Int, _ other: Int) -> Int
}

/// A loop over rows that compares them.
protocol RowOrderLoop {
    associatedtype Result
    mutating func run<Order: RowOrder>(_ order: Order) -> Result
}

private struct FlatOrder<Order: ValueOrder>: RowOrder {
    let x: VectorView
    let y: VectorView

    @inline(__always)
    func compare(_ row: Int, _ other: Int) -> Int { Order.compare(Order.Value.load(x, row), Order.Value.load(y, other)) }
}

private struct ListOrder: RowOrder {
    let x: VectorView
    let y: VectorView
    let entries: any RowOrder

    func compare(_ row: Int, _ other: Int) -> Int {
        let (left, right) = (x.span(row), y.span(other))
        for index in 0..<min(left.count, right.count) {
            let order = entries.compare(Int(left.start + index), Int(right.start + index))
            if order != 0 { return order }
        }
        return left.count == right.count ? 0 : left.count < right.count ? -1 : 1
    }
}

private struct FieldsOrder: RowOrder {
    let x: VectorView
    let y: VectorView
    let fields: [any RowOrder]

    func compare(_ row: Int, _ other: Int) -> Int {
        let (left, right) = (x.place(row), y.place(other))
        for field in fields {
            let order = field.compare(left, right)
            if order != 0 { return order }
        }
        return 0
    }
}

private struct NullableOrder<Order: RowOrder>: RowOrder {
    let known: Order
    let x: VectorView
    let y: VectorView

    @inline(__always)
    func compare(_ row: Int, _ other: Int) -> Int {
        switch (x.isNull(row), y.isNull(other)) {
        case (true, true): 0
        case (true, false): 1
        case (false, true): -1
        case (false, false): known.compare(row, other)
        }
    }
}

extension KeyOrder {
    /// Runs a loop with the order of two vectors of a type: chosen here, once.
    static func run<Loop: RowOrderLoop>(_ type: SQLType, _ a: Vector, _ b: Vector, _ loop: inout Loop) -> Loop.Result {
        let (x, y) = (a.view, b.view)
        @inline(__always) func flat<Order: ValueOrder>(_: Order.Type, _ loop: inout Loop) -> Loop.Result {
            withNulls(FlatOrder<Order>(x: x, y: y), x, y, &loop)
        }
        switch type {
        case .bool: return flat(BoolOrder.self, &loop)
        case .int2, .int4, .int8, .date, .time, .timestamp, .timestamptz: return flat(WordOrder.self, &loop)
        case .float4, .float8: return flat(FloatOrder.self, &loop)
        case .numeric: return flat(NumericOrder.self, &loop)
        case .interval: return flat(IntervalOrder.self, &loop)
        case .uuid: return flat(UUIDOrder.self, &loop)
        case .unknown, .text, .bytea: return flat(BytesOrder.self, &loop)
        case .jsonb: return flat(DocumentOrder.self, &loop)
        case .list(let element): return withNulls(ListOrder(x: x, y: y, entries: rows(element, a.children[0], b.children[0])), x, y, &loop)
        case .row(let fields):
            let orders = fields.enumerated().map { index, field in rows(field.type, a.children[index], b.children[index]) }
            return withNulls(FieldsOrder(x: x, y: y, fields: orders), x, y, &loop)
        }
    }

    @inline(__always)
    private static func withNulls<Order: RowOrder, Loop: RowOrderLoop>(
        _ order: Order, _ x: VectorView, _ y: VectorView, _ loop: inout Loop
    ) -> Loop.Result {
        if x.validity == nil && y.validity == nil { return loop.run(order) }
        return loop.run(NullableOrder(known: order, x: x, y: y))
    }

    /// The order itself, for what is no loop over rows.
    package static func rows(_ type: SQLType, _ a: Vector, _ b: Vector) -> any RowOrder {
        struct Boxing: RowOrderLoop {
            mutating func run<Order: RowOrder>(_ order: Order) -> any RowOrder { order }
        }
        var boxing = Boxing()
        return run(type, a, b, &boxing)
    }
}
