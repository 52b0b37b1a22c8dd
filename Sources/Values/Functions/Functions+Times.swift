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
        add("date_trunc", [.text, .timestamp], .timestamp, fails: true) { call in
            var units = UnitLookup(of: .timestamp)
            call.map { (unit: Bytes, a: Int64) throws(RowFault) in try units.find(unit).start(a, .timestamp) }
        }
        add("date_trunc", [.text, .timestamptz], .timestamptz, volatility: .stable, fails: true) { call in
            var units = UnitLookup(of: .timestamptz)
            let zone = call.context.zone
            call.map { (unit: Bytes, a: Int64) throws(RowFault) in try units.find(unit).start(a, in: zone) }
        }
        add("date_trunc", [.text, .timestamptz, .text], .timestamptz, fails: true) { call in
            var (units, zones) = (UnitLookup(of: .timestamptz), ZoneLookup())
            call.map { (unit: Bytes, a: Int64, zone: Bytes) throws(RowFault) in try units.find(unit).start(a, in: try zones.find(zone)) }
        }
        add("date_trunc", [.text, .interval], .interval, fails: true) { call in
            var units = UnitLookup(of: .interval)
            call.map { (unit: Bytes, a: Interval) throws(RowFault) in try units.find(unit).start(a) }
        }
        addParts(of: DateParts.self)
        addParts(of: TimeParts.self)
        addParts(of: TimestampParts.self)
        addParts(of: MomentParts.self)
        addParts(of: IntervalParts.self)
    }

    /// `extract` gives a numeric, `date_part` the same as a float.
    private mutating func addParts<Parts: TimeParted>(of _: Parts.Type) {
        let type = Parts.type
        add("extract", [.text, type], .numeric, volatility: Parts.volatility, fails: true) { call in
            var units = UnitLookup(of: type)
            let zone = call.context.zone
            call.map { (unit: Bytes, a: Parts.Value) throws(RowFault) in try Parts.part(try units.find(unit), a, zone) }
        }
        add("date_part", [.text, type], .float8, volatility: Parts.volatility, fails: true) { call in
            var (units, scratch) = (UnitLookup(of: type), call.scratch())
            let zone = call.context.zone
            call.map { (unit: Bytes, a: Parts.Value) throws(RowFault) -> Double in try Parts.float(try units.find(unit), a, zone, &scratch) }
        }
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

/// Values that have parts: one kind of them each.
private protocol TimeParted: SendableMetatype {
    associatedtype Value: VectorElement & SendableMetatype
    static var type: SQLType { get }
    static var volatility: Overload.Volatility { get }
    static func part(_ unit: TimeUnit, _ value: Value, _ zone: Zone) throws(RowFault) -> Numeric
    static func float(_ unit: TimeUnit, _ value: Value, _ zone: Zone, _ scratch: inout ByteBuilder) throws(RowFault) -> Double
}

extension TimeParted {
    static var volatility: Overload.Volatility { .immutable }

    @inline(__always)
    static func float(_ unit: TimeUnit, _ value: Value, _ zone: Zone, _ scratch: inout ByteBuilder) throws(RowFault) -> Double {
        try Casts.float(try part(unit, value, zone), .float8, &scratch)
    }
}

private enum DateParts: TimeParted {
    static let type = SQLType.date
    static func part(_ unit: TimeUnit, _ days: Int64, _ zone: Zone) throws(RowFault) -> Numeric { try unit.part(ofDate: days) }

    /// As a float a date is its midnight.
    static func float(_ unit: TimeUnit, _ days: Int64, _ zone: Zone, _ scratch: inout ByteBuilder) throws(RowFault) -> Double {
        try Casts.float(try unit.part(ofTimestamp: try Calendar.timestamp(days: days, micros: 0)), .float8, &scratch)
    }
}

private enum TimeParts: TimeParted {
    static let type = SQLType.time
    static func part(_ unit: TimeUnit, _ micros: Int64, _ zone: Zone) throws(RowFault) -> Numeric { try unit.part(ofTimeOfDay: micros) }
}

private enum TimestampParts: TimeParted {
    static let type = SQLType.timestamp
    static func part(_ unit: TimeUnit, _ micros: Int64, _ zone: Zone) throws(RowFault) -> Numeric { try unit.part(ofTimestamp: micros) }
}

private enum MomentParts: TimeParted {
    static let type = SQLType.timestamptz
    static let volatility = Overload.Volatility.stable
    static func part(_ unit: TimeUnit, _ micros: Int64, _ zone: Zone) throws(RowFault) -> Numeric { try unit.part(ofMoment: micros, in: zone) }
}

private enum IntervalParts: TimeParted {
    static let type = SQLType.interval
    static func part(_ unit: TimeUnit, _ value: Interval, _ zone: Zone) throws(RowFault) -> Numeric { try unit.part(of: value) }

    static func float(_ unit: TimeUnit, _ value: Interval, _ zone: Zone, _ scratch: inout ByteBuilder) throws(RowFault) -> Double {
        unit == .epoch ? TimeUnit.epoch(value) : try Casts.float(try unit.part(of: value), .float8, &scratch)
    }
}

enum TimeMakers {
    static func date(_ year: Int64, _ month: Int64, _ day: Int64) throws(RowFault) -> Int64 {
        // Made only where it is thrown: its message is a text.
        func fault() -> RowFault { RowFault("22008", "date field value out of range: \(year)-\(month)-\(day)") }
        guard year != 0, (1...12).contains(month), day >= 1 else { throw fault() }
        // Years before 1 are given as negative ones.
        let inner = year < 0 ? year + 1 : year
        guard day <= Calendar.daysIn(year: inner, month: month) else { throw fault() }
        let days = Calendar.days(year: inner, month: month, day: day)
        guard (Calendar.firstDay...Calendar.lastDay).contains(days) else { throw fault() }
        return days
    }

    static func time(_ hour: Int64, _ minute: Int64, _ second: Double) throws(RowFault) -> Int64 {
        func fault() -> RowFault { RowFault("22008", "time field value out of range: \(hour):\(minute):\(second)") }
        guard (0...24).contains(hour), (0...59).contains(minute), second >= 0, second <= 60 else { throw fault() }
        let micros = (hour * 60 + minute) * Calendar.microsPerMinute + Int64((second * 1e6).rounded(.toNearestOrEven))
        guard micros <= Calendar.microsPerDay else { throw fault() }
        return micros
    }

    static func moment(epochSeconds seconds: Double) throws(RowFault) -> Int64 {
        if seconds.isInfinite { throw .unsupported("infinity is no timestamp here") }
        if seconds.isNaN { throw RowFault("22008", "timestamp cannot be NaN") }
        // Counted from 2000, as PostgreSQL's rounding is.
        let (first, last) = (Double(Calendar.timestamps.lowerBound) / 1e6, Double(Calendar.timestamps.upperBound) / 1e6)
        guard seconds >= first, seconds < last else { throw RowFault("22008", "timestamp out of range: \"\(seconds)\"") }
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
        // The bin of a time near the first one may begin before all of them.
        let start = Int128(origin) + Int128(Calendar.floorDivide(distance, length)) * Int128(length)
        guard let fit = Int64(exactly: start) else { throw .timestampRange }
        return try Calendar.timestamp(fit)
    }
}

extension RowFault {
    static let timestampRangeOfStride = RowFault("22008", "stride must be greater than zero")
}
