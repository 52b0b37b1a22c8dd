// Dates and times: arithmetic, parts, making them of numbers. Units are `TimeUnit`'s, the arithmetic `TimeArithmetic`'s.

extension FunctionTable {
    mutating func addTimes() {
        addDateArithmetic()
        addTimestampArithmetic()
        addParts()
        addMakers()
        for type: SQLType in [.date, .timestamp, .timestamptz] { add("isfinite", [type], .bool) { $0.map { (_: Int64) in true } } }
        add("isfinite", [.interval], .bool) { $0.map { (_: Interval) in true } }
    }

    private mutating func addDateArithmetic() {
        @Sendable func moved(_ days: Int64, _ by: Int64) throws(RowFault) -> Int64 { try Calendar.date(days + by) }
        add("+", [.date, .int4], .date, fails: true) { $0.map { (a: Int64, b: Int64) throws(RowFault) in try moved(a, b) } }
        add("+", [.int4, .date], .date, fails: true) { $0.map { (a: Int64, b: Int64) throws(RowFault) in try moved(b, a) } }
        add("-", [.date, .int4], .date, fails: true) { $0.map { (a: Int64, b: Int64) throws(RowFault) in try moved(a, -b) } }
        add("-", [.date, .date], .int4) { $0.map { (a: Int64, b: Int64) in a - b } }
        add("+", [.date, .time], .timestamp, fails: true) { $0.map { (a: Int64, b: Int64) throws(RowFault) in try Calendar.timestamp(days: a, micros: b) } }
        add("+", [.time, .date], .timestamp, fails: true) { $0.map { (a: Int64, b: Int64) throws(RowFault) in try Calendar.timestamp(days: b, micros: a) } }
        add("+", [.date, .interval], .timestamp, fails: true) {
            $0.map { (a: Int64, b: Interval) throws(RowFault) in try TimeArithmetic.add(b, toTimestamp: try Calendar.timestamp(days: a, micros: 0)) }
        }
        add("+", [.interval, .date], .timestamp, fails: true) {
            $0.map { (a: Interval, b: Int64) throws(RowFault) in try TimeArithmetic.add(a, toTimestamp: try Calendar.timestamp(days: b, micros: 0)) }
        }
        add("-", [.date, .interval], .timestamp, fails: true) {
            $0.map { (a: Int64, b: Interval) throws(RowFault) in
                try TimeArithmetic.add(try TimeArithmetic.negated(b), toTimestamp: try Calendar.timestamp(days: a, micros: 0))
            }
        }
        @Sendable func turned(_ time: Int64, _ micros: Int64) -> Int64 {
            Calendar.floorRemainder(time &+ micros % Calendar.microsPerDay, Calendar.microsPerDay)
        }
        add("+", [.time, .interval], .time) { $0.map { (a: Int64, b: Interval) in turned(a, b.micros) } }
        add("+", [.interval, .time], .time) { $0.map { (a: Interval, b: Int64) in turned(b, a.micros) } }
        add("-", [.time, .interval], .time) { $0.map { (a: Int64, b: Interval) in turned(a, -(b.micros % Calendar.microsPerDay)) } }
        add("-", [.time, .time], .interval) { $0.map { (a: Int64, b: Int64) in Interval(micros: a - b) } }
    }

