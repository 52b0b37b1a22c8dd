// The schema of Avro records: libavro reads and judges the text, we keep a tree that outlives it.
//
// The tree is a table of nodes that name each other by index, because a named type may contain itself. libavro resolves
// names and refuses what is not a schema, but drops logical types; those are read from the same JSON beside it, by the name
// `logicalType`, by the same name where it was written beside the type of a field (where Avro's own readers miss it, and
// whoever wrote it meant it), and by the `connect.name` that Debezium puts on numbers which are times. A logical type is never
// taken for its base type: what is not converted is refused by name, by `AvroProgram`, when a job reads the field.
//
// This file is the only owner of libavro handles; none leaves `init`.

import CAvro
import FoundationEssentials

package struct AvroSchema: Sendable {
    /// What a value means beyond its type.
    package struct LogicalType: Sendable, Hashable {
        package enum Kind: Sendable, Hashable {
            /// Of 1970, also those that call themselves local: they are taken as UTC.
            case millis, micros, nanos, days
            /// Decimal digits behind the point.
            case decimal(scale: Int)
            case uuid
            /// An RFC 3339 text.
            case timeText
            /// One that is not converted, or stands on a type that it cannot stand on.
            case other
        }
        package var kind: Kind
        /// As the schema has it.
        package var name: String
    }

    package struct RecordField: Sendable, Hashable {
        package var name: String
        /// Index into `nodes`.
        package var node: Int
    }

    package enum Node: Sendable, Hashable {
        case null, boolean, int, long, float, double, bytes, string
        case fixed(size: Int)
        case enumeration(symbols: [String])
        case array(items: Int)
        case map(values: Int)
        case union(branches: [Int])
        case record(name: String, fields: [RecordField])
    }

    /// Node 0 is the root.
    package let nodes: [Node]
    /// By index into `nodes`.
    package let logicalTypes: [Int: LogicalType]
    /// The JSON as it was given, for digests and registries.
    package let text: String

    /// Reads a schema from its JSON. `source` says in errors where it came from.
    package init(text: String, source: String = "the schema") throws {
        var handle: avro_schema_t?
        let code =
            text.utf8.withContiguousStorageIfAvailable { utf8 in
                utf8.withMemoryRebound(to: CChar.self) { parseSchema($0, &handle) }
            }
            ?? Array(text.utf8).withUnsafeBufferPointer { utf8 in
                utf8.withMemoryRebound(to: CChar.self) { parseSchema($0, &handle) }
            }
        guard code == 0, let handle else {
            throw Failure(
                .fileInvalid, "\(source) is not an Avro schema", why: String(cString: avro_strerror()),
                now: "give a file with one Avro schema in JSON")
        }
        defer { _ = avro_schema_decref(handle) }
        let json: SchemaJSON
        do {
            json = try JSONDecoder().decode(SchemaJSON.self, from: Data(text.utf8))
        } catch {
            throw Failure(
                .fileInvalid, "\(source) is not an Avro schema", why: "its JSON cannot be read",
                now: "check the file's syntax")
        }
        var builder = TreeBuilder()
        _ = try builder.add(handle, json, source)
        nodes = builder.nodes.map { $0! }
        logicalTypes = builder.logicalTypes
        self.text = text
    }

    /// Reads a schema file (`.avsc`).
    package init(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure(
                .fileMissing, "the schema file \(path) cannot be read", why: "it does not exist or is not readable",
                now: "give the path of an Avro schema file")
        }
        try self.init(text: String(decoding: data, as: UTF8.self), source: "the schema file \(path)")
    }

    /// The fields of the root record, or nil when the root is no record.
    package var rootFields: [RecordField]? {
        if case .record(_, let fields) = nodes[0] { return fields }
        return nil
    }

    /// The ad event that the shipped jobs and the generator know without a file.
    package static let adEventText = """
        {"type": "record", "name": "AdEvent", "fields": [
          {"name": "user_id", "type": "string"}, {"name": "page_id", "type": "string"},
          {"name": "ad_id", "type": "string"}, {"name": "ad_type", "type": "string"},
          {"name": "event_type", "type": "string"}, {"name": "event_time", "type": "long"},
          {"name": "ip_address", "type": "string"}]}
        """

    package static let adEvent: AvroSchema = {
        do { return try AvroSchema(text: adEventText) } catch {
            preconditionFailure("the built-in schema of ad events is not one: \(error)")
        }
    }()
}

