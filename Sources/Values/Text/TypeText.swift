// One value of any type as text, in and out: for literals, tests and edges. Row loops use the types' own readers and writers.

package enum TypeText {
    /// Reads a text as PostgreSQL's input function of `type` does.
    public static func read(_ text: String, as type: SQLType, context: EvaluationContext) throws(RowFault) -> Datum {
        let bytes = Array(text.utf8)
        return try bytes.withUnsafeBufferPointer { (bytes) throws(RowFault) -> Datum in try read(Bytes(bytes), as: type, context: context) }
    }

    static func read(_ text: Bytes, as type: SQLType, context: EvaluationContext) throws(RowFault) -> Datum {
        switch type {
        case .unknown, .text: return .text(text.string)
        case .bool: return .bool(try BoolText.parse(text))
        case .int2, .int4, .int8: return .word(try IntegerText.parse(text, type))
        case .float4, .float8: return .float(try FloatText.parse(text, type))
        case .numeric: return .numeric(try NumericText.parse(text))
        case .bytea:
            var out = ByteBuilder(BufferPool())
            try ByteaText.parse(text, &out)
            return .bytes(out.array)
        case .date: return .word(try TimeParser.date(text))
        case .time: return .word(try TimeParser.time(text))
        case .timestamp: return .word(try TimeParser.timestamp(text))
        case .timestamptz: return .word(try TimeParser.timestampTZ(text, context.zone))
        case .interval: return .interval(try IntervalText.parse(text))
        case .uuid: return .uuid(try UUIDText.parse(text))
        case .jsonb:
            var out = ByteBuilder(BufferPool())
            try JSONParser.canonical(text, &out)
            return .text(out.string)
        case .list(let element): return try ListText.parse(text, element, context)
        case .row: throw .unsupported("a row has no text form here")
        }
    }

    /// Writes a value as its type's output function does.
    package static func write(_ value: Datum, as type: SQLType, context: EvaluationContext, _ out: inout ByteBuilder) {
        switch (value, type) {
        case (.null, _): out.append("NULL")
        case (.bool(let value), _): out.append(UInt8(ascii: value ? "t" : "f"))
        case (.word(let value), .date): TimeText.writeDate(value, &out)
        case (.word(let value), .time): TimeText.writeTime(value, &out)
        case (.word(let value), .timestamp): TimeText.writeTimestamp(value, &out)
        case (.word(let value), .timestamptz): TimeText.writeTimestampTZ(value, context.zone, &out)
        case (.word(let value), _): out.append(decimal: value)
        case (.float(let value), _): FloatText.write(value, type, &out)
        case (.numeric(let value), _): NumericText.write(value, &out)
        case (.interval(let value), _): IntervalText.write(value, &out)
        case (.uuid(let value), _): UUIDText.write(value, &out)
        case (.text(let value), _): out.append(value)
        case (.bytes(let value), _): value.withUnsafeBytes { ByteaText.write($0, &out) }
        case (.list(let values), .list(let element)): ListText.write(values, element, context, &out)
        case (.list, _), (.row, _): preconditionFailure("\(value) is no \(type.name)")
        }
    }

    /// The text of a value, NULL as nil.
    package static func text(_ value: Datum, as type: SQLType, context: EvaluationContext = EvaluationContext()) -> String? {
        if value.isNull { return nil }
        var out = ByteBuilder(BufferPool())
        write(value, as: type, context: context, &out)
        return out.string
    }
}

/// Lists as PostgreSQL writes arrays: `{1,NULL,"a b"}`.
enum ListText {
    static func write(_ values: [Datum], _ element: SQLType, _ context: EvaluationContext, _ out: inout ByteBuilder) {
        out.append(UInt8(ascii: "{"))
        for (index, value) in values.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            guard let text = TypeText.text(value, as: element, context: context) else {
                out.append("NULL")
                continue
            }
            if case .list = element {
                out.append(text)
                continue
            }
            let needsQuotes =
                text.isEmpty || text.lowercased() == "null"
                || text.utf8.contains { "{},\"\\".utf8.contains($0) || Space.isSpace($0) }
            guard needsQuotes else {
                out.append(text)
                continue
            }
            out.append(UInt8(ascii: "\""))
            for byte in text.utf8 {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { out.append(UInt8(ascii: "\\")) }
                out.append(byte)
            }
            out.append(UInt8(ascii: "\""))
        }
        out.append(UInt8(ascii: "}"))
    }

    /// One dimension; more are refused.
    static func parse(_ text: Bytes, _ element: SQLType, _ context: EvaluationContext) throws(RowFault) -> Datum {
        let malformed = RowFault("22P02", "malformed array literal: \"\(text.string)\"")
        let body = Space.trimmed(text)
        guard body.count >= 2, body[0] == UInt8(ascii: "{"), body[body.count - 1] == UInt8(ascii: "}") else { throw malformed }
        var (values, place, end): ([Datum], Int, Int) = ([], 1, body.count - 1)
        func skipSpace() { while place < end && Space.isSpace(body[place]) { place += 1 } }
        skipSpace()
        if place == end { return .list([]) }
        while true {
            skipSpace()
            var (item, isQuoted): ([UInt8], Bool) = ([], false)
            guard place < end else { throw malformed }
            if body[place] == UInt8(ascii: "{") { throw .unsupported("arrays of more than one dimension are not supported") }
            if body[place] == UInt8(ascii: "\"") {
                isQuoted = true
                place += 1
                while place < end && body[place] != UInt8(ascii: "\"") {
                    if body[place] == UInt8(ascii: "\\") { place += 1 }
                    guard place < end else { throw malformed }
                    item.append(body[place])
                    place += 1
                }
                guard place < end else { throw malformed }
                place += 1
                skipSpace()
            } else {
                var kept = 0
                while place < end && body[place] != UInt8(ascii: ",") {
                    if body[place] == UInt8(ascii: "\\") {
                        place += 1
                        guard place < end else { throw malformed }
                        item.append(body[place])
                        kept = item.count
                    } else {
                        guard !"{}\"".utf8.contains(body[place]) else { throw malformed }
                        item.append(body[place])
                        if !Space.isSpace(body[place]) { kept = item.count }
                    }
                    place += 1
                }
                item.removeLast(item.count - kept)
                guard !item.isEmpty else { throw malformed }
            }
            let isNull = !isQuoted && item.withUnsafeBytes { $0.isWord("null") }
            if isNull {
                values.append(.null)
            } else {
                values.append(try item.withUnsafeBufferPointer { (item) throws(RowFault) -> Datum in try TypeText.read(Bytes(item), as: element, context: context) })
            }
            if place == end { return .list(values) }
            guard body[place] == UInt8(ascii: ",") else { throw malformed }
            place += 1
        }
    }
}
