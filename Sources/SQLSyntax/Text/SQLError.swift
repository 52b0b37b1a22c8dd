// What is wrong with a text of SQL, for the person who wrote it: where, what, why, and what works instead.
//
// Everything that can be known before the first batch is said in this one form, by the parser and by all that reads its tree. The
// text's line stands in it with a caret, so that it can be read without opening the file. It shows the user's own text and never a
// value put in for `${name}`.

/// An error in a text of SQL.
public struct SQLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name of the text, with line and column from 1.
    public let source: String
    public let line: Int
    public let column: Int
    /// The text's line, and below it a caret under the column.
    public let excerpt: String
    /// What is wrong, in one line without a full stop.
    public let what: String
    public let why: String
    /// What to do now.
    public let hint: String

    public init(_ what: String, at place: Place, in text: SourceText, why: String, hint: String) {
        (line, column) = text.lineAndColumn(place)
        source = text.name(at: place)
        excerpt = text.excerpt(place)
        self.what = what
        self.why = why
        self.hint = hint
    }

    public var description: String { "\(source):\(line):\(column): \(what)\n\(excerpt)\n  why: \(why)\n  now: \(hint)" }
}

/// The same before it is known which text a place is in: what the readers of a tree throw.
package struct SQLFault: Error, Hashable, Sendable {
    package let what: String
    package let place: Place
    package let why: String
    package let hint: String

    package init(_ what: String, at place: Place, why: String, hint: String) {
        self.what = what
        self.place = place
        self.why = why
        self.hint = hint
    }

    package func error(in text: SourceText) -> SQLError { SQLError(what, at: place, in: text, why: why, hint: hint) }
}
