// AT TIME ZONE, by its inner name `timezone`: a local time becomes a moment, a moment a local time.

extension FunctionTable {
    mutating func addZones() {
        add("timezone", [.text, .timestamp], .timestamptz, fails: true) { call in
            var zones = ZoneLookup()
            call.map { (name: Bytes, a: Int64) throws(RowFault) in try zones.find(name).moment(a) }
        }
        add("timezone", [.text, .timestamptz], .timestamp, fails: true) { call in
            var zones = ZoneLookup()
            call.map { (name: Bytes, a: Int64) throws(RowFault) in try zones.find(name).local(a) }
        }
        add("timezone", [.interval, .timestamp], .timestamptz, fails: true) {
            $0.map { (offset: Interval, a: Int64) throws(RowFault) in try ZoneLookup.shifted(a, by: offset, -1) }
        }
        add("timezone", [.interval, .timestamptz], .timestamp, fails: true) {
            $0.map { (offset: Interval, a: Int64) throws(RowFault) in try ZoneLookup.shifted(a, by: offset, 1) }
        }
    }
}

/// The zones that a chunk names: nearly always one, and mostly a constant, which lies at one place for all rows.
///
/// It points into the argument's vector: not to be kept beyond the call.
struct ZoneLookup {
    private var name = Bytes(start: nil, count: 0)
    private var zone: Zone?

    init() {}

    @inline(__always)
    mutating func find(_ wanted: Bytes) throws(RowFault) -> Zone {
        if let zone, wanted.isSame(as: name) { return zone }
        return try look(wanted)
    }

    private mutating func look(_ wanted: Bytes) throws(RowFault) -> Zone {
        let found = try Zone.named(wanted.string)
        (name, zone) = (wanted, found)
        return found
    }

    /// A time moved by an offset from UTC, of which whole seconds count.
    static func shifted(_ micros: Int64, by offset: Interval, _ sign: Int64) throws(RowFault) -> Int64 {
        guard offset.months == 0, offset.days == 0 else { throw .parameter("interval time zone must not include months or days") }
        let (sum, isOver) = micros.addingReportingOverflow(sign * (offset.micros / Calendar.microsPerSecond * Calendar.microsPerSecond))
        guard !isOver else { throw .timestampRange }
        return try Calendar.timestamp(sum)
    }
}
