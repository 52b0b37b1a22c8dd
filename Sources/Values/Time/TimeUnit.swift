// The units of date_trunc, extract and date_part, by all their names.

import Glibc

enum TimeUnit: String {
    case microsecond, millisecond, second, minute, hour, day, week, month, quarter, year, decade, century, millennium
    case julian, isoyear, dow, isodow, doy, epoch
    case timezone, timezoneHour, timezoneMinute

    private static let names: [String: TimeUnit] = {
        var names: [String: TimeUnit] = [
            "qtr": .quarter, "quarter": .quarter, "julian": .julian, "jd": .julian, "j": .julian, "isoyear": .isoyear, "dow": .dow,
            "isodow": .isodow, "doy": .doy, "epoch": .epoch, "timezone": .timezone, "timezone_h": .timezoneHour,
            "timezone_hour": .timezoneHour, "timezone_m": .timezoneMinute, "timezone_minute": .timezoneMinute,
        ]
        for (word, unit) in IntervalText.units { names[word] = TimeUnit(rawValue: unit) }
        return names
    }()

    static func named(_ name: Bytes, of type: SQLType) throws(RowFault) -> TimeUnit {
        guard let unit = names[name.string.lowercased()] else {
            throw .parameter("unit \"\(name.string)\" not recognized for type \(type.name)")
        }
        return unit
    }

    /// Units that only `extract` knows are no names to `date_trunc`.
    private func unknown(_ type: SQLType) -> RowFault { .parameter("unit \"\(rawValue)\" not recognized for type \(type.name)") }

    func refused(_ type: SQLType) -> RowFault { .unsupported("unit \"\(rawValue)\" not supported for type \(type.name)") }

    // MARK: cut

    /// The beginning of the unit that a local time is in.
    func start(_ micros: Int64, _ type: SQLType) throws(RowFault) -> Int64 {
        let (days, time) = TimeArithmetic.split(micros)
        switch self {
        case .microsecond: return micros
        case .millisecond: return micros - Calendar.floorRemainder(micros, 1000)
        case .second: return micros - Calendar.floorRemainder(micros, Calendar.microsPerSecond)
        case .minute: return micros - Calendar.floorRemainder(micros, Calendar.microsPerMinute)
        case .hour: return micros - Calendar.floorRemainder(micros, Calendar.microsPerHour)
        case .day: return micros - time
        case .week: return try Calendar.timestamp(days: days - Calendar.floorRemainder(days + 3, 7), micros: 0)
        case .month, .quarter, .year, .decade, .century, .millennium:
            var day = Calendar.day(days)
            switch self {
            case .quarter: day.month = (day.month - 1) / 3 * 3 + 1
            case .year: day.month = 1
            case .decade: (day.year, day.month) = (Calendar.floorDivide(day.year, 10) * 10, 1)
            case .century: (day.year, day.month) = (Calendar.floorDivide(day.year - 1, 100) * 100 + 1, 1)
            case .millennium: (day.year, day.month) = (Calendar.floorDivide(day.year - 1, 1000) * 1000 + 1, 1)
            default: break
            }
            return try Calendar.timestamp(days: Calendar.days(year: day.year, month: day.month, day: 1), micros: 0)
        case .timezone, .timezoneHour, .timezoneMinute: throw refused(type)
        case .julian, .isoyear, .dow, .isodow, .doy, .epoch: throw unknown(type)
        }
    }

    /// The same for a moment, in a zone's local time. Up to hours the offset stays; from days on it is looked up anew.
    func start(_ micros: Int64, in zone: Zone) throws(RowFault) -> Int64 {
        let offset = zone.offset(at: Calendar.floorDivide(micros, Calendar.microsPerSecond)) * Calendar.microsPerSecond
        let local = try start(try Calendar.timestamp(micros + offset), .timestamptz)
        switch self {
        case .microsecond, .millisecond, .second, .minute, .hour: return try Calendar.timestamp(local - offset)
        default: return try zone.moment(local)
        }
    }

    func start(_ value: Interval) throws(RowFault) -> Interval {
        func cut(_ unit: Int64) -> Interval { Interval(months: value.months, days: value.days, micros: value.micros - value.micros % unit) }
        func cut(months: Int32) -> Interval { Interval(months: value.months - value.months % months) }
        switch self {
        case .microsecond: return value
        case .millisecond: return cut(1000)
        case .second: return cut(Calendar.microsPerSecond)
        case .minute: return cut(Calendar.microsPerMinute)
        case .hour: return cut(Calendar.microsPerHour)
        case .day: return Interval(months: value.months, days: value.days)
        case .month: return cut(months: 1)
        case .quarter: return cut(months: 3)
        case .year: return cut(months: 12)
        case .decade: return cut(months: 120)
        case .century: return cut(months: 1200)
        case .millennium: return cut(months: 12_000)
        case .week, .timezone, .timezoneHour, .timezoneMinute: throw refused(.interval)
        case .julian, .isoyear, .dow, .isodow, .doy, .epoch: throw unknown(.interval)
        }
    }

    // MARK: parts

