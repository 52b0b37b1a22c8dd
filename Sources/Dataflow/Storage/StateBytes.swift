// Entries of state as bytes: numbers little end first, bytes behind their length, nothing in between.
//
// The form is read by other builds: it begins with a version where it is stored (`StateDelta`), and a change of it raises that. Keys
// are written in one way for all equal values, so that equal keys are equal bytes.

import Values

/// Bytes that cannot be state: damaged, or of another build.
package struct StateFault: Error, Hashable, CustomStringConvertible {
    package let what: String
    package var description: String {
        "state cannot be read: \(what) (now: take the build that wrote it, or start with --lose-state)"
    }
}

/// Bytes being written.
struct StateBytes {
    private(set) var array: [UInt8] = []

    mutating func removeAll() { array.removeAll(keepingCapacity: true) }
    mutating func append(byte: UInt8) { array.append(byte) }
    mutating func append(word: Int64) { withUnsafeBytes(of: word.littleEndian) { array.append(contentsOf: $0) } }
    mutating func append(wide: Int128) {
        append(word: Int64(truncatingIfNeeded: wide))
        append(word: Int64(truncatingIfNeeded: wide >> 64))
    }
    mutating func append(bytes: UnsafeRawBufferPointer) {
        append(word: Int64(bytes.count))
        array.append(contentsOf: bytes)
    }
    mutating func append(text: String) {
        var text = text
        text.withUTF8 { append(bytes: UnsafeRawBufferPointer($0)) }
    }

    mutating func append(datum: Datum) {
        switch datum {
        case .null: append(byte: 0)
        case .bool(let value):
            append(byte: 1)
            append(byte: value ? 1 : 0)
        case .word(let value):
            append(byte: 2)
            append(word: value)
        case .float(let value):
            append(byte: 3)
            append(word: Int64(bitPattern: value.bitPattern))
        case .numeric(let value):
            append(byte: 4)
            append(wide: value.units)
            append(byte: value.scale)
        case .interval(let value):
            append(byte: 5)
            for part in [value.micros, Int64(value.days), Int64(value.months)] { append(word: part) }
        case .uuid(let value):
            append(byte: 6)
            append(word: Int64(bitPattern: value.high))
            append(word: Int64(bitPattern: value.low))
        case .text(let value):
            append(byte: 7)
            append(text: value)
        case .bytes(let value):
            append(byte: 8)
            value.withUnsafeBytes { append(bytes: $0) }
        case .list(let values):
            append(byte: 9)
            append(word: Int64(values.count))
            for value in values { append(datum: value) }
        case .row(let values):
            append(byte: 10)
            append(word: Int64(values.count))
            for value in values { append(datum: value) }
        }
    }
}

/// Bytes being read; valid while what they were made of is.
struct StateReader {
    private var rest: UnsafeRawBufferPointer

    private init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// Reads an entry's key or value.
    static func read<Result>(_ bytes: [UInt8], _ body: (inout StateReader) throws(StateFault) -> Result) throws(StateFault) -> Result {
        let result: Swift.Result<Result, StateFault> = bytes.withUnsafeBytes { bytes in
            var reader = StateReader(bytes)
            do throws(StateFault) { return .success(try body(&reader)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    var isAtEnd: Bool { rest.isEmpty }

    private mutating func take(_ count: Int) throws(StateFault) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= rest.count else { throw StateFault(what: "\(count) bytes wanted, \(rest.count) left") }
        let taken = UnsafeRawBufferPointer(rebasing: rest[rest.startIndex..<rest.startIndex + count])
        rest = UnsafeRawBufferPointer(rebasing: rest[(rest.startIndex + count)...])
        return taken
    }

    mutating func byte() throws(StateFault) -> UInt8 { try take(1)[0] }
    mutating func word() throws(StateFault) -> Int64 { Int64(littleEndian: try take(8).loadUnaligned(as: Int64.self)) }
    mutating func wide() throws(StateFault) -> Int128 {
        let low = try word()
        let high = try word()
        return Int128(high) << 64 | Int128(UInt64(bitPattern: low))
    }
    mutating func bytes() throws(StateFault) -> UnsafeRawBufferPointer {
        let count = try word()
        guard let count = Int(exactly: count) else { throw StateFault(what: "a length of \(count)") }
        return try take(count)
    }

    mutating func datum() throws(StateFault) -> Datum {
        switch try byte() {
        case 0: return .null
        case 1: return .bool(try byte() != 0)
        case 2: return .word(try word())
        case 3: return .float(Double(bitPattern: UInt64(bitPattern: try word())))
        case 4:
            let units = try wide()
            return .numeric(Numeric(units: units, scale: try byte()))
        case 5:
            let micros = try word()
            let days = try word()
            return .interval(Interval(months: Int32(truncatingIfNeeded: try word()), days: Int32(truncatingIfNeeded: days), micros: micros))
        case 6:
            let high = try word()
            return .uuid(UUIDWords(high: UInt64(bitPattern: high), low: UInt64(bitPattern: try word())))
        case 7: return .text(String(decoding: try bytes(), as: UTF8.self))
        case 8: return .bytes(Array(try bytes()))
        case 9: return .list(try data())
        case 10: return .row(try data())
        case let tag: throw StateFault(what: "a value begins with \(tag)")
        }
    }

    private mutating func data() throws(StateFault) -> [Datum] {
        let count = try word()
        var values: [Datum] = []
        for _ in 0..<max(count, 0) { values.append(try datum()) }
        return values
    }
}
