// Dates and times as ISO 8601 writes them, read in one pass over the bytes.
//
//   2026-03-01   20260301
//   2026-03-01T12:34:56.789Z   2026-03-01 12:34:56+02   20260301T123456,5-0330   2026-03-01T12:34
//   12:34:56.789   T12:34
//
// What is taken means what PostgreSQL reads in it: `:60` is the next second, 24:00:00 the next day, a fraction is rounded to microseconds with
// halves to even, offsets end before 16 hours. What people write beside ISO 8601 (`3/1/2026`, `Mar 1 2026`, `now`, `infinity`, BC) is refused: a
// record is read by machines, and the same text may mean two days. A column of text and a generated column read it where it is wanted.
//
// The years are 1 to 9999 in whatever a column holds: sinks hold no others, and sums with lengths of time stay far from the ends of 64 bits.

import Values

struct ISOTime {
    /// Since 1970; nil for a time of day alone.
    var days: Int64?
    /// Since midnight; nil for a date alone.
    var micros: Int64?
    /// East of UTC.
    var offsetSeconds: Int64?

    enum Outcome {
        case time(ISOTime, behind: Place)
        /// It has another form.
        case other
        /// It has the form, but a field that is none.
        case wrongField
    }

    static let microsPerDay: Int64 = 86_400_000_000
    /// 0001-01-01 to 9999-12-31.
    private static let firstDay: Int64 = -719_162
    private static let lastDay: Int64 = 2_932_896

    @inline(__always)
    static func isTaken(day: Int64) -> Bool { day >= firstDay && day <= lastDay }
    @inline(__always)
    static func isTaken(micros: Int64) -> Bool { micros >= firstDay * microsPerDay && micros < (lastDay + 1) * microsPerDay }

    // MARK: reading

    @inline(__always)
    private static func two(_ place: Place) -> Int64? {
        let (high, low) = (place[0] &- 48, place[1] &- 48)
        return high < 10 && low < 10 ? Int64(high) * 10 + Int64(low) : nil
    }

    /// Reads as far as the form goes; the caller looks at what stands behind.
    static func read(_ from: Place, _ end: Place) -> Outcome {
        var place = from
        var time = ISOTime()
        if let day = date(&place, end) {
            guard let days = day else { return .wrongField }
            time.days = days
            guard place < end else { return .time(time, behind: place) }
            switch place.pointee {
            case UInt8(ascii: "T"), UInt8(ascii: "t"): place += 1
            case UInt8(ascii: " "):
                // One space; a text that ends with spaces is looked at by the caller.
                guard end - place > 1, isDigit(place[1]) else { return .time(time, behind: place) }
                place += 1
            default: return .time(time, behind: place)
            }
        } else if place < end, place.pointee | 0x20 == UInt8(ascii: "t") {
            place += 1
        }
        guard let micros = clock(&place, end) else { return .other }
        guard let micros else { return .wrongField }
        time.micros = micros
        guard place < end else { return .time(time, behind: place) }
        switch place.pointee {
        case UInt8(ascii: "Z"), UInt8(ascii: "z"):
            time.offsetSeconds = 0
            place += 1
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            guard let seconds = offset(&place, end) else { return .other }
            guard let seconds else { return .wrongField }
            time.offsetSeconds = seconds
        case UInt8(ascii: " "):
            guard end - place > 1, place[1] == UInt8(ascii: "+") || place[1] == UInt8(ascii: "-") || place[1] == UInt8(ascii: "Z") else { break }
            place += 1
            if place.pointee == UInt8(ascii: "Z") {
                time.offsetSeconds = 0
                place += 1
            } else {
                guard let seconds = offset(&place, end) else { return .other }
                guard let seconds else { return .wrongField }
                time.offsetSeconds = seconds
            }
        default: break
        }
        return .time(time, behind: place)
    }

