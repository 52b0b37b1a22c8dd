// Numbers as text, in and out, as PostgreSQL 15 reads and writes them.
//
// Input may have white space around it. Floats are written with the fewest digits that read back as the same value; a float4
// with the fewest that do for 32 bits. A numeric is written with its scale.

import Glibc

/// White space as C's `isspace` has it.
enum Space {
    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    static func trimmed(_ text: Bytes) -> Bytes {
        var (from, until) = (0, text.count)
        while from < until && isSpace(text[from]) { from += 1 }
        while until > from && isSpace(text[until - 1]) { until -= 1 }
        return Bytes(rebasing: text[from..<until])
    }
}

extension UInt8 {
    @inline(__always)
    var isDigit: Bool { self &- 48 < 10 }
    @inline(__always)
    var isLetter: Bool { (self | 32) &- 97 < 26 }
    /// The letter in lower case, ASCII only.
    @inline(__always)
    var lowered: UInt8 { self &- 65 < 26 ? self | 32 : self }
}

extension UnsafeRawBufferPointer {
    /// Whether the text is `word`, whatever its case; `word` is in lower case.
    func isWord(_ word: StaticString) -> Bool {
        count == word.utf8CodeUnitCount && (0..<count).allSatisfy { self[$0].lowered == word.utf8Start[$0] }
    }

    var string: String { String(decoding: self, as: UTF8.self) }
}

package enum IntegerText {
    package static func bounds(of type: SQLType) -> ClosedRange<Int64> {
        switch type {
        case .int2: Int64(Int16.min)...Int64(Int16.max)
        case .int4: Int64(Int32.min)...Int64(Int32.max)
        default: Int64.min...Int64.max
        }
    }

    package static func parse(_ text: Bytes, _ type: SQLType) throws(RowFault) -> Int64 {
        let digits = Space.trimmed(text)
        var place = 0
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { place = 1 }
        guard place < digits.count else { throw .syntax(type, text) }
        var (value, isOver) = (Int64(0), false)
        while place < digits.count {
            guard digits[place].isDigit else { throw .syntax(type, text) }
            let digit = Int64(digits[place] - 48)
            // Downwards: the lowest number has no positive one.
            let (product, first) = value.multipliedReportingOverflow(by: 10)
            let (sum, second) = product.subtractingReportingOverflow(digit)
            if first || second { isOver = true }
            value = sum
            place += 1
        }
        if !isNegative {
            let (positive, over) = Int64(0).subtractingReportingOverflow(value)
            if over { isOver = true }
            value = positive
        }
        guard !isOver, bounds(of: type).contains(value) else { throw .range(type, text) }
        return value
    }
}

