// Dates, times and intervals added, subtracted and cut, as PostgreSQL does.
//
// An interval is added in three steps: months (the day cut to the month's last), days, microseconds. A timestamptz takes the
// first two in the zone's local time, so that a day over a clock change is a day.

enum TimeArithmetic {
    /// A timestamp, cut into calendar and time of day.
    @inline(__always)
    static func split(_ micros: Int64) -> (days: Int64, time: Int64) {
        let days = Calendar.floorDivide(micros, Calendar.microsPerDay)
        return (days, micros &- days &* Calendar.microsPerDay)
    }

    static func add(months: Int32, toDays days: Int64) throws(RowFault) -> Int64 {
        var day = Calendar.day(days)
        let month = day.year * 12 + day.month - 1 + Int64(months)
        day.year = Calendar.floorDivide(month, 12)
        day.month = Calendar.floorRemainder(month, 12) + 1
        day.day = min(day.day, Calendar.daysIn(year: day.year, month: day.month))
        return Calendar.days(year: day.year, month: day.month, day: day.day)
    }

    static func add(_ interval: Interval, toTimestamp micros: Int64) throws(RowFault) -> Int64 {
        var (days, time) = split(micros)
        if interval.months != 0 { days = try add(months: interval.months, toDays: days) }
        days += Int64(interval.days)
        let date = try Calendar.timestamp(days: days, micros: time)
        (days, time) = (0, 0)
        let (sum, isOver) = date.addingReportingOverflow(interval.micros)
        guard !isOver else { throw .timestampRange }
        return try Calendar.timestamp(sum)
    }

    static func add(_ interval: Interval, toMoment micros: Int64, in zone: Zone) throws(RowFault) -> Int64 {
        var moment = micros
        if interval.months != 0 {
            let (days, time) = split(try zone.local(moment))
            moment = try zone.moment(try Calendar.timestamp(days: try add(months: interval.months, toDays: days), micros: time))
        }
        if interval.days != 0 {
            let (days, time) = split(try zone.local(moment))
            moment = try zone.moment(try Calendar.timestamp(days: days + Int64(interval.days), micros: time))
        }
        let (sum, isOver) = moment.addingReportingOverflow(interval.micros)
        guard !isOver else { throw .timestampRange }
        return try Calendar.timestamp(sum)
    }

    static func negated(_ interval: Interval) throws(RowFault) -> Interval {
        guard interval.micros != .min, interval.days != .min, interval.months != .min else { throw .intervalRange }
        return Interval(months: -interval.months, days: -interval.days, micros: -interval.micros)
    }

    static func sum(_ a: Interval, _ b: Interval) throws(RowFault) -> Interval {
        let months = a.months.addingReportingOverflow(b.months)
        let days = a.days.addingReportingOverflow(b.days)
        let micros = a.micros.addingReportingOverflow(b.micros)
        guard !months.overflow, !days.overflow, !micros.overflow else { throw .intervalRange }
        return Interval(months: months.partialValue, days: days.partialValue, micros: micros.partialValue)
    }

    static func difference(_ a: Interval, _ b: Interval) throws(RowFault) -> Interval {
        let months = a.months.subtractingReportingOverflow(b.months)
        let days = a.days.subtractingReportingOverflow(b.days)
        let micros = a.micros.subtractingReportingOverflow(b.micros)
        guard !months.overflow, !days.overflow, !micros.overflow else { throw .intervalRange }
        return Interval(months: months.partialValue, days: days.partialValue, micros: micros.partialValue)
    }

    /// Two timestamps' distance: whole days and the rest.
    static func difference(_ a: Int64, _ b: Int64) throws(RowFault) -> Interval {
        let (micros, isOver) = a.subtractingReportingOverflow(b)
        guard !isOver else { throw .intervalRange }
        return try justifyHours(Interval(micros: micros))
    }

    static func justifyHours(_ value: Interval) throws(RowFault) -> Interval {
        let whole = value.micros / Calendar.microsPerDay
        var micros = value.micros % Calendar.microsPerDay
        var days = Int64(value.days) + whole
        if days > 0 && micros < 0 { (micros, days) = (micros + Calendar.microsPerDay, days - 1) }
        if days < 0 && micros > 0 { (micros, days) = (micros - Calendar.microsPerDay, days + 1) }
        guard let fit = Int32(exactly: days) else { throw .intervalRange }
        return Interval(months: value.months, days: fit, micros: micros)
    }

