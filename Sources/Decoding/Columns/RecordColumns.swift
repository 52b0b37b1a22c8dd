// The columns that every topic has: where a record stands, its key, its time and its headers. They are made only where they are asked for.

import Values

struct RecordColumns {
    let run: SourceRun
    /// The record of each row.
    let records: UnsafePointer<Int32>
    let count: Int
    let pool: BufferPool

    /// - Parameter name: of one of the six columns.
    func vector(_ name: String) -> Vector {
        switch name {
        case "source_topic": return .constant(.text(run.topic), .text, pool: pool)
        case "source_partition": return .constant(.word(Int64(run.partition)), .int4, pool: pool)
        case "source_offset":
            var writer = VectorWriter(.int8, count: count, pool: pool)
            for row in 0..<count { writer.store(row, run.records[Int(records[row])].offset) }
            return writer.finish()
        case "record_key":
            var writer = VectorWriter(.bytea, count: count, pool: pool)
            for row in 0..<count {
                let record = run.records[Int(records[row])]
                if let key = record.key { writer.storeBytes(row, Bytes(start: key, count: Int(record.keyCount))) } else { writer.setNull(row) }
            }
            return writer.finish()
        case "record_time":
            var writer = VectorWriter(.timestamptz, count: count, pool: pool)
            for row in 0..<count {
                let (micros, isOver) = run.records[Int(records[row])].timeMillis.multipliedReportingOverflow(by: 1000)
                if isOver || !ISOTime.isTaken(micros: micros) { writer.setNull(row) } else { writer.store(row, micros) }
            }
            return writer.finish()
        case "record_headers":
            var writer = VectorWriter(.jsonb, count: count, pool: pool)
            var document = ByteBuilder(pool)
            for row in 0..<count {
                document.truncate(to: 0)
                write(headersOf: Int(records[row]), &document)
                writer.storeBytes(row, document.bytes)
            }
            return writer.finish()
        default: preconditionFailure("a topic has no column \(name)")
        }
    }

    /// `[{"key": "a", "value": "b"}]`, as jsonb writes it; bytes that are no text stand as bytea writes them.
    private func write(headersOf record: Int, _ out: inout ByteBuilder) {
        var list = ByteBuilder(pool)
        list.append("[")
        run.headers(record) { name, value in
            list.append(list.count > 1 ? ", {\"key\": " : "{\"key\": ")
            Self.write(name, &list)
            list.append(", \"value\": ")
            if let value { Self.write(value, &list) } else { list.append("null") }
            list.append("}")
        }
        list.append("]")
        out.append(list.bytes)
    }

    private static func write(_ bytes: Bytes, _ out: inout ByteBuilder) {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), !isText(start, bytes.count) else { return JSONString.write(bytes, &out) }
        out.append("\"\\")
        ByteaText.write(bytes, &out)
        out.append("\"")
    }
}
