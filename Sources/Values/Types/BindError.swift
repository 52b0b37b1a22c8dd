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
