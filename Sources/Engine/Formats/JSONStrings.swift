// The strings of one JSON document, walked in one of two ways; the decoder's loop is compiled for each.
//
//   marked   the document is looked through once, 64 bytes at a time, and a bit is kept for each quote. A string then ends at the next bit:
//            no byte of it is looked at again, and one that is needed is copied without a look at what it holds. Only for
//            documents without any backslash or control character, in which every quote begins or ends a string.
//   scanned  byte blocks from the opening quote on (`JSONScanner`): any document, also very short and very long ones.
//
// Both accept the same documents and give the same texts: the tests decode each document in both ways. Marks are made for a document
// before it is walked and hold until the next one.

import CLinux

protocol JSONStrings {
    /// Skips the rest of a string; `from` is behind its opening quote, the result behind its closing one, nil when it is not closed.
    func skip(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace?
    /// Copies the rest of a string to `target`, which has room for it and `ColumnSlots.slack` bytes more.
    func copy(_ from: JSONPlace, _ end: JSONPlace, to target: UnsafeMutablePointer<UInt8>) -> JSONText
}

struct ScannedStrings: JSONStrings {
    @inline(__always)
    func skip(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace? { skipJSONString(from, end) }

    @inline(__always)
    func copy(_ from: JSONPlace, _ end: JSONPlace, to target: UnsafeMutablePointer<UInt8>) -> JSONText {
        copyJSONString(from, end, to: target)
    }
}

struct MarkedStrings: JSONStrings {
    private let base: JSONPlace
    /// Bit i for byte i of the document, and one behind its last byte.
    private let marks: UnsafePointer<UInt64>
    private let isASCII: Bool

    /// Makes the marks of a document.
    /// - Returns: nil when it has to be scanned.
    @inline(__always)
    init?(_ document: JSONPlace, _ end: JSONPlace, _ memory: JSONMarks) {
        let count = end - document
        guard count >= 64, count <= JSONMarks.mostBytes else { return nil }
        let others = sluice_json_quotes(document, count, memory.words)
        if others & 2 != 0 { return nil }
        base = document
        marks = UnsafePointer(memory.words)
        isASCII = others == 0
    }

    /// The quote at `from` or behind it; the end when there is none.
    @inline(__always)
    private func quote(_ from: JSONPlace) -> JSONPlace {
        var at = from - base
        while true {
            // From here on 57 bits or more, whatever word they lie in: where a word ends is as random as the texts' lengths, and a branch
            // that depends on it costs as much as the rest. The last bit stands before what lies behind the marks.
            let some = UnsafeRawPointer(marks).loadUnaligned(fromByteOffset: at &>> 3, as: UInt64.self)
            let bits = UInt64(littleEndian: some) &>> UInt64(truncatingIfNeeded: at & 7)
            if bits != 0 { return base + (at &+ bits.trailingZeroBitCount) }
            at = (at | 7) &+ 57
        }
    }

    @inline(__always)
    func skip(_ from: JSONPlace, _ end: JSONPlace) -> JSONPlace? {
        let quote = quote(from)
        return quote < end ? quote + 1 : nil
    }

    @inline(__always)
    func copy(_ from: JSONPlace, _ end: JSONPlace, to target: UnsafeMutablePointer<UInt8>) -> JSONText {
        let quote = quote(from)
        guard quote < end else { return JSONText(behind: nil, length: 0, isValid: false) }
        let length = quote - from
        if end - quote >= 16 {
            // The last look may reach beyond the text, and stays within the document.
            var done = 0
            repeat {
                UnsafeMutableRawPointer(target + done).copyMemory(from: from + done, byteCount: 16)
                done &+= 16
            } while done < length
        } else {
            copyBytes(from, length, to: target)
        }
        return JSONText(behind: quote + 1, length: length, isValid: isASCII || isText(UnsafePointer(target), length))
    }
}

/// Where a decoder's marks lie.
final class JSONMarks {
    /// Longer documents are scanned.
    static let mostBytes = 16 << 10
    let words: UnsafeMutablePointer<UInt64>

    init() {
        // A look at the last bit reads eight bytes.
        words = .allocate(capacity: Self.mostBytes / 64 + 2)
    }

    deinit { words.deallocate() }
}
