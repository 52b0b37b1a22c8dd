// Times as people and tables write them: RFC 3339 in UTC, always with milliseconds.
//
// Inside the engine a time is an `Int64` of milliseconds since 1970 and a length of time is an `Int64` of
// milliseconds; names end in `Millis`. Conversion happens here and nowhere else, in integer arithmetic (civil-from-days),
// because Foundation's formatters cost microseconds a call and accept what we do not want.

/// The times that a row may hold, in milliseconds since 1970: the years 1 to 9999.
///
/// It is what every sink holds and every reader understands. A year has four digits in RFC 3339, so that texts in SQLite and
/// JSON sort as the times do; Java, .NET, Python and Parquet end there too, and PostgreSQL (4713 BC to 294276) and Avro's
/// microseconds reach further. A time outside of it is a wrong unit or no time: its record is rejected as `timeOutOfRange` when
/// it is decoded, and a computed one is NULL. Within it nothing that is added to a time (lateness, a window, microseconds)
/// comes near the bounds of 64 bits.
package let rowTimes: ClosedRange<Int64> = -62_135_596_800_000...253_402_300_799_999

/// What may be added to a time or taken from it: the longest window and the longest lateness, 100 years.
package let longestSpanMillis: Int64 = 36_525 * 86_400_000

extension Int64 {
    /// Whether this is a time that a row may hold.
    @inline(__always)
    var isRowTime: Bool {
        UInt64(bitPattern: self &- rowTimes.lowerBound) <= UInt64(bitPattern: 253_402_300_799_999 + 62_135_596_800_000)
    }

    /// The difference, at the nearest bound of 64 bits where it does not fit.
    package func minus(_ other: Int64) -> Int64 {
        let (difference, isOver) = subtractingReportingOverflow(other)
        return isOver ? (self < 0 ? .min : .max) : difference
    }

    /// The sum, at the nearest bound of 64 bits where it does not fit.
    package func plus(_ other: Int64) -> Int64 {
        let (sum, isOver) = addingReportingOverflow(other)
        return isOver ? (self < 0 ? .min : .max) : sum
    }
}

