// The program that one (writer schema, needed columns) pair compiles to: a flat list of instructions, one walk a record.
//
// The top-level fields of the record become instructions in the order of the bytes: read into column k, or skip.
// Neighbouring skips of a kind are one instruction with a count. A union is an instruction whose branches stand in a
// table beside the list. Whatever nests is only ever skipped, by a table of skip nodes that may refer to itself (a
// recursive type), with the smallest size of each, so that a count can be held against the bytes that remain.
//
// What converts to what, where the schema names no logical type: string, bytes, enum -> text; int, long -> int64; long
// (milliseconds) -> timestamp; int, long, float, double -> float64; boolean -> bool; a union -> its branches, null -> NULL. A
// branch that does not convert rejects the records that carry it.
//
// With a logical type: timestamp and local-timestamp in millis, micros and nanos, date, and Debezium's times -> timestamp,
// rounded down to milliseconds; decimal -> text or float64; uuid -> text. Nothing else, and no logical type as its base type: a
// time of day, a duration, or a name that is not known here is refused with the field's name.

/// One step over a record's bytes. `count` is how many, how far, or which table entry, by code.
struct AvroInstruction {
    enum Code: UInt8 {
        case skipBytes, skipVarints, skipTexts, skipNode
        case readText, readSymbol, readInt, readLong, readMillis, readMicros, readNanos, readDays, readTimeText
        case readIntAsDouble, readLongAsDouble, readFloat, readDouble, readBool, readDecimalText, readDecimalDouble, readUUID
        case readNull, union, refuseNull, refuseType
    }
    var code: Code
    var column: Int32 = 0
    /// Bytes, repetitions, skip node, enum table, first branch, or scale of a decimal.
    var argument: Int = 0
    /// Branches of a union; bytes of a fixed decimal, -1 for one whose length stands before it.
    var branches: Int32 = 0
}

/// A type to be skipped.
struct AvroSkipNode {
    enum Kind: UInt8 { case bytes, varint, symbol, text, record, union, array, map }
    var kind: Kind
    /// Bytes of `bytes`; symbols of `symbol`; first entry in `children` otherwise.
    var first: Int = 0
    var count: Int = 0
    /// No value of this type is shorter. 0 means that every value is empty.
    var smallest: Int = 0
}

/// The symbols of one enum, as the bytes to copy.
struct AvroSymbols {
    var count: Int
    var offsets: UnsafePointer<Int32>
    var bytes: UnsafePointer<UInt8>
}

final class AvroProgram {
    /// What a decoder reads for each record, without holding the program.
    struct Code {
        let instructions: UnsafeMutablePointer<AvroInstruction>
        let end: UnsafeMutablePointer<AvroInstruction>
        let branches: UnsafeMutablePointer<AvroInstruction>
        let symbols: UnsafeMutablePointer<AvroSymbols>
    }
    /// Valid as long as the program is there.
    var code: Code {
        Code(instructions: instructions, end: instructions + instructionCount, branches: branches, symbols: symbols)
    }

    let instructions: UnsafeMutablePointer<AvroInstruction>
    let instructionCount: Int
    let branches: UnsafeMutablePointer<AvroInstruction>
    let nodes: UnsafeMutablePointer<AvroSkipNode>
    let children: UnsafeMutablePointer<Int32>
    let symbols: UnsafeMutablePointer<AvroSymbols>
    /// Bytes of the longest text that a value becomes which is not as long in the record: symbols, decimals, UUIDs.
    let longestSymbol: Int
    private let symbolTables: [TextColumn]

    /// - Parameter knownElsewhere: fields of the topic's other schemas.
    init(_ schema: AvroSchema, _ needed: Schema, knownElsewhere: Set<String> = []) throws {
        try requireDistinctNames(needed)
        guard let fields = schema.rootFields else {
            throw Failure(
                .schemaMismatch, "the schema does not fit the job", why: "its outermost type is not a record",
                now: "give the schema of the records in the topic")
        }
        var absent: [AvroInstruction] = []
        for (column, field) in needed.fields.enumerated() where !fields.contains(where: { $0.name == field.name }) {
            // Another schema of the topic has it: records of this one have nothing there.
            if field.nullable && knownElsewhere.contains(field.name) {
                absent.append(AvroInstruction(code: .readNull, column: Int32(column)))
                continue
            }
            throw Failure(
                .schemaMismatch, "the schema does not fit the job",
                why: "the job reads the field \(field.name), and the record has \(listed(fields.map(\.name)))",
                now: "give the schema of the records in the topic, or correct the field's name")
        }
        var compiler = AvroCompiler(schema)
        for field in fields {
            if let column = needed.index(of: field.name) {
                guard
                    let instruction = compiler.reading(
                        field.node, as: needed.fields[column], column: Int32(column), insideUnion: false)
                else {
                    throw Failure(
                        .schemaMismatch, "the schema does not fit the job",
                        why: "the job reads the field \(field.name) as \(needed.fields[column].type.rawValue), and "
                            + "the schema has \(schema.describe(field.node)) there",
                        now: compiler.advice(field.node))
                }
                compiler.program.append(instruction)
            } else {
                compiler.skip(field.node)
            }
        }
        let program = compiler.program + absent
        instructions = .copy(of: program)
        instructionCount = program.count
        branches = .copy(of: compiler.branches)
        nodes = .copy(of: compiler.skipNodes())
        children = .copy(of: compiler.children)
        symbolTables = compiler.symbolTables
        symbols = .copy(
            of: symbolTables.map {
                AvroSymbols(count: $0.count, offsets: UnsafePointer($0.offsets), bytes: UnsafePointer($0.bytes))
            })
        longestSymbol = max(symbolTables.map(\.byteCount).max() ?? 0, compiler.longestMade)
    }