    /// A part of a date's calendar; nil where the unit is none of a day.
    private func part(ofDay days: Int64) -> Int64? {
        let day = Calendar.day(days)
        // PostgreSQL shows years before 1 as negative ones, without a year 0.
        let shown = day.year > 0 ? day.year : day.year - 1
        switch self {
        case .day: return day.day
        case .month: return day.month
        case .quarter: return (day.month - 1) / 3 + 1
        case .year: return shown
        case .decade: return day.year >= 0 ? day.year / 10 : -((8 - (day.year - 1)) / 10)
        case .century: return day.year > 0 ? (day.year + 99) / 100 : -((99 - (day.year - 1)) / 100)
        case .millennium: return day.year > 0 ? (day.year + 999) / 1000 : -((999 - (day.year - 1)) / 1000)
        case .week: return Calendar.isoWeek(days).week
        case .isoyear:
            let year = Calendar.isoWeek(days).year
            return year > 0 ? year : year - 1
        case .dow: return Calendar.weekday(days)
        case .isodow: return Calendar.floorRemainder(days + 3, 7) + 1
        case .doy: return days - Calendar.days(year: day.year, month: 1, day: 1) + 1
        case .julian: return days + 2_440_588
        default: return nil
        }
    }

    private func part(ofTime micros: Int64) -> Numeric? {
        let second = micros % Calendar.microsPerMinute
        switch self {
        case .microsecond: return Numeric(second)
        case .millisecond: return Numeric(units: Int128(second), scale: 3)
        case .second: return Numeric(units: Int128(second), scale: 6)
        case .minute: return Numeric(micros / Calendar.microsPerMinute % 60)
        case .hour: return Numeric(micros / Calendar.microsPerHour)
        default: return nil
        }
    }

    func part(ofDate days: Int64) throws(RowFault) -> Numeric {
        if self == .epoch { return Numeric(days * 86_400) }
        guard let part = part(ofDay: days) else { throw refused(.date) }
        return Numeric(part)
    }

    func part(ofTimeOfDay micros: Int64) throws(RowFault) -> Numeric {
        if self == .epoch { return Numeric(units: Int128(micros), scale: 6) }
        guard let part = part(ofTime: micros) else { throw refused(.time) }
        return part
    }

    func part(ofTimestamp micros: Int64, _ type: SQLType = .timestamp) throws(RowFault) -> Numeric {
        let (days, time) = TimeArithmetic.split(micros)
        if self == .epoch { return Numeric(units: Int128(micros), scale: 6) }
        if self == .julian {
            return try Numeric.add(Numeric(days + 2_440_588), try Numeric.divide(Numeric(time), Numeric(Calendar.microsPerDay)))
        }
        if let part = part(ofTime: time) { return part }
        guard let part = part(ofDay: days) else { throw refused(type) }
        return Numeric(part)
    }

    func part(ofMoment micros: Int64, in zone: Zone) throws(RowFault) -> Numeric {
        let offset = zone.offset(at: Calendar.floorDivide(micros, Calendar.microsPerSecond))
        switch self {
        case .epoch: return Numeric(units: Int128(micros), scale: 6)
        case .timezone: return Numeric(offset)
        case .timezoneHour: return Numeric(offset / 3600)
        case .timezoneMinute: return Numeric(offset % 3600 / 60)
        default: return try part(ofTimestamp: try zone.local(micros), .timestamptz)
        }
    }

    /// The seconds of an interval as a float, added up as PostgreSQL's `date_part` does.
    static func epoch(_ value: Interval) -> Double {
        var seconds = Double(value.micros) / 1e6
        seconds += 365.25 * 86_400 * Double(value.months / 12)
        seconds += 30 * 86_400 * Double(value.months % 12)
        return seconds + 86_400 * Double(value.days)
    }

    func part(of value: Interval) throws(RowFault) -> Numeric {
        let (years, months) = (Int64(value.months / 12), Int64(value.months % 12))
        switch self {
        case .microsecond, .millisecond, .second, .minute:
            // The remainder keeps the sign, so the parts of a time serve here too.
            return part(ofTime: value.micros)!
        case .hour: return Numeric(value.micros / Calendar.microsPerHour)
        case .day: return Numeric(Int64(value.days))
        case .month: return Numeric(months)
        case .quarter: return Numeric(months / 3 + 1)
        case .year: return Numeric(years)
        case .decade: return Numeric(years / 10)
        case .century: return Numeric(years / 100)
        case .millennium: return Numeric(years / 1000)
        case .epoch:
            // A year has 365.25 days, a month 30.
            let quarters = years * 1461 + months * 120 + Int64(value.days) * 4
            return Numeric(units: Int128(quarters) * 21_600 * 1_000_000 + Int128(value.micros), scale: 6)
        case .week, .julian, .isoyear, .dow, .isodow, .doy, .timezone, .timezoneHour, .timezoneMinute: throw refused(.interval)
        }
    }
}

/// The units that a chunk names, as `ZoneLookup` has its zones.
struct UnitLookup {
    private let type: SQLType
    private var name = Bytes(start: nil, count: 0)
    private var unit: TimeUnit?

    init(of type: SQLType) { self.type = type }

    @inline(__always)
    mutating func find(_ wanted: Bytes) throws(RowFault) -> TimeUnit {
        if let unit, wanted.isSame(as: name) { return unit }
        return try look(wanted)
    }

    private mutating func look(_ wanted: Bytes) throws(RowFault) -> TimeUnit {
        let found = try TimeUnit.named(wanted, of: type)
        (name, unit) = (wanted, found)
        return found
    }
}
