// What is wrong with an expression before any row is seen: said with the place in the text.

/// An expression that cannot be bound: what, why, what to do now, and where in the text it stands.
public struct BindError: Error, Hashable, Sendable, CustomStringConvertible {
    public var what: String
    public var why: String
    public var now: String
    /// Byte offset in the statement's text; nil where nobody knows.
    public var position: Int?

    public init(_ what: String, why: String, now: String, at position: Int? = nil) {
        self.what = what
        self.why = why
        self.now = now
        self.position = position
    }

    public var description: String { "\(what): \(why) (now: \(now))" }

    /// The same error at `position`, unless it already has one.
    func at(_ position: Int) -> BindError {
        var error = self
        error.position = error.position ?? position
        return error
    }
}

/// The names that a mistyped one may have meant.
enum NearName {
    /// The three nearest of `names`, by edit distance and then by name.
    static func list(_ word: String, of names: [String]) -> String {
        let letters = Array(word.unicodeScalars)
        let ranked = Set(names).map { (distance(letters, Array($0.unicodeScalars)), $0) }.sorted { $0 < $1 }
        return ranked.prefix(3).map(\.1).joined(separator: ", ")
    }

    private static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let substituted = diagonal + (x == y ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}
