// Vectors out of single values and back: for literals, tests and edges, never in a row loop.

extension Vector {
    /// One value for every row.
    public static func constant(_ value: Datum, _ type: SQLType, pool: BufferPool) -> Vector {
        let entry = Vector.flat([value], type, pool: pool)
        return Vector(
            type, form: .constant, count: 1, values: entry.values, extra: entry.extra, validity: entry.validity, children: entry.children)
    }

    /// A row for each value; each is of `type` or NULL.
    public static func flat(_ values: [Datum], _ type: SQLType, pool: BufferPool) -> Vector {
        var writer = VectorWriter(type, count: values.count, pool: pool)
        var children: [Vector] = []
        switch type {
        case .list(let element):
            var entries: [Datum] = []
            for (row, value) in values.enumerated() {
                guard case .list(let items) = value else {
                    writer.setNull(row)
                    continue
                }
                writer.storeSpan(row, Span(start: entries.count, count: items.count))
                entries += items
            }
            children = [Vector.flat(entries, element, pool: pool)]
        case .row(let fields):
            for (row, value) in values.enumerated() where value.isNull { writer.setNull(row) }
            for (index, field) in fields.enumerated() {
                let column = values.map { value in if case .row(let items) = value { items[index] } else { Datum.null } }
                children.append(Vector.flat(column, field.type, pool: pool))
            }
        default:
            for (row, value) in values.enumerated() { writer.store(row, value) }
        }
        return writer.finish(children: children)
    }

    /// The value of one row.
    public func datum(_ row: Int) -> Datum {
        let view = view
        if view.isNull(row) { return .null }
        switch type {
        case .bool: return .bool(view.bool(row))
        case .int2, .int4, .int8, .date, .time, .timestamp, .timestamptz: return .word(view.word(row))
        case .float4, .float8: return .float(view.float(row))
        case .numeric: return .numeric(view.numeric(row))
        case .interval: return .interval(view.interval(row))
        case .uuid: return .uuid(view.uuid(row))
        case .unknown, .text, .jsonb: return .text(view.bytes(row).string)
        case .bytea: return .bytes(Array(view.bytes(row)))
        case .list:
            let span = view.span(row)
            return .list((0..<Int(span.count)).map { children[0].datum(Int(span.start) + $0) })
        case .row:
            let place = view.place(row)
            return .row(children.map { $0.datum(place) })
        }
    }
}

extension VectorWriter {
    /// Writes a boxed value of the writer's type, or NULL.
    package mutating func store(_ row: Int, _ value: Datum) {
        switch value {
        case .null: setNull(row)
        case .bool(let value): store(row, value)
        case .word(let value): store(row, value)
        case .float(let value): store(row, value)
        case .numeric(let value): store(row, value)
        case .interval(let value): store(row, value)
        case .uuid(let value): store(row, value)
        case .text(var value): value.withUTF8 { storeBytes(row, Bytes($0)) }
        case .bytes(let value): value.withUnsafeBytes { storeBytes(row, $0) }
        case .list, .row: preconditionFailure("lists and rows are written through their children")
        }
    }
}
