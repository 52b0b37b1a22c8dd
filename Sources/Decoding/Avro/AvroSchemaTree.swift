// The schema of Avro records: its JSON becomes a table of nodes that name each other by index, because a named type may contain itself.
//
// Logical types are read where Avro puts them, beside the type of a field (where whoever wrote them meant them), and by the `connect.name` that
// Debezium and Kafka Connect put on numbers which are times. A logical type that is not known here is never taken for its base type: a column that
// would read it is refused by name.

import Values

struct AvroSchemaTree {
    enum Logical: Hashable {
        /// Moments, and local times without a zone, in units of so many to the second (or, below, nanoseconds).
        case moment(TimeUnit), local(TimeUnit)
        case date
        case timeOfDay(TimeUnit)
        case decimal(scale: Int)
        case uuid
        case duration
        /// Microseconds.
        case length
        /// A text that is JSON.
        case json
        case unknown(String)
    }

    struct Field: Hashable {
        let name: String
        let node: Int
    }

    enum Node: Hashable {
        case null, boolean, int, long, float, double, bytes, string
        case fixed(size: Int)
        case enumeration(symbols: [String])
        case array(items: Int)
        case map(values: Int)
        case union(branches: [Int])
        case record(name: String, fields: [Field])
    }

    /// Node 0 is the root.
    let nodes: [Node]
    /// By index into `nodes`.
    let logical: [Int: Logical]
    /// The fewest bytes that a value of each node can take; `never` where no finite value exists.
    let smallest: [Int]

    static let never = RecordLimits.recordBytes + 1

    init(text: String) throws(DecodingError) {
        guard let json = SchemaJSON(parsing: text) else { throw Self.wrong("its text is no JSON") }
        var builder = SchemaBuilder()
        _ = try builder.add(json, namespace: "", depth: 0)
        nodes = builder.nodes.map { $0! }
        logical = builder.logical
        smallest = Self.smallestSizes(nodes)
    }

    static func wrong(_ why: String) -> DecodingError { DecodingError("the schema is no Avro schema", why: why, now: "give the schema that the records are written with") }

    /// The fields of the root; nil where it is no record.
    var rootFields: [Field]? { if case .record(_, let fields) = nodes[0] { fields } else { nil } }

    /// The type's name in Avro's words, for errors.
    func describe(_ node: Int) -> String {
        switch logical[node] {
        case .moment(let unit): return "\(baseName(node)) (timestamp in \(unit.rawValue))"
        case .local(let unit): return "\(baseName(node)) (local timestamp in \(unit.rawValue))"
        case .date: return "\(baseName(node)) (date)"
        case .timeOfDay(let unit): return "\(baseName(node)) (time in \(unit.rawValue))"
        case .decimal(let scale): return "\(baseName(node)) (decimal with scale \(scale))"
        case .uuid: return "\(baseName(node)) (uuid)"
        case .duration, .length: return "\(baseName(node)) (duration)"
        case .json: return "\(baseName(node)) (json)"
        case .unknown(let name): return "\(baseName(node)) (\(name))"
        case nil: return baseName(node)
        }
    }

    private func baseName(_ node: Int) -> String {
        switch nodes[node] {
        case .null: "null"
        case .boolean: "boolean"
        case .int: "int"
        case .long: "long"
        case .float: "float"
        case .double: "double"
        case .bytes: "bytes"
        case .string: "string"
        case .fixed(let size): "fixed of \(size) bytes"
        case .enumeration: "an enum"
        case .array: "an array"
        case .map: "a map"
        case .union(let branches): "a union of " + branches.map { describe($0) }.joined(separator: ", ")
        case .record(let name, _): "the record \(name)"
        }
    }