    deinit {
        instructions.deallocate()
        branches.deallocate()
        nodes.deallocate()
        children.deallocate()
        symbols.deallocate()
    }
}

/// A list for a sentence: `a, b and c`.
func listed(_ names: [String]) -> String {
    if names.isEmpty { return "no fields" }
    return names.count == 1 ? names[0] : names.dropLast().joined(separator: ", ") + " and " + names.last!
}

extension UnsafeMutablePointer {
    fileprivate static func copy(of elements: [Pointee]) -> UnsafeMutablePointer {
        let memory = UnsafeMutablePointer.allocate(capacity: max(elements.count, 1))
        memory.initialize(from: elements, count: elements.count)
        return memory
    }
}

extension AvroSchema {
    /// The type's name in Avro's words, for errors.
    func describe(_ node: Int) -> String {
        if let logical = logicalTypes[node] { return "\(baseName(node)) (\(logical.name))" }
        return baseName(node)
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
        case .union(let branches): "a union of " + listed(branches.map { describe($0) })
        case .record(let name, _): "the record \(name)"
        }
    }
}

private struct AvroCompiler {
    let schema: AvroSchema
    var program: [AvroInstruction] = []
    var branches: [AvroInstruction] = []
    var children: [Int32] = []
    var symbolTables: [TextColumn] = []
    /// Bytes of the longest text that is made of something else.
    var longestMade = 0

    init(_ schema: AvroSchema) { self.schema = schema }

    /// What to do about a field that does not convert.
    func advice(_ node: Int) -> String {
        let parts = if case .union(let parts) = schema.nodes[node] { parts } else { [node] }
        let kinds = parts.compactMap { schema.logicalTypes[$0]?.kind }
        if kinds.contains(.other) {
            return "that logical type is not converted: have it written as a timestamp, a date, a decimal, a uuid or a plain type, or do without the field"
        }
        if kinds.contains(where: { if case .decimal = $0 { true } else { false } }) { return "read it as text (exact) or float64" }
        if kinds.contains(.uuid) { return "read it as text" }
        if !kinds.isEmpty { return "read it as a timestamp" }
        return "give the schema of the records in the topic, or read the field as what it is"
    }

    /// The instruction that reads a value with a logical type.
    private mutating func reading(
        _ logical: AvroSchema.LogicalType, _ node: Int, as type: ValueType, column: Int32
    ) -> AvroInstruction? {
        switch (logical.kind, type) {
        case (.millis, .timestamp): return AvroInstruction(code: .readMillis, column: column)
        case (.micros, .timestamp): return AvroInstruction(code: .readMicros, column: column)
        case (.nanos, .timestamp): return AvroInstruction(code: .readNanos, column: column)
        case (.days, .timestamp): return AvroInstruction(code: .readDays, column: column)
        case (.timeText, .timestamp): return AvroInstruction(code: .readTimeText, column: column)
        case (.timeText, .text): return AvroInstruction(code: .readText, column: column)
        case (.uuid, .text):
            guard case .fixed = schema.nodes[node] else { return AvroInstruction(code: .readText, column: column) }
            longestMade = max(longestMade, 36)
            return AvroInstruction(code: .readUUID, column: column)
        case (.decimal(let scale), .text), (.decimal(let scale), .float64):
            if type == .text { longestMade = max(longestMade, AvroDecimal.longestText) }
            let size: Int32 = if case .fixed(let size) = schema.nodes[node] { Int32(clamping: size) } else { -1 }
            return AvroInstruction(
                code: type == .text ? .readDecimalText : .readDecimalDouble, column: column, argument: scale, branches: size)
        default: return nil
        }
    }

