// Equality, order and hash of jsonb, as PostgreSQL's compareJsonbContainers has them.
//
// Object > array > boolean > number > string > null; arrays and objects with fewer parts come first. A scalar that is a whole document lies in
// PostgreSQL as an array of one, so that an empty array is below it: at the top only, not inside of a document. Numbers compare by value,
// whatever their scale and length.

package enum JSONOrder {
    static func hash(_ json: Bytes) -> UInt64 {
        switch JSONScan.kind(json) {
        case .null: return 1
        case .bool: return json[0] == UInt8(ascii: "t") ? 2 : 3
        case .string: return Bytes.digest(json)
        case .number: return DecimalText(json).digest ^ 5
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

    /// How two whole documents stand to each other.
    package static func compare(_ a: Bytes, _ b: Bytes) -> Int { compare(a, b, isTop: true) }

    private static func compare(_ a: Bytes, _ b: Bytes, isTop: Bool) -> Int {
        let (kindA, kindB) = (JSONScan.kind(a), JSONScan.kind(b))
        if kindA != kindB {
            if isTop && kindA == .array && kindB != .object && JSONScan.count(a) == 0 { return -1 }
            if isTop && kindB == .array && kindA != .object && JSONScan.count(b) == 0 { return 1 }
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
        var (left, right) = (JSONString.Plain(a), JSONString.Plain(b))
        while true {
            switch (left.next(), right.next()) {
            case (nil, nil): return 0
            case (nil, _): return -1
            case (_, nil): return 1
            case (let x?, let y?): if x != y { return x < y ? -1 : 1 }
            }
        }
    }

    /// Of as many elements each.
    private static func compareArrays(_ a: Bytes, _ b: Bytes) -> Int {
        var (order, place) = (0, 1)
        JSONScan.forEachElement(a) { range in
            let other = JSONScan.nextElement(b, &place)!
            order = compare(JSONScan.part(a, range), JSONScan.part(b, other), isTop: false)
            return order == 0
        }
        return order
    }

    /// Of as many members each.
    private static func compareObjects(_ a: Bytes, _ b: Bytes) -> Int {
        var (order, place) = (0, 1)
        JSONScan.forEachMember(a) { name, value in
            let (otherName, otherValue) = JSONScan.nextMember(b, &place)!
            order = compareStrings(JSONScan.part(a, name), JSONScan.part(b, otherName))
            if order == 0 { order = compare(JSONScan.part(a, value), JSONScan.part(b, otherValue), isTop: false) }
            return order == 0
        }
        return order
    }
}

/// A decimal number of any length, as a canonical jsonb text has it: digits, at most one point, no exponent.
private struct DecimalText {
    let isNegative: Bool
    /// From the first digit that is not zero to the last one; empty for zero. A point may be in it.
    let digits: Bytes
    /// How many of the digits stand before the point; below zero where zeros follow the point.
    let point: Int

    init(_ text: Bytes) {
        isNegative = text.first == UInt8(ascii: "-")
        let body = isNegative ? Bytes(rebasing: text[1...]) : text
        let dot = body.firstIndex(of: UInt8(ascii: ".")) ?? body.count
        let first = body.firstIndex { $0 > UInt8(ascii: "0") } ?? body.count
        let last = body.lastIndex { $0 > UInt8(ascii: "0") } ?? body.count - 1
        digits = first <= last ? Bytes(rebasing: body[first...last]) : Bytes(start: nil, count: 0)
        point = dot - first + (first > dot ? 1 : 0)
    }

    private var sign: Int { digits.isEmpty ? 0 : isNegative ? -1 : 1 }

    static func compare(_ a: Bytes, _ b: Bytes) -> Int {
        let (x, y) = (DecimalText(a), DecimalText(b))
        if x.sign != y.sign { return x.sign < y.sign ? -1 : 1 }
        if x.sign == 0 { return 0 }
        if x.point != y.point { return x.sign * (x.point < y.point ? -1 : 1) }
        var (left, right) = (x.digits.makeIterator(), y.digits.makeIterator())
        func next(_ digits: inout Bytes.Iterator) -> UInt8? {
            let byte = digits.next()
            return byte == UInt8(ascii: ".") ? digits.next() : byte
        }
        while true {
            let (one, other) = (next(&left), next(&right))
            if one == nil && other == nil { return 0 }
            // No digit is a zero.
            let (c, d) = (one ?? UInt8(ascii: "0"), other ?? UInt8(ascii: "0"))
            if c != d { return x.sign * (c < d ? -1 : 1) }
        }
    }

    /// Of the one look of all equal numbers: digits without zeros at their ends, and where the point is.
    var digest: UInt64 {
        if digits.isEmpty { return withUnsafeBytes(of: UInt8(ascii: "0")) { Bytes.digest($0) } }
        return withUnsafeTemporaryAllocation(byteCount: digits.count + 24, alignment: 1) { look in
            var count = 0
            func put(_ byte: UInt8) {
                look[count] = byte
                count += 1
            }
            if isNegative { put(UInt8(ascii: "-")) }
            for digit in digits where digit != UInt8(ascii: ".") { put(digit) }
            put(UInt8(ascii: "e"))
            if point < 0 { put(UInt8(ascii: "-")) }
            var (rest, power) = (point.magnitude, UInt(1))
            while power <= rest / 10 { power *= 10 }
            while power > 0 {
                put(UInt8(ascii: "0") + UInt8(rest / power))
                rest %= power
                power /= 10
            }
            return Bytes.digest(Bytes(rebasing: look[..<count]))
        }
    }
}