    static func justifyDays(_ value: Interval) throws(RowFault) -> Interval {
        var months = Int64(value.months) + Int64(value.days / 30)
        var days = value.days % 30
        if months > 0 && days < 0 { (days, months) = (days + 30, months - 1) }
        if months < 0 && days > 0 { (days, months) = (days - 30, months + 1) }
        guard let fit = Int32(exactly: months) else { throw .intervalRange }
        return Interval(months: fit, days: days, micros: value.micros)
    }

    static func justifyInterval(_ value: Interval) throws(RowFault) -> Interval {
        // A pre-step in PostgreSQL too: a large number of days must not overflow with the hours.
        var start = value
        if (start.days > 0 && start.micros > 0) || (start.days < 0 && start.micros < 0) {
            let months = start.months.addingReportingOverflow(start.days / 30)
            guard !months.overflow else { throw .intervalRange }
            start.months = months.partialValue
            start.days %= 30
        }
        var days = Int64(start.days) + start.micros / Calendar.microsPerDay
        var micros = start.micros % Calendar.microsPerDay
        var months = Int64(start.months) + days / 30
        days %= 30
        if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
            (days, months) = (days + 30, months - 1)
        } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
            (days, months) = (days - 30, months + 1)
        }
        if days > 0 && micros < 0 {
            (micros, days) = (micros + Calendar.microsPerDay, days - 1)
        } else if days < 0 && micros > 0 {
            (micros, days) = (micros - Calendar.microsPerDay, days + 1)
        }
        guard let fit = Int32(exactly: months) else { throw .intervalRange }
        return Interval(months: fit, days: Int32(days), micros: micros)
    }

    /// An interval times a factor (`isQuotient`: by a divisor); fractions go on to smaller units.
    static func scaled(_ value: Interval, _ factor: Double, isQuotient: Bool) throws(RowFault) -> Interval {
        func apply(_ number: Double) -> Double { isQuotient ? number / factor : number * factor }
        func rounded(_ number: Double) -> Double { (number * 1e6).rounded(.toNearestOrEven) / 1e6 }
        func whole(_ number: Double) throws(RowFault) -> Int32 {
            guard !number.isNaN, number <= Double(Int32.max), number >= Double(Int32.min) else { throw .intervalRange }
            return Int32(number)
        }
        let months = try whole(apply(Double(value.months)))
        var days = try whole(apply(Double(value.days)))
        let monthRest = rounded((apply(Double(value.months)) - Double(months)) * 30)
        var seconds = rounded((apply(Double(value.days)) - Double(days) + monthRest - monthRest.rounded(.towardZero)) * 86_400)
        if seconds.magnitude >= 86_400 {
            let extra = days.addingReportingOverflow(Int32(seconds / 86_400))
            guard !extra.overflow else { throw .intervalRange }
            days = extra.partialValue
            seconds -= Double(Int32(seconds / 86_400)) * 86_400
        }
        let sum = days.addingReportingOverflow(Int32(monthRest))
        guard !sum.overflow else { throw .intervalRange }
        let micros = (apply(Double(value.micros)) + seconds * 1e6).rounded(.toNearestOrEven)
        guard !micros.isNaN, micros >= Double(Int64.min), micros < Double(Int64.max) else { throw .intervalRange }
        return Interval(months: months, days: sum.partialValue, micros: Int64(micros))
    }

    /// The calendar's distance: years, months, days and time from `b` to `a`.
    static func age(_ a: Int64, _ b: Int64) throws(RowFault) -> Interval {
        let isBackwards = a < b
        let (from, until) = isBackwards ? (a, b) : (b, a)
        let ((fromDays, fromTime), (untilDays, untilTime)) = (split(from), split(until))
        let (x, y) = (Calendar.day(fromDays), Calendar.day(untilDays))
        var (time, days, months, years) = (untilTime - fromTime, y.day - x.day, y.month - x.month, y.year - x.year)
        if time < 0 { (time, days) = (time + Calendar.microsPerDay, days - 1) }
        // The days that a month borrows are those of the earlier month of the two that PostgreSQL names its second.
        let lender = isBackwards ? Calendar.day(split(a).days) : x
        while days < 0 {
            days += Calendar.daysIn(year: lender.year, month: lender.month)
            months -= 1
        }
        while months < 0 { (months, years) = (months + 12, years - 1) }
        guard let total = Int32(exactly: years * 12 + months) else { throw .intervalRange }
        let sign: Int64 = isBackwards ? -1 : 1
        return Interval(months: Int32(sign) * total, days: Int32(sign * days), micros: sign * time)
    }
}
