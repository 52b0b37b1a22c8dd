// The format of a zone file: RFC 8536, and the POSIX rule in its last line.

/// What a zone file says.
struct ZoneFile {
    var changes: [Int64] = []
    var offsets: [Int64] = []
    var rule: ZoneRule?

    /// nil for bytes that are no zone file of version 2 or later.
    init?(_ bytes: [UInt8]) {
        guard bytes.count > 44, bytes[0..<4].elementsEqual("TZif".utf8), bytes[4] >= UInt8(ascii: "2") else { return nil }
        func number(_ place: Int, _ width: Int) -> Int64 {
            let unsigned = bytes[place..<(place + width)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return width == 4 ? Int64(Int32(truncatingIfNeeded: unsigned)) : Int64(bitPattern: unsigned)
        }
        func counts(_ header: Int) -> [Int] { (0..<6).map { Int(number(header + 20 + $0 * 4, 4)) } }
        // isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt; the first block has 32-bit times and is passed over.
        let old = counts(0)
        let header = 44 + old[3] * 5 + old[4] * 6 + old[5] + old[2] * 8 + old[1] + old[0]
        guard header + 44 <= bytes.count else { return nil }
        let new = counts(header)
        let times = header + 44
        let indexes = times + new[3] * 8
        let types = indexes + new[3]
        let end = types + new[4] * 6 + new[5] + new[2] * 12 + new[1] + new[0]
        guard end < bytes.count, new[4] > 0 else { return nil }
        func offset(_ type: Int) -> Int64 { number(types + type * 6, 4) }
        offsets = [offset(0)]
        for index in 0..<new[3] {
            changes.append(number(times + index * 8, 8))
            offsets.append(offset(Int(bytes[indexes + index])))
        }
        let footer = bytes[(end + 1)...].prefix { $0 != 10 }
        if !footer.isEmpty { rule = ZoneRule(String(decoding: footer, as: UTF8.self)) }
    }
}

/// A POSIX rule for all years: `CET-1CEST,M3.5.0,M10.5.0/3`.
struct ZoneRule: Sendable {
    /// A day of the year and the second of that day, in local time before the change.
    enum Day: Sendable { case julian(Int64), zeroBased(Int64), weekday(month: Int64, week: Int64, day: Int64) }
    struct Change: Sendable {
        var day: Day
        var second: Int64
    }

    let standard: Int64
    let summer: Int64
    /// The beginning and the end of summer time; nil where there is none.
    let changes: (start: Change, end: Change)?

    init?(_ text: String) {
        var rest = Substring(text)
        guard Self.skipName(&rest), let west = Self.readOffset(&rest) else { return nil }
        standard = -west
        guard !rest.isEmpty else {
            summer = standard
            changes = nil
            return
        }
        guard Self.skipName(&rest) else { return nil }
        summer = rest.first == "," ? standard + 3600 : Self.readOffset(&rest).map { -$0 } ?? standard + 3600
        let parts = rest.split(separator: ",").map(Self.readChange)
        guard parts.count == 2, let start = parts[0], let end = parts[1] else { return nil }
        changes = (start, end)
    }

    private static func skipName(_ rest: inout Substring) -> Bool {
        if rest.first == "<" {
            guard let end = rest.firstIndex(of: ">") else { return false }
            rest = rest[rest.index(after: end)...]
            return true
        }
        let name = rest.prefix { $0.isLetter }
        rest = rest[name.endIndex...]
        return name.count >= 3
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    private static func readOffset(_ rest: inout Substring) -> Int64? {
        let text = rest.prefix { $0.isNumber || $0 == ":" || $0 == "-" || $0 == "+" }
        rest = rest[text.endIndex...]
        let parts = text.drop { $0 == "-" || $0 == "+" }.split(separator: ":").map { Int64($0) }
        guard let hours = parts.first ?? nil else { return nil }
        let seconds = hours * 3600 + ((parts.count > 1 ? parts[1] : 0) ?? 0) * 60 + ((parts.count > 2 ? parts[2] : 0) ?? 0)
        return text.hasPrefix("-") ? -seconds : seconds
    }

    private static func readChange(_ text: Substring) -> Change? {
        let halves = text.split(separator: "/")
        guard let first = halves.first else { return nil }
        var second: Int64 = 7200
        if halves.count > 1 {
            var rest = halves[1]
            guard let read = readOffset(&rest) else { return nil }
            second = read
        }
        if first.hasPrefix("M") {
            let parts = first.dropFirst().split(separator: ".").compactMap { Int64($0) }
            return parts.count == 3 ? Change(day: .weekday(month: parts[0], week: parts[1], day: parts[2]), second: second) : nil
        }
        if first.hasPrefix("J") { return Int64(first.dropFirst()).map { Change(day: .julian($0), second: second) } }
        return Int64(first).map { Change(day: .zeroBased($0), second: second) }
    }

    func offset(at seconds: Int64) -> Int64 {
        guard let changes else { return standard }
        let year = Calendar.day(Calendar.floorDivide(seconds + standard, 86_400)).year
        let (start, end) = (moment(changes.start, year, standard), moment(changes.end, year, summer))
        let isSummer = start < end ? seconds >= start && seconds < end : !(seconds >= end && seconds < start)
        return isSummer ? summer : standard
    }

    func change(after seconds: Int64) -> Int64? {
        guard let changes else { return nil }
        let year = Calendar.day(Calendar.floorDivide(seconds, 86_400)).year
        var all: [Int64] = []
        for y in (year - 1)...(year + 1) { all += [moment(changes.start, y, standard), moment(changes.end, y, summer)] }
        return all.filter { $0 > seconds }.min()
    }

    /// When a change happens in a year, in seconds since 1970, UTC; `before` is the offset until then.
    private func moment(_ change: Change, _ year: Int64, _ before: Int64) -> Int64 {
        let first = Calendar.days(year: year, month: 1, day: 1)
        let day: Int64
        switch change.day {
        case .julian(let number): day = first + number - 1 + (Calendar.isLeap(year) && number >= 60 ? 1 : 0)
        case .zeroBased(let number): day = first + number
        case .weekday(let month, let week, let weekday):
            let start = Calendar.days(year: year, month: month, day: 1)
            var found = start + Calendar.floorRemainder(weekday - Calendar.weekday(start), 7) + (week - 1) * 7
            while found >= start + Calendar.daysIn(year: year, month: month) { found -= 7 }
            day = found
        }
        return day * 86_400 + change.second - before
    }
}
