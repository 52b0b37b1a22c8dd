// The program that a writer's schema and the slots of a table compile to: a flat list of steps, one walk a record.
//
// The fields of the record become steps in the order of the bytes: read into a slot, or skip. Neighbouring skips of a kind are one step with a
// count. A union is a step whose branches stand in a table beside the list, and so is what a list's elements are read by. What nests and is not
// read is skipped by a table of nodes.
//
//   Avro                              fits
//   boolean                           bool, text
//   int, long                         integers (in their range), floats, numeric, text; times in the declared unit
//   float, double                     float4, float8
//   string                            every type, by its input (times by ISO 8601); jsonb as a text
//   bytes, fixed                      bytea
//   enum                              text
//   array                             a list whose type its items fit
//   decimal                           numeric
//   date                              date
//   time-millis, time-micros          time
//   timestamp-..., local-timestamp-...   timestamptz, timestamp: through the job's zone where one has a zone and the other has not
//   uuid                              uuid; text where it is a string
//   duration                          interval
//   anything                          jsonb
//   a union                           what all its branches but null fit
//
// All else is refused before the first record, with the column, both types and what to do.

import Values
import Wording

/// One step over a record's bytes.
struct AvroStep: BitwiseCopyable {
    enum Code: UInt8 {
        case skipBytes, skipVarints, skipTexts, skipNode
        case text, integer, double, float, bool
        /// The frequent ones: a long as an int8, and a moment as a timestamptz, whose `argument` are the microseconds of its unit.
        case long, instant
        /// Varints and their like for another type than an integer's.
        case integerFloat, integerNumeric, integerText, integerTime, boolText
        case input, json, bytes, fixed, symbol, uuid, decimal, date, timeOfDay, moment, local, duration, length
        case list, document, null, union, present
    }

    var code: Code
    /// Whether a varint must fit 32 bits.
    var isInt = false
    var slot: Int32 = 0
    /// Bytes, repetitions, node, first branch, place of a table, power of ten to microseconds, or scale.
    var argument: Int = 0
    /// Branches of a union; bytes of a fixed value, -1 for one whose length stands before it.
    var count: Int32 = -1
}

struct AvroSkip: BitwiseCopyable {
    enum Kind: UInt8 { case bytes, varint, symbol, text, record, union, array, map }
    var kind: Kind
    /// Bytes of `bytes`; symbols of `symbol`; the first entry in `children` otherwise.
    var first = 0
    var count = 0
    /// No value is shorter.
    var smallest = 0
}

final class AvroProgram {
    let steps: UnsafeMutablePointer<AvroStep>
    let stepCount: Int
    /// Branches of unions, and steps of elements.
    let branches: UnsafeMutablePointer<AvroStep>
    let skips: UnsafeMutablePointer<AvroSkip>
    let children: UnsafeMutablePointer<Int32>
    let symbols: [[[UInt8]]]
    let schema: AvroSchema

    init(_ schema: AvroSchema, _ fields: AvroFields, knownElsewhere: Set<String>, takesBareValue: Bool) throws(DecodingError) {
        var compiler = AvroCompiler(schema, fields)
        if let root = schema.rootFields {
            for field in root {
                if let slot = fields.names.firstIndex(of: field.name) { try compiler.read(field.node, slot) } else { compiler.skip(field.node) }
            }
            for (slot, name) in fields.names.enumerated() where !root.contains(where: { $0.name == name }) && !knownElsewhere.contains(name) && !fields.optional[slot] {
                throw DecodingError(
                    "column \(name) of \(fields.owner) is not in the schema", why: "the record has the fields \(root.map(\.name).joined(separator: ", "))",
                    now: nearestHint(to: name, among: root.map(\.name), kind: "field") + "; a column with a DEFAULT may be missing")
            }
        } else {
            guard takesBareValue else {
                throw DecodingError(
                    "the schema does not fit \(fields.owner)", why: "its outermost type is \(schema.describe(0))", now: "give the schema of the records in the topic, a record")
            }
            try compiler.read(0, 0)
        }
        self.schema = schema
        steps = .copy(of: compiler.steps)
        stepCount = compiler.steps.count
        branches = .copy(of: compiler.branches)
        var children: [Int32] = []
        skips = .copy(of: Self.skips(schema, &children))
        self.children = .copy(of: children)
        symbols = compiler.symbols
    }

    deinit {
        steps.deallocate()
        branches.deallocate()
        skips.deallocate()
        children.deallocate()
    }

