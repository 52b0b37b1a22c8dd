// Where something stands in a text of SQL, and how a person is shown that place.
//
// A node of the tree carries a `Place`: an offset into the text as the user wrote it. Values put in for `${name}` are a matter of
// `StartValues`, which maps places back before anybody sees them. Lines and columns are counted only when an error is printed; columns
// count characters, as an editor does, and the caret stands under the character, whatever its width.

/// An offset into the text as it was written, in bytes of UTF-8.
///
/// A place says where, not what: two nodes that say the same are equal wherever they stand, so all places are equal and
/// none is hashed. Compare `offset` where the place itself matters.
public struct Place: Sendable, Hashable {
    public let offset: Int

    public init(_ offset: Int) { self.offset = offset }

    public static func == (left: Place, right: Place) -> Bool { true }
    public func hash(into hasher: inout Hasher) {}
}

/// A text of SQL and the name that errors call it by.
public struct SourceText: Sendable, Hashable {
    /// The file's name, or what stands for it (`query`).
    public let name: String
    public let text: String
    private let bytes: [UInt8]
    /// What stands before this one, in the same text: its name, and where it ends.
    private let first: First?

    private struct First: Sendable, Hashable {
        let name: String
        let end: Int
    }

    public init(_ text: String, name: String) {
        self.name = name
        self.text = text
        bytes = Array(text.utf8)
        first = nil
    }

    /// Two texts as one, each with its own name and lines.
    public init(_ text: String, name: String, then second: String, named secondName: String) {
        // What the first one left open, a comment of a line among it, ends there.
        self.text = text + "\n;\n" + second
        self.name = secondName
        bytes = Array(self.text.utf8)
        first = First(name: name, end: text.utf8.count + 3)
    }

    /// The name of the text that a place is in.
    public func name(at place: Place) -> String { first.flatMap { place.offset < $0.end ? $0.name : nil } ?? name }

    /// Line and column of a place, both from 1; a place behind the text is its end.
    public func lineAndColumn(_ place: Place) -> (line: Int, column: Int) {
        let offset = min(max(place.offset, 0), bytes.count)
        let start = lineStart(offset)
        let own = first.map { offset < $0.end ? 0 : $0.end } ?? 0
        let line = bytes[own..<start].count { $0 == UInt8(ascii: "\n") } + 1
        return (line, String(decoding: bytes[start..<offset], as: UTF8.self).count + 1)
    }

    /// The line of a place and a caret below it, each with the line's number or room for it before; a long line is cut to what
    /// lies around the caret.
    func excerpt(_ place: Place) -> String {
        let offset = min(max(place.offset, 0), bytes.count)
        let start = lineStart(offset)
        let end = bytes[start...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } ?? bytes.count
        var before = Array(String(decoding: bytes[start..<min(offset, end)], as: UTF8.self))
        var after = Array(String(decoding: bytes[min(offset, end)..<end], as: UTF8.self))
        if before.count > Self.shownAround { before = ["…"] + before.suffix(Self.shownAround) }
        if after.count > Self.shownAround { after = after.prefix(Self.shownAround) + ["…"] }
        let number = "\(lineAndColumn(place).line)"
        let room = String(repeating: " ", count: number.count)
        let caret = before.map { $0 == "\t" ? "\t" : String(repeating: " ", count: $0.isWide ? 2 : 1) }.joined()
        return "  \(number) | \(String(before))\(String(after))\n  \(room) | \(caret)^"
    }

    private static let shownAround = 100

    private func lineStart(_ offset: Int) -> Int {
        (bytes[..<offset].lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
    }
}

extension Character {
    /// True when a terminal gives it two columns: East Asian wide forms and emoji.
    fileprivate var isWide: Bool {
        guard let scalar = unicodeScalars.first else { return false }
        switch scalar.value {
        case 0x1100...0x115f, 0x2e80...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6,
            0x1f300...0x1faff, 0x20000...0x3fffd:
            return true
        default: return false
        }
    }
}