package enum FloatText {
    package static func parse(_ text: Bytes, _ type: SQLType) throws(RowFault) -> Double {
        let trimmed = Space.trimmed(text)
        guard !trimmed.isEmpty else { throw .syntax(type, text) }
        // strtod needs a zero behind the text.
        return try withUnsafeTemporaryAllocation(byteCount: trimmed.count + 1, alignment: 1) { copy throws(RowFault) -> Double in
            copy.copyMemory(from: trimmed)
            copy[trimmed.count] = 0
            let start = copy.baseAddress!.assumingMemoryBound(to: CChar.self)
            var end: UnsafeMutablePointer<CChar>?
            errno = 0
            let value = type == .float4 ? Double(strtof(start, &end)) : strtod(start, &end)
            guard let end, end == start + trimmed.count, !trimmed.contains(0) else { throw .syntax(type, text) }
            // A hexadecimal or decimal number beyond the range; a subnormal one is none of these.
            if errno == ERANGE && (value == 0 || value.isInfinite) {
                throw RowFault("22003", "\"\(trimmed.string)\" is out of range for type \(type.name)")
            }
            return value
        }
    }

    package static func write(_ value: Double, _ type: SQLType, _ out: inout ByteBuilder) {
        if value.isNaN { return out.append("NaN") }
        if value.isInfinite { return out.append(value < 0 ? "-Infinity" : "Infinity") }
        if value.sign == .minus { out.append(UInt8(ascii: "-")) }
        if value == 0 { return out.append(UInt8(ascii: "0")) }
        var text = type == .float4 ? Float(value.magnitude).description : value.magnitude.description
        if ShortestFloat.isOnBoundary(text, value.magnitude, type) { text = ShortestFloat.inside(text, value.magnitude, type) }
        text.withUTF8 { layOut(Bytes($0), fixedBelow: type == .float4 ? 6 : 15, &out) }
    }

    /// From Swift's look of the shortest digits to PostgreSQL's.
    private static func layOut(_ text: Bytes, fixedBelow limit: Int, _ out: inout ByteBuilder) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { digits in
            var (count, point, place) = (0, -1, 0)
            var exponent = 0
            while place < text.count {
                let byte = text[place]
                if byte.isDigit {
                    if count > 0 || byte != 48 {
                        digits[count] = byte
                        count += 1
                    } else if point >= 0 {
                        point -= 1
                    }
                } else if byte == UInt8(ascii: ".") {
                    point = count
                    if count == 0 { point = 0 }
                } else {
                    exponent = Int(Bytes(rebasing: text[(place + 1)...]).string) ?? 0
                    break
                }
                place += 1
            }
            // The value is 0.digits * 10^lead.
            let lead: Int
            if let dot = text.firstIndex(of: UInt8(ascii: ".")), text[0] == 48 {
                let zeros = text[(dot + 1)...].prefix { $0 == 48 }.count
                lead = -zeros + exponent
            } else {
                lead = (point >= 0 ? point : count) + exponent
            }
            while count > 1 && digits[count - 1] == 48 { count -= 1 }
            let scientific = lead - 1
            let shown = Bytes(start: digits.baseAddress!, count: count)
            if scientific >= -4 && scientific < limit {
                if lead <= 0 {
                    out.append("0.")
                    for _ in 0..<(-lead) { out.append(48) }
                    out.append(shown)
                } else if count <= lead {
                    out.append(shown)
                    for _ in count..<lead { out.append(48) }
                } else {
                    out.append(shown[0..<lead])
                    out.append(UInt8(ascii: "."))
                    out.append(shown[lead...])
                }
            } else {
                out.append(digits[0])
                if count > 1 {
                    out.append(UInt8(ascii: "."))
                    out.append(shown[1...])
                }
                out.append(UInt8(ascii: "e"))
                out.append(UInt8(ascii: scientific < 0 ? "-" : "+"))
                out.append(decimal: Int64(scientific.magnitude), minimumDigits: 2)
            }
        }
    }
}

/// Swift's shortest digits may lie exactly between two floats, where reading them rounds to the even one; PostgreSQL wants digits that
/// lie nearer to this float than to any other. It matters for few numbers, all of them large: 1e23 is one.
enum ShortestFloat {
    /// Whether the digits are exactly half way to a neighbour.
    static func isOnBoundary(_ text: String, _ value: Double, _ type: SQLType) -> Bool {
        let isSingle = type == .float4
        // Below, half way has more digits than the shortest text ever has.
        guard value >= (isSingle ? 4_194_304 : 4_503_599_627_370_496), value.isFinite else { return false }
        var (digits, exponent, isBehind) = (UInt128(0), 0, false)
        let parts = text.split(separator: "e")
        for byte in parts[0].utf8 {
            if byte == UInt8(ascii: ".") {
                isBehind = true
            } else {
                digits = digits * 10 + UInt128(byte - 48)
                if isBehind { exponent -= 1 }
            }
        }
        exponent += parts.count > 1 ? Int(parts[1])! : 0
        while digits % 10 == 0 { (digits, exponent) = (digits / 10, exponent + 1) }
        guard exponent <= 23, exponent >= -3 else { return false }
        // value = mantissa * 2^power; half way is (2 * mantissa + 1) * 2^(power - 1), and below a power of two a quarter.
        let power = (isSingle ? Int(Float(value).exponent) - 23 : Int(value.exponent) - 52)
        let mantissa = UInt128(isSingle ? UInt64(Float(value).significandBitPattern | 1 << 23) : value.significandBitPattern | 1 << 52)
        let isLowest = mantissa == UInt128(1) << (isSingle ? 23 : 52)
        return equals(digits, exponent, 2 * mantissa + 1, power - 1) || equals(digits, exponent, 2 * mantissa - 1, power - 1)
            || (isLowest && equals(digits, exponent, 4 * mantissa - 1, power - 2))
    }

    /// Whether digits * 10^exponent is odd * 2^power.
    private static func equals(_ digits: UInt128, _ exponent: Int, _ odd: UInt128, _ power: Int) -> Bool {
        var (left, right) = (digits, odd)
        for _ in 0..<max(exponent, 0) { left *= 5 }
        for _ in 0..<max(-exponent, 0) { right *= 5 }
        let shift = exponent - power
        if shift >= 0 { return shift < 60 && left < UInt128(1) << 60 && left << UInt128(shift) == right }
        return left.trailingZeroBitCount == -shift + right.trailingZeroBitCount && left >> UInt128(-shift) == right
    }

