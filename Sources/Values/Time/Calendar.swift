// Days and their names: the Gregorian calendar, for all years, as PostgreSQL has it.
//
// A date is days since 1970-01-01, a timestamp microseconds since then. Years before 1 count 0, -1, ... here and are written
// `BC`. PostgreSQL's range begins on 4713-11-24 BC; its timestamps end with year 294276, ours 30 years before, because they count
// from 1970 in 64 bits.

enum Calendar {
    static let microsPerDay: Int64 = 86_400_000_000
    static let microsPerHour: Int64 = 3_600_000_000
    static let microsPerMinute: Int64 = 60_000_000
    static let microsPerSecond: Int64 = 1_000_000

    static let firstDay = days(year: -4712, month: 11, day: 24)
    static let lastDay = days(year: 5_874_897, month: 12, day: 31)
    static let timestamps = (firstDay * microsPerDay)..<(days(year: 294_247, month: 1, day: 1) * microsPerDay)

    struct Day: Hashable {
        var year: Int64
        var month: Int64
        var day: Int64
    }

    /// Days since 1970-01-01. Months count from March in this sum, so that the leap day is a year's last.
    @inline(__always)
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = floorDivide(y, 400)
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    @inline(__always)
    static func day(_ days: Int64) -> Day {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return Day(
            year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month, day: dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    static func daysIn(year: Int64, month: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// 0 is Sunday.
    static func weekday(_ days: Int64) -> Int64 { floorRemainder(days + 4, 7) }

    @inline(__always)
    static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
        let (quotient, rest) = a.quotientAndRemainder(dividingBy: b)
        return rest < 0 ? quotient - 1 : quotient
    }

    @inline(__always)
    static func floorRemainder(_ a: Int64, _ b: Int64) -> Int64 {
        let rest = a % b
        return rest < 0 ? rest + b : rest
    }

    /// The Monday that begins the ISO week of a day, and that week's year and number.
    static func isoWeek(_ days: Int64) -> (monday: Int64, year: Int64, week: Int64) {
        let monday = days - floorRemainder(days + 3, 7)
        // A week belongs to the year of its Thursday.
        let year = day(monday + 3).year
        let first = firstMonday(year)
        return (monday, year, (monday - first) / 7 + 1)
    }

    /// The Monday of a year's first ISO week.
    static func firstMonday(_ year: Int64) -> Int64 {
        let fourth = days(year: year, month: 1, day: 4)
        return fourth - floorRemainder(fourth + 3, 7)
    }

    static func timestamp(_ micros: Int64) throws(RowFault) -> Int64 {
        guard timestamps.contains(micros) else { throw .timestampRange }
        return micros
    }

    static func timestamp(days: Int64, micros: Int64) throws(RowFault) -> Int64 {
        let (product, first) = days.multipliedReportingOverflow(by: microsPerDay)
        let (sum, second) = product.addingReportingOverflow(micros)
        guard !first, !second, timestamps.contains(sum) else { throw .timestampRange }
        return sum
    }

    static func date(_ days: Int64) throws(RowFault) -> Int64 {
        guard (firstDay...lastDay).contains(days) else { throw .dateRange }
        return days
    }
}
