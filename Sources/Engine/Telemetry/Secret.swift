// What must never be read in an output: passwords, tokens, the cluster's secret (protocol 13).
//
// Two defences. A value that is known to be secret is carried as a `Secret`, which prints as `***` however it is
// printed; its text comes out through `reveal()` alone, so that a search for that word shows every place that has it.
// A text that merely may hold one (an address that a person typed, a message of a C library) goes through `maskSecrets`
// before it is shown. The mask errs on the side of hiding too much: a harmless word lost from an error is cheap.
//
// When changing the mask: every form has a case in `SecretTests`; text without a secret must come back unchanged.

/// A text that prints as `***`.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String

    package init(_ text: String) { self.text = text }

    /// The text itself: for handing it to whoever must check or send it, never for showing it.
    package func reveal() -> String { text }

    package var description: String { "***" }
    package var debugDescription: String { "***" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// Compares in a time that depends on the length of `other` only, so that answers do not tell how much was right.
    package func matches(_ other: some Collection<UInt8>) -> Bool {
        let expected = Array(text.utf8)
        var difference = UInt(bitPattern: expected.count ^ other.count)
        var index = 0
        for byte in other {
            difference |= UInt(byte ^ (expected.isEmpty ? 0 : expected[index]))
            index = index + 1 < expected.count ? index + 1 : 0
        }
        return difference == 0
    }
}

/// `text` with the passwords in addresses (`user:***@`), the values of keys that end in `password`, `secret` or `token`
/// (`password=***`, `"secret": "***"`), and bearer tokens hidden.
package func maskSecrets(_ text: String) -> String {
    var mask = SecretMask(bytes: Array(text.utf8))
    return mask.run() ? String(decoding: mask.output, as: UTF8.self) : text
}

/// One pass over the bytes: at each position either a secret starts, which is replaced, or one byte is copied.
private struct SecretMask {
    let bytes: [UInt8]
    var output: [UInt8] = []
    private var index = 0

    private static let keys = ["password", "passwd", "pwd", "secret", "token"].map { Array($0.utf8) }
    private static let bearer = Array("bearer ".utf8)
    private static let schemeEnd = Array("://".utf8)
    private static let stars = Array("***".utf8)

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// - Returns: whether anything was hidden.
    mutating func run() -> Bool {
        var isMasked = false
        output.reserveCapacity(bytes.count)
        while index < bytes.count {
            guard let hidden = secretAhead() else {
                output.append(bytes[index])
                index += 1
                continue
            }
            output += bytes[index..<hidden.lowerBound]
            output += Self.stars
            index = hidden.upperBound
            isMasked = true
        }
        return isMasked
    }

    /// Where the secret lies when an address, a key or a bearer token starts here.
    private func secretAhead() -> Range<Int>? {
        switch bytes[index] {
        case UInt8(ascii: ":"):
            return startsHere(Self.schemeEnd) ? passwordOfAddress(from: index + 3) : nil
        case UInt8(ascii: "B"), UInt8(ascii: "b"):
            guard startsHere(Self.bearer) else { return nil }
            return run(from: index + Self.bearer.count) { Self.endsWord($0) }
        default:
            for key in Self.keys where startsHere(key) {
                return valueOfKey(from: index + key.count)
            }
            return nil
        }
    }

    /// From the first colon to the *last* at sign of the word: a password may itself hold `@`, `/` or `:` unescaped.
    private func passwordOfAddress(from start: Int) -> Range<Int>? {
        var colon: Int?
        var at: Int?
        var position = start
        while position < bytes.count, !Self.endsWord(bytes[position]) {
            if bytes[position] == UInt8(ascii: ":"), colon == nil { colon = position }
            if bytes[position] == UInt8(ascii: "@") { at = position }
            position += 1
        }
        guard let colon, let at, colon < at else { return nil }
        return colon + 1..<at
    }

    /// `=value`, `: value`, `="value"`, `='value'`, and the key itself closed by a quote (`"password": "value"`).
    private func valueOfKey(from start: Int) -> Range<Int>? {
        var position = start
        if position < bytes.count, Self.isQuote(bytes[position]) { position += 1 }
        while position < bytes.count, bytes[position] == UInt8(ascii: " ") { position += 1 }
        guard position < bytes.count, bytes[position] == UInt8(ascii: "=") || bytes[position] == UInt8(ascii: ":")
        else { return nil }
        position += 1
        while position < bytes.count, bytes[position] == UInt8(ascii: " ") { position += 1 }
        guard position < bytes.count else { return nil }
        let quote = bytes[position]
        guard Self.isQuote(quote) else {
            return run(from: position) { Self.endsWord($0) || $0 == UInt8(ascii: "&") }
        }
        var end = position + 1
        while end < bytes.count, bytes[end] != quote {
            end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        end = min(end, bytes.count)
        return end > position + 1 ? position + 1..<end : nil
    }

    private func run(from start: Int, until ends: (UInt8) -> Bool) -> Range<Int>? {
        var end = start
        while end < bytes.count, !ends(bytes[end]) { end += 1 }
        return end > start ? start..<end : nil
    }

    private func startsHere(_ word: [UInt8]) -> Bool {
        guard index + word.count <= bytes.count else { return false }
        for offset in 0..<word.count {
            let byte = bytes[index + offset]
            let lower = byte >= 65 && byte <= 90 ? byte | 0x20 : byte
            if lower != word[offset] { return false }
        }
        return true
    }

    private static func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") }

    private static func endsWord(_ byte: UInt8) -> Bool {
        byte <= 32 || isQuote(byte) || byte == UInt8(ascii: ";") || byte == UInt8(ascii: ",")
            || byte == UInt8(ascii: ")") || byte == UInt8(ascii: ">")
    }
}
