// Which type of Avro fits which column, and the step that reads it: the table of `AvroRowProgram` in code.
//
// When adding a logical type: its case in `AvroSchemaTree.Logical`, its line here and in `advice`, its step in `AvroReader+Values`, its text in
// `AvroDocuments`. The switches over conversions end in `nil` on purpose: what nobody has thought of is refused.

import Values

struct AvroRowCompiler {
    let schema: AvroSchemaTree
    let fields: AvroFields
    private(set) var steps: [AvroStep] = []
    private(set) var branches: [AvroStep] = []
    private(set) var symbols: [[[UInt8]]] = []

    init(_ schema: AvroSchemaTree, _ fields: AvroFields) {
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