    /// The fewest digits that lie strictly nearer to the value than to its neighbours.
    static func inside(_ text: String, _ value: Double, _ type: SQLType) -> String {
        for digits in 1...17 {
            let longer = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 40) { buffer in
                let count = withVaList([Int32(digits - 1), value]) { vsnprintf(buffer.baseAddress!, 40, "%.*e", $0) }
                return String(decoding: UnsafeRawBufferPointer(start: buffer.baseAddress!, count: Int(count)), as: UTF8.self)
            }
            let readsBack = type == .float4 ? strtof(longer, nil) == Float(value) : strtod(longer, nil) == value
            if readsBack && !isOnBoundary(longer, value, type) { return longer }
        }
        return text
    }
}

package enum NumericText {
    package static func parse(_ text: Bytes, as type: SQLType = .numeric) throws(RowFault) -> Numeric {
        let body = Space.trimmed(text)
        var place = 0
        let isNegative = body.first == UInt8(ascii: "-")
        if isNegative || body.first == UInt8(ascii: "+") { place = 1 }
        let rest = Bytes(rebasing: body[place...])
        if rest.isWord("nan") && place == 0 { return .nan }
        if rest.isWord("infinity") || rest.isWord("inf") { return isNegative ? Numeric.infinity.negated : .infinity }
        var (units, kept, behind, digits, isBehind) = (UInt128(0), 0, 0, 0, false)
        var isLong = false
        while place < body.count {
            let byte = body[place]
            if byte.isDigit {
                digits += 1
                if isBehind { behind += 1 }
                if kept < 38 {
                    units = units * 10 + UInt128(byte - 48)
                    if units != 0 { kept += 1 }
                } else {
                    isLong = true
                }
            } else if byte == UInt8(ascii: ".") && !isBehind {
                isBehind = true
            } else {
                break
            }
            place += 1
        }
        guard digits > 0 else { throw .syntax(type, text) }
        var exponent = 0
        if place < body.count && body[place].lowered == UInt8(ascii: "e") {
            place += 1
            var isBelow = false
            if place < body.count && (body[place] == UInt8(ascii: "-") || body[place] == UInt8(ascii: "+")) {
                isBelow = body[place] == UInt8(ascii: "-")
                place += 1
            }
            guard place < body.count else { throw .syntax(type, text) }
            while place < body.count && body[place].isDigit {
                exponent = min(exponent * 10 + Int(body[place] - 48), 1_000_000)
                place += 1
            }
            if isBelow { exponent = -exponent }
        }
        guard place == body.count else { throw .syntax(type, text) }
        if isLong { throw .numericOverflow }
        let scale = behind - exponent
        if units == 0 { return try .checked(0, negative: false, scale: max(scale, 0)) }
        if scale >= 0 { return try .checked(units, negative: isNegative, scale: scale) }
        guard kept - scale <= 38 else { throw .numericOverflow }
        return try .checked(units * Numeric.power(-scale), negative: isNegative, scale: 0)
    }

    package static func write(_ value: Numeric, _ out: inout ByteBuilder) {
        if value.isSpecial { return out.append(value.isNaN ? "NaN" : value.isNegative ? "-Infinity" : "Infinity") }
        if value.isNegative { out.append(UInt8(ascii: "-")) }
        let magnitude = value.units.magnitude
        let scale = Int(value.scale)
        if scale == 0 { return out.append(decimal: magnitude) }
        if scale > 38 {
            out.append("0.")
            return out.append(decimal: magnitude, minimumDigits: scale)
        }
        let (whole, rest) = magnitude.quotientAndRemainder(dividingBy: Numeric.power(scale))
        out.append(decimal: whole)
        out.append(UInt8(ascii: "."))
        out.append(decimal: rest, minimumDigits: scale)
    }
}

package enum BoolText {
    package static func parse(_ text: Bytes) throws(RowFault) -> Bool {
        let word = Space.trimmed(text)
        func isStart(_ full: StaticString, atLeast: Int) -> Bool {
            word.count >= atLeast && word.count <= full.utf8CodeUnitCount
                && (0..<word.count).allSatisfy { word[$0].lowered == full.utf8Start[$0] }
        }
        if isStart("true", atLeast: 1) || isStart("yes", atLeast: 1) || isStart("on", atLeast: 2) || word.isWord("1") { return true }
        if isStart("false", atLeast: 1) || isStart("no", atLeast: 1) || isStart("off", atLeast: 2) || word.isWord("0") { return false }
        throw .syntax(.bool, text)
    }
}
