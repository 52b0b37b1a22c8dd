// LIKE and ILIKE, by PostgreSQL's inner names: ~~ !~~ ~~* !~~* and like_escape.
//
// `%` is any text, `_` one character, a backslash takes the next character as it is; a pattern that ends in a backslash is a row
// error. ILIKE compares both sides in lower case.

extension FunctionTable {
    mutating func addPatterns() {
        for (name, isNot) in [("~~", false), ("!~~", true), ("like", false), ("notlike", true)] {
            add(name, [.text, .text], .bool, fails: true) { call in
                call.map { (a: Bytes, b: Bytes) throws(RowFault) in try LikePattern.matches(a, b) != isNot }
            }
        }
        for (name, isNot) in [("~~*", false), ("!~~*", true)] {
            add(name, [.text, .text], .bool, fails: true) { call in
                var (left, right) = (call.scratch(), call.scratch())
                call.map { (a: Bytes, b: Bytes) throws(RowFault) -> Bool in
                    left.truncate(to: 0)
                    right.truncate(to: 0)
                    Characters.map(a, &left) { Characters.lower($0) }
                    Characters.map(b, &right) { Characters.lower($0) }
                    return try withExtendedLifetime((left.buffer, right.buffer)) { () throws(RowFault) -> Bool in
                        try LikePattern.matches(left.bytes, right.bytes) != isNot
                    }
                }
            }
        }
        for (name, isNot) in [("~~", false), ("!~~", true), ("like", false), ("notlike", true)] {
            add(name, [.bytea, .bytea], .bool, fails: true) { call in
                call.map { (a: Bytes, b: Bytes) throws(RowFault) in try LikePattern.matches(a, b, isText: false) != isNot }
            }
        }
        add("like_escape", [.text, .text], .text, fails: true) {
            $0.write { (pattern: Bytes, escape: Bytes, out: inout ByteBuilder) throws(RowFault) in try LikePattern.escape(pattern, escape, &out) }
        }
    }
}

enum LikePattern {
    private static let (percent, underscore, backslash) = (UInt8(ascii: "%"), UInt8(ascii: "_"), UInt8(ascii: "\\"))

    /// - Parameter isText: whether `_` is a character and not a byte.
    static func matches(_ text: Bytes, _ pattern: Bytes, isText: Bool = true) throws(RowFault) -> Bool {
        func width(_ place: Int) -> Int { isText ? Characters.width(text[place]) : 1 }
        var (t, p) = (0, 0)
        // Where to go on when what follows the last `%` does not match: one character further.
        var retry: (text: Int, pattern: Int)?
        while true {
            if p < pattern.count && pattern[p] == percent {
                p += 1
                retry = (t, p)
                continue
            }
            if t == text.count {
                // A pattern that is left and is not `%` only does not match; a lone backslash in it is not reached.
                return p == pattern.count
            }
            var isSame = false
            if p < pattern.count {
                if pattern[p] == underscore {
                    t += width(t)
                    p += 1
                    continue
                }
                var literal = p
                if pattern[p] == backslash {
                    literal += 1
                    guard literal < pattern.count else { throw RowFault("22025", "LIKE pattern must not end with escape character") }
                }
                isSame = pattern[literal] == text[t]
                if isSame {
                    t += 1
                    p = literal + 1
                }
            }
            if isSame { continue }
            guard let last = retry else { return false }
            // From byte to byte: a later character begins no match in the middle, because its lead byte differs.
            let next = last.text + width(last.text)
            if next > text.count { return false }
            retry = (next, last.pattern)
            (t, p) = (next, last.pattern)
        }
    }

    /// The pattern with a backslash in place of another escape character.
    static func escape(_ pattern: Bytes, _ escape: Bytes, _ out: inout ByteBuilder) throws(RowFault) {
        guard Characters.count(escape) <= 1 else { throw RowFault("22025", "invalid escape string") }
        if escape.count == 1 && escape[0] == backslash { return out.append(pattern) }
        var (place, isEscaped) = (0, false)
        while place < pattern.count {
            let end = min(place + Characters.width(pattern[place]), pattern.count)
            let character = Bytes(rebasing: pattern[place..<end])
            if !escape.isEmpty && !isEscaped && Bytes.compare(character, escape) == 0 {
                out.append(backslash)
                isEscaped = true
            } else {
                if character[0] == backslash && !isEscaped { out.append(backslash) }
                out.append(character)
                isEscaped = false
            }
            place = end
        }
    }
}
