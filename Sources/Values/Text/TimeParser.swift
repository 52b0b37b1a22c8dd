// Dates and times from text, as PostgreSQL's DecodeDateTime reads them (DateStyle ISO, MDY).
//
// ISO 8601 in all its spellings (`2026-03-01T12:00:00.5+02`, `20260301T120000Z`), and what people write: `Mar 1 2026`, `1-Mar-2026`,
// `3/1/2026`, `12:30 PM`, `... BC`, day names, zone names and abbreviations. Not taken: `infinity`, and the words that mean another
// moment each time (`now`, `today`, `yesterday`, `tomorrow`); they are a row error with that word.

struct TimeParser {
    private enum Problem { case format, range, offset }

    private let source: Bytes
    private let type: SQLType
    private var year: Int64?
    private var month: Int64?
    private var day: Int64?
    private var dayOfYear: Int64?
    private var isTextMonth = false
    private var isTwoDigitYear = false
    private var isBeforeChrist = false
    /// Since midnight.
    private var micros: Int64?
    private var isAfternoon: Bool?
    private var zone: Zone?
    private var offset: Int64?
    private var isEpoch = false

    private init(_ source: Bytes, _ type: SQLType) {
        self.source = source
        self.type = type
    }

    // MARK: what is asked for

    static func date(_ text: Bytes) throws(RowFault) -> Int64 {
        let parser = try read(text, .date)
        return try Calendar.date(parser.isEpoch ? 0 : try parser.days())
    }

    static func timestamp(_ text: Bytes) throws(RowFault) -> Int64 {
        let parser = try read(text, .timestamp)
        if parser.isEpoch { return 0 }
        // A zone in the text is passed over, as PostgreSQL does.
        return try Calendar.timestamp(days: try parser.days(), micros: parser.timeOfDay)
    }

    static func timestampTZ(_ text: Bytes, _ session: Zone) throws(RowFault) -> Int64 {
        let parser = try read(text, .timestamptz)
        if parser.isEpoch { return 0 }
        let local = try Calendar.timestamp(days: try parser.days(), micros: parser.timeOfDay)
        if let offset = parser.offset { return try Calendar.timestamp(local - offset * Calendar.microsPerSecond) }
        return try (parser.zone ?? session).moment(local)
    }

    static func time(_ text: Bytes) throws(RowFault) -> Int64 {
        let parser = try read(text, .time)
        guard let micros = parser.micros, !parser.isEpoch else { throw .timeSyntax(.time, text) }
        return micros
    }

    private var timeOfDay: Int64 { micros ?? 0 }

    // MARK: fields

    private static func read(_ text: Bytes, _ type: SQLType) throws(RowFault) -> TimeParser {
        var parser = TimeParser(text, type)
        guard let fields = TimeFields.cut(text), !fields.isEmpty else { throw .timeSyntax(type, text) }
        var isISOTime = false
        for (index, field) in fields.enumerated() {
            switch field.kind {
            case .date: try parser.take(dateField: field.text)
            case .time: try parser.take(time: field.text)
            case .offset:
                if parser.micros == nil && type != .time { throw parser.problem(.format) }
                try parser.take(offset: field.text)
            case .number:
                try parser.take(number: field.text, isISOTime: isISOTime)
                isISOTime = false
            case .word:
                if field.text == [UInt8(ascii: "t")] && index + 1 < fields.count && (parser.day != nil || parser.dayOfYear != nil || type == .time) {
                    isISOTime = fields[index + 1].kind == .number
                    continue
                }
                try parser.take(word: field.text)
            case .special: throw parser.problem(.format)
            }
        }
        try parser.finish()
        return parser
    }

    private mutating func finish() throws(RowFault) {
        if isEpoch { return }
        if let isAfternoon, let time = micros {
            let hour = time / Calendar.microsPerHour
            guard hour <= 12 else { throw problem(.range) }
            if isAfternoon && hour != 12 { micros = time + 12 * Calendar.microsPerHour }
            if !isAfternoon && hour == 12 { micros = time - 12 * Calendar.microsPerHour }
        }
        if type == .time && year == nil && month == nil && day == nil { return }
        guard let written = year else { throw problem(.format) }
        if isBeforeChrist {
            guard written > 0 else { throw problem(.range) }
            year = 1 - written
        } else if isTwoDigitYear {
            year = written + (written < 70 ? 2000 : written < 100 ? 1900 : 0)
        } else if written <= 0 {
            throw problem(.range)
        }
        if let dayOfYear {
            guard dayOfYear >= 1, dayOfYear <= (Calendar.isLeap(year!) ? 366 : 365) else { throw problem(.range) }
            let found = Calendar.day(Calendar.days(year: year!, month: 1, day: 1) + dayOfYear - 1)
            (month, day) = (found.month, found.day)
        }
        guard let month, let day else { throw problem(.format) }
        guard (1...12).contains(month), (1...31).contains(day), day <= Calendar.daysIn(year: year!, month: month) else { throw problem(.range) }
    }