    /// Found from above, round by round, so that types which contain themselves need no special case.
    private static func smallestSizes(_ nodes: [Node]) -> [Int] {
        var sizes = Array(repeating: never, count: nodes.count)
        var isChanged = true
        while isChanged {
            isChanged = false
            for index in sizes.indices.reversed() {
                let size =
                    switch nodes[index] {
                    case .null: 0
                    case .boolean, .int, .long, .string, .bytes, .enumeration, .array, .map: 1
                    case .float: 4
                    case .double: 8
                    case .fixed(let bytes): bytes
                    case .union(let parts): min(1 + (parts.map { sizes[$0] }.min() ?? 0), never)
                    case .record(_, let fields): fields.reduce(0) { min($0 + sizes[$1.node], never) }
                    }
                if size != sizes[index] {
                    sizes[index] = size
                    isChanged = true
                }
            }
        }
        return sizes
    }
}

private struct SchemaBuilder {
    /// nil while a node's parts are being added.
    var nodes: [AvroSchemaTree.Node?] = []
    var logical: [Int: AvroSchemaTree.Logical] = [:]
    private var named: [String: Int] = [:]

    private static let primitives: [String: AvroSchemaTree.Node] = [
        "null": .null, "boolean": .boolean, "int": .int, "long": .long, "float": .float, "double": .double, "bytes": .bytes, "string": .string,
    ]

    mutating func add(_ json: SchemaJSON, namespace: String, depth: Int, beside: SchemaJSON? = nil) throws(DecodingError) -> Int {
        guard depth < 100 else { throw AvroSchemaTree.wrong("its types are nested deeper than 100 levels") }
        switch json {
        case .text(let name):
            if let node = Self.primitives[name] { return add(node, beside ?? .other) }
            guard let known = named[Self.full(name, namespace)] ?? named[name] else {
                throw AvroSchemaTree.wrong("the type \(name) is not defined before it is used")
            }
            return known
        case .list(let branches):
            let index = nodes.count
            nodes.append(nil)
            var parts: [Int] = []
            for branch in branches {
                if case .list = branch { throw AvroSchemaTree.wrong("a union stands directly in a union") }
                parts.append(try add(branch, namespace: namespace, depth: depth + 1, beside: beside))
            }
            guard !parts.isEmpty else { throw AvroSchemaTree.wrong("a union has no branches") }
            nodes[index] = .union(branches: parts)
            return index
        case .object: return try add(type: json, namespace: namespace, depth: depth, beside: beside)
        case .number, .other: throw AvroSchemaTree.wrong("a type is neither a name, nor an object, nor a list")
        }
    }

    private mutating func add(_ node: AvroSchemaTree.Node, _ json: SchemaJSON) -> Int {
        nodes.append(node)
        if let logical = Self.logical(json, of: node) { self.logical[nodes.count - 1] = logical }
        return nodes.count - 1
    }

    private mutating func add(type json: SchemaJSON, namespace: String, depth: Int, beside: SchemaJSON?) throws(DecodingError) -> Int {
        guard let type = json["type"] else { throw AvroSchemaTree.wrong("an object has no type") }
        // {"type": {...}} and {"type": [...]} stand for what is inside.
        guard case .text(let word) = type else { return try add(type, namespace: namespace, depth: depth + 1, beside: beside) }
        if let node = Self.primitives[word] { return add(node, json["logicalType"] == nil && json["connect.name"] == nil ? beside ?? json : json) }
        switch word {
        case "array", "map":
            guard let inner = json[word == "array" ? "items" : "values"] else { throw AvroSchemaTree.wrong("an \(word) does not say what is in it") }
            let index = nodes.count
            nodes.append(nil)
            let part = try add(inner, namespace: namespace, depth: depth + 1)
            nodes[index] = word == "array" ? .array(items: part) : .map(values: part)
            return index
        case "record", "error", "enum", "fixed":
            guard case .text(let name)? = json["name"], !name.isEmpty else { throw AvroSchemaTree.wrong("a \(word) has no name") }
            let space = name.contains(".") ? Self.space(of: name) : json["namespace"]?.asText ?? namespace
            let full = Self.full(name, space)
            guard named[full] == nil else { throw AvroSchemaTree.wrong("the type \(full) is defined twice") }
            if word == "enum" {
                guard case .list(let symbols)? = json["symbols"] else { throw AvroSchemaTree.wrong("the enum \(name) has no symbols") }
                named[full] = nodes.count
                return add(.enumeration(symbols: symbols.compactMap(\.asText)), .other)
            }
            if word == "fixed" {
                guard case .number(let size)? = json["size"], size >= 0, size <= RecordLimits.recordBytes else {
                    throw AvroSchemaTree.wrong("the fixed type \(name) has no size that a record can have")
                }
                named[full] = nodes.count
                return add(.fixed(size: size), json)
            }
            guard case .list(let list)? = json["fields"] else { throw AvroSchemaTree.wrong("the record \(name) has no fields") }
            let index = nodes.count
            nodes.append(nil)
            named[full] = index
            var fields: [AvroSchemaTree.Field] = []
            for field in list {
                guard case .text(let fieldName)? = field["name"], let type = field["type"] else { throw AvroSchemaTree.wrong("a field of the record \(name) has no name or type") }
                let isBeside = field["logicalType"] != nil
                fields.append(AvroSchemaTree.Field(name: fieldName, node: try add(type, namespace: space, depth: depth + 1, beside: isBeside ? field : nil)))
            }
            nodes[index] = .record(name: name, fields: fields)
            return index
        default:
            guard let known = named[Self.full(word, namespace)] ?? named[word] else { throw AvroSchemaTree.wrong("the type \(word) is not defined before it is used") }
            return known
        }
    }

