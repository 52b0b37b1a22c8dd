// `${name}`: values that are given when a job starts, put into its text as literals before it is parsed.
//
// The text is walked as PostgreSQL's lexer would, far enough to know what a `${` stands in:
//
//   between tokens         one literal: '...'          WHERE kind = ${kind}
//   in a text literal      escaped text                topic = 'events-${region}'
//   in E'...'              escaped text, backslashes too
//   in a comment, $$...$$  nothing: it stays as it is
//   in "names", U&'', B'', X'', right beside a letter, digit or literal: refused
//
// A value can therefore never be anything but (a part of) one literal, whatever is in it. Two traps are closed by refusing: PostgreSQL
// joins literals that only a line break parts, and then a value would be read by the rules of the literal before it; and a
// letter right before a literal makes it one of another kind.
//
// When changing it: `StartValuesTests` has a table of attacks.

import Wording

/// Values by name, as they were given at the start.
public struct StartValues: Sendable, Hashable {
    public let values: [String: String]

    public init(_ values: [String: String] = [:]) { self.values = values }
}

/// A text with its values in it, and the way back from its offsets.
struct FilledText {
    /// What is parsed.
    private(set) var bytes: [UInt8] = []
    /// Each begins where the one before ends.
    private var pieces: [Piece] = []

    private struct Piece {
        let start: Int
        let original: Int
        /// The value that fills it; nil for a piece of the text itself.
        let value: String?
    }

    fileprivate mutating func append(_ part: ArraySlice<UInt8>) {
        guard !part.isEmpty else { return }
        pieces.append(Piece(start: bytes.count, original: part.startIndex, value: nil))
        bytes += part
    }

    fileprivate mutating func append(_ value: [UInt8], named name: String, from original: Int) {
        pieces.append(Piece(start: bytes.count, original: original, value: name))
        bytes += value
    }

    /// The place in the original text; of all that is in a value the place of its `${`.
    func place(_ offset: Int) -> Place {
        guard let piece = piece(at: offset) else { return Place(0) }
        return Place(piece.value == nil ? piece.original + offset - piece.start : piece.original)
    }

    /// The first token at or behind an offset.
    func token(from offset: Int) -> Int { bytes.endOfBlank(at: offset) }

    /// The name of the value that an offset lies in.
    func value(at offset: Int) -> String? { piece(at: offset)?.value }

    private func piece(at offset: Int) -> Piece? {
        let behind = pieces.partitioningIndex { $0.start > offset }
        return behind == 0 ? nil : pieces[behind - 1]
    }
}

extension StartValues {
    /// Puts the values in.
    /// - Throws: a fault for a value that is not given, not used, or stands where no literal can.
    func fill(_ text: String) throws(SQLFault) -> FilledText {
        var walk = LiteralWalk(bytes: Array(text.utf8), values: values)
        return try walk.fill()
    }
}

private struct LiteralWalk {
    let bytes: [UInt8]
    let values: [String: String]
    private var place = 0
    /// Everything before it is in the filled text.
    private var copied = 0
    private var filled = FilledText()
    private var used: Set<String> = []
    /// The kind of the last token, where that was a literal: another one here could be joined to it.
    private var lastLiteral: Literal?
    /// The last token was UESCAPE: the literal behind it says how another one, or a name, is read.
    private var isBehindEscapeClause = false
    /// By which rules a literal is read.
    private enum Literal { case standard, escape, unicode, bits, dollar }

    init(bytes: [UInt8], values: [String: String]) {
        self.bytes = bytes
        self.values = values
    }

    private func byte(_ ahead: Int = 0) -> UInt8? { place + ahead < bytes.count ? bytes[place + ahead] : nil }
    private func isAt(_ first: Character, _ second: Character) -> Bool { byte() == first.asciiValue && byte(1) == second.asciiValue }

    mutating func fill() throws(SQLFault) -> FilledText {
        while let next = byte() {
            switch next {
            case 0: throw SQLFault("a zero byte in the text", at: Place(place), why: "SQL is text, and zero is no character", hint: "remove it")
            case UInt8(ascii: "'"): try quoted(.standard)
            case UInt8(ascii: "\""): try name()
            case UInt8(ascii: "$") where isAt("$", "{"): try bare()
            case UInt8(ascii: "$"): dollar()
            case _ where next.isWordStart: try word()
            case _ where next.isDigit: try skip { $0.isWordPart || $0 == UInt8(ascii: ".") }
            default:
                let behindBlank = bytes.endOfBlank(at: place)
                if behindBlank == place { lastLiteral = nil }
                place = max(behindBlank, place + 1)
            }
        }
        filled.append(bytes[copied...])
        if let unused = values.keys.filter({ !used.contains($0) }).min() {
            throw SQLFault(
                "no ${\(unused)} in the text", at: Place(0), why: "a value was given for it, and nothing would have used it",
                hint: used.isEmpty ? "leave the value out" : nearestHint(to: unused, among: Array(used), kind: "value"))
        }
        return filled
    }