private func parseSchema(_ text: UnsafeBufferPointer<CChar>, _ handle: inout avro_schema_t?) -> Int32 {
    // An empty buffer has no base address, and libavro asks for one.
    guard let base = text.baseAddress else { return "".withCString { avro_schema_from_json_length($0, 0, &handle) } }
    return avro_schema_from_json_length(base, text.count, &handle)
}

/// Walks libavro's tree and the JSON side by side.
private struct TreeBuilder {
    /// nil while a node's parts are being added.
    var nodes: [AvroSchema.Node?] = []
    var logicalTypes: [Int: AvroSchema.LogicalType] = [:]
    private var named: [avro_schema_t: Int] = [:]

    mutating func add(_ schema: avro_schema_t, _ json: SchemaJSON?, _ source: String) throws -> Int {
        let index = nodes.count
        switch schema.pointee.type {
        case AVRO_LINK:
            guard let target = avro_schema_link_target(schema), let known = named[target] else {
                throw unsupported(source, "a name refers to a type that is not defined before it")
            }
            return known
        case AVRO_RECORD:
            nodes.append(nil)
            named[schema] = index
            var fields: [AvroSchema.RecordField] = []
            for position in 0..<Int32(avro_schema_record_size(schema)) {
                guard let name = avro_schema_record_field_name(schema, position),
                    let part = avro_schema_record_field_get_by_index(schema, position)
                else { throw unsupported(source, "field \(position) of a record has no name or type") }
                let node = try add(part, json?.unwrapped["fields"]?[Int(position)]?.fieldType, source)
                fields.append(AvroSchema.RecordField(name: String(cString: name), node: node))
            }
            nodes[index] = .record(name: String(cString: avro_schema_name(schema)), fields: fields)
        case AVRO_ENUM:
            named[schema] = index
            var symbols: [String] = []
            for position in 0..<avro_schema_enum_number_of_symbols(schema) {
                guard let symbol = avro_schema_enum_get(schema, position) else {
                    throw unsupported(source, "an enum has a symbol without text")
                }
                symbols.append(String(cString: symbol))
            }
            nodes.append(.enumeration(symbols: symbols))
        case AVRO_FIXED:
            named[schema] = index
            let size = avro_schema_fixed_size(schema)
            guard size >= 0, size <= Int64(Limits.recordBytes) else {
                throw unsupported(source, "a fixed type has \(size) bytes; a record holds at most \(Limits.recordBytes)")
            }
            nodes.append(.fixed(size: Int(size)))
        case AVRO_ARRAY:
            nodes.append(nil)
            nodes[index] = .array(items: try add(avro_schema_array_items(schema), json?.unwrapped["items"], source))
        case AVRO_MAP:
            nodes.append(nil)
            nodes[index] = .map(values: try add(avro_schema_map_values(schema), json?.unwrapped["values"], source))
        case AVRO_UNION:
            nodes.append(nil)
            var branches: [Int] = []
            for position in 0..<Int32(avro_schema_union_size(schema)) {
                guard let part = avro_schema_union_branch(schema, position) else {
                    throw unsupported(source, "a union has a branch without a type")
                }
                branches.append(try add(part, json?.unwrapped[Int(position)], source))
            }
            nodes[index] = .union(branches: branches)
        case AVRO_INT64: nodes.append(.long)
        case AVRO_INT32: nodes.append(.int)
        case AVRO_STRING: nodes.append(.string)
        case AVRO_BYTES: nodes.append(.bytes)
        case AVRO_FLOAT: nodes.append(.float)
        case AVRO_DOUBLE: nodes.append(.double)
        case AVRO_BOOLEAN: nodes.append(.boolean)
        case AVRO_NULL: nodes.append(.null)
        default: throw unsupported(source, "it has a type that is not known here")
        }
        if let node = nodes[index], let logical = json?.logicalType(of: node) { logicalTypes[index] = logical }
        return index
    }