    /// nil where no date stands; the inner nil for a date that there is not.
    private static func date(_ place: inout Place, _ end: Place) -> Int64?? {
        guard end - place >= 8, let century = two(place), let rest = two(place + 2) else { return nil }
        let year = century * 100 + rest
        let month: Int64
        let day: Int64
        if place[4] == UInt8(ascii: "-") {
            guard end - place >= 10, let m = two(place + 5), place[7] == UInt8(ascii: "-"), let d = two(place + 8) else { return nil }
            (month, day) = (m, d)
            place += 10
        } else {
            guard let m = two(place + 4), let d = two(place + 6) else { return nil }
            (month, day) = (m, d)
            place += 8
        }
        if place < end, isDigit(place.pointee) { return nil }
        guard year > 0, month >= 1, month <= 12, day >= 1, day <= daysIn(year, month) else { return .some(nil) }
        return days(year, month, day)
    }

    private static func daysIn(_ year: Int64, _ month: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Months count from March in this sum, so that the leap day is a year's last.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = (shifted / 400, shifted % 400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// hh:mm, hh:mm:ss, hhmm, hhmmss, the last two forms with a fraction.
    private static func clock(_ place: inout Place, _ end: Place) -> Int64?? {
        guard end - place >= 4, let hours = two(place) else { return nil }
        let minutes: Int64
        var seconds: Int64 = 0
        var hasSeconds = false
        if place[2] == UInt8(ascii: ":") {
            guard end - place >= 5, let m = two(place + 3) else { return nil }
            minutes = m
            place += 5
            if place < end, place.pointee == UInt8(ascii: ":") {
                guard end - place >= 3, let s = two(place + 1) else { return nil }
                (seconds, hasSeconds) = (s, true)
                place += 3
            }
        } else {
            guard let m = two(place + 2) else { return nil }
            minutes = m
            place += 4
            if end - place >= 2, let s = two(place) {
                (seconds, hasSeconds) = (s, true)
                place += 2
            }
        }
        if place < end, isDigit(place.pointee) { return nil }
        var micros = (hours * 3600 + minutes * 60 + seconds) * 1_000_000
        if hasSeconds, place < end, place.pointee == UInt8(ascii: ".") || place.pointee == UInt8(ascii: ",") {
            place += 1
            guard let part = fraction(&place, end) else { return nil }
            micros += part
        }
        guard minutes < 60, seconds <= 60, micros <= microsPerDay else { return .some(nil) }
        return micros
    }

    /// Digits behind the point, in microseconds.
    private static func fraction(_ place: inout Place, _ end: Place) -> Int64? {
        let start = place
        var value: Int64 = 0
        while place < end, place - start < 6, isDigit(place.pointee) {
            value = value * 10 + Int64(place.pointee - 48)
            place += 1
        }
        guard place > start else { return nil }
        for _ in (place - start)..<6 { value *= 10 }
        guard place < end, isDigit(place.pointee) else { return value }
        let first = place.pointee
        var isHalf = first == UInt8(ascii: "5")
        place += 1
        while place < end, isDigit(place.pointee) {
            if place.pointee != UInt8(ascii: "0") { isHalf = false }
            place += 1
        }
        return first >= UInt8(ascii: "5") && !(isHalf && value % 2 == 0) ? value + 1 : value
    }

    /// +hh, +hhmm, +hh:mm, +hh:mm:ss.
    private static func offset(_ place: inout Place, _ end: Place) -> Int64?? {
        let isWest = place.pointee == UInt8(ascii: "-")
        place += 1
        guard end - place >= 2, let hours = two(place) else { return nil }
        place += 2
        var (minutes, seconds): (Int64, Int64) = (0, 0)
        if end - place >= 3, place.pointee == UInt8(ascii: ":") {
            guard let m = two(place + 1) else { return nil }
            minutes = m
            place += 3
            if end - place >= 3, place.pointee == UInt8(ascii: ":") {
                guard let s = two(place + 1) else { return nil }
                seconds = s
                place += 3
            }
        } else if end - place >= 2, let m = two(place) {
            minutes = m
            place += 2
        }
        if place < end, isDigit(place.pointee) { return nil }
        guard hours <= 15, minutes < 60, seconds < 60 else { return .some(nil) }
        let total = hours * 3600 + minutes * 60 + seconds
        return isWest ? -total : total
    }
}
