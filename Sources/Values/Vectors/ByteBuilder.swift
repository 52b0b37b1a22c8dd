// Bytes that grow: what text functions write to, in memory of the pool.

/// A growing run of bytes.
package struct ByteBuilder {
    private(set) var buffer: Buffer
    package private(set) var count = 0
    private let pool: BufferPool

    package init(_ pool: BufferPool, capacity: Int = 256) {
        self.pool = pool
        buffer = pool.take(capacity)
    }

    /// Valid until the next change, while the builder lives: a builder that nobody uses any more may be gone before a pointer
    /// that it gave is read, so what is read last is read through `string` or `array`.
    package var bytes: Bytes { Bytes(start: buffer.base, count: count) }

    package var string: String { withExtendedLifetime(buffer) { bytes.string } }
    package var array: [UInt8] { withExtendedLifetime(buffer) { Array(bytes) } }

    package mutating func reserve(_ extra: Int) {
        guard count + extra > buffer.capacity else { return }
        let larger = pool.take(max(count + extra, buffer.capacity * 2))
        larger.base.copyMemory(from: buffer.base, byteCount: count)
        buffer = larger
    }

    @inline(__always)
    package mutating func append(_ byte: UInt8) {
        if count == buffer.capacity { reserve(1) }
        buffer.base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    @inline(__always)
    package mutating func append(_ bytes: Bytes) {
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        (buffer.base + count).copyMemory(from: start, byteCount: bytes.count)
        count &+= bytes.count
    }

    package mutating func append(_ bytes: Slice<Bytes>) { append(Bytes(rebasing: bytes)) }

    package mutating func append(_ text: StaticString) { append(Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount)) }

    package mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(Bytes($0)) }
    }

    package mutating func append(_ scalar: Unicode.Scalar) {
        for byte in UTF8.encode(scalar)! { append(byte) }
    }

    /// A number in decimal.
    package mutating func append(decimal value: Int64, minimumDigits: Int = 1) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(decimal: UInt128(value.magnitude), minimumDigits: minimumDigits)
    }

    /// A number in decimal, with zeros before it up to `minimumDigits`.
    package mutating func append(decimal value: UInt128, minimumDigits: Int = 1) {
        reserve(40 + minimumDigits)
        let digits = max(value <= UInt128(UInt64.max) ? Self.digitCount(UInt64(value)) : Numeric.digitCount(value), minimumDigits)
        var (place, rest) = (count + digits, value)
        while rest > UInt128(UInt64.max) {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            place -= 1
            buffer.base.storeBytes(of: UInt8(ascii: "0") + UInt8(digit), toByteOffset: place, as: UInt8.self)
            rest = quotient
        }
        var small = UInt64(rest)
        while place > count {
            place -= 1
            buffer.base.storeBytes(of: UInt8(ascii: "0") + UInt8(small % 10), toByteOffset: place, as: UInt8.self)
            small /= 10
        }
        count += digits
    }

    private static func digitCount(_ value: UInt64) -> Int {
        var (digits, rest) = (1, value / 10)
        while rest > 0 { (digits, rest) = (digits + 1, rest / 10) }
        return digits
    }

    /// Takes back everything behind the first `count` bytes.
    @inline(__always)
    package mutating func truncate(to count: Int) { self.count = count }
}
