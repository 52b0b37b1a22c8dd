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

/// The zones that a chunk names: nearly always one.
struct ZoneLookup {
    private var name: [UInt8] = []
    private var zone: Zone?

    init() {}

    mutating func find(_ wanted: Bytes) throws(RowFault) -> Zone {
        if let zone, name.count == wanted.count, name.elementsEqual(wanted) { return zone }
        let found = try Zone.named(wanted.string)
        (name, zone) = (Array(wanted), found)
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
