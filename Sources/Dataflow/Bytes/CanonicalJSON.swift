// Whether bytes look as a jsonb value does in a vector: what `JSONScan` walks over without looking.
//
// One value without spaces but those behind `:` and `,`, strings closed and their escapes whole, numbers of digits, nested no deeper than
// a parser allows. The order of an object's names is not looked at: whoever reads one out of order gets another answer, not another's memory.

import Values

struct CanonicalJSON {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    static func isOne(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var check = CanonicalJSON(bytes: bytes)
        return check.value(depth: 0) && check.place == bytes.count
    }

    private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private mutating func takes(_ word: StaticString) -> Bool {
        guard bytes.count - place >= word.utf8CodeUnitCount else { return false }
        for index in 0..<word.utf8CodeUnitCount where bytes[place + index] != word.utf8Start[index] { return false }
        place += word.utf8CodeUnitCount
        return true
    }

    private mutating func value(depth: Int) -> Bool {
        guard place < bytes.count else { return false }
        switch bytes[place] {
        case UInt8(ascii: "n"): return takes("null")
        case UInt8(ascii: "t"): return takes("true")
        case UInt8(ascii: "f"): return takes("false")
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "["):
            place += 1
            if depth == JSONParser.maxDepth { return false }
            if takes("]") { return true }
            repeat {
                if !value(depth: depth + 1) { return false }
            } while takes(", ")
            return takes("]")
        case UInt8(ascii: "{"):
            place += 1
            if depth == JSONParser.maxDepth { return false }
            if takes("}") { return true }
            repeat {
                if !string() || !takes(": ") || !value(depth: depth + 1) { return false }
            } while takes(", ")
            return takes("}")
        default: return number()
        }
    }

    private mutating func string() -> Bool {
        guard takes("\"") else { return false }
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            if byte == UInt8(ascii: "\"") { return true }
            if byte < 0x20 { return false }
            if byte == UInt8(ascii: "\\") {
                guard place < bytes.count else { return false }
                let escaped = bytes[place]
                place += 1
                switch escaped {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"): break
                case UInt8(ascii: "u"):
                    for _ in 0..<4 {
                        guard place < bytes.count else { return false }
                        switch bytes[place] {
                        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): place += 1
                        default: return false
                        }
                    }
                default: return false
                }
            }
        }
        return false
    }

    /// How many digits there are.
    private mutating func digits() -> Int {
        let start = place
        while place < bytes.count, bytes[place] >= UInt8(ascii: "0"), bytes[place] <= UInt8(ascii: "9") { place += 1 }
        return place - start
    }

    private mutating func number() -> Bool {
        if bytes[place] == UInt8(ascii: "-") { place += 1 }
        if digits() == 0 { return false }
        return takes(".") ? digits() > 0 : true
    }
}