    /// The instruction that reads `node` into a column, or nil when the type does not convert.
    mutating func reading(_ node: Int, as field: Field, column: Int32, insideUnion: Bool) -> AvroInstruction? {
        if let logical = schema.logicalTypes[node] { return reading(logical, node, as: field.type, column: column) }
        switch (schema.nodes[node], field.type) {
        case (.null, _):
            // A field that is always null fits no column but one that may be NULL.
            if field.nullable { return AvroInstruction(code: .readNull, column: column) }
            return insideUnion ? AvroInstruction(code: .refuseNull) : nil
        case (.string, .text), (.bytes, .text): return AvroInstruction(code: .readText, column: column)
        case (.enumeration(let names), .text):
            let table = TextColumn(capacity: names.count)
            for name in names { table.append(name) }
            symbolTables.append(table)
            return AvroInstruction(code: .readSymbol, column: column, argument: symbolTables.count - 1)
        case (.int, .int64): return AvroInstruction(code: .readInt, column: column)
        case (.long, .int64): return AvroInstruction(code: .readLong, column: column)
        case (.long, .timestamp): return AvroInstruction(code: .readMillis, column: column)
        case (.int, .float64): return AvroInstruction(code: .readIntAsDouble, column: column)
        case (.long, .float64): return AvroInstruction(code: .readLongAsDouble, column: column)
        case (.float, .float64): return AvroInstruction(code: .readFloat, column: column)
        case (.double, .float64): return AvroInstruction(code: .readDouble, column: column)
        case (.boolean, .bool): return AvroInstruction(code: .readBool, column: column)
        case (.union(let parts), _):
            var list: [AvroInstruction] = []
            var fits = false
            for part in parts {
                let instruction = reading(part, as: field, column: column, insideUnion: true)
                if let instruction, instruction.code != .refuseNull, instruction.code != .readNull { fits = true }
                list.append(instruction ?? AvroInstruction(code: .refuseType))
            }
            guard fits else { return nil }
            let first = branches.count
            branches += list
            return AvroInstruction(code: .union, column: column, argument: first, branches: Int32(list.count))
        case (.boolean, _), (.int, _), (.long, _), (.float, _), (.double, _), (.bytes, _), (.string, _),
            (.enumeration, _), (.fixed, _), (.array, _), (.map, _), (.record, _):
            return nil
        }
    }

    /// Appends the skipping of `node`, to the instruction before it where that is of the same kind.
    mutating func skip(_ node: Int) {
        switch schema.nodes[node] {
        case .null: break
        case .boolean: skip(.skipBytes, 1)
        case .float: skip(.skipBytes, 4)
        case .double: skip(.skipBytes, 8)
        case .fixed(let size): skip(.skipBytes, size)
        case .int, .long: skip(.skipVarints, 1)
        case .string, .bytes: skip(.skipTexts, 1)
        case .enumeration, .array, .map, .union, .record:
            program.append(AvroInstruction(code: .skipNode, argument: node))
        }
    }

    private mutating func skip(_ code: AvroInstruction.Code, _ amount: Int) {
        if let last = program.last, last.code == code, last.argument <= Limits.recordBytes {
            program[program.count - 1].argument += amount
        } else {
            program.append(AvroInstruction(code: code, argument: amount))
        }
    }

    /// A skip node for each node of the schema, under the same index.
    mutating func skipNodes() -> [AvroSkipNode] {
        var result: [AvroSkipNode] = []
        let smallest = smallestSizes(schema)
        for (index, node) in schema.nodes.enumerated() {
            var skip: AvroSkipNode
            switch node {
            case .null: skip = AvroSkipNode(kind: .bytes)
            case .boolean: skip = AvroSkipNode(kind: .bytes, first: 1)
            case .float: skip = AvroSkipNode(kind: .bytes, first: 4)
            case .double: skip = AvroSkipNode(kind: .bytes, first: 8)
            case .fixed(let size): skip = AvroSkipNode(kind: .bytes, first: size)
            case .int, .long: skip = AvroSkipNode(kind: .varint)
            case .string, .bytes: skip = AvroSkipNode(kind: .text)
            case .enumeration(let names): skip = AvroSkipNode(kind: .symbol, first: names.count)
            case .array(let items): skip = nesting(.array, [items])
            case .map(let values): skip = nesting(.map, [values])
            case .union(let parts): skip = nesting(.union, parts)
            case .record(_, let fields): skip = nesting(.record, fields.map(\.node))
            }
            skip.smallest = smallest[index]
            result.append(skip)
        }
        return result
    }

    private mutating func nesting(_ kind: AvroSkipNode.Kind, _ parts: [Int]) -> AvroSkipNode {
        defer { children += parts.map { Int32($0) } }
        return AvroSkipNode(kind: kind, first: children.count, count: parts.count)
    }
}

/// The fewest bytes that a value of each type can take, `Limits.recordBytes + 1` where no finite value exists.
/// Found from above, round by round, so that types which contain themselves need no special case.
private func smallestSizes(_ schema: AvroSchema) -> [Int] {
    let never = Limits.recordBytes + 1
    var sizes = Array(repeating: never, count: schema.nodes.count)
    var changed = true
    while changed {
        changed = false
        // Parts stand behind what they are parts of, so going backwards settles all but the cycles in one round.
        for index in sizes.indices.reversed() {
            let size =
                switch schema.nodes[index] {
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
                changed = true
            }
        }
    }
    return sizes
}
