// Rows of a chunk to Avro records in the Confluent framing: for the Kafka sink and the generator of traffic.
//
// Compiled once per (schema, columns): one step a field, with the column it comes from and, for a union with null, which
// branch is which. Every field of the record must have a column. Rows are written field by field into a `RecordBuffer`;
// a row that does not fit its type (NULL where the schema has none, an int out of range, a text that is no symbol of
// the enum) is a defect of the plan, not of the data, and fails the call with `schemaMismatch`.

package final class AvroEncoder {
    private enum Kind { case text, long, int, micros, float, double, bool, symbol([[UInt8]]) }
    private struct Step {
        var kind: Kind
        var column: Int
        var name: String
        /// Index of the union's null and value branches; nil when the field is no union.
        var nullBranch: UInt8?
        var valueBranch: UInt8?
    }
    private let steps: [Step]
    private let columns: Schema
    private let schemaID: UInt32

    package init(schema: AvroSchema, columns: Schema, schemaID: Int32) throws {
        guard let fields = schema.rootFields else {
            throw Failure(
                .schemaMismatch, "the schema does not fit the rows", why: "its outermost type is not a record",
                now: "give a schema whose outermost type is a record")
        }
        self.columns = columns
        self.schemaID = UInt32(bitPattern: schemaID)
        steps = try fields.map { field in
            guard let column = columns.index(of: field.name) else {
                throw Failure(
                    .schemaMismatch, "the schema does not fit the rows",
                    why: "the record has the field \(field.name), and the rows have \(listed(columns.names))",
                    now: "give a schema whose fields are among the columns")
            }
            return try Self.step(schema, field, columns.fields[column], column)
        }
    }

    /// Appends each selected row of `chunk` as one record.
    package func encode(_ chunk: Chunk, into buffer: RecordBuffer) throws {
        precondition(chunk.schema == columns, "the chunk has other columns than the encoder was made for")
        try chunk.forEachSelectedRow { try encode(chunk, row: $0, into: buffer) }
    }

    /// Appends one row as one record.
    package func encode(_ chunk: Chunk, row: Int, into buffer: RecordBuffer) throws {
        var bound = 5
        for step in steps {
            // No number takes more than ten bytes, no branch more than one.
            bound += 11
            if case .text(let text) = chunk.columns[step.column] { bound += text.slice(row).count }
        }
        let start = buffer.reserve(bound)
        start[0] = 0
        store32(schemaID.bigEndian, start + 1)
        var target = start + 5
        for step in steps {
            let column = chunk.columns[step.column]
            if column.isNull(row) {
                guard let branch = step.nullBranch else {
                    throw mismatch(step, "it is NULL, and the schema has no null there")
                }
                target[0] = branch << 1
                target += 1
                continue
            }
            if let branch = step.valueBranch {
                target[0] = branch << 1
                target += 1
            }
            switch (step.kind, column) {
            case (.text, .text(let text)):
                let slice = text.slice(row)
                writeLong(Int64(slice.count), &target)
                if let base = slice.baseAddress { target.update(from: base, count: slice.count) }
                target += slice.count
            case (.symbol(let symbols), .text(let text)):
                let slice = text.slice(row)
                guard let symbol = symbols.firstIndex(where: { $0.elementsEqual(slice) }) else {
                    throw mismatch(step, "a text is none of the enum's symbols")
                }
                writeLong(Int64(symbol), &target)
            case (.long, .int64(let values)), (.long, .timestamp(let values)):
                writeLong(values.values[row], &target)
            case (.micros, .timestamp(let values)):
                let (micros, overflow) = values.values[row].multipliedReportingOverflow(by: 1000)
                if overflow { throw mismatch(step, "a time does not fit into microseconds") }
                writeLong(micros, &target)
            case (.int, .int64(let values)):
                guard let value = Int32(exactly: values.values[row]) else {
                    throw mismatch(step, "a number does not fit into 32 bits")
                }
                writeLong(Int64(value), &target)
            case (.float, .float64(let values)):
                store32(Float(values.values[row]).bitPattern.littleEndian, target)
                target += 4
            case (.double, .float64(let values)):
                store64(values.values[row].bitPattern.littleEndian, target)
                target += 8
            case (.bool, .bool(let values)):
                target[0] = values.values[row] ? 1 : 0
                target += 1
            default:
                throw mismatch(step, "the column has another type than it was set up with")
            }
        }
        buffer.endRecord(target - start)
    }

    private func mismatch(_ step: Step, _ why: String) -> Failure {
        Failure(
            .schemaMismatch, "a row cannot be written as Avro", why: "field \(step.name): \(why)",
            now: "use a schema that allows what the job computes")
    }

    private static func step(
        _ schema: AvroSchema, _ field: AvroSchema.RecordField, _ column: Field, _ index: Int
    ) throws -> Step {
        func kind(_ node: Int) -> Kind? {
            switch (schema.nodes[node], column.type) {
            case (.string, .text), (.bytes, .text): .text
            case (.enumeration(let symbols), .text): .symbol(symbols.map { Array($0.utf8) })
            case (.long(.timestampMicros), .timestamp): .micros
            case (.long, .int64), (.long, .timestamp): .long
            case (.int, .int64): .int
            case (.float, .float64): .float
            case (.double, .float64): .double
            case (.boolean, .bool): .bool
            default: nil
            }
        }
        if let kind = kind(field.node) { return Step(kind: kind, column: index, name: field.name) }
        if case .union(let branches) = schema.nodes[field.node], branches.count <= 64,
            let value = branches.firstIndex(where: { kind($0) != nil }), let valueKind = kind(branches[value])
        {
            let null = branches.firstIndex { schema.nodes[$0] == .null }
            return Step(
                kind: valueKind, column: index, name: field.name, nullBranch: null.map { UInt8($0) },
                valueBranch: UInt8(value))
        }
        throw Failure(
            .schemaMismatch, "the schema does not fit the rows",
            why: "the field \(field.name) is \(column.type.rawValue) in the rows and "
                + "\(schema.describe(field.node)) in the schema",
            now: "give a schema that fits the columns")
    }
}

/// Writes a zigzag variable-length number and moves past it.
@inline(__always)
private func writeLong(_ value: Int64, _ target: inout UnsafeMutablePointer<UInt8>) {
    var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
    while rest >= 0x80 {
        target[0] = UInt8(truncatingIfNeeded: rest) | 0x80
        target += 1
        rest >>= 7
    }
    target[0] = UInt8(rest)
    target += 1
}
