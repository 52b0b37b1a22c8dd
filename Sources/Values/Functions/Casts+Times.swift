// Casts between dates and times, and their lengths.

extension Casts {
    static func addTimeCasts(_ add: Adder) {
        add(.date, .timestamp, .implicit, true) { $0.map { (a: Int64) throws(RowFault) in try Calendar.timestamp(days: a, micros: 0) } }
        add(.date, .timestamptz, .implicit, true) { call in
            let zone = call.context.zone
            call.map { (a: Int64) throws(RowFault) in try zone.moment(try Calendar.timestamp(days: a, micros: 0)) }
        }
        add(.timestamp, .timestamptz, .implicit, true) { call in
            let zone = call.context.zone
            call.map { (a: Int64) throws(RowFault) in try zone.moment(a) }
        }
        add(.timestamptz, .timestamp, .assignment, true) { call in
            let zone = call.context.zone
            call.map { (a: Int64) throws(RowFault) in try zone.local(a) }
        }
        add(.timestamp, .date, .assignment, false) { $0.map { (a: Int64) in TimeArithmetic.split(a).days } }
        add(.timestamp, .time, .assignment, false) { $0.map { (a: Int64) in TimeArithmetic.split(a).time } }
        add(.timestamptz, .date, .assignment, true) { call in
            let zone = call.context.zone
            call.map { (a: Int64) throws(RowFault) in TimeArithmetic.split(try zone.local(a)).days }
        }
        add(.timestamptz, .time, .assignment, true) { call in
            let zone = call.context.zone
            call.map { (a: Int64) throws(RowFault) in TimeArithmetic.split(try zone.local(a)).time }
        }
        add(.time, .interval, .implicit, false) { $0.map { (a: Int64) in Interval(micros: a) } }
        add(.interval, .time, .assignment, false) { $0.map { (a: Interval) in Calendar.floorRemainder(a.micros, Calendar.microsPerDay) } }
    }

    /// time(p), timestamp(p), timestamptz(p), interval(p); nil for types without such a length.
    static func fitFraction(of type: SQLType) -> Overload? {
        switch type {
        case .time: overload("fit", [type, .int4], type, fails: true) { $0.map { (a: Int64, p: Int64) throws(RowFault) in try rounded(a, p) } }
        case .timestamp, .timestamptz:
            overload("fit", [type, .int4], type, fails: true) { $0.map { (a: Int64, p: Int64) throws(RowFault) in try Calendar.timestamp(try rounded(a, p)) } }
        case .interval:
            overload("fit", [type, .int4], type, fails: true) {
                $0.map { (a: Interval, p: Int64) throws(RowFault) in Interval(months: a.months, days: a.days, micros: try rounded(a.micros, p)) }
            }
        default: nil
        }
    }

    /// Halves away from zero, counted from PostgreSQL's year 2000 only where that makes no difference: whole seconds do.
    private static func rounded(_ micros: Int64, _ digits: Int64) throws(RowFault) -> Int64 {
        guard digits < 6 else { return micros }
        let unit = Int64(Numeric.power(6 - Int(max(digits, 0))))
        let (rest, base) = (micros % unit, micros - micros % unit)
        guard rest.magnitude * 2 >= unit.magnitude else { return base }
        let (sum, isOver) = base.addingReportingOverflow(rest < 0 ? -unit : unit)
        guard !isOver else { throw .intervalRange }
        return sum
    }
}
