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
            $0.map { (offset: Interval, a: Int64) throws(RowFault) in try Calendar.timestamp(a - (try ZoneLookup.micros(offset))) }
        }
        add("timezone", [.interval, .timestamptz], .timestamp, fails: true) {
            $0.map { (offset: Interval, a: Int64) throws(RowFault) in try Calendar.timestamp(a + (try ZoneLookup.micros(offset))) }
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

    /// An interval as an offset east of UTC; whole seconds count.
    static func micros(_ offset: Interval) throws(RowFault) -> Int64 {
        guard offset.months == 0, offset.days == 0 else { throw .parameter("interval time zone must not include months or days") }
        return offset.micros / Calendar.microsPerSecond * Calendar.microsPerSecond
    }
}
