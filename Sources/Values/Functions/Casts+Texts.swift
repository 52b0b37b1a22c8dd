// Casts through text: every type to text (assignment), text to every type (explicit); varchar's lengths; jsonb's scalars.

extension Casts {
    static func addTextCasts(_ add: Adder) {
        for type in SQLType.scalars where type != .text {
            add(type, .text, .assignment, false) { call in
                if type == .bool {
                    call.write { (a: Bool, out: inout ByteBuilder) in out.append(a ? "true" : "false") }
                } else {
                    call.writeText(type)
                }
            }
        }
        add(.text, .bool, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try BoolText.parse(a) } }
        for type: SQLType in [.int2, .int4, .int8] { add(.text, type, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try IntegerText.parse(a, type) } } }
        for type: SQLType in [.float4, .float8] { add(.text, type, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try FloatText.parse(a, type) } } }
        add(.text, .numeric, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try NumericText.parse(a) } }
        add(.text, .bytea, .explicit, true) { $0.write { (a: Bytes, out: inout ByteBuilder) throws(RowFault) in try ByteaText.parse(a, &out) } }
        add(.text, .date, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try TimeParser.date(a) } }
        add(.text, .time, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try TimeParser.time(a) } }
        add(.text, .timestamp, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try TimeParser.timestamp(a) } }
        add(.text, .timestamptz, .explicit, true) { call in
            let zone = call.context.zone
            call.map { (a: Bytes) throws(RowFault) in try TimeParser.timestampTZ(a, zone) }
        }
        add(.text, .interval, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try IntervalText.parse(a) } }
        add(.text, .uuid, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try UUIDText.parse(a) } }
        add(.text, .jsonb, .explicit, true) { $0.write { (a: Bytes, out: inout ByteBuilder) throws(RowFault) in try JSONParser.canonical(a, &out) } }
    }

    static func addJSONCasts(_ add: Adder) {
        add(.jsonb, .bool, .explicit, true) {
            $0.map { (a: Bytes) throws(RowFault) -> Bool in
                guard JSONScan.kind(a) == .bool else { throw wrongKind(a, .bool) }
                return a[0] == UInt8(ascii: "t")
            }
        }
        add(.jsonb, .numeric, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try number(a, .numeric) } }
        for type: SQLType in [.int2, .int4, .int8] {
            let (bounds, fault) = (IntegerText.bounds(of: type), RowFault.range(type))
            add(.jsonb, type, .explicit, true) { $0.map { (a: Bytes) throws(RowFault) in try integer(try number(a, type), bounds, fault, type) } }
        }
        for type: SQLType in [.float4, .float8] {
            add(.jsonb, type, .explicit, true) {
                $0.map { (a: Bytes) throws(RowFault) -> Double in
                    guard JSONScan.kind(a) == .number else { throw wrongKind(a, type) }
                    return try FloatText.parse(a, type)
                }
            }
        }
    }

    private static func number(_ json: Bytes, _ type: SQLType) throws(RowFault) -> Numeric {
        guard JSONScan.kind(json) == .number else { throw wrongKind(json, type) }
        return try NumericText.parse(json)
    }

    private static func wrongKind(_ json: Bytes, _ type: SQLType) -> RowFault {
        let kind =
            switch JSONScan.kind(json) {
            case .object: "object"
            case .array: "array"
            case .string: "string"
            case .number: "numeric"
            case .bool: "boolean"
            case .null: "null"
            }
        return .parameter("cannot cast jsonb \(kind) to type \(type.name)")
    }

    /// varchar(n) by a cast: cut.
    static let cutLength = overload("cut", [.text, .int4], .text) { call in
        let length = call[1]
        call.slice { (row, text) in 0..<Characters.offset(text, Int(length.word(row))) }
    }

    /// varchar(n) by assignment: only blanks may be cut.
    static let fitLength = overload("fit", [.text, .int4], .text, fails: true) { call in
        let length = call[1]
        call.slice { (row, text) throws(RowFault) in
            let end = Characters.offset(text, Int(length.word(row)))
            guard text[end...].allSatisfy({ $0 == 32 }) else { throw RowFault("22001", "value too long for type character varying(\(length.word(row)))") }
            return 0..<end
        }
    }
}

extension KernelCall {
    /// The first argument as its type's output writes it.
    mutating func writeText(_ type: SQLType) {
        switch type {
        case .bool: write { (a: Bool, out: inout ByteBuilder) in out.append(UInt8(ascii: a ? "t" : "f")) }
        case .int2, .int4, .int8: write { (a: Int64, out: inout ByteBuilder) in out.append(decimal: a) }
        case .float4, .float8: write { (a: Double, out: inout ByteBuilder) in FloatText.write(a, type, &out) }
        case .numeric: write { (a: Numeric, out: inout ByteBuilder) in NumericText.write(a, &out) }
        case .bytea: write { (a: Bytes, out: inout ByteBuilder) in ByteaText.write(a, &out) }
        case .date: write { (a: Int64, out: inout ByteBuilder) in TimeText.writeDate(a, &out) }
        case .time: write { (a: Int64, out: inout ByteBuilder) in TimeText.writeTime(a, &out) }
        case .timestamp: write { (a: Int64, out: inout ByteBuilder) in TimeText.writeTimestamp(a, &out) }
        case .timestamptz:
            let zone = context.zone
            write { (a: Int64, out: inout ByteBuilder) in TimeText.writeTimestampTZ(a, zone, &out) }
        case .interval: write { (a: Interval, out: inout ByteBuilder) in IntervalText.write(a, &out) }
        case .uuid: write { (a: UUIDWords, out: inout ByteBuilder) in UUIDText.write(a, &out) }
        case .unknown, .text, .jsonb: slice { (_, text) in 0..<text.count }
        case .list(let element):
            let (vector, context) = (vectors[0], context)
            writeEachRow { (row, out) in
                guard case .list(let values) = vector.datum(row) else { return false }
                ListText.write(values, element, context, &out)
                return true
            }
        case .row: preconditionFailure("a row has no text form here")
        }
    }
}