    /// One for each node of the schema, under the same index.
    private static func skips(_ schema: AvroSchema, _ children: inout [Int32]) -> [AvroSkip] {
        func nesting(_ kind: AvroSkip.Kind, _ parts: [Int]) -> AvroSkip {
            defer { children += parts.map { Int32($0) } }
            return AvroSkip(kind: kind, first: children.count, count: parts.count)
        }
        return schema.nodes.enumerated().map { index, node in
            var skip =
                switch node {
                case .null: AvroSkip(kind: .bytes)
                case .boolean: AvroSkip(kind: .bytes, first: 1)
                case .float: AvroSkip(kind: .bytes, first: 4)
                case .double: AvroSkip(kind: .bytes, first: 8)
                case .fixed(let size): AvroSkip(kind: .bytes, first: size)
                case .int, .long: AvroSkip(kind: .varint)
                case .string, .bytes: AvroSkip(kind: .text)
                case .enumeration(let names): AvroSkip(kind: .symbol, first: names.count)
                case .array(let items): nesting(.array, [items])
                case .map(let values): nesting(.map, [values])
                case .union(let parts): nesting(.union, parts)
                case .record(_, let fields): nesting(.record, fields.map(\.node))
                }
            skip.smallest = schema.smallest[index]
            return skip
        }
    }
}

/// What is wanted of the records.
struct AvroFields {
    let table: SlotTable
    let names: [String]
    /// Which may be missing in the schema.
    let optional: [Bool]
    /// For a person: whose they are.
    let owner: String
    /// What a number is that stands for a time.
    let unit: TimeUnit
}

extension UnsafeMutablePointer where Pointee: BitwiseCopyable {
    fileprivate static func copy(of elements: [Pointee]) -> UnsafeMutablePointer {
        let memory = UnsafeMutablePointer.allocate(capacity: max(elements.count, 1))
        memory.initialize(from: elements, count: elements.count)
        return memory
    }
}

private struct AvroCompiler {
    let schema: AvroSchema
    let fields: AvroFields
    var steps: [AvroStep] = []
    var branches: [AvroStep] = []
    var symbols: [[[UInt8]]] = []

    init(_ schema: AvroSchema, _ fields: AvroFields) {
        self.schema = schema
        self.fields = fields
    }

    /// Appends the step that reads `node` into a slot.
    mutating func read(_ node: Int, _ slot: Int) throws(DecodingError) {
        if fields.table.slots[slot].conversion == .presence {
            steps.append(AvroStep(code: .present, slot: Int32(slot), argument: node))
            return
        }
        guard let step = reading(node, slot) else {
            throw DecodingError(
                "column \(fields.names[slot]) of \(fields.owner) is \(fields.table.types[slot].name), and its field is \(schema.describe(node))",
                why: "the one does not become the other", now: advice(node))
        }
        steps.append(step)
    }

    private func advice(_ node: Int) -> String {
        if case .union(let parts) = schema.nodes[node] {
            let real = parts.filter { schema.nodes[$0] != .null }
            return real.count == 1 ? advice(real[0]) : "declare the column jsonb: it takes every branch"
        }
        switch schema.logical[node] {
        case .moment, .local: return "declare the column timestamptz or timestamp"
        case .date: return "declare the column date"
        case .timeOfDay: return "declare the column time"
        case .decimal: return "declare the column numeric"
        case .uuid: return "declare the column uuid"
        case .duration, .length: return "declare the column interval"
        case .json: return "declare the column jsonb or text"
        case .unknown(let name): return "the logical type \(name) is not known here: have it written as a plain type, or declare the column jsonb"
        case nil: break
        }
        switch schema.nodes[node] {
        case .float, .double: return "declare the column double precision"
        case .bytes, .fixed: return "declare the column bytea"
        case .boolean: return "declare the column boolean"
        case .int, .long: return "declare the column bigint"
        case .string, .enumeration: return "declare the column text"
        case .array: return "declare the column as a list of its items' type, or jsonb"
        case .null, .map, .record, .union: return "declare the column jsonb"
        }
    }

