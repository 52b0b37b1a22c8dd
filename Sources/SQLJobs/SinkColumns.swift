// The columns of the table that a query writes: their names and types there, and what goes into each.
//
// Whole numbers, floats and booleans go as they are; every other type as the text that PostgreSQL writes for it, with the type's own name
// beside it, so that a database makes it what it is. A moment is written as `2026-03-01T12:00:00.000Z`, in which texts sort as moments do;
// only one that lies within a millisecond has six digits, and sorts before that millisecond.

import Dataflow
import Engine
import SQLBinding
import Values

struct SinkColumn: Sendable, Hashable {
    enum Value: Sendable, Hashable {
        /// Number of the query's column.
        case column(Int)
        /// What a column of the table has that the query does not give: its default, or NULL.
        case constant(Datum)
    }

    let field: Field
    let type: SQLType
    let value: Value
}

extension SQLType {
    /// The name by which PostgreSQL's catalogue shows the type.
    func postgresName(_ modifier: TypeModifier) -> String {
        func with(_ name: String, _ rest: String = "") -> String {
            switch modifier {
            case .none: name + rest
            case .digits(let precision, let scale): "\(name)(\(precision),\(scale))\(rest)"
            case .length(let length): "\(name)(\(length))\(rest)"
            case .fraction(let digits): "\(name)(\(digits))\(rest)"
            }
        }
        return switch self {
        case .unknown: "text"
        case .text: if case .length = modifier { with("character varying") } else { "text" }
        case .bool: "boolean"
        case .int2: "smallint"
        case .int4: "integer"
        case .int8: "bigint"
        case .float4: "real"
        case .float8: "double precision"
        case .numeric: with("numeric")
        case .time: with("time", " without time zone")
        case .timestamp: with("timestamp", " without time zone")
        case .timestamptz: with("timestamp", " with time zone")
        case .interval: with("interval")
        case .bytea, .date, .uuid, .jsonb: name
        case .list(let element): element.postgresName(modifier) + "[]"
        case .row: "record"
        }
    }

    /// How a value lies in the rows that a sink is given.
    var sinkType: ValueType {
        switch self {
        case .int2, .int4, .int8: .int64
        case .float4, .float8: .float64
        case .bool: .bool
        case .unknown, .numeric, .text, .bytea, .date, .time, .timestamp, .timestamptz, .interval, .uuid, .jsonb, .list, .row: .text
        }
    }
}

extension Column {
    /// The values of some rows of a vector.
    init(_ vector: Vector, rows: [Int], context: EvaluationContext) {
        let view = vector.view
        switch vector.type {
        case .int2, .int4, .int8:
            let column = FixedColumn<Int64>(capacity: rows.count)
            for row in rows { if view.isNull(row) { column.appendNull(filler: 0) } else { column.append(view.word(row)) } }
            self = .int64(column)
        case .float4, .float8:
            let column = FixedColumn<Double>(capacity: rows.count)
            for row in rows { if view.isNull(row) { column.appendNull(filler: 0) } else { column.append(view.float(row)) } }
            self = .float64(column)
        case .bool:
            let column = FixedColumn<Bool>(capacity: rows.count)
            for row in rows { if view.isNull(row) { column.appendNull(filler: false) } else { column.append(view.bool(row)) } }
            self = .bool(column)
        case .text, .jsonb, .unknown:
            let column = TextColumn(capacity: rows.count)
            for row in rows {
                let bytes = view.isNull(row) ? nil : view.bytes(row)
                if let bytes { Self.append(bytes, to: column) } else { column.appendNull() }
            }
            self = .text(column)
        case .timestamptz:
            let column = TextColumn(capacity: rows.count)
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { scratch in
                for row in rows { if view.isNull(row) { column.appendNull() } else { Self.append(moment: view.word(row), to: column, scratch.baseAddress!) } }
            }
            self = .text(column)
        case .numeric, .bytea, .date, .time, .timestamp, .interval, .uuid, .list, .row:
            let column = TextColumn(capacity: rows.count)
            var text = ByteBuilder(BufferPool())
            for row in rows {
                if view.isNull(row) {
                    column.appendNull()
                    continue
                }
                text.truncate(to: 0)
                TypeText.write(vector.datum(row), as: vector.type, context: context, &text)
                Self.append(UnsafeRawBufferPointer(text.bytes), to: column)
            }
            self = .text(column)
        }
        withExtendedLifetime(vector) {}
    }

    private static func append(_ bytes: UnsafeRawBufferPointer, to column: TextColumn) {
        if let base = bytes.baseAddress { column.append(base.assumingMemoryBound(to: UInt8.self), bytes.count) } else { column.append("") }
    }

    private static func append(moment micros: Int64, to column: TextColumn, _ scratch: UnsafeMutablePointer<UInt8>) {
        let (millis, rest) = micros.quotientAndRemainder(dividingBy: 1000)
        let whole = rest < 0 ? millis - 1 : millis
        let beyond = micros - whole * 1000
        guard rowTimes.contains(whole) else { return column.append(TypeText.text(.word(micros), as: .timestamptz) ?? "") }
        var count = writeTime(whole, to: scratch)
        if beyond != 0 {
            // In place of the Z.
            count -= 1
            scratch[count] = UInt8(ascii: "0") + UInt8(beyond / 100)
            scratch[count + 1] = UInt8(ascii: "0") + UInt8(beyond / 10 % 10)
            scratch[count + 2] = UInt8(ascii: "0") + UInt8(beyond % 10)
            count += 3
            scratch[count] = UInt8(ascii: "Z")
            count += 1
        }
        column.append(scratch, count)
    }
}