    private func unsupported(_ source: String, _ why: String) -> Failure {
        Failure(.fileInvalid, "\(source) cannot be used", why: why, now: "correct the schema")
    }
}

/// Just enough of the schema's JSON to find logical types.
private indirect enum SchemaJSON: Decodable {
    case text(String)
    case number(Int)
    case list([SchemaJSON])
    case object([String: SchemaJSON])
    case other

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let number = try? container.decode(Int.self) {
            self = .number(number)
        } else if let list = try? container.decode([SchemaJSON].self) {
            self = .list(list)
        } else if let object = try? container.decode([String: SchemaJSON].self) {
            self = .object(object)
        } else {
            self = .other
        }
    }

    subscript(key: String) -> SchemaJSON? {
        if case .object(let members) = self { return members[key] }
        return nil
    }
    subscript(index: Int) -> SchemaJSON? {
        if case .list(let items) = self, index < items.count { return items[index] }
        return nil
    }

    /// `{"type": {...}}` and `{"type": [...]}` stand for what is inside.
    var unwrapped: SchemaJSON {
        switch self["type"] {
        case .some(.object), .some(.list): self["type"]!.unwrapped
        default: self
        }
    }

    /// The type of a field, with a logical type that stands beside it instead of in it.
    var fieldType: SchemaJSON? {
        guard let type = self["type"], let logical = self["logicalType"] else { return self["type"] }
        let beside = ["logicalType": logical, "precision": self["precision"] ?? .other, "scale": self["scale"] ?? .other]
        func with(_ type: SchemaJSON) -> SchemaJSON {
            if case .text(let name) = type, name != "null" { return .object(beside.merging(["type": type]) { $1 }) }
            return type
        }
        if case .list(let branches) = type { return .list(branches.map(with)) }
        return with(type)
    }

    func logicalType(of node: AvroSchema.Node) -> AvroSchema.LogicalType? {
        let type = unwrapped
        if case .text(let name) = type["logicalType"] {
            return AvroSchema.LogicalType(kind: kind(name, of: node, type), name: name)
        }
        guard case .text(let name) = type["connect.name"] else { return nil }
        let prefixes = ["io.debezium.time.", "org.apache.kafka.connect.data."]
        guard let prefix = prefixes.first(where: { name.hasPrefix($0) }) else { return nil }
        let kind: AvroSchema.LogicalType.Kind =
            switch (node, name.dropFirst(prefix.count)) {
            case (.long, "Timestamp"): .millis
            case (.long, "MicroTimestamp"): .micros
            case (.long, "NanoTimestamp"): .nanos
            case (.int, "Date"): .days
            case (.string, "ZonedTimestamp"): .timeText
            default: .other
            }
        return AvroSchema.LogicalType(kind: kind, name: name)
    }

    private func kind(_ name: String, of node: AvroSchema.Node, _ type: SchemaJSON) -> AvroSchema.LogicalType.Kind {
        switch (name, node) {
        case ("timestamp-millis", .long), ("local-timestamp-millis", .long): return .millis
        case ("timestamp-micros", .long), ("local-timestamp-micros", .long): return .micros
        case ("timestamp-nanos", .long), ("local-timestamp-nanos", .long): return .nanos
        case ("date", .int): return .days
        case ("uuid", .string), ("uuid", .fixed(size: 16)): return .uuid
        case ("decimal", .bytes), ("decimal", .fixed):
            let scale: Int? =
                switch type["scale"] {
                case .number(let number): number
                case nil, .other: 0
                default: nil
                }
            guard case .number(let precision) = type["precision"], let scale, scale >= 0, scale <= precision,
                scale <= AvroDecimal.largestScale
            else { return .other }
            return .decimal(scale: scale)
        default: return .other
        }
    }
}