    /// Passes a name, a keyword or a number; a value right behind it is refused.
    private mutating func skip(while isPart: (UInt8) -> Bool) throws(SQLFault) {
        let start = place
        lastLiteral = nil
        while let next = byte(), isPart(next), !isAt("$", "{") { place += 1 }
        if isAt("$", "{") { try refuseNeighbour(String(decoding: bytes[start..<place], as: UTF8.self)) }
    }

    /// `$1`, `$$...$$`, `$tag$...$tag$`.
    private mutating func dollar() {
        lastLiteral = nil
        var end = place + 1
        while end < bytes.count, bytes[end].isWordPart, bytes[end] != UInt8(ascii: "$") { end += 1 }
        let isTag = end < bytes.count && bytes[end] == UInt8(ascii: "$") && !(byte(1)?.isDigit ?? false)
        guard isTag else { return place += 1 }
        let tag = bytes[place...end]
        place = end + 1
        while place < bytes.count {
            if bytes[place...].starts(with: tag) {
                place += tag.count
                break
            }
            place += 1
        }
        lastLiteral = .dollar
    }

    /// A name, a keyword, or the letters of a literal.
    private mutating func word() throws(SQLFault) {
        let start = place
        try skip { $0.isWordPart }
        let letters = String(decoding: bytes[start..<place], as: UTF8.self).lowercased()
        isBehindEscapeClause = letters == "uescape"
        if letters == "u", byte() == UInt8(ascii: "&"), byte(1) == UInt8(ascii: "'") || byte(1) == UInt8(ascii: "\"") {
            place += 1
            if byte() == UInt8(ascii: "'") { try quoted(.unicode) }
        } else if byte() == UInt8(ascii: "'"), let literal = ["e": Literal.escape, "b": .bits, "x": .bits, "n": .standard][letters] {
            try quoted(literal)
        }
    }

    private mutating func name() throws(SQLFault) {
        let start = place
        place += 1
        while let next = byte(), next != UInt8(ascii: "\"") {
            if isAt("$", "{") {
                throw SQLFault(
                    "a value inside a name", at: Place(place), why: "values given at the start are literals, never names, so that a value cannot change what a query reads",
                    hint: "write the name out; \"$\" and \"{\" in a name are not possible side by side")
            }
            place += 1
        }
        place = min(place + 1, bytes.count)
        lastLiteral = nil
        if isAt("$", "{") { try refuseNeighbour(String(decoding: bytes[start..<place], as: UTF8.self)) }
    }

    private mutating func quoted(_ literal: Literal) throws(SQLFault) {
        // E'a' and on the next line 'b' are one literal by the rules of the first: what looks like a plain one is not.
        if literal == .standard, let last = lastLiteral, last != .standard, last != .dollar {
            throw SQLFault(
                "a literal that goes on in another line", at: Place(place), why: "its second part is read by the rules of the first, which is easily overlooked",
                hint: "write it as one literal, or join the two with ||")
        }
        place += 1
        while let next = byte() {
            if next == UInt8(ascii: "'") {
                place += 1
                if byte() != next { break }
                place += 1
            } else if literal == .escape, next == UInt8(ascii: "\\") {
                place = min(place + 2, bytes.count)
            } else if isAt("$", "{") {
                guard literal == .standard || literal == .escape else {
                    throw SQLFault(
                        "a value inside a literal of this kind", at: Place(place), why: "only '...' and E'...' take values",
                        hint: "write it as '...'")
                }
                let (name, value, start) = try reference()
                filled.append(value.escaped(backslash: literal == .escape), named: name, from: start)
            } else {
                place += 1
            }
        }
        lastLiteral = literal
        if isAt("$", "{") { try refuseNeighbour("a literal") }
    }

