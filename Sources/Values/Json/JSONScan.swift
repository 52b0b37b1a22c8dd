// Finding parts of a canonical jsonb text: no tree is built, a part is a range of the bytes.
//
// It trusts the text: it was written by `JSONParser` or out of parts of such texts.

enum JSONScan {
    enum Kind { case object, array, string, number, bool, null }

    static func kind(_ json: Bytes) -> Kind {
        switch json[0] {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .bool
        case UInt8(ascii: "n"): .null
        default: .number
        }
    }

    /// The end of the value that begins at `start`.
    static func end(_ json: Bytes, _ start: Int) -> Int {
        var (place, depth) = (start, 0)
        while place < json.count {
            switch json[place] {
            case UInt8(ascii: "\""):
                place = stringEnd(json, place)
                if depth == 0 { return place }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return place }
                depth -= 1
                if depth == 0 { return place + 1 }
            case UInt8(ascii: ","): if depth == 0 { return place }
            default: break
            }
            place += 1
        }
        return place
    }

    /// Behind the closing quote of the string that begins at `start`.
    private static func stringEnd(_ json: Bytes, _ start: Int) -> Int {
        var place = start + 1
        while json[place] != UInt8(ascii: "\"") { place += json[place] == UInt8(ascii: "\\") ? 2 : 1 }
        return place + 1
    }

    /// The values of an array, in order; false ends the walk.
    @inline(__always)
    static func forEachElement(_ json: Bytes, _ body: (Range<Int>) -> Bool) {
        var place = 1
        while let element = nextElement(json, &place) { if !body(element) { return } }
    }

    /// The value that begins at `place`, which moves to the next one; nil at the array's end. The first begins at 1.
    @inline(__always)
    static func nextElement(_ json: Bytes, _ place: inout Int) -> Range<Int>? {
        if json[place] == UInt8(ascii: "]") { return nil }
        let (start, until) = (place, end(json, place))
        place = json[until] == UInt8(ascii: ",") ? until + 2 : until
        return start..<until
    }

    /// The names (in quotes) and values of an object, in canonical order; false ends the walk.
    @inline(__always)
    static func forEachMember(_ json: Bytes, _ body: (_ name: Range<Int>, _ value: Range<Int>) -> Bool) {
        var place = 1
        while let (name, value) = nextMember(json, &place) { if !body(name, value) { return } }
    }

    /// The same of an object, by its name and value.
    @inline(__always)
    static func nextMember(_ json: Bytes, _ place: inout Int) -> (name: Range<Int>, value: Range<Int>)? {
        if json[place] == UInt8(ascii: "}") { return nil }
        let (start, nameEnd) = (place, stringEnd(json, place))
        let until = end(json, nameEnd + 2)
        place = json[until] == UInt8(ascii: ",") ? until + 2 : until
        return (start..<nameEnd, (nameEnd + 2)..<until)
    }

    static func part(_ json: Bytes, _ range: Range<Int>) -> Bytes { Bytes(rebasing: json[range]) }

    /// Whether a string in quotes is `text`.
    static func isString(_ quoted: Bytes, _ text: Bytes) -> Bool {
        if !quoted.contains(UInt8(ascii: "\\")) { return Bytes.compare(Bytes(rebasing: quoted[1..<(quoted.count - 1)]), text) == 0 }
        var plain = JSONString.Plain(quoted)
        for byte in text where plain.next() != byte { return false }
        return plain.next() == nil
    }

    /// The value of a member; nil where there is none.
    static func member(_ json: Bytes, _ name: Bytes) -> Range<Int>? {
        guard kind(json) == .object else { return nil }
        var found: Range<Int>?
        forEachMember(json) { key, value in
            if isString(part(json, key), name) { found = value }
            return found == nil
        }
        return found
    }

    /// The value of a member whose name is given as it stands in another document, in quotes: there is one spelling of a name.
    static func member(_ json: Bytes, quoted name: Bytes) -> Range<Int>? {
        guard kind(json) == .object else { return nil }
        var found: Range<Int>?
        forEachMember(json) { key, value in
            if key.count == name.count && Bytes.compare(part(json, key), name) == 0 { found = value }
            return found == nil
        }
        return found
    }

    static func count(_ json: Bytes) -> Int {
        var count = 0
        switch kind(json) {
        case .array:
            forEachElement(json) { _ in
                count += 1; return true
            }
        case .object:
            forEachMember(json) { _, _ in
                count += 1; return true
            }
        case .string, .number, .bool, .null: break
        }
        return count
    }

    /// The value of an element, counted from the end where `index` is negative; nil where there is none.
    static func element(_ json: Bytes, _ index: Int64) -> Range<Int>? {
        guard kind(json) == .array else { return nil }
        let wanted = index < 0 ? index + Int64(count(json)) : index
        guard wanted >= 0 else { return nil }
        var (found, place): (Range<Int>?, Int64) = (nil, 0)
        forEachElement(json) { value in
            if place == wanted { found = value }
            place += 1
            return found == nil
        }
        return found
    }
}