    private static func full(_ name: String, _ namespace: String) -> String { name.contains(".") || namespace.isEmpty ? name : "\(namespace).\(name)" }
    private static func space(of name: String) -> String { name.split(separator: ".").dropLast().joined(separator: ".") }

    private static func logical(_ json: SchemaJSON, of node: AvroSchemaTree.Node) -> AvroSchemaTree.Logical? {
        if node == .null { return nil }
        if case .text(let name)? = json["logicalType"] { return named(name, node, json) ?? .unknown(name) }
        guard case .text(let name)? = json["connect.name"] else { return nil }
        guard let prefix = ["io.debezium.time.", "io.debezium.data.", "org.apache.kafka.connect.data."].first(where: { name.hasPrefix($0) }) else { return nil }
        switch (node, name.dropFirst(prefix.count)) {
        case (.long, "Timestamp"): return prefix.hasPrefix("io.debezium") ? .local(.millis) : .moment(.millis)
        case (.long, "MicroTimestamp"): return .local(.micros)
        case (.long, "NanoTimestamp"): return .local(.nanos)
        case (.int, "Date"): return .date
        case (.int, "Time"): return .timeOfDay(.millis)
        case (.long, "MicroTime"): return .timeOfDay(.micros)
        case (.long, "MicroDuration"): return .length
        case (.string, "Json"): return .json
        // Texts that say what they are.
        case (.string, _): return nil
        default: return .unknown(name)
        }
    }

    /// nil for one that is not known, or stands on a type that it cannot stand on.
    private static func named(_ name: String, _ node: AvroSchemaTree.Node, _ json: SchemaJSON) -> AvroSchemaTree.Logical? {
        switch (name, node) {
        case ("timestamp-millis", .long): return .moment(.millis)
        case ("timestamp-micros", .long): return .moment(.micros)
        case ("timestamp-nanos", .long): return .moment(.nanos)
        case ("local-timestamp-millis", .long): return .local(.millis)
        case ("local-timestamp-micros", .long): return .local(.micros)
        case ("local-timestamp-nanos", .long): return .local(.nanos)
        case ("date", .int): return .date
        case ("time-millis", .int): return .timeOfDay(.millis)
        case ("time-micros", .long): return .timeOfDay(.micros)
        case ("uuid", .string), ("uuid", .fixed(size: 16)): return .uuid
        case ("duration", .fixed(size: 12)): return .duration
        case ("decimal", .bytes), ("decimal", .fixed):
            guard case .number(let precision)? = json["precision"], precision > 0 else { return nil }
            guard let written = json["scale"] else { return .decimal(scale: 0) }
            if case .other = written { return .decimal(scale: 0) }
            guard case .number(let scale) = written, scale >= 0, scale <= precision, scale <= Numeric.maxScale else { return nil }
            return .decimal(scale: scale)
        default: return nil
        }
    }
}