/// What a wrong time would be in another unit: the unit in which it lies within ten years of `nowMillis`, for messages.
package func likelyUnit(ofMillis millis: Int64, nowMillis: Int64) -> String? {
    func isNear(_ value: Int64) -> Bool { value.minus(nowMillis).magnitude < 10 * 366 * 86_400_000 }
    if isNear(millis / 1000) { return "microseconds" }
    if isNear(millis / 1_000_000) { return "nanoseconds" }
    let (scaled, isOver) = millis.multipliedReportingOverflow(by: 1000)
    return !isOver && isNear(scaled) ? "seconds" : nil
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ`; the one text form of a time, in SQLite tables, JSON and prints alike.
public func formatTime(_ millis: Int64) -> String {
    var days = millis / 86_400_000
    var rest = millis % 86_400_000
    if rest < 0 {
        rest += 86_400_000
        days -= 1
    }
    let (year, month, day) = civil(fromDays: days)
    func pad(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return text.utf8.count >= width ? text : String(repeating: "0", count: width - text.utf8.count) + text
    }
    return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(rest / 3_600_000, 2)):"
        + "\(pad(rest / 60_000 % 60, 2)):\(pad(rest / 1000 % 60, 2)).\(pad(rest % 1000, 3))Z"
}

/// Writes what `formatTime` returns, without making a `String`: for sinks' row loops. `out` has room for 32 bytes.
/// - Returns: the number of bytes written.
package func writeTime(_ millis: Int64, to out: UnsafeMutablePointer<UInt8>) -> Int {
    var days = millis / 86_400_000
    var rest = millis % 86_400_000
    if rest < 0 {
        rest += 86_400_000
        days -= 1
    }
    let (year, month, day) = civil(fromDays: days)
    // Years outside four digits are no row of ours; they are right, not fast.
    guard year >= 0, year <= 9999 else {
        let text = Array(formatTime(millis).utf8)
        out.update(from: text, count: text.count)
        return text.count
    }
    func put(_ value: Int64, _ width: Int, at end: Int, _ separator: UInt8) {
        var value = value
        for index in stride(from: end - 1, to: end - 1 - width, by: -1) {
            out[index] = UInt8(truncatingIfNeeded: 48 + value % 10)
            value /= 10
        }
        out[end] = separator
    }
    put(year, 4, at: 4, 45)
    put(month, 2, at: 7, 45)
    put(day, 2, at: 10, 84)
    put(rest / 3_600_000, 2, at: 13, 58)
    put(rest / 60_000 % 60, 2, at: 16, 58)
    put(rest / 1000 % 60, 2, at: 19, 46)
    put(rest % 1000, 3, at: 23, 90)
    return 24
}

/// Parses an RFC 3339 time (`2026-03-01T12:00:00Z`, fraction optional, offset `Z` or `±hh:mm`).
/// - Returns: milliseconds since 1970, or nil when the text is not such a time.
public func parseTime(_ text: String) -> Int64? {
    var text = text
    return text.withUTF8 { parseTime($0) }
}

/// The same from bytes where they lie, for decoders.
package func parseTime(_ bytes: UnsafeBufferPointer<UInt8>) -> Int64? {
    func number(_ start: Int, _ length: Int) -> Int64? {
        guard start + length <= bytes.count else { return nil }
        var value: Int64 = 0
        for index in start..<start + length {
            let byte = bytes[index]
            guard byte >= 48, byte <= 57 else { return nil }
            value = value * 10 + Int64(byte - 48)
        }
        return value
    }
    func isAt(_ index: Int, _ characters: StaticString) -> Bool {
        guard index < bytes.count else { return false }
        return characters.withUTF8Buffer { $0.contains(bytes[index]) }
    }
    guard let year = number(0, 4), isAt(4, "-"), let month = number(5, 2), isAt(7, "-"), let day = number(8, 2),
        isAt(10, "Tt "), let hour = number(11, 2), isAt(13, ":"), let minute = number(14, 2), isAt(16, ":"),
        let second = number(17, 2), (1...12).contains(month), day >= 1, day <= daysIn(month: month, ofYear: year),
        hour < 24, minute < 60, second < 61
    else { return nil }
    var index = 19
    var fraction: Int64 = 0
    if isAt(index, ".") {
        index += 1
        var scale: Int64 = 100
        let start = index
        while index < bytes.count, bytes[index] >= 48, bytes[index] <= 57 {
            fraction += Int64(bytes[index] - 48) * scale
            scale /= 10
            index += 1
        }
        if index == start { return nil }
    }
    var offsetMinutes: Int64 = 0
    if isAt(index, "Zz") {
        index += 1
    } else if isAt(index, "+-"), let hours = number(index + 1, 2), isAt(index + 3, ":"),
        let minutes = number(index + 4, 2)
    {
        offsetMinutes = (hours * 60 + minutes) * (bytes[index] == 45 ? -1 : 1)
        index += 6
    } else {
        return nil
    }
    guard index == bytes.count else { return nil }
    let seconds = days(fromYear: year, month: month, day: day) * 86_400 + hour * 3600 + minute * 60 + second
    return (seconds - offsetMinutes * 60) * 1000 + fraction
}

/// Parses a length of time: `250ms`, `10s`, `5m`, `2h`, `7d`, or a bare number of milliseconds.
public func parseDuration(_ text: String) -> Int64? {
    let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
    for (suffix, factor) in units where text.hasSuffix(suffix) {
        guard let value = Double(text.dropLast(suffix.count)), value >= 0, value * Double(factor) < 1e18 else {
            continue
        }
        return Int64((value * Double(factor)).rounded())
    }
    guard let value = Int64(text), value >= 0 else { return nil }
    return value
}

/// The shortest exact text that `parseDuration` reads back.
public func formatDuration(_ millis: Int64) -> String {
    for (suffix, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] as [(String, Int64)]
    where millis != 0 && millis % factor == 0 {
        return "\(millis / factor)\(suffix)"
    }
    return "\(millis)ms"
}

/// A length of time that was measured, for a person: `2 d 3 h`, `4 min 5 s`, `5.3 s`, `120 ms`; what is behind the second unit is left out.
package func roughDuration(_ millis: Int64) -> String {
    let sign = millis < 0 ? "-" : ""
    let length = millis.magnitude
    if length < 1000 { return "\(sign)\(length) ms" }
    if length < 60_000 { return "\(sign)\(length / 1000).\(length % 1000 / 100) s" }
    let units: [(String, UInt64)] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)]
    let first = units.firstIndex { length >= $0.1 } ?? 2
    let rest = length % units[first].1 / units[first + 1].1
    return "\(sign)\(length / units[first].1) \(units[first].0)" + (rest == 0 ? "" : " \(rest) \(units[first + 1].0)")
}

private func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
}

private func daysIn(month: Int64, ofYear year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
}

private func days(fromYear year: Int64, month: Int64, day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}