    /// `${name}` between tokens.
    private mutating func bare() throws(SQLFault) {
        if lastLiteral != nil { try refuseNeighbour("a literal") }
        let (name, value, start) = try reference()
        if let next = byte(), next.isWordPart || next == UInt8(ascii: "'") || next == UInt8(ascii: "\"") {
            throw SQLFault(
                "${\(name)} touches what stands behind it", at: Place(start), why: "a value is a literal of its own, never a part of a name or number",
                hint: "put a blank behind it, or write it inside a literal: '${\(name)}...'")
        }
        // The blank parts it from what would make it a literal of another kind: U&.
        filled.append(Array(" '".utf8) + value.escaped(backslash: false) + Array("'".utf8), named: name, from: start)
        lastLiteral = .standard
    }

    private func refuseNeighbour(_ neighbour: String) throws(SQLFault) {
        throw SQLFault(
            "a value right behind \(neighbour)", at: Place(place),
            why: "a value is a literal of its own, never a part of a name, a number or another literal",
            hint: "write it inside the literal: '...${name}', or join the two with ||")
    }

    /// Reads `${name}`, copies what is before it, and gives its value.
    private mutating func reference() throws(SQLFault) -> (name: String, value: [UInt8], start: Int) {
        let start = place
        let end = bytes[start...].firstIndex { $0 == UInt8(ascii: "}") || $0 == UInt8(ascii: "\n") } ?? bytes.count
        let letters = bytes[start + 2..<max(end, start + 2)]
        guard end < bytes.count, bytes[end] == UInt8(ascii: "}"), let first = letters.first, first.isWordStart,
            letters.allSatisfy({ $0.isWordPart && $0 != UInt8(ascii: "$") })
        else {
            throw SQLFault(
                "${ without a name and }", at: Place(start), why: "a value given at the start is written ${name}, of letters, digits and _",
                hint: "write '$' || '{' for the two characters themselves")
        }
        if isBehindEscapeClause {
            throw SQLFault("a value behind UESCAPE", at: Place(start), why: "it would decide how another literal or a name is read", hint: "write the character out")
        }
        let name = String(decoding: letters, as: UTF8.self)
        guard let value = values[name] else {
            throw SQLFault(
                "no value for ${\(name)}", at: Place(start), why: "none was given at the start",
                hint: values.isEmpty ? "give it: --value \(name)=..." : nearestHint(to: name, among: Array(values.keys), kind: "value"))
        }
        guard !value.utf8.contains(0) else {
            throw SQLFault("the value of ${\(name)} has a zero byte", at: Place(start), why: "no SQL text can hold it", hint: "give another value")
        }
        used.insert(name)
        filled.append(bytes[copied..<start])
        place = end + 1
        copied = place
        return (name, Array(value.utf8), start)
    }
}

extension UInt8 {
    /// As PostgreSQL's lexer has it: letters, `_`, and every byte beyond ASCII.
    fileprivate var isWordStart: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), 0x80...0xff: true
        default: false
        }
    }
    fileprivate var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }
    fileprivate var isWordPart: Bool { isWordStart || isDigit || self == UInt8(ascii: "$") }
    fileprivate var isSpace: Bool { self == 0x20 || 0x09...0x0d ~= self }
}

extension [UInt8] {
    /// Where the blanks and comments that begin at an offset end; the offset itself where none are. Comments nest, as PostgreSQL's do.
    func endOfBlank(at offset: Int) -> Int {
        func isAt(_ place: Int, _ first: Character, _ second: Character) -> Bool {
            place + 1 < count && self[place] == first.asciiValue && self[place + 1] == second.asciiValue
        }
        var (place, depth) = (offset, 0)
        while place < count {
            if isAt(place, "/", "*") {
                (place, depth) = (place + 2, depth + 1)
            } else if depth > 0 {
                let ends = isAt(place, "*", "/")
                (place, depth) = ends ? (place + 2, depth - 1) : (place + 1, depth)
            } else if isAt(place, "-", "-") {
                place = self[place...].firstIndex(of: UInt8(ascii: "\n")) ?? count
            } else if self[place].isSpace {
                place += 1
            } else {
                break
            }
        }
        return place
    }

    fileprivate func escaped(backslash: Bool) -> [UInt8] {
        flatMap { $0 == UInt8(ascii: "'") || (backslash && $0 == UInt8(ascii: "\\")) ? [$0, $0] : [$0] }
    }
}

extension RandomAccessCollection where Index == Int {
    /// The first index whose element answers true, where all true ones come last.
    fileprivate func partitioningIndex(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
