// What text functions do to one text: parts, padding, replacement.

enum TextParts {
    @inline(__always)
    static func trimmed(_ text: Bytes, _ left: Bool, _ right: Bool, _ isCut: (UInt8) -> Bool) -> Range<Int> {
        var (from, until) = (0, text.count)
        if left { while from < until && isCut(text[from]) { from += 1 } }
        if right { while until > from && isCut(text[until - 1]) { until -= 1 } }
        return from..<until
    }

    /// Without the characters of `set` at its ends.
    static func trimmed(_ text: Bytes, _ left: Bool, _ right: Bool, of set: Bytes) -> Range<Int> {
        func isCut(_ character: Bytes) -> Bool { Characters.find(character, in: set) != nil }
        var (from, until) = (0, text.count)
        while left && from < until {
            let end = min(from + Characters.width(text[from]), until)
            guard isCut(Bytes(rebasing: text[from..<end])) else { break }
            from = end
        }
        while right && until > from {
            let start = Characters.offset(Bytes(rebasing: text[..<until]), fromEnd: 1)
            guard isCut(Bytes(rebasing: text[start..<until])) else { break }
            until = start
        }
        return from..<until
    }

    static func position(of needle: Bytes, in text: Bytes) -> Int64 {
        guard let place = Characters.find(needle, in: text) else { return 0 }
        return Int64(Characters.count(Bytes(rebasing: text[..<place]))) + 1
    }

    /// Field `index` between separators, from the end where it is negative; empty where there is none.
    static func field(_ text: Bytes, _ separator: Bytes, _ index: Int64) throws(RowFault) -> Range<Int> {
        if index == 0 { throw .parameter("field position must not be zero") }
        if text.isEmpty { return 0..<0 }
        if separator.isEmpty { return index == 1 || index == -1 ? 0..<text.count : 0..<0 }
        var wanted = index
        if index < 0 {
            var (fields, place) = (Int64(1), 0)
            while let found = Characters.find(separator, in: text, from: place) {
                fields += 1
                place = found + separator.count
            }
            wanted = fields + 1 + index
            if wanted < 1 { return 0..<0 }
        }
        var start = 0
        for _ in 1..<max(wanted, 1) {
            guard let found = Characters.find(separator, in: text, from: start) else { return 0..<0 }
            start = found + separator.count
        }
        return start..<(Characters.find(separator, in: text, from: start) ?? text.count)
    }

    /// The text brought to `length` characters: cut at its end, or filled on one side.
    static func pad(_ text: Bytes, _ length: Int64, _ fill: Bytes, _ isLeft: Bool, _ out: inout ByteBuilder) throws(RowFault) {
        let wanted = Int(max(length, 0))
        let own = Characters.count(text)
        if own >= wanted || fill.isEmpty { return out.append(text[..<Characters.offset(text, wanted)]) }
        let missing = wanted - own
        guard missing <= TextLimits.maxTextBytes else { throw .tooLong }
        if !isLeft { out.append(text) }
        let width = Characters.count(fill)
        for _ in 0..<(missing / width) { out.append(fill) }
        out.append(fill[..<Characters.offset(fill, missing % width)])
        if isLeft { out.append(text) }
    }

    static func replace(_ text: Bytes, _ from: Bytes, _ to: Bytes, _ out: inout ByteBuilder) throws(RowFault) {
        guard !from.isEmpty else { return out.append(text) }
        let start = out.count
        var place = 0
        while let found = Characters.find(from, in: text, from: place) {
            out.append(text[place..<found])
            out.append(to)
            place = found + from.count
            guard out.count - start <= TextLimits.maxTextBytes + text.count else { throw .tooLong }
        }
        out.append(text[place...])
    }

    /// Each character of `from` becomes the one of `to` at the same place, or goes.
    static func translate(_ text: Bytes, _ from: Bytes, _ to: Bytes, _ out: inout ByteBuilder) {
        var place = 0
        while place < text.count {
            let end = min(place + Characters.width(text[place]), text.count)
            let character = Bytes(rebasing: text[place..<end])
            if let found = Characters.find(character, in: from) {
                let index = Characters.count(Bytes(rebasing: from[..<found]))
                let start = Characters.offset(to, index)
                if start < to.count { out.append(to[start..<Characters.offset(to, 1, from: start)]) }
            } else {
                out.append(character)
            }
            place = end
        }
    }

    static func overlay(_ text: Bytes, _ with: Bytes, _ start: Int64, _ count: Int64, _ out: inout ByteBuilder) throws(RowFault) {
        guard start > 0 else { throw RowFault("22011", "negative substring length not allowed") }
        let (behind, isOver) = start.addingReportingOverflow(count)
        guard !isOver, behind <= Int64(Int32.max) else { throw RowFault("22003", "integer out of range") }
        out.append(text[..<Characters.offset(text, Int(start) - 1)])
        out.append(with)
        out.append(text[Characters.offset(text, max(Int(behind) - 1, 0))...])
    }
}
