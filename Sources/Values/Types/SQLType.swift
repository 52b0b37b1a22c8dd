// The SQL types, and the few layouts in which their values lie in memory.
//
// A type is what a person declares and what decides which function is meant; a layout is what a row loop sees. int2 and a
// timestamp are both 64-bit words, so a kernel for words serves both. Names, categories and the preferred type of a category
// are PostgreSQL's, because function resolution is (`Resolution.swift`).
//
// A modifier (the 10,2 of numeric(10,2), the 3 of timestamp(3), the 20 of varchar(20)) is not part of the type: results of
// functions have none, and a cast to such a type is a cast followed by one function that brings the value to its length.
// varchar is text with a modifier. char(n), timetz, bit and money do not exist here: their names are refused by `named`.
//
// When adding a type: give it its layout, category, name and array name here, its text form in `Text/`, its hash and order in
// `Vectors/KeyOrder.swift`, its casts in `Functions/Casts.swift`; the switches are exhaustive on purpose.

import Wording

/// A type of SQL.
public indirect enum SQLType: Hashable, Sendable {
    /// A literal or NULL whose type nobody has said yet; never the type of a column.
    case unknown
    case bool
    case int2, int4, int8
    case float4, float8
    /// Up to 38 digits; each value carries its own scale.
    case numeric
    case text, bytea
    case date, time, timestamp, timestamptz, interval
    case uuid, jsonb
    case list(SQLType)
    case row([RowField])
}

/// One column of a row type.
public struct RowField: Hashable, Sendable {
    public var name: String
    public var type: SQLType

    public init(name: String, type: SQLType) {
        self.name = name
        self.type = type
    }
}

/// How the values of a type lie in a vector.
public enum Layout: Sendable, Hashable {
    /// One byte a row, 0 or 1.
    case bool
    /// `Int64`: integers; days since 1970-01-01 (date); microseconds since midnight (time) or since 1970-01-01 (timestamps, those
    /// with a zone in UTC).
    case word
    /// `Double`; a float4 is rounded after each step.
    case float
    /// 128 bits: a uuid, big end first; an interval as months, days and microseconds; the units of a numeric, whose scale lies
    /// in a buffer of bytes beside it.
    case wide
    /// A `Span` a row into one buffer of bytes.
    case bytes
    /// A `Span` a row into one child vector.
    case list
    /// One child vector a field.
    case row
}

/// PostgreSQL's `typcategory`: what decides between functions where nothing fits exactly.
public enum TypeCategory: Character, Sendable, Hashable {
    case unknown = "X"
    case boolean = "B"
    case numeric = "N"
    case string = "S"
    case dateTime = "D"
    case timespan = "T"
    case user = "U"
    case array = "A"
    case composite = "C"
}

/// What a type name says beside the type.
public enum TypeModifier: Hashable, Sendable {
    case none
    /// numeric(precision, scale).
    case digits(precision: Int, scale: Int)
    /// varchar(n).
    case length(Int)
    /// time(p), timestamp(p), timestamptz(p), interval(p): digits behind the second.
    case fraction(Int)
}

extension SQLType {
    public var layout: Layout {
        switch self {
        case .bool: .bool
        case .int2, .int4, .int8, .date, .time, .timestamp, .timestamptz: .word
        case .float4, .float8: .float
        case .numeric, .interval, .uuid: .wide
        case .unknown, .text, .bytea, .jsonb: .bytes
        case .list: .list
        case .row: .row
        }
    }

    public var category: TypeCategory {
        switch self {
        case .unknown: .unknown
        case .bool: .boolean
        case .int2, .int4, .int8, .float4, .float8, .numeric: .numeric
        case .text: .string
        case .date, .time, .timestamp, .timestamptz: .dateTime
        case .interval: .timespan
        case .bytea, .uuid, .jsonb: .user
        case .list: .array
        case .row: .composite
        }
    }

    /// Whether the type is the one of its category that a literal tends to.
    public var isPreferred: Bool {
        switch self {
        case .bool, .float8, .text, .timestamptz, .interval: true
        default: false
        }
    }

    /// The name as PostgreSQL's `format_type` says it.
    public var name: String {
        switch self {
        case .unknown: "unknown"
        case .bool: "boolean"
        case .int2: "smallint"
        case .int4: "integer"
        case .int8: "bigint"
        case .float4: "real"
        case .float8: "double precision"
        case .numeric: "numeric"
        case .text: "text"
        case .bytea: "bytea"
        case .date: "date"
        case .time: "time without time zone"
        case .timestamp: "timestamp without time zone"
        case .timestamptz: "timestamp with time zone"
        case .interval: "interval"
        case .uuid: "uuid"
        case .jsonb: "jsonb"
        case .list(let element): element.name + "[]"
        case .row(let fields): "row(" + fields.map { "\($0.name) \($0.type.name)" }.joined(separator: ", ") + ")"
        }
    }

    /// The scalar types that a column can have, in the order of this page.
    public static let scalars: [SQLType] = [
        .bool, .int2, .int4, .int8, .float4, .float8, .numeric, .text, .bytea, .date, .time, .timestamp, .timestamptz, .interval,
        .uuid, .jsonb,
    ]

    /// Every spelling of a type's name, in lower case, as PostgreSQL's grammar and `pg_type` have them.
    private static let names: [String: SQLType] = [
        "bool": .bool, "boolean": .bool, "int2": .int2, "smallint": .int2, "int4": .int4, "int": .int4, "integer": .int4,
        "int8": .int8, "bigint": .int8, "float4": .float4, "real": .float4, "float8": .float8, "double precision": .float8,
        "float": .float8, "numeric": .numeric, "decimal": .numeric, "text": .text, "varchar": .text, "character varying": .text,
        "bytea": .bytea, "date": .date, "time": .time, "time without time zone": .time, "timestamp": .timestamp,
        "timestamp without time zone": .timestamp, "timestamptz": .timestamptz, "timestamp with time zone": .timestamptz,
        "interval": .interval, "uuid": .uuid, "jsonb": .jsonb,
    ]

    /// The type that a name means.
    ///
    /// - Parameter name: as the parser gives it (`int4`, `timestamptz`) or as a person writes it; without a modifier, `[]`
    ///   behind it for a list.
    /// - Throws: `BindError` naming what is nearest.
    public static func named(_ name: String) throws(BindError) -> SQLType {
        let word = name.lowercased()
        if word.hasSuffix("[]") { return .list(try named(String(word.dropLast(2)))) }
        // pg_type's own name of an array type.
        if word.hasPrefix("_"), let element = names[String(word.dropFirst())] { return .list(element) }
        if let type = names[word] { return type }
        let refused = [
            "bpchar": "text", "char": "text", "character": "text", "timetz": "time or timestamptz",
            "time with time zone": "time or timestamptz", "json": "jsonb", "money": "numeric", "bit": "bytea", "varbit": "bytea",
        ]
        if let instead = refused[word] {
            throw BindError("there is no type \(name)", why: "it is not supported", now: "use \(instead)")
        }
        throw BindError(
            "there is no type \(name)", why: "no type has that name",
            now: "the nearest names are \(closestNames(to: word, among: names.keys).joined(separator: ", "))")
    }
}
