// Values of Avro as JSON: records and maps as objects, arrays as lists, a union as what its branch is.
//
// Times are written as to_jsonb writes them (ISO 8601, moments in UTC), decimals and numbers as numbers, bytes as bytea's text, NaN and the infinities as
// texts. A logical type that is not known stands as its base type has it: nothing here takes it for something else. The text goes through jsonb's
// own reader, which puts it into its one form.
//
// It walks by calls within calls, as deep as documents may be; what it writes is bounded, as items can be without any bytes of their own.

import Values

/// How far a value was read.
struct AvroWalk {
    let program: AvroRowProgram
    var cursor: Place
    let end: Place
}

final class AvroDocuments {
    enum Problem {
        /// It is not Avro.
        case broken
        /// It is, and cannot be JSON.
        case failed(RowFault)
    }

    /// Writes the value of a node as JSON.
    func write(_ node: Int, _ walk: inout AvroWalk, _ out: inout ByteBuilder, depth: Int) -> Problem? {
        if depth > RecordLimits.depth { return .broken }
        if out.count > RecordLimits.columnBytes { return .failed(RowFault("54000", "a document has more than \(RecordLimits.columnBytes) bytes")) }
        let schema = walk.program.schema
        if let logical = schema.logical[node], let done = write(logical, node, &walk, &out) { return done.problem }
        switch schema.nodes[node] {
        case .null: out.append("null")
        case .boolean:
            guard walk.cursor < walk.end, walk.cursor.pointee <= 1 else { return .broken }
            if walk.cursor.pointee == 1 { out.append("true") } else { out.append("false") }
            walk.cursor += 1
        case .int, .long:
            guard let raw = readVarint(&walk.cursor, walk.end) else { return .broken }
            out.append(decimal: zigzag(raw))
        case .float, .double:
            let isSingle = schema.nodes[node] == .float
            guard let number = readFloat(isSingle, &walk.cursor, walk.end) else { return .broken }
            if !number.isFinite { out.append("\"") }
            FloatText.write(number, isSingle ? .float4 : .float8, &out)
            if !number.isFinite { out.append("\"") }
        case .string: return string(&walk, &out)
        case .bytes:
            guard let (start, count) = decimalBytes(-1, &walk.cursor, walk.end) else { return .broken }
            write(bytea: start, count, &out)
        case .fixed(let size):
            guard let (start, count) = decimalBytes(size, &walk.cursor, walk.end) else { return .broken }
            write(bytea: start, count, &out)
        case .enumeration(let symbols):
            guard let raw = readVarint(&walk.cursor, walk.end), raw & 1 == 0, raw &>> 1 < UInt64(symbols.count) else { return .broken }
            quote(symbols[Int(raw &>> 1)], &out)
        case .union(let branches):
            guard let raw = readVarint(&walk.cursor, walk.end), raw & 1 == 0, raw &>> 1 < UInt64(branches.count) else { return .broken }
            return write(branches[Int(raw &>> 1)], &walk, &out, depth: depth)
        case .record(_, let fields):
            out.append("{")
            for (index, field) in fields.enumerated() {
                if index > 0 { out.append(", ") }
                quote(field.name, &out)
                out.append(": ")
                if let problem = write(field.node, &walk, &out, depth: depth + 1) { return problem }
            }
            out.append("}")
        case .array(let items): return blocks(items, isMap: false, &walk, &out, depth: depth)
        case .map(let values): return blocks(values, isMap: true, &walk, &out, depth: depth)
        }
        return nil
    }

    private func blocks(_ item: Int, isMap: Bool, _ walk: inout AvroWalk, _ out: inout ByteBuilder, depth: Int) -> Problem? {
        if isMap { out.append("{") } else { out.append("[") }
        var isFirst = true
        while true {
            guard let count = readBlock(&walk.cursor, walk.end) else { return .broken }
            if count == 0 { break }
            for _ in 0..<count {
                if !isFirst { out.append(", ") }
                isFirst = false
                if isMap {
                    if let problem = string(&walk, &out) { return problem }
                    out.append(": ")
                }
                if let problem = write(item, &walk, &out, depth: depth + 1) { return problem }
            }
        }
        if isMap { out.append("}") } else { out.append("]") }
        return nil
    }

