// jsonb: members, elements, paths, containment. Parts of a document are found in its text and shared, not copied.

extension FunctionTable {
    mutating func addJSON() {
        addAccess()
        add("jsonb_typeof", [.jsonb], .text) {
            $0.write { (a: Bytes, out: inout ByteBuilder) in
                switch JSONScan.kind(a) {
                case .object: out.append("object")
                case .array: out.append("array")
                case .string: out.append("string")
                case .number: out.append("number")
                case .bool: out.append("boolean")
                case .null: out.append("null")
                }
            }
        }
        add("jsonb_array_length", [.jsonb], .int4, fails: true) {
            $0.map { (a: Bytes) throws(RowFault) -> Int64 in
                switch JSONScan.kind(a) {
                case .array: return Int64(JSONScan.count(a))
                case .object: throw .parameter("cannot get array length of a non-array")
                default: throw .parameter("cannot get array length of a scalar")
                }
            }
        }
        add("@>", [.jsonb, .jsonb], .bool) { $0.map { (a: Bytes, b: Bytes) in JSONContainment.contains(a, b, isTop: true) } }
        add("<@", [.jsonb, .jsonb], .bool) { $0.map { (a: Bytes, b: Bytes) in JSONContainment.contains(b, a, isTop: true) } }
        add("?", [.jsonb, .text], .bool) { $0.map { (a: Bytes, b: Bytes) in JSONContainment.exists(a, b) } }
        for (name, all) in [("?|", false), ("?&", true)] {
            add(name, [.jsonb, .list(.text)], .bool) { call in
                let (a, list) = (call[0], call.list(1))
                call.forEachRow { row in
                    let document = a.bytes(row)
                    for entry in list.entries(row) where !list.child.isNull(entry) {
                        if JSONContainment.exists(document, list.child.bytes(entry)) != all { return !all }
                    }
                    return all
                }
            }
        }
    }

    private mutating func addAccess() {
        addPart("->", "->>", .text, MemberFinder.self)
        addPart("->", "->>", .int4, ElementFinder.self)
        addPart("#>", "#>>", .list(.text), PathFinder.self)
    }

    /// A part as jsonb, and as text: a string without its quotes, null as NULL.
    private mutating func addPart<Finder: PartFinder>(_ name: String, _ textName: String, _ key: SQLType, _: Finder.Type) {
        add(name, [.jsonb, key], .jsonb) { call in
            let finder = Finder(call)
            call.sliceOrNull { (row, json) in finder.find(row, json) }
        }
        add(textName, [.jsonb, key], .text) { call in
            let (a, finder) = (call[0], Finder(call))
            call.writeEachRow { (row, out) in
                let json = a.bytes(row)
                guard let range = finder.find(row, json) else { return false }
                let part = JSONScan.part(json, range)
                switch JSONScan.kind(part) {
                case .null: return false
                case .string: JSONString.unescape(part, &out)
                default: out.append(part)
                }
                return true
            }
        }
    }
}

/// Where a row's part of its document is, by the second argument of a call.
private protocol PartFinder: SendableMetatype {
    init(_ call: KernelCall)
    func find(_ row: Int, _ json: Bytes) -> Range<Int>?
}

private struct MemberFinder: PartFinder {
    let name: VectorView
    init(_ call: KernelCall) { name = call[1] }

    @inline(__always)
    func find(_ row: Int, _ json: Bytes) -> Range<Int>? { JSONScan.member(json, name.bytes(row)) }
}

private struct ElementFinder: PartFinder {
    let index: VectorView
    init(_ call: KernelCall) { index = call[1] }

    @inline(__always)
    func find(_ row: Int, _ json: Bytes) -> Range<Int>? {
        // A scalar is an array of one to PostgreSQL.
        switch JSONScan.kind(json) {
        case .array, .object: JSONScan.element(json, index.word(row))
        case .string, .number, .bool, .null: index.word(row) == 0 || index.word(row) == -1 ? 0..<json.count : nil
        }
    }
}

private struct PathFinder: PartFinder {
    let path: ListArgument
    init(_ call: KernelCall) { path = call.list(1) }

