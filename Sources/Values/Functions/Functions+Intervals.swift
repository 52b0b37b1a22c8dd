// Intervals: arithmetic, and the whole of their parts.

extension FunctionTable {
    mutating func addIntervals() {
        add("+", [.interval, .interval], .interval, fails: true) { $0.map { (a: Interval, b: Interval) throws(RowFault) in try TimeArithmetic.sum(a, b) } }
        add("-", [.interval, .interval], .interval, fails: true) { $0.map { (a: Interval, b: Interval) throws(RowFault) in try TimeArithmetic.difference(a, b) } }
        add("-", [.interval], .interval, fails: true) { $0.map { (a: Interval) throws(RowFault) in try TimeArithmetic.negated(a) } }
        add("*", [.interval, .float8], .interval, fails: true) {
            $0.map { (a: Interval, b: Double) throws(RowFault) in try TimeArithmetic.scaled(a, b, isQuotient: false) }
        }
        add("*", [.float8, .interval], .interval, fails: true) {
            $0.map { (a: Double, b: Interval) throws(RowFault) in try TimeArithmetic.scaled(b, a, isQuotient: false) }
        }
        add("/", [.interval, .float8], .interval, fails: true) {
            $0.map { (a: Interval, b: Double) throws(RowFault) -> Interval in
                if b == 0 { throw .divisionByZero }
                return try TimeArithmetic.scaled(a, b, isQuotient: true)
            }
        }
        add("justify_hours", [.interval], .interval, fails: true) { $0.map { (a: Interval) throws(RowFault) in try TimeArithmetic.justifyHours(a) } }
        add("justify_days", [.interval], .interval, fails: true) { $0.map { (a: Interval) throws(RowFault) in try TimeArithmetic.justifyDays(a) } }
        add("justify_interval", [.interval], .interval, fails: true) { $0.map { (a: Interval) throws(RowFault) in try TimeArithmetic.justifyInterval(a) } }
        add("make_interval", [.int4, .int4, .int4, .int4, .int4, .int4, .float8], .interval, fails: true) { call in
            let a = call.arguments
            call.forEachRow { row throws(RowFault) -> Interval? in
                let months = a[0].word(row) * 12 + a[1].word(row)
                let days = a[2].word(row) * 7 + a[3].word(row)
                guard let m = Int32(exactly: months), let d = Int32(exactly: days) else { throw .intervalRange }
                let seconds = a[6].float(row)
                guard seconds.isFinite, seconds.magnitude < 9e12 else { throw .intervalRange }
                let time = a[4].word(row) * Calendar.microsPerHour + a[5].word(row) * Calendar.microsPerMinute
                let (micros, isOver) = time.addingReportingOverflow(Int64((seconds * 1e6).rounded(.toNearestOrEven)))
                guard !isOver else { throw .intervalRange }
                return Interval(months: m, days: d, micros: micros)
            }
        }
    }
}