    private func string(_ walk: inout AvroWalk, _ out: inout ByteBuilder) -> Problem? {
        guard let (start, count) = decimalBytes(-1, &walk.cursor, walk.end) else { return .broken }
        guard isText(start, count) else { return .failed(.notText) }
        JSONString.write(UnsafeRawBufferPointer(start: start, count: count), &out)
        return nil
    }

    private func quote(_ string: String, _ out: inout ByteBuilder) {
        var string = string
        string.withUTF8 { JSONString.write(Bytes($0), &out) }
    }

    private func write(bytea start: Place, _ count: Int, _ out: inout ByteBuilder) {
        out.append("\"\\")
        ByteaText.write(UnsafeRawBufferPointer(start: start, count: count), &out)
        out.append("\"")
    }

    /// A value that its logical type says how to write.
    private struct Done { let problem: Problem? }

    private func write(_ logical: AvroSchemaTree.Logical, _ node: Int, _ walk: inout AvroWalk, _ out: inout ByteBuilder) -> Done? {
        switch logical {
        case .moment(let unit), .local(let unit), .timeOfDay(let unit):
            guard let raw = readVarint(&walk.cursor, walk.end) else { return Done(problem: .broken) }
            guard let micros = AvroTime.micros(zigzag(raw), unit.power) else { return Done(problem: .failed(.outsideYears)) }
            if case .timeOfDay = logical {
                guard micros >= 0, micros <= ISOTime.microsPerDay else { return Done(problem: .failed(.outOfRange(.time))) }
                return quoted(&out) { TimeText.writeTime(micros, &$0) }
            }
            guard ISOTime.isTaken(micros: micros) else { return Done(problem: .failed(.outsideYears)) }
            return quoted(&out) { out in
                let day = floored(micros, by: ISOTime.microsPerDay)
                TimeText.writeDate(day, &out)
                out.append("T")
                TimeText.writeTime(micros - day * ISOTime.microsPerDay, &out)
                if case .moment = logical { out.append("+00:00") }
            }
        case .date:
            guard let raw = readVarint(&walk.cursor, walk.end) else { return Done(problem: .broken) }
            guard ISOTime.isTaken(day: zigzag(raw)) else { return Done(problem: .failed(.outsideYears)) }
            return quoted(&out) { TimeText.writeDate(zigzag(raw), &$0) }
        case .decimal(let scale):
            let size = if case .fixed(let size) = walk.program.schema.nodes[node] { size } else { -1 }
            guard let (start, count) = decimalBytes(size, &walk.cursor, walk.end) else { return Done(problem: .broken) }
            do throws(RowFault) { NumericText.write(try AvroRowDecimal.numeric(start, count, scale: scale), &out) } catch { return Done(problem: .failed(error)) }
            return Done(problem: nil)
        case .uuid:
            guard case .fixed(let size) = walk.program.schema.nodes[node] else { return nil }
            guard let (start, _) = decimalBytes(size, &walk.cursor, walk.end) else { return Done(problem: .broken) }
            return quoted(&out) { UUIDText.write(AvroTime.uuid(start), &$0) }
        case .duration:
            guard let (start, _) = decimalBytes(12, &walk.cursor, walk.end) else { return Done(problem: .broken) }
            return quoted(&out) { IntervalText.write(AvroTime.duration(start), &$0) }
        case .length:
            guard let raw = readVarint(&walk.cursor, walk.end) else { return Done(problem: .broken) }
            return quoted(&out) { IntervalText.write(Interval(micros: zigzag(raw)), &$0) }
        case .json, .unknown: return nil
        }
    }

    private func quoted(_ out: inout ByteBuilder, _ body: (inout ByteBuilder) -> Void) -> Done {
        out.append("\"")
        body(&out)
        out.append("\"")
        return Done(problem: nil)
    }
}