    private func days() throws(RowFault) -> Int64 {
        guard let year, let month, let day else { throw problem(.format) }
        return Calendar.days(year: year, month: month, day: day)
    }

    private func problem(_ problem: Problem) -> RowFault {
        switch problem {
        case .format: .timeSyntax(type, source)
        case .range: .timeField(source)
        case .offset: RowFault("22009", "time zone displacement out of range: \"\(source.string)\"")
        }
    }

    private var hasDate: Bool { year != nil && ((month != nil && day != nil) || dayOfYear != nil) }

    private mutating func take(dateField text: [UInt8]) throws(RowFault) {
        if hasDate || (text[0].isLetter && text.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "_") }) {
            // A zone's name with a delimiter in it, or a time and an offset run together.
            if text[0].isDigit, let sign = text.firstIndex(of: UInt8(ascii: "-")) {
                try take(run: Array(text[..<sign]))
                return try take(offset: Array(text[sign...]))
            }
            return try take(zone: text)
        }
        // A date with delimiters stands before its time.
        guard micros == nil else { throw problem(.format) }
        for part in text.split(whereSeparator: { TimeFields.isDelimiter($0) }) where part[part.startIndex].isLetter {
            guard let found = Self.months[String(decoding: part.prefix(9), as: UTF8.self)], month == nil else { throw problem(.format) }
            month = found
            isTextMonth = true
        }
        for part in text.split(whereSeparator: { !$0.isDigit && !$0.isLetter }) where part[part.startIndex].isDigit {
            guard part.allSatisfy(\.isDigit) else { throw problem(.format) }
            try take(datePart: Array(part))
        }
    }

    private mutating func take(number text: [UInt8], isISOTime: Bool) throws(RowFault) {
        let whole = Array(text.prefix { $0.isDigit })
        let hasPoint = whole.count < text.count
        if isISOTime || (hasDate && micros == nil) || whole.count > 4 { return try take(run: text) }
        if hasPoint {
            // 2026.060 is a day of the year.
            guard whole.count > 2, year == nil else { throw problem(.format) }
            year = TimeFields.number(whole)
            dayOfYear = TimeFields.number(text[(whole.count + 1)...])
            if dayOfYear == nil { throw problem(.format) }
            return
        }
        if type == .time && year == nil && month == nil && day == nil && micros == nil { return try take(run: text) }
        try take(datePart: whole)
    }

    /// A number in a date, by what is there already and by its length.
    private mutating func take(datePart digits: [UInt8]) throws(RowFault) {
        guard let value = TimeFields.number(digits) else { throw problem(.range) }
        func isYear() -> Bool { digits.count >= 3 }
        if digits.count == 3 && year != nil && month == nil && day == nil && (1...366).contains(value) {
            dayOfYear = value
            return
        }
        switch (year, month, day) {
        case (nil, nil, nil):
            if isYear() { take(year: value, digits) } else { month = value }
        case (_?, nil, nil): month = value
        case (nil, _?, nil):
            if isTextMonth && isYear() { take(year: value, digits) } else { day = value }
        case (let known?, _?, nil):
            if isTextMonth && isYear() && isTwoDigitYear {
                day = known
                take(year: value, digits)
            } else {
                day = value
            }
        case (nil, nil, _?): month = value
        case (nil, _?, _?): take(year: value, digits)
        case (_?, nil, _?): month = value
        case (_?, _?, _?): throw problem(.format)
        }
    }

    private mutating func take(year value: Int64, _ digits: [UInt8]) {
        year = value
        isTwoDigitYear = digits.count <= 2
    }

    /// Digits without delimiters: a date of six or more, a time of four or six, with a fraction.
    private mutating func take(run text: [UInt8]) throws(RowFault) {
        let digits = Array(text.prefix { $0.isDigit })
        var fraction: Int64 = 0
        if digits.count < text.count {
            guard text[digits.count] == UInt8(ascii: "."), let read = TimeFields.micros(fraction: text[(digits.count + 1)...]) else { throw problem(.format) }
            fraction = read
        } else if !hasDate && type != .time || (type == .time && digits.count > 6) {
            guard digits.count >= 6, let mday = TimeFields.number(digits.suffix(2)),
                let mon = TimeFields.number(digits.dropLast(2).suffix(2)), let years = TimeFields.number(digits.dropLast(4))
            else { throw problem(.format) }
            (year, month, day) = (years, mon, mday)
            isTwoDigitYear = digits.count == 6
            return
        }
        guard micros == nil, digits.count == 6 || digits.count == 4 else { throw problem(.format) }
        func part(_ index: Int) -> Int64 { digits.count > index ? Int64(digits[index] - 48) * 10 + Int64(digits[index + 1] - 48) : 0 }
        try set(hours: part(0), minutes: part(2), seconds: part(4), micros: fraction)
    }

    private mutating func take(time text: [UInt8]) throws(RowFault) {
        guard micros == nil else { throw problem(.format) }
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 else { throw problem(.format) }
        var (numbers, fraction): ([Int64], Int64) = ([], 0)
        for (index, part) in parts.enumerated() {
            let digits = part.prefix { $0.isDigit }
            if digits.count < part.count {
                guard index == parts.count - 1, index > 0, part[digits.endIndex] == UInt8(ascii: "."),
                    let read = TimeFields.micros(fraction: part[(digits.endIndex + 1)...])
                else { throw problem(.format) }
                fraction = read
                // mm:ss.fff
                if index == 1 { numbers.insert(0, at: 0) }
            }
            if digits.isEmpty && index == parts.count - 1 && index == 1 && digits.count == part.count {
                numbers.append(0)
                continue
            }
            guard let number = TimeFields.number(digits) else { throw problem(digits.isEmpty ? .format : .range) }
            numbers.append(number)
        }
        while numbers.count < 3 { numbers.append(0) }
        try set(hours: numbers[0], minutes: numbers[1], seconds: numbers[2], micros: fraction)
    }

    private mutating func set(hours: Int64, minutes: Int64, seconds: Int64, micros fraction: Int64) throws(RowFault) {
        let total = hours * Calendar.microsPerHour + minutes * Calendar.microsPerMinute + seconds * Calendar.microsPerSecond + fraction
        guard minutes < 60, seconds <= 60, total <= Calendar.microsPerDay else { throw problem(.range) }
        micros = total
    }

    private mutating func take(offset text: [UInt8]) throws(RowFault) {
        guard offset == nil && zone == nil else { throw problem(.format) }
        guard let seconds = try Self.offset(text) else { throw problem(.format) }
        guard seconds.magnitude < 16 * 3600 else { throw problem(.offset) }
        offset = seconds
    }

    /// `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`, in seconds east; nil where it is none.
    static func offset(_ text: [UInt8]) throws(RowFault) -> Int64? {
        let parts = text.dropFirst().split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 3, var hours = TimeFields.number(first) else { return nil }
        var minutes: Int64 = 0
        var seconds: Int64 = 0
        if parts.count == 1 {
            if first.count > 2 { (hours, minutes) = (hours / 100, hours % 100) }
        } else {
            guard let read = TimeFields.number(parts[1]) else { return nil }
            minutes = read
            if parts.count == 3 {
                guard let read = TimeFields.number(parts[2]) else { return nil }
                seconds = read
            }
        }
        guard hours <= 15, minutes < 60, seconds < 60 else { throw RowFault("22009", "time zone displacement out of range") }
        let total = hours * 3600 + minutes * 60 + seconds
        return text.first == UInt8(ascii: "-") ? -total : total
    }

    private mutating func take(word text: [UInt8]) throws(RowFault) {
        let word = String(decoding: text, as: UTF8.self)
        if let found = Self.months[word] {
            // A number before it was taken for the month and is the day.
            if let earlier = month, !isTextMonth, day == nil { day = earlier }
            guard !isTextMonth else { throw problem(.format) }
            month = found
            isTextMonth = true
            return
        }
        switch word {
        case "am", "pm":
            guard micros != nil else { throw problem(.format) }
            isAfternoon = word == "pm"
        case "ad": break
        case "bc": isBeforeChrist = true
        case "epoch": isEpoch = true
        case "allballs": micros = 0
        case "infinity", "now", "today", "tomorrow", "yesterday":
            throw .unsupported("\"\(word)\" is no \(type.name) here")
        case "on", "at", "t": break
        default:
            if Self.dayNames.contains(word) { return }
            try take(zone: text)
        }
    }

    private mutating func take(zone text: [UInt8]) throws(RowFault) {
        guard zone == nil && offset == nil, micros != nil || hasDate else { throw problem(.format) }
        let name = String(decoding: text, as: UTF8.self)
        guard let found = try? Zone.named(name) else {
            throw name.contains("/") ? .parameter("time zone \"\(name)\" not recognized") : problem(.format)
        }
        zone = found
    }

    private static let months: [String: Int64] = {
        let names = [
            "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
        ]
        var months: [String: Int64] = ["sept": 9]
        for (index, name) in names.enumerated() {
            months[name] = Int64(index + 1)
            months[String(name.prefix(3))] = Int64(index + 1)
        }
        return months
    }()

    private static let dayNames: Set<String> = [
        "sunday", "sun", "monday", "mon", "tuesday", "tue", "tues", "wednesday", "wed", "weds", "thursday", "thu", "thur", "thurs",
        "friday", "fri", "saturday", "sat",
    ]
}
