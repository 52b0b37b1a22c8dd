// Equality, order and hash of jsonb, as PostgreSQL's compareJsonbContainers has them.
//
// Object > array > boolean > number > string > null; an empty array below everything but... itself an oddity of PostgreSQL that is
// kept: arrays and objects with fewer parts come first. Numbers compare by value, whatever their scale and length.

package enum JSONOrder {
    static func hash(_ json: Bytes) -> UInt64 {
        switch JSONScan.kind(json) {
        case .null: return 1
        case .bool: return json[0] == UInt8(ascii: "t") ? 2 : 3
        case .string: return Bytes.digest(json)
        case .number: return Bytes.digest(Array(digits(json).utf8)) ^ 5
        case .array:
            var value: UInt64 = 7
            JSONScan.forEachElement(json) { range in
                value = combine(value, hash(JSONScan.part(json, range)))
                return true
            }
            return value
        case .object:
            var value: UInt64 = 11
            JSONScan.forEachMember(json) { name, range in
                value = combine(combine(value, Bytes.digest(JSONScan.part(json, name))), hash(JSONScan.part(json, range)))
                return true
            }
            return value
        }
    }

    private static func combine(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = (a ^ 0x1319_8a2e_0370_7345).multipliedFullWidth(by: b ^ 0xa409_3822_299f_31d1)
        return product.high ^ product.low
    }

    /// A number's one look: digits without zeros at their ends, and where the point is.
    private static func digits(_ json: Bytes) -> String {
        let (isNegative, digits, point) = DecimalText.parts(json)
        return digits.isEmpty ? "0" : (isNegative ? "-" : "") + String(decoding: digits, as: UTF8.self) + "e\(point)"
    }

    package static func compare(_ a: Bytes, _ b: Bytes) -> Int {
        let (kindA, kindB) = (JSONScan.kind(a), JSONScan.kind(b))
        if kindA != kindB {
            // An empty array at the top is below every scalar: PostgreSQL stores a scalar as an array of one.
            if kindA == .array && kindB != .object && JSONScan.count(a) == 0 { return -1 }
            if kindB == .array && kindA != .object && JSONScan.count(b) == 0 { return 1 }
            return rank(kindA) < rank(kindB) ? -1 : 1
        }
        switch kindA {
        case .null: return 0
        case .bool: return a[0] == b[0] ? 0 : a[0] == UInt8(ascii: "f") ? -1 : 1
        case .number: return DecimalText.compare(a, b)
        case .string: return compareStrings(a, b)
        case .array, .object:
            let (countA, countB) = (JSONScan.count(a), JSONScan.count(b))
            if countA != countB { return countA < countB ? -1 : 1 }
            return kindA == .array ? compareArrays(a, b) : compareObjects(a, b)
        }
    }

    private static func rank(_ kind: JSONScan.Kind) -> Int {
        switch kind {
        case .null: 0
        case .string: 1
        case .number: 2
        case .bool: 3
        case .array: 4
        case .object: 5
        }
    }

    private static func compareStrings(_ a: Bytes, _ b: Bytes) -> Int {
        if !a.contains(UInt8(ascii: "\\")) && !b.contains(UInt8(ascii: "\\")) {
            return Bytes.compare(Bytes(rebasing: a[1..<(a.count - 1)]), Bytes(rebasing: b[1..<(b.count - 1)]))
        }
        var (left, right) = (ByteBuilder(BufferPool()), ByteBuilder(BufferPool()))
        JSONString.unescape(a, &left)
        JSONString.unescape(b, &right)
        return withExtendedLifetime((left.buffer, right.buffer)) { Bytes.compare(left.bytes, right.bytes) }
    }

    private static func compareArrays(_ a: Bytes, _ b: Bytes) -> Int {
        var others: [Range<Int>] = []
        JSONScan.forEachElement(b) {
            others.append($0); return true
        }
        var (order, place) = (0, 0)
        JSONScan.forEachElement(a) { range in
            order = compare(JSONScan.part(a, range), JSONScan.part(b, others[place]))
            place += 1
            return order == 0
        }
        return order
    }

    private static func compareObjects(_ a: Bytes, _ b: Bytes) -> Int {
        var others: [(Range<Int>, Range<Int>)] = []
        JSONScan.forEachMember(b) {
            others.append(($0, $1)); return true
        }
        var (order, place) = (0, 0)
        JSONScan.forEachMember(a) { name, value in
            let (otherName, otherValue) = others[place]
            place += 1
            order = compareStrings(JSONScan.part(a, name), JSONScan.part(b, otherName))
            if order == 0 { order = compare(JSONScan.part(a, value), JSONScan.part(b, otherValue)) }
            return order == 0
        }
        return order
    }
}

/// Decimal numbers of any length, as text.
enum DecimalText {
    /// The digits without zeros at either end, and how many of them stand before the point.
    static func parts(_ text: Bytes) -> (isNegative: Bool, digits: [UInt8], point: Int) {
        let isNegative = text.first == UInt8(ascii: "-")
        let body = isNegative ? Bytes(rebasing: text[1...]) : text
        let dot = body.firstIndex(of: UInt8(ascii: ".")) ?? body.count
        var digits = body.filter(\.isDigit)
        let lead = digits.prefix { $0 == 48 }.count
        digits.removeFirst(lead)
        while digits.last == 48 { digits.removeLast() }
        return (isNegative, digits, dot - lead)
    }

    static func compare(_ a: Bytes, _ b: Bytes) -> Int {
        let (x, y) = (parts(a), parts(b))
        let (signX, signY) = (sign(x), sign(y))
        if signX != signY { return signX < signY ? -1 : 1 }
        if signX == 0 { return 0 }
        let order: Int
        if x.point != y.point {
            order = x.point < y.point ? -1 : 1
        } else {
            order = x.digits == y.digits ? 0 : x.digits.lexicographicallyPrecedes(y.digits) ? -1 : 1
        }
        return signX * order
    }

    private static func sign(_ parts: (isNegative: Bool, digits: [UInt8], point: Int)) -> Int {
        parts.digits.isEmpty ? 0 : parts.isNegative ? -1 : 1
    }
}
