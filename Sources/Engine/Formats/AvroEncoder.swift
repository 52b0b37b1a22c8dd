// Rows of a chunk to Avro records in the Confluent framing: for the Kafka sink and for traffic.
//
// Compiled once per (schema, columns): one step a field, with the column it comes from and, for a union with null, which
// branch is which. Every field of the record must have a column. Per chunk the columns' memory is taken out once; per
// row there is no allocation and no reference counting: 60 ns for an ad event of 7 fields. A row that does not fit its type (NULL where the schema
// has none, an int out of range, a text that is no symbol of the enum) is a defect of the plan, not of the data: the call
// fails with `schemaMismatch`, and the records before that row stay in the buffer.

package final class AvroEncoder {
    private enum Code: UInt8 { case text, symbol, long, int, micros, float, double, bool }

    private struct Step {
        var code: Code
        var column: Int32
        /// The union's branches, ready to write; nil when the field is no union or has no null.
        var nullBranch: UInt8?
        var valueBranch: UInt8?
        /// Index into `symbols`.
        var table: Int32 = 0
    }

    /// A column's memory while a chunk is encoded.
    private struct Source {
        var values: UnsafeRawPointer
        var offsets: UnsafePointer<Int32>
        var validity: UnsafePointer<UInt8>?
    }

    private let steps: UnsafeMutableBufferPointer<Step>
    private let sources: UnsafeMutableBufferPointer<Source>
    private let symbols: [TextColumn]
    private let fieldNames: [String]
    private let columns: Schema
    private let schemaID: UInt32

    package init(schema: AvroSchema, columns: Schema, schemaID: Int32) throws {
        guard let fields = schema.rootFields else {
            throw Failure(
                .schemaMismatch, "the schema does not fit the rows", why: "its outermost type is not a record",
                now: "give a schema whose outermost type is a record")
        }
        var tables: [TextColumn] = []
        let made = try fields.map { field in
            guard let column = columns.index(of: field.name) else {
                throw Failure(
                    .schemaMismatch, "the schema does not fit the rows",
                    why: "the record has the field \(field.name), and the rows have \(listed(columns.names))",
                    now: "give a schema whose fields are among the columns")
            }
            return try Self.step(schema, field, columns.fields[column], column, &tables)
        }
        self.columns = columns
        self.schemaID = UInt32(bitPattern: schemaID)
        symbols = tables
        fieldNames = fields.map(\.name)
        steps = .allocate(capacity: made.count)
        _ = steps.initialize(from: made)
        sources = .allocate(capacity: columns.fields.count)
    }

    deinit {
        steps.deallocate()
        sources.deallocate()
    }

    /// Appends each selected row of `chunk` as one record.
    package func encode(_ chunk: Chunk, into buffer: RecordBuffer) throws {
        try withExtendedLifetime(chunk) {
            open(chunk)
            if let selection = chunk.selection {
                for index in 0..<selection.count { try encode(Int(selection.rows[index]), chunk, buffer) }
            } else {
                for row in 0..<chunk.rowCount { try encode(row, chunk, buffer) }
            }
        }
    }

    private func open(_ chunk: Chunk) {
        precondition(
            chunk.columns.count == columns.fields.count
                && zip(chunk.columns, columns.fields).allSatisfy { $0.type == $1.type },
            "the chunk has other columns than the encoder was made for")
        for (index, column) in chunk.columns.enumerated() {
            switch column {
            case .int64(let column), .timestamp(let column): sources[index] = source(column)
            case .float64(let column): sources[index] = source(column)
            case .bool(let column): sources[index] = source(column)
            case .text(let column):
                sources[index] = Source(
                    values: UnsafeRawPointer(column.bytes), offsets: UnsafePointer(column.offsets),
                    validity: column.validity.map { UnsafePointer($0) })
            }
        }
    }

    private func source<Element>(_ column: FixedColumn<Element>) -> Source {
        let values = UnsafeRawPointer(column.values)
        return Source(
            values: values, offsets: values.assumingMemoryBound(to: Int32.self),
            validity: column.validity.map { UnsafePointer($0) })
    }

    @inline(__always)
    private func encode(_ row: Int, _ chunk: Chunk, _ buffer: RecordBuffer) throws {
        var bound = 5
        for index in 0..<steps.count {
            // No number takes more than ten bytes, no branch more than one.
            bound &+= 11
            if steps[index].code == .text {
                let offsets = sources[Int(steps[index].column)].offsets
                bound &+= Int(offsets[row &+ 1] &- offsets[row])
            }
        }
        let start = buffer.reserve(bound)
        start[0] = 0
        store32(schemaID.bigEndian, start + 1)
        var target = start + 5
        for index in 0..<steps.count {
            let step = steps[index]
            let source = sources[Int(step.column)]
            if let validity = source.validity, validity[row] == 0 {
                guard let branch = step.nullBranch else {
                    throw mismatch(index, "it is NULL, and the schema has no null there")
                }
                target[0] = branch
                target += 1
                continue
            }
            if let branch = step.valueBranch {
                target[0] = branch
                target += 1
            }
            switch step.code {
            case .text:
                let from = Int(source.offsets[row])
                let length = Int(source.offsets[row &+ 1]) &- from
                writeLong(Int64(length), &target)
                copyBytes(source.values.assumingMemoryBound(to: UInt8.self) + from, length, to: target)
                target += length
            case .symbol:
                guard let symbol = symbol(source, row, step.table) else {
                    throw mismatch(index, "a text is none of the enum's symbols")
                }
                writeLong(Int64(symbol), &target)
            case .long:
                writeLong(source.values.load(fromByteOffset: row &<< 3, as: Int64.self), &target)
            case .int:
                let value = source.values.load(fromByteOffset: row &<< 3, as: Int64.self)
                guard Int32(exactly: value) != nil else { throw mismatch(index, "a number does not fit into 32 bits") }
                writeLong(value, &target)
            case .micros:
                let value = source.values.load(fromByteOffset: row &<< 3, as: Int64.self)
                let (micros, overflow) = value.multipliedReportingOverflow(by: 1000)
                if overflow { throw mismatch(index, "a time does not fit into microseconds") }
                writeLong(micros, &target)
            case .float:
                let value = Float(source.values.load(fromByteOffset: row &<< 3, as: Double.self))
                store32(value.bitPattern.littleEndian, target)
                target += 4
            case .double:
                store64(source.values.load(fromByteOffset: row &<< 3, as: UInt64.self).littleEndian, target)
                target += 8
            case .bool:
                target[0] = source.values.load(fromByteOffset: row, as: UInt8.self)
                target += 1
            }
        }
        buffer.endRecord(target - start)
    }

    private func symbol(_ source: Source, _ row: Int, _ table: Int32) -> Int? {
        let from = Int(source.offsets[row])
        let text = UnsafeRawBufferPointer(start: source.values + from, count: Int(source.offsets[row + 1]) - from)
        let names = symbols[Int(table)]
        return (0..<names.count).first { names.slice($0).elementsEqual(text) }
    }

    private func mismatch(_ step: Int, _ why: String) -> Failure {
        Failure(
            .schemaMismatch, "a row cannot be written as Avro", why: "field \(fieldNames[step]): \(why)",
            now: "use a schema that allows what the job computes")
    }

    private static func step(
        _ schema: AvroSchema, _ field: AvroSchema.RecordField, _ column: Field, _ index: Int,
        _ tables: inout [TextColumn]
    ) throws -> Step {
        func code(_ node: Int) -> Code? {
            let kind = schema.logicalTypes[node]?.kind
            return switch (schema.nodes[node], column.type) {
            case (.long, .timestamp) where kind == .micros: .micros
            case (.long, .timestamp) where kind == .millis: .long
            case (.string, .text) where kind == .uuid: .text
            case (_, _) where kind != nil: nil
            case (.string, .text), (.bytes, .text): .text
            case (.enumeration, .text): .symbol
            case (.long, .int64), (.long, .timestamp): .long
            case (.int, .int64): .int
            case (.float, .float64): .float
            case (.double, .float64): .double
            case (.boolean, .bool): .bool
            default: nil
            }
        }
        var step: Step?
        var node = field.node
        if let code = code(node) { step = Step(code: code, column: Int32(index)) }
        if case .union(let branches) = schema.nodes[node], branches.count <= 64,
            let value = branches.firstIndex(where: { code($0) != nil }), let valueCode = code(branches[value])
        {
            let null = branches.firstIndex { schema.nodes[$0] == .null }
            node = branches[value]
            step = Step(
                code: valueCode, column: Int32(index), nullBranch: null.map { UInt8($0 << 1) },
                valueBranch: UInt8(value << 1))
        }
        guard var step else {
            throw Failure(
                .schemaMismatch, "the schema does not fit the rows",
                why: "the field \(field.name) is \(column.type.rawValue) in the rows and "
                    + "\(schema.describe(field.node)) in the schema",
                now: "give a schema that fits the columns")
        }
        if case .enumeration(let names) = schema.nodes[node] {
            let table = TextColumn(capacity: names.count)
            for name in names { table.append(name) }
            step.table = Int32(tables.count)
            tables.append(table)
        }
        return step
    }
}

/// Writes a zigzag variable-length number and moves past it.
@inline(__always)
private func writeLong(_ value: Int64, _ target: inout UnsafeMutablePointer<UInt8>) {
    var rest = UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))
    while rest >= 0x80 {
        target[0] = UInt8(truncatingIfNeeded: rest) | 0x80
        target += 1
        rest &>>= 7
    }
    target[0] = UInt8(truncatingIfNeeded: rest)
    target += 1
}
