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

final class AvroRowProgram {
    let steps: UnsafeMutablePointer<AvroStep>
    let stepCount: Int
    /// Branches of unions, and steps of elements.
    let branches: UnsafeMutablePointer<AvroStep>
    let skips: UnsafeMutablePointer<AvroSkip>
    let children: UnsafeMutablePointer<Int32>
    let symbols: [[[UInt8]]]
    let schema: AvroSchemaTree

    init(_ schema: AvroSchemaTree, _ fields: AvroFields, knownElsewhere: Set<String>, takesBareValue: Bool) throws(DecodingError) {
        var compiler = AvroRowCompiler(schema, fields)
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
    private static func skips(_ schema: AvroSchemaTree, _ children: inout [Int32]) -> [AvroSkip] {
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
