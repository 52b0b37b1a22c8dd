// Intervals as text: `1 year 2 mons 3 days 04:05:06.7` out (IntervalStyle postgres), and in what PostgreSQL reads: that, words
// and numbers in any order, `1-2` for years and months, ISO 8601 (`P1Y2M3DT4H5M6S`), `ago`.
//
// A fraction of a unit goes on to the next smaller one: of a year to months, of a month to days of a month of 30, of a day to
// time, rounded to a microsecond each.

package enum IntervalText {
    // MARK: out

    package static func write(_ value: Interval, _ out: inout ByteBuilder) {
        var (isFirst, wasNegative) = (true, false)
        func part(_ number: Int32, _ unit: StaticString, _ out: inout ByteBuilder) {
            guard number != 0 else { return }
            if !isFirst { out.append(UInt8(ascii: " ")) }
            if wasNegative && number > 0 { out.append(UInt8(ascii: "+")) }
            out.append(decimal: Int64(number))
            out.append(unit)
            if number != 1 { out.append(UInt8(ascii: "s")) }
            wasNegative = number < 0
            isFirst = false
        }
        part(value.months / 12, " year", &out)
        part(value.months % 12, " mon", &out)
        part(value.days, " day", &out)
        guard isFirst || value.micros != 0 else { return }
        if !isFirst { out.append(UInt8(ascii: " ")) }
        if value.micros < 0 { out.append(UInt8(ascii: "-")) } else if wasNegative { out.append(UInt8(ascii: "+")) }
        let micros = value.micros.magnitude
        out.append(decimal: UInt128(micros / UInt64(Calendar.microsPerHour)), minimumDigits: 2)
        out.append(UInt8(ascii: ":"))
        out.append(decimal: UInt128(micros / UInt64(Calendar.microsPerMinute) % 60), minimumDigits: 2)
        out.append(UInt8(ascii: ":"))
        TimeText.writeSeconds(Int64(micros % UInt64(Calendar.microsPerMinute)), &out)
    }

    // MARK: in

    package static func parse(_ text: Bytes) throws(RowFault) -> Interval {
        var parts = Parts(source: text)
        let trimmed = Space.trimmed(text)
        if trimmed.first == UInt8(ascii: "P") {
            try parts.takeISO(trimmed.dropFirst())
        } else {
            guard let fields = TimeFields.cut(text), !fields.isEmpty else { throw .timeSyntax(.interval, text) }
            try parts.take(fields)
        }
        return try parts.interval()
    }

    private struct Parts {
        let source: Bytes
        var months: Int64 = 0
        var days: Int64 = 0
        var micros: Int64 = 0

        init(source: Bytes) { self.source = source }

        var malformed: RowFault { .timeSyntax(.interval, source) }
        var tooLarge: RowFault { RowFault("22015", "interval field value out of range: \"\(source.string)\"") }

        func interval() throws(RowFault) -> Interval {
            guard let months = Int32(exactly: months), let days = Int32(exactly: days) else { throw .intervalRange }
            return Interval(months: months, days: days, micros: micros)
        }

        mutating func take(_ fields: [TimeField]) throws(RowFault) {
            // From the end, so that a unit is known before its number.
            var unit: String?
            var isAgo = false
            var hasAny = false
            // Each unit may come once.
            var seen: Set<String> = []
            func once(_ units: String...) throws(RowFault) {
                for unit in units where !seen.insert(unit).inserted { throw malformed }
            }
            for (index, field) in fields.enumerated().reversed() {
                switch field.kind {
                case .time:
                    try once("hour", "minute", "second")
                    try add(time: field.text[...], sign: 1)
                    hasAny = true
                    unit = "day"
                case .offset where field.text.contains(UInt8(ascii: ":")):
                    try once("hour", "minute", "second")
                    try add(time: field.text.dropFirst(), sign: field.text[0] == UInt8(ascii: "-") ? -1 : 1)
                    hasAny = true
                    unit = "day"
                case .number, .offset, .date:
                    let sign = field.text[0] == UInt8(ascii: "-")
                    let body = field.text[0].isDigit || field.text[0] == UInt8(ascii: ".") ? field.text[...] : field.text.dropFirst()
                    if let dash = body.firstIndex(of: UInt8(ascii: "-")) {
                        try once("month")
                        guard let years = TimeFields.number(body[..<dash]), let rest = TimeFields.number(body[(dash + 1)...]), rest < 12 else { throw malformed }
                        try add(sign ? -years : years, nil, "year", isNegative: sign)
                        try add(sign ? -rest : rest, nil, "month", isNegative: sign)
                    } else {
                        let whole = body.prefix { $0.isDigit }
                        guard whole.allSatisfy(\.isDigit), whole.count < 19 else { throw malformed }
                        var value = whole.reduce(Int64(0)) { $0 * 10 + Int64($1 - 48) }
                        if sign { value = -value }
                        var fraction: Double?
                        if whole.count < body.count {
                            guard body[whole.endIndex] == UInt8(ascii: "."), body[(whole.endIndex + 1)...].allSatisfy(\.isDigit), body.count > 1 else { throw malformed }
                            fraction = Double("0." + String(decoding: body[(whole.endIndex + 1)...], as: UTF8.self) + "0") ?? 0
                            if sign { fraction = -fraction! }
                        }
                        try once(unit ?? "second")
                        try add(value, fraction, unit ?? "second", isNegative: sign)
                    }
                    hasAny = true
                    unit = nil
                case .word, .special:
                    let word = String(decoding: field.text, as: UTF8.self)
                    if word == "ago" && index == fields.count - 1 {
                        isAgo = true
                    } else if let known = IntervalText.units[word], field.kind == .word {
                        unit = known
                    } else {
                        throw malformed
                    }
                }
            }
            guard hasAny else { throw malformed }
            if isAgo {
                guard micros != .min else { throw tooLarge }
                (months, days, micros) = (-months, -days, -micros)
            }
        }

        /// hh:mm, hh:mm:ss, mm:ss.fff
        private mutating func add(time text: ArraySlice<UInt8>, sign: Int64) throws(RowFault) {
            let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            var (numbers, fraction): ([Int64], Int64) = ([], 0)
            guard (2...3).contains(parts.count) else { throw malformed }
            for (index, part) in parts.enumerated() {
                let digits = part.prefix { $0.isDigit }
                if digits.count < part.count {
                    guard index == parts.count - 1, part[digits.endIndex] == UInt8(ascii: "."),
                        let read = TimeFields.micros(fraction: part[(digits.endIndex + 1)...])
                    else { throw malformed }
                    fraction = read
                    if index == 1 { numbers.insert(0, at: 0) }
                }
                guard let number = TimeFields.number(digits) else { throw digits.isEmpty ? malformed : tooLarge }
                numbers.append(number)
            }
            while numbers.count < 3 { numbers.append(0) }
            guard numbers[1] < 60, numbers[2] <= 60 else { throw tooLarge }
            let total = numbers[0] * Calendar.microsPerHour + numbers[1] * Calendar.microsPerMinute + numbers[2] * Calendar.microsPerSecond + fraction
            try add(micros: sign * total)
        }

        private mutating func add(micros more: Int64) throws(RowFault) {
            let (sum, isOver) = micros.addingReportingOverflow(more)
            if isOver { throw tooLarge }
            micros = sum
        }

        private mutating func add(micros value: Int64, each unit: Int64, _ fraction: Double) throws(RowFault) {
            let (product, isOver) = value.multipliedReportingOverflow(by: unit)
            if isOver { throw tooLarge }
            try add(micros: product)
            try add(micros: Int64((fraction * Double(unit)).rounded(.toNearestOrEven)))
        }

        private mutating func add(days fraction: Double) throws(RowFault) {
            let whole = fraction.rounded(.towardZero)
            days += Int64(whole)
            try add(micros: Int64(((fraction - whole) * Double(Calendar.microsPerDay)).rounded(.toNearestOrEven)))
        }

        private func scaled(_ value: Int64, _ factor: Int64) throws(RowFault) -> Int64 {
            let (product, isOver) = value.multipliedReportingOverflow(by: factor)
            guard !isOver, Int32(exactly: product) != nil else { throw tooLarge }
            return product
        }

        mutating func add(_ value: Int64, _ part: Double?, _ unit: String, isNegative: Bool) throws(RowFault) {
            let fraction = part ?? 0
            switch unit {
            case "microsecond": try add(micros: value, each: 1, fraction)
            case "millisecond": try add(micros: value, each: 1000, fraction)
            case "second": try add(micros: value, each: Calendar.microsPerSecond, fraction)
            case "minute": try add(micros: value, each: Calendar.microsPerMinute, fraction)
            case "hour": try add(micros: value, each: Calendar.microsPerHour, fraction)
            case "day":
                days += try scaled(value, 1)
                try add(days: fraction)
            case "week":
                days += try scaled(value, 7)
                try add(days: fraction * 7)
            case "month":
                months += try scaled(value, 1)
                try add(days: fraction * 30)
            default:
                let years: Int64 = ["decade": 10, "century": 100, "millennium": 1000][unit] ?? 1
                guard Int32(exactly: value) != nil else { throw tooLarge }
                months += value * years * 12
                months += Int64((fraction * Double(years) * 12).rounded(.toNearestOrEven))
            }
        }

        // MARK: ISO 8601

        mutating func takeISO(_ text: Slice<Bytes>) throws(RowFault) {
            var place = text.startIndex
            var isTime = false
            var hasAny = false
            while place < text.endIndex {
                if text[place] == UInt8(ascii: "T") {
                    isTime = true
                    place += 1
                    continue
                }
                let start = place
                while place < text.endIndex, text[place].isDigit || text[place] == UInt8(ascii: ".") || text[place] == UInt8(ascii: "-") || text[place] == UInt8(ascii: "+") {
                    place += 1
                }
                guard place > start, place < text.endIndex else { throw malformed }
                let number = String(decoding: text[start..<place], as: UTF8.self)
                guard let value = Double(number) else { throw malformed }
                guard value.magnitude <= Double(Int32.max) else { throw tooLarge }
                let whole = value.rounded(.towardZero)
                let unit: String
                switch (text[place], isTime) {
                case (UInt8(ascii: "Y"), false): unit = "year"
                case (UInt8(ascii: "M"), false): unit = "month"
                case (UInt8(ascii: "W"), false): unit = "week"
                case (UInt8(ascii: "D"), false): unit = "day"
                case (UInt8(ascii: "H"), true): unit = "hour"
                case (UInt8(ascii: "M"), true): unit = "minute"
                case (UInt8(ascii: "S"), true): unit = "second"
                default: throw malformed
                }
                try add(Int64(whole), value - whole, unit, isNegative: value < 0)
                place += 1
                hasAny = true
            }
            guard hasAny || isTime else { throw malformed }
        }
    }

    /// Every spelling of a unit, in lower case.
    static let units: [String: String] = {
        let spellings: [String: [String]] = [
            "microsecond": ["microsecond", "microseconds", "us", "usec", "usecs", "usecond", "useconds", "microsecon"],
            "millisecond": ["millisecond", "milliseconds", "ms", "msec", "msecs", "msecond", "mseconds", "millisecon"],
            "second": ["second", "seconds", "s", "sec", "secs"], "minute": ["minute", "minutes", "m", "min", "mins"],
            "hour": ["hour", "hours", "h", "hr", "hrs"], "day": ["day", "days", "d"], "week": ["week", "weeks", "w"],
            "month": ["month", "months", "mon", "mons"], "year": ["year", "years", "y", "yr", "yrs"],
            "decade": ["decade", "decades", "dec", "decs"], "century": ["century", "centuries", "c", "cent"],
            "millennium": ["millennium", "millennia", "mil", "mils"],
        ]
        var units: [String: String] = [:]
        for (unit, words) in spellings { for word in words { units[word] = unit } }
        return units
    }()
}