    @inline(__always)
    func find(_ row: Int, _ json: Bytes) -> Range<Int>? { JSONPath.find(json, path, row) }
}

/// A list argument of a call.
struct ListArgument {
    let spans: VectorView
    let child: VectorView

    /// The entries of a row, as places in the child.
    @inline(__always)
    func entries(_ row: Int) -> Range<Int> {
        let span = spans.span(row)
        return Int(span.start)..<Int(span.start) + Int(span.count)
    }
}

extension KernelCall {
    func list(_ argument: Int) -> ListArgument { ListArgument(spans: arguments[argument], child: vectors[argument].children[0].view) }

    /// The row's bytes are a part of the first argument's, or it is NULL.
    @inline(__always)
    mutating func sliceOrNull(_ body: (Int, Bytes) -> Range<Int>?) {
        let a = arguments[0]
        selection.forEach { row in
            if let part = body(row, a.bytes(row)) {
                output.storeSpan(row, Span(start: Int(a.span(row).start) + part.lowerBound, count: part.count))
            } else {
                output.setNull(row)
            }
        }
        answer = output.finish(sharing: vectors[0].extra!)
    }
}

enum JSONPath {
    /// The part at the end of a path of names and numbers; nil where a step leads nowhere or is NULL.
    static func find(_ json: Bytes, _ path: ListArgument, _ row: Int) -> Range<Int>? {
        var found = 0..<json.count
        for entry in path.entries(row) {
            if path.child.isNull(entry) { return nil }
            let step = path.child.bytes(entry)
            let part = JSONScan.part(json, found)
            let inner: Range<Int>?
            switch JSONScan.kind(part) {
            case .object: inner = JSONScan.member(part, step)
            case .array: inner = number(step).flatMap { JSONScan.element(part, $0) }
            default: inner = nil
            }
            guard let inner else { return nil }
            found = found.lowerBound + inner.lowerBound..<found.lowerBound + inner.upperBound
        }
        return found
    }

    /// A name is none: without a look at it each one would make the message of an error.
    private static func number(_ step: Bytes) -> Int64? {
        guard step.contains(where: \.isDigit), step.allSatisfy({ $0 <= UInt8(ascii: "9") }) else { return nil }
        return try? IntegerText.parse(step, .int4)
    }
}

enum JSONContainment {
    /// Whether `a` contains `b`: members by name, elements in any order. At the top an array also contains a scalar of its own.
    static func contains(_ a: Bytes, _ b: Bytes, isTop: Bool) -> Bool {
        switch (JSONScan.kind(a), JSONScan.kind(b)) {
        case (.object, .object):
            var isInside = true
            JSONScan.forEachMember(b) { name, value in
                let own = JSONScan.member(a, quoted: JSONScan.part(b, name))
                isInside = own.map { contains(JSONScan.part(a, $0), JSONScan.part(b, value), isTop: false) } ?? false
                return isInside
            }
            return isInside
        case (.array, .array):
            var isInside = true
            JSONScan.forEachElement(b) { wanted in
                isInside = hasElement(a, JSONScan.part(b, wanted))
                return isInside
            }
            return isInside
        case (.array, .string), (.array, .number), (.array, .bool), (.array, .null): return isTop && hasElement(a, b)
        case (.object, _), (.array, .object): return false
        default: return JSONOrder.compare(a, b) == 0
        }
    }

    private static func hasElement(_ array: Bytes, _ wanted: Bytes) -> Bool {
        var isFound = false
        JSONScan.forEachElement(array) { range in
            isFound = contains(JSONScan.part(array, range), wanted, isTop: false)
            return !isFound
        }
        return isFound
    }

    /// Whether a text is a name of the object, a string of the array, or the string itself.
    static func exists(_ json: Bytes, _ text: Bytes) -> Bool {
        switch JSONScan.kind(json) {
        case .object: return JSONScan.member(json, text) != nil
        case .array:
            var isFound = false
            JSONScan.forEachElement(json) { range in
                let part = JSONScan.part(json, range)
                isFound = JSONScan.kind(part) == .string && JSONScan.isString(part, text)
                return !isFound
            }
            return isFound
        case .string: return JSONScan.isString(json, text)
        default: return false
        }
    }
}
