// Dates and times as PostgreSQL writes them (DateStyle ISO): `2026-03-01 12:00:00.5+00`, years before 1 with ` BC`.

package enum TimeText {
    package static func writeDate(_ days: Int64, _ out: inout ByteBuilder) {
        let day = Calendar.day(days)
        writeDay(day, &out)
        if day.year < 1 { out.append(" BC") }
    }

    package static func writeTime(_ micros: Int64, _ out: inout ByteBuilder) {
        out.append(decimal: micros / Calendar.microsPerHour, minimumDigits: 2)
        out.append(UInt8(ascii: ":"))
        out.append(decimal: micros / Calendar.microsPerMinute % 60, minimumDigits: 2)
        out.append(UInt8(ascii: ":"))
        writeSeconds(micros % Calendar.microsPerMinute, &out)
    }

    package static func writeTimestamp(_ micros: Int64, _ out: inout ByteBuilder) {
        let day = writeDayAndTime(micros, &out)
        if day.year < 1 { out.append(" BC") }
    }

    package static func writeTimestampTZ(_ micros: Int64, _ zone: Zone, _ out: inout ByteBuilder) {
        let offset = zone.offset(at: Calendar.floorDivide(micros, Calendar.microsPerSecond))
        let day = writeDayAndTime(micros &+ offset &* Calendar.microsPerSecond, &out)
        writeOffset(offset, &out)
        if day.year < 1 { out.append(" BC") }
    }

    /// Seconds with their fraction, without zeros at its end.
    static func writeSeconds(_ micros: Int64, minimumDigits: Int = 2, _ out: inout ByteBuilder) {
        out.append(decimal: micros / Calendar.microsPerSecond, minimumDigits: minimumDigits)
        var (fraction, digits) = (micros % Calendar.microsPerSecond, 6)
        guard fraction != 0 else { return }
        while fraction % 10 == 0 { (fraction, digits) = (fraction / 10, digits - 1) }
        out.append(UInt8(ascii: "."))
        out.append(decimal: fraction, minimumDigits: digits)
    }

    private static func writeDay(_ day: Calendar.Day, _ out: inout ByteBuilder) {
        out.append(decimal: day.year < 1 ? 1 - day.year : day.year, minimumDigits: 4)
        out.append(UInt8(ascii: "-"))
        out.append(decimal: day.month, minimumDigits: 2)
        out.append(UInt8(ascii: "-"))
        out.append(decimal: day.day, minimumDigits: 2)
    }

    private static func writeDayAndTime(_ micros: Int64, _ out: inout ByteBuilder) -> Calendar.Day {
        let days = Calendar.floorDivide(micros, Calendar.microsPerDay)
        let day = Calendar.day(days)
        writeDay(day, &out)
        out.append(UInt8(ascii: " "))
        writeTime(micros &- days &* Calendar.microsPerDay, &out)
        return day
    }

    private static func writeOffset(_ offset: Int64, _ out: inout ByteBuilder) {
        let seconds = Int64(offset.magnitude)
        out.append(UInt8(ascii: offset < 0 ? "-" : "+"))
        out.append(decimal: seconds / 3600, minimumDigits: 2)
        guard seconds % 3600 != 0 else { return }
        out.append(UInt8(ascii: ":"))
        out.append(decimal: seconds / 60 % 60, minimumDigits: 2)
        guard seconds % 60 != 0 else { return }
        out.append(UInt8(ascii: ":"))
        out.append(decimal: seconds % 60, minimumDigits: 2)
    }
}
