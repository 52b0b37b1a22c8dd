// jsonb made of other jsonb: joined, and without some of its parts.
//
// Objects are joined by name, the right side wins; everything else is joined as arrays, a value that is no array as an array of one.

extension FunctionTable {
    mutating func addJSONChanges() {
        add("||", [.jsonb, .jsonb], .jsonb) { $0.write { (a: Bytes, b: Bytes, out: inout ByteBuilder) in JSONChange.join(a, b, &out) } }
        add("-", [.jsonb, .text], .jsonb, fails: true) {
            $0.write { (a: Bytes, name: Bytes, out: inout ByteBuilder) throws(RowFault) in
                try JSONChange.remove(a, &out) { JSONScan.isString($0, name) }
            }
        }
        add("-", [.jsonb, .list(.text)], .jsonb, fails: true) { call in
            let (a, names) = (call[0], call.list(1))
            call.writeEachRow { (row, out) throws(RowFault) in
                try JSONChange.remove(a.bytes(row), &out) { quoted in
                    names.entries(row).contains { !names.child.isNull($0) && JSONScan.isString(quoted, names.child.bytes($0)) }
                }
                return true
            }
        }
        add("-", [.jsonb, .int4], .jsonb, fails: true) {
            $0.write { (a: Bytes, index: Int64, out: inout ByteBuilder) throws(RowFault) in try JSONChange.remove(a, index, &out) }
        }
        add("jsonb_strip_nulls", [.jsonb], .jsonb) { $0.write { (a: Bytes, out: inout ByteBuilder) in JSONChange.stripNulls(a, &out) } }
    }
}

enum JSONChange {
    static func join(_ a: Bytes, _ b: Bytes, _ out: inout ByteBuilder) {
        let (left, right) = (JSONScan.kind(a), JSONScan.kind(b))
        if left == .object && right == .object {
            return JSONText.writeObject(members(a) + members(b), &out)
        }
        var isFirst = true
        out.append(UInt8(ascii: "["))
        for (json, kind) in [(a, left), (b, right)] {
            // What stands between the brackets of an array, or the value itself.
            let part = kind == .array ? json[1..<(json.count - 1)] : json[...]
            if part.isEmpty { continue }
            if !isFirst { out.append(", ") }
            isFirst = false
            out.append(part)
        }
        out.append(UInt8(ascii: "]"))
    }

    private static func members(_ json: Bytes) -> [(name: [UInt8], value: [UInt8])] {
        var members: [(name: [UInt8], value: [UInt8])] = []
        JSONScan.forEachMember(json) { name, value in
            var plain = ByteBuilder(BufferPool())
            JSONString.unescape(JSONScan.part(json, name), &plain)
            members.append((plain.array, Array(JSONScan.part(json, value))))
            return true
        }
        return members
    }

    /// Without the members and the strings among the elements whose name or text (in quotes) is `isOut`.
    static func remove(_ json: Bytes, _ out: inout ByteBuilder, _ isOut: (Bytes) -> Bool) throws(RowFault) {
        switch JSONScan.kind(json) {
        case .object: copyObject(json, &out) { name, _ in !isOut(name) }
        case .array: copyArray(json, &out) { _, value in JSONScan.kind(value) != .string || !isOut(value) }
        case .string, .number, .bool, .null: throw .parameter("cannot delete from scalar")
        }
    }

    /// Without the element at `index`, counted from the end where it is negative.
    static func remove(_ json: Bytes, _ index: Int64, _ out: inout ByteBuilder) throws(RowFault) {
        switch JSONScan.kind(json) {
        case .object: throw .parameter("cannot delete from object using integer index")
        case .array:
            let wanted = index < 0 ? index + Int64(JSONScan.count(json)) : index
            copyArray(json, &out) { place, _ in Int64(place) != wanted }
        case .string, .number, .bool, .null: throw .parameter("cannot delete from scalar")
        }
    }

    private static func copyObject(_ json: Bytes, _ out: inout ByteBuilder, _ keep: (_ name: Bytes, _ value: Bytes) -> Bool) {
        var isFirst = true
        out.append(UInt8(ascii: "{"))
        JSONScan.forEachMember(json) { name, value in
            if keep(JSONScan.part(json, name), JSONScan.part(json, value)) {
                if !isFirst { out.append(", ") }
                isFirst = false
                out.append(json[name.lowerBound..<value.upperBound])
            }
            return true
        }
        out.append(UInt8(ascii: "}"))
    }

    private static func copyArray(_ json: Bytes, _ out: inout ByteBuilder, _ keep: (_ place: Int, _ value: Bytes) -> Bool) {
        var (isFirst, place) = (true, 0)
        out.append(UInt8(ascii: "["))
        JSONScan.forEachElement(json) { value in
            if keep(place, JSONScan.part(json, value)) {
                if !isFirst { out.append(", ") }
                isFirst = false
                out.append(json[value])
            }
            place += 1
            return true
        }
        out.append(UInt8(ascii: "]"))
    }

    /// Without the members that are null, at every depth; elements stay.
    static func stripNulls(_ json: Bytes, _ out: inout ByteBuilder) {
        var isFirst = true
        switch JSONScan.kind(json) {
        case .object:
            out.append(UInt8(ascii: "{"))
            JSONScan.forEachMember(json) { name, value in
                let part = JSONScan.part(json, value)
                if JSONScan.kind(part) == .null { return true }
                if !isFirst { out.append(", ") }
                isFirst = false
                out.append(json[name.lowerBound..<value.lowerBound])
                stripNulls(part, &out)
                return true
            }
            out.append(UInt8(ascii: "}"))
        case .array:
            out.append(UInt8(ascii: "["))
            JSONScan.forEachElement(json) { value in
                if !isFirst { out.append(", ") }
                isFirst = false
                stripNulls(JSONScan.part(json, value), &out)
                return true
            }
            out.append(UInt8(ascii: "]"))
        case .string, .number, .bool, .null: out.append(json)
        }
    }
}
