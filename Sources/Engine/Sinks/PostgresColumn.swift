// How a field's form in memory becomes a value of its column's type in PostgreSQL, and back.
//
// Staged values have the form in memory: bigint, double precision, boolean, timestamptz, text. What PostgreSQL does not turn into
// the column's type by itself when it is assigned, a cast does, without the type's modifier: `numeric(12,2)` is cast to `numeric`,
// and the assignment rounds it. With the modifier the cast would cut a text or a bit string that is too long, in silence; an
// assignment refuses it. Compared are keys as the table holds them, so there the cast has the modifier; whole numbers compare
// across their widths by themselves, and a cast could overflow. Read back is the form in memory again: text of everything that
// has none of its own, which relies on the settings that `PostgresDatabase` makes for each connection.

/// A field of a table of PostgreSQL.
struct PostgresColumn {
    let field: Field
    /// The column's type, in the spelling of `format_type`.
    let type: String
    /// The same without modifier and brackets.
    private let base: String
    private let isArray: Bool

    init(_ field: Field) {
        self.field = field
        type = field.sqlType ?? Self.usual(field)
        isArray = type.hasSuffix("[]")
        base = Self.base(type)
    }

    private static func usual(_ field: Field) -> String {
        switch field.type {
        case .text: "text"
        // Kafka's partition numbers have 32 bits, and the column is named for them.
        case .int64: field.name == "partition" ? "integer" : "bigint"
        case .float64: "double precision"
        case .bool: "boolean"
        case .timestamp: "timestamp with time zone"
        }
    }

    private static func base(_ type: String) -> String {
        var result = ""
        var depth = 0
        for sign in type where sign != "[" && sign != "]" {
            if sign == "(" { depth += 1 }
            if depth == 0 { result.append(sign) }
            if sign == ")" { depth -= 1 }
        }
        return result
    }

    private static let texts: Set = ["text", "character varying", "character", "name"]
    private var isText: Bool { !isArray && Self.texts.contains(base) }

    /// The type of its staged values.
    var stagedType: String {
        switch field.type {
        case .int64: "bigint"
        case .float64: "double precision"
        case .bool: "boolean"
        case .timestamp: "timestamp with time zone"
        case .text: "text"
        }
    }

    /// A staged value, to be assigned to the column.
    func assigned(_ value: String) -> String {
        guard field.type == .text, !isText else { return value }
        // Without a modifier these would have one place.
        let target = base == "character" ? "text" : base == "bit" ? "bit varying" : base
        return "\(value)::\(target)\(isArray ? "[]" : "")"
    }

    /// A staged value of a key, to be compared with the column by its index.
    func compared(_ value: String) -> String { comparedType.map { "\(value)::\($0)" } ?? value }

    private var comparedType: String? {
        switch field.type {
        case .int64, .bool, .timestamp: nil
        case .float64: type == "real" ? type : nil
        case .text: isText ? base == "character" ? "bpchar" : nil : type
        }
    }

    /// A parameter that is compared with the column and asked for NULL, which does not tell its type.
    func parameter(_ parameter: String) -> String { "CAST(\(parameter) AS \(comparedType ?? stagedType))" }

    /// The column in the form that it has in memory.
    func read(_ column: String) -> String {
        switch field.type {
        case .float64: type == "real" ? "\(column)::double precision" : column
        case .text: isText ? column : "\(column)::text"
        case .int64, .bool, .timestamp: column
        }
    }

    /// The column where it is compared with a value of the row: these types have no equality.
    func comparable(_ column: String) -> String { ["json", "xml"].contains(base) ? "\(column)::text" : column }

    /// A value that stands in an index for NULL, beside another column that tells the two apart; nil where none is known.
    var standIn: String? {
        if isArray { return "'{}'::\(type)" }
        switch base {
        case "smallint", "integer", "bigint", "real", "double precision", "numeric": return "0"
        case "boolean": return "false"
        case "text", "character varying", "character": return "''"
        case "timestamp with time zone", "timestamp without time zone", "date": return "'epoch'::\(base)"
        case "time without time zone", "interval": return "'00:00'::\(base)"
        case "uuid": return "'00000000-0000-0000-0000-000000000000'::uuid"
        case "jsonb": return "'null'::jsonb"
        case "bytea": return "''::bytea"
        default: return nil
        }
    }

    // MARK: what may be a type

    /// What is wrong with a field's `sqlType`; nil when it is right, or there is none.
    static func fault(_ field: Field) -> String? {
        guard let type = field.sqlType else { return nil }
        guard isSpelled(type) else { return "`\(type)` is not how PostgreSQL spells a type" }
        let wanted: ValueType =
            switch (base(type), type.hasSuffix("[]")) {
            case ("smallint", false), ("integer", false), ("bigint", false): .int64
            case ("real", false), ("double precision", false): .float64
            case ("boolean", false): .bool
            case ("timestamp with time zone", false) where field.type == .timestamp: .timestamp
            default: .text
            }
        return wanted == field.type ? nil : "its column \(field.name) of type \(type) is held as \(field.type.rawValue), not as \(wanted.rawValue)"
    }

    /// Words of small letters with a modifier of numbers and brackets: nothing that could end a type and begin something else.
    private static func isSpelled(_ type: String) -> Bool {
        guard type.utf8.allSatisfy({ $0 < 128 }) else { return false }
        var isInside = false
        var last: Character = " "
        var bare = type[...]
        while bare.hasSuffix("[]") { bare = bare.dropLast(2) }
        for sign in bare {
            switch sign {
            case "a"..."z", "_", ".": if isInside { return false }
            case "0"..."9": if last == " " && !isInside { return false }
            case " ": if isInside || last == " " { return false }
            case "(": if isInside || last == " " { return false } else { isInside = true }
            case ")": if !isInside || last == "," || last == "(" { return false } else { isInside = false }
            case ",": if !isInside || !last.isNumber { return false }
            case "-": if last != "," && last != "(" { return false }
            default: return false
            }
            last = sign
        }
        return !isInside && last != " "
    }
}