    private mutating func addTimestampArithmetic() {
        add("+", [.timestamp, .interval], .timestamp, fails: true) { $0.map { (a: Int64, b: Interval) throws(RowFault) in try TimeArithmetic.add(b, toTimestamp: a) } }
        add("+", [.interval, .timestamp], .timestamp, fails: true) { $0.map { (a: Interval, b: Int64) throws(RowFault) in try TimeArithmetic.add(a, toTimestamp: b) } }
        add("-", [.timestamp, .interval], .timestamp, fails: true) {
            $0.map { (a: Int64, b: Interval) throws(RowFault) in try TimeArithmetic.add(try TimeArithmetic.negated(b), toTimestamp: a) }
        }
        add("+", [.timestamptz, .interval], .timestamptz, volatility: .stable, fails: true) { call in
            let zone = call.context.zone
            call.map { (a: Int64, b: Interval) throws(RowFault) in try TimeArithmetic.add(b, toMoment: a, in: zone) }
        }
        add("+", [.interval, .timestamptz], .timestamptz, volatility: .stable, fails: true) { call in
            let zone = call.context.zone
            call.map { (a: Interval, b: Int64) throws(RowFault) in try TimeArithmetic.add(a, toMoment: b, in: zone) }
        }
        add("-", [.timestamptz, .interval], .timestamptz, volatility: .stable, fails: true) { call in
            let zone = call.context.zone
            call.map { (a: Int64, b: Interval) throws(RowFault) in try TimeArithmetic.add(try TimeArithmetic.negated(b), toMoment: a, in: zone) }
        }
        for type: SQLType in [.timestamp, .timestamptz] {
            add("-", [type, type], .interval, fails: true) { $0.map { (a: Int64, b: Int64) throws(RowFault) in try TimeArithmetic.difference(a, b) } }
            add("date_bin", [.interval, type, type], type, fails: true) {
                $0.map { (stride: Interval, value: Int64, origin: Int64) throws(RowFault) in try TimeBins.start(stride, value, origin) }
            }
        }
        add("age", [.timestamp, .timestamp], .interval, fails: true) { $0.map { (a: Int64, b: Int64) throws(RowFault) in try TimeArithmetic.age(a, b) } }
        add("age", [.timestamptz, .timestamptz], .interval, volatility: .stable, fails: true) { call in
            let zone = call.context.zone
            call.map { (a: Int64, b: Int64) throws(RowFault) in try TimeArithmetic.age(try zone.local(a), try zone.local(b)) }
        }
    }

    private mutating func addParts() {
        add("date_trunc", [.text, .timestamp], .timestamp, fails: true) {
            $0.map { (unit: Bytes, a: Int64) throws(RowFault) in try TimeUnit.named(unit, of: .timestamp).start(a, .timestamp) }
        }
        add("date_trunc", [.text, .timestamptz], .timestamptz, volatility: .stable, fails: true) { call in
            let zone = call.context.zone
            call.map { (unit: Bytes, a: Int64) throws(RowFault) in try TimeUnit.named(unit, of: .timestamptz).start(a, in: zone) }
        }
        add("date_trunc", [.text, .timestamptz, .text], .timestamptz, fails: true) {
            $0.map { (unit: Bytes, a: Int64, zone: Bytes) throws(RowFault) in
                try TimeUnit.named(unit, of: .timestamptz).start(a, in: try Zone.named(zone.string))
            }
        }
        add("date_trunc", [.text, .interval], .interval, fails: true) {
            $0.map { (unit: Bytes, a: Interval) throws(RowFault) in try TimeUnit.named(unit, of: .interval).start(a) }
        }
        addExtract("extract", .numeric)
        addExtract("date_part", .float8)
    }

    /// `extract` gives a numeric, `date_part` the same as a float.
    private mutating func addExtract(_ name: String, _ result: SQLType) {
        func part<A: VectorElement & SendableMetatype>(
            _ type: SQLType, _ body: @escaping @Sendable (TimeUnit, A, Zone) throws(RowFault) -> Numeric
        ) -> Overload.Kernel {
            { call in
                let zone = call.context.zone
                if result == .numeric {
                    call.map { (unit: Bytes, a: A) throws(RowFault) in try body(try TimeUnit.named(unit, of: type), a, zone) }
                } else {
                    call.map { (unit: Bytes, a: A) throws(RowFault) -> Double in
                        let unit = try TimeUnit.named(unit, of: type)
                        if unit == .epoch, let interval = a as? Interval { return TimeUnit.epoch(interval) }
                        return try Casts.float(try body(unit, a, zone), .float8)
                    }
                }
            }
        }
        // As a float a date is its midnight.
        let dates = part(.date) { (unit, a: Int64, _) throws(RowFault) in
            result == .float8 ? try unit.part(ofTimestamp: try Calendar.timestamp(days: a, micros: 0)) : try unit.part(ofDate: a)
        }
        let times = part(.time) { (unit, a: Int64, _) throws(RowFault) in try unit.part(ofTimeOfDay: a) }
        let timestamps = part(.timestamp) { (unit, a: Int64, _) throws(RowFault) in try unit.part(ofTimestamp: a) }
        let moments = part(.timestamptz) { (unit, a: Int64, zone) throws(RowFault) in try unit.part(ofMoment: a, in: zone) }
        let intervals = part(.interval) { (unit, a: Interval, _) throws(RowFault) in try unit.part(of: a) }
        add(name, [.text, .date], result, fails: true, dates)
        add(name, [.text, .time], result, fails: true, times)
        add(name, [.text, .timestamp], result, fails: true, timestamps)
        add(name, [.text, .timestamptz], result, volatility: .stable, fails: true, moments)
        add(name, [.text, .interval], result, fails: true, intervals)
    }

