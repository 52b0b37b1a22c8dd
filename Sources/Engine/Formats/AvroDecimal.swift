// Decimals of Avro: a whole number in two's complement, big end first, and how many of its digits are behind the point.
//
// They become text, exactly, with as many digits behind the point as the schema says (65 with scale 2 is `0.65`), or the
// nearest double. A number of more bytes than `largestBytes` is no value: databases' own decimals end far below.

enum AvroDecimal {
    static let largestBytes = 64
    /// Ten to this power is still a double.
    static let largestScale = 300
    /// A sign, a point, and the digits.
    static let longestText = 2 + largestScale + 1 + 155

    /// Writes the number as text. `target` has room for `longestText` bytes.
    /// - Returns: the length; nil when the bytes are no number.
    static func write(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, scale: Int, to target: UnsafeMutablePointer<UInt8>
    ) -> Int? {
        guard count > 0, count <= largestBytes else { return nil }
        let isNegative = bytes[0] & 0x80 != 0
        // The magnitude, big end first, divided by ten again and again.
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: largestBytes) { rest in
            var carry: UInt16 = 1
            for index in (0..<count).reversed() {
                if isNegative {
                    let sum = UInt16(~bytes[index]) + carry
                    rest[index] = UInt8(truncatingIfNeeded: sum)
                    carry = sum >> 8
                } else {
                    rest[index] = bytes[index]
                }
            }
            return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: longestText) { digits in
                var written = 0
                var first = 0
                while first < count || written <= scale {
                    var remainder: UInt16 = 0
                    for index in first..<count {
                        let part = remainder << 8 | UInt16(rest[index])
                        rest[index] = UInt8(truncatingIfNeeded: part / 10)
                        remainder = part % 10
                    }
                    digits[written] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: remainder)
                    written += 1
                    while first < count, rest[first] == 0 { first += 1 }
                }
                var length = 0
                func put(_ byte: UInt8) {
                    target[length] = byte
                    length += 1
                }
                if isNegative { put(UInt8(ascii: "-")) }
                for index in (0..<written).reversed() {
                    put(digits[index])
                    if index == scale && scale > 0 { put(UInt8(ascii: ".")) }
                }
                return length
            }
        }
    }

    /// The nearest double; nil when the bytes are no number.
    static func double(_ bytes: UnsafePointer<UInt8>, _ count: Int, scale: Int) -> Double? {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: longestText) { text in
            let start = text.baseAddress!
            guard let length = write(bytes, count, scale: scale, to: start) else { return nil }
            return readJSONDouble(UnsafePointer(start), UnsafePointer(start) + length)
        }
    }
}

/// Writes 16 bytes as a UUID of 36 characters.
func writeUUID(_ bytes: UnsafePointer<UInt8>, to target: UnsafeMutablePointer<UInt8>) {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
    var place = target
    for index in 0..<16 {
        if index == 4 || index == 6 || index == 8 || index == 10 {
            place[0] = UInt8(ascii: "-")
            place += 1
        }
        place[0] = digit(bytes[index] >> 4)
        place[1] = digit(bytes[index] & 15)
        place += 2
    }
}
