// One value, boxed: for literals, tests and edges, never in a row loop.

/// Months, days and microseconds: they do not add up to each other until somebody compares or prints.
public struct Interval: Hashable, Sendable, BitwiseCopyable {
    public var micros: Int64
    public var days: Int32
    public var months: Int32

    public init(months: Int32 = 0, days: Int32 = 0, micros: Int64 = 0) {
        self.months = months
        self.days = days
        self.micros = micros
    }
}

/// The sixteen bytes of a uuid, the first one highest.
public struct UUIDWords: Hashable, Sendable, BitwiseCopyable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// One value of any type; the type is said beside it.
public enum Datum: Hashable, Sendable {
    case null
    case bool(Bool)
    /// Everything whose layout is a word: integers, dates and times.
    case word(Int64)
    case float(Double)
    case numeric(Numeric)
    case interval(Interval)
    case uuid(UUIDWords)
    /// text, and jsonb in its canonical text.
    case text(String)
    case bytes([UInt8])
    case list([Datum])
    case row([Datum])

    public var isNull: Bool { if case .null = self { true } else { false } }
}