    private mutating func addMakers() {
        add("make_date", [.int4, .int4, .int4], .date, fails: true) { $0.map { (y: Int64, m: Int64, d: Int64) throws(RowFault) in try TimeMakers.date(y, m, d) } }
        add("make_time", [.int4, .int4, .float8], .time, fails: true) { $0.map { (h: Int64, m: Int64, s: Double) throws(RowFault) in try TimeMakers.time(h, m, s) } }
        add("make_timestamp", [.int4, .int4, .int4, .int4, .int4, .float8], .timestamp, fails: true) { call in
            let a = call.arguments
            call.forEachRow { row throws(RowFault) -> Int64? in
                let days = try TimeMakers.date(a[0].word(row), a[1].word(row), a[2].word(row))
                return try Calendar.timestamp(days: days, micros: try TimeMakers.time(a[3].word(row), a[4].word(row), a[5].float(row)))
            }
        }
        add("to_timestamp", [.float8], .timestamptz, fails: true) { $0.map { (a: Double) throws(RowFault) in try TimeMakers.moment(epochSeconds: a) } }
    }
}

enum TimeMakers {
    static func date(_ year: Int64, _ month: Int64, _ day: Int64) throws(RowFault) -> Int64 {
        let fault = RowFault("22008", "date field value out of range: \(year)-\(month)-\(day)")
        guard year != 0, (1...12).contains(month), day >= 1 else { throw fault }
        // Years before 1 are given as negative ones.
        let inner = year < 0 ? year + 1 : year
        guard day <= Calendar.daysIn(year: inner, month: month) else { throw fault }
        let days = Calendar.days(year: inner, month: month, day: day)
        guard (Calendar.firstDay...Calendar.lastDay).contains(days) else { throw fault }
        return days
    }

    static func time(_ hour: Int64, _ minute: Int64, _ second: Double) throws(RowFault) -> Int64 {
        let fault = RowFault("22008", "time field value out of range: \(hour):\(minute):\(second)")
        guard (0...24).contains(hour), (0...59).contains(minute), second >= 0, second <= 60 else { throw fault }
        let micros = (hour * 60 + minute) * Calendar.microsPerMinute + Int64((second * 1e6).rounded(.toNearestOrEven))
        guard micros <= Calendar.microsPerDay else { throw fault }
        return micros
    }

    static func moment(epochSeconds seconds: Double) throws(RowFault) -> Int64 {
        let fault = RowFault("22008", "timestamp out of range: \"\(seconds)\"")
        if seconds.isInfinite { throw .unsupported("infinity is no timestamp here") }
        if seconds.isNaN { throw RowFault("22008", "timestamp cannot be NaN") }
        // Counted from 2000, as PostgreSQL's rounding is.
        let (first, last) = (Double(Calendar.timestamps.lowerBound) / 1e6, Double(Calendar.timestamps.upperBound) / 1e6)
        guard seconds >= first, seconds < last else { throw fault }
        let since2000 = ((seconds - 946_684_800) * 1e6).rounded(.toNearestOrEven)
        return try Calendar.timestamp(Int64(since2000) + 946_684_800_000_000)
    }
}

enum TimeBins {
    /// The start of the bin of length `stride`, counted from `origin`, that a time is in.
    static func start(_ stride: Interval, _ value: Int64, _ origin: Int64) throws(RowFault) -> Int64 {
        guard stride.months == 0 else { throw .unsupported("timestamps cannot be binned into intervals containing months or years") }
        let (days, isOver) = Int64(stride.days).multipliedReportingOverflow(by: Calendar.microsPerDay)
        let (length, isOverToo) = days.addingReportingOverflow(stride.micros)
        guard !isOver, !isOverToo else { throw .intervalRange }
        guard length > 0 else { throw .timestampRangeOfStride }
        let (distance, isFar) = value.subtractingReportingOverflow(origin)
        guard !isFar else { throw .intervalRange }
        return try Calendar.timestamp(origin + Calendar.floorDivide(distance, length) * length)
    }
}

extension RowFault {
    static let timestampRangeOfStride = RowFault("22008", "stride must be greater than zero")
}