    /// nil where the type does not fit.
    private mutating func reading(_ node: Int, _ slot: Int) -> AvroStep? {
        let conversion = fields.table.slots[slot].conversion
        var step = AvroStep(code: .null, slot: Int32(slot))
        if case .null = schema.nodes[node] { return step }
        if case .union(let parts) = schema.nodes[node] {
            var list: [AvroStep] = []
            for part in parts {
                guard let branch = reading(part, slot) else { return nil }
                list.append(branch)
            }
            step.code = .union
            step.argument = branches.count
            step.count = Int32(list.count)
            branches += list
            return step
        }
        if case .fixed(let size) = schema.nodes[node] { step.count = Int32(size) }
        if let logical = schema.logical[node] {
            switch (logical, conversion) {
            case (.moment(let unit), .timestamptz) where unit != .nanos:
                step.code = .instant
                step.argument = Self.factor(unit)
            case (.moment(let unit), .timestamptz), (.moment(let unit), .timestamp):
                step.code = .moment
                step.argument = unit.power
            case (.local(let unit), .timestamptz), (.local(let unit), .timestamp):
                step.code = .local
                step.argument = unit.power
            case (.date, .date): step.code = .date
            case (.timeOfDay(let unit), .time):
                step.code = .timeOfDay
                step.argument = unit.power
            case (.decimal(let scale), .numeric):
                step.code = .decimal
                step.argument = scale
            case (.uuid, .uuid): step.code = schema.nodes[node] == .string ? .input : .uuid
            case (.uuid, .text) where schema.nodes[node] == .string: step.code = .text
            case (.duration, .interval): step.code = .duration
            case (.length, .interval): step.code = .length
            case (.json, .jsonb): step.code = .json
            case (.json, .text): step.code = .text
            case (_, .jsonb):
                step.code = .document
                step.argument = node
            default: return nil
            }
            if case .int = schema.nodes[node] { step.isInt = true }
            return step
        }
        if conversion == .jsonb {
            step.code = .document
            step.argument = node
            return step
        }
        switch (schema.nodes[node], conversion) {
        case (.boolean, .bool): step.code = .bool
        case (.boolean, .text): step.code = .boolText
        case (.int, _), (.long, _):
            if case .int = schema.nodes[node] { step.isInt = true }
            switch conversion {
            case .int2, .int4, .int8: step.code = conversion == .int8 && !step.isInt ? .long : .integer
            case .float4, .float8: step.code = .integerFloat
            case .numeric: step.code = .integerNumeric
            case .text: step.code = .integerText
            case .timestamptz where !step.isInt && fields.unit != .nanos:
                step.code = .instant
                step.argument = Self.factor(fields.unit)
            case .time, .timestamp, .timestamptz, .interval: step.code = .integerTime
            default: return nil
            }
        case (.float, .float4), (.float, .float8): step.code = .float
        case (.double, .float4), (.double, .float8): step.code = .double
        case (.string, .text): step.code = .text
        case (.string, .list): return nil
        case (.string, _): step.code = .input
        case (.bytes, .bytea): step.code = .bytes
        case (.fixed, .bytea): step.code = .fixed
        case (.enumeration(let names), .text):
            step.code = .symbol
            step.argument = symbols.count
            symbols.append(names.map { Array($0.utf8) })
        case (.array(let items), .list):
            guard let element = reading(items, Int(fields.table.slots[slot].child)), schema.smallest[items] > 0 else { return nil }
            step.code = .list
            step.argument = branches.count
            step.count = Int32(items)
            branches.append(element)
        default: return nil
        }
        return step
    }

    private static func factor(_ unit: TimeUnit) -> Int {
        switch unit {
        case .seconds: 1_000_000
        case .millis: 1000
        case .micros, .nanos: 1
        }
    }

    /// Appends the skipping of `node`, to the step before it where that is of the same kind.
    mutating func skip(_ node: Int) {
        switch schema.nodes[node] {
        case .null: break
        case .boolean: skip(.skipBytes, 1)
        case .float: skip(.skipBytes, 4)
        case .double: skip(.skipBytes, 8)
        case .fixed(let size): skip(.skipBytes, size)
        case .int, .long: skip(.skipVarints, 1)
        case .string, .bytes: skip(.skipTexts, 1)
        case .enumeration, .array, .map, .union, .record: steps.append(AvroStep(code: .skipNode, argument: node))
        }
    }

    private mutating func skip(_ code: AvroStep.Code, _ amount: Int) {
        if let last = steps.last, last.code == code, last.argument <= RecordLimits.recordBytes {
            steps[steps.count - 1].argument += amount
        } else {
            steps.append(AvroStep(code: code, argument: amount))
        }
    }
}
