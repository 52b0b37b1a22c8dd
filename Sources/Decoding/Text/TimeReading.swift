// What a text or a number means as a date or time, for one job: its zone and the table's unit.
//
// A number that stands for a time counts from 1970-01-01 00:00 UTC in `time_unit` (milliseconds where nothing is said), for a column `time` from
// midnight, for an interval it is a length. It is taken exactly, with its fraction, and rounded down to microseconds. A number is no date: days
// and milliseconds look alike there.

import Values

/// What `time_unit` says.
package enum TimeUnit: String, Sendable, Hashable, CaseIterable {
    case seconds = "s"
    case millis = "ms"
    case micros = "us"
    case nanos = "ns"

    /// Microseconds are the unit times this power of ten.
    var power: Int {
        switch self {
        case .seconds: 6
        case .millis: 3
        case .micros: 0
        case .nanos: -3
        }
    }
}

struct TimeReading {
    let zone: Zone
    let unit: TimeUnit
    private let isUTC: Bool
    /// Microseconds of the unit; 0 where they are less than one.
    private let factor: Int64

    init(zone: Zone, unit: TimeUnit) {
        self.zone = zone
        self.unit = unit
        factor =
            switch unit {
            case .seconds: 1_000_000
            case .millis: 1000
            case .micros: 1
            case .nanos: 0
            }
        isUTC = zone === Zone.utc
    }

    // MARK: text

    /// A whole text: white space may stand around it.
    func read(_ text: Bytes, as conversion: Conversion, _ type: SQLType) throws(RowFault) -> Int64 {
        guard let base = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else { throw .notISO(type, text) }
        var (from, end) = (base, base + text.count)
        while from < end, Self.isSpace(from.pointee) { from += 1 }
        while end > from, Self.isSpace((end - 1).pointee) { end -= 1 }
        guard from < end else { throw .notISO(type, text) }
        switch ISOTime.read(from, end) {
        case .time(let time, let behind) where behind == end:
            guard let value = try value(time, as: conversion) else { throw .notISO(type, text) }
            return value
        case .time, .other: throw .notISO(type, text)
        case .wrongField: throw RowFault("22008", "date/time field value out of range: \"\(String(decoding: text, as: UTF8.self))\"")
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte &- 9 < 5 }

    /// nil where the text has not what the type needs.
    @inline(__always)
    func value(_ time: ISOTime, as conversion: Conversion) throws(RowFault) -> Int64? {
        switch conversion {
        case .timestamptz:
            guard let days = time.days else { return nil }
            let local = days &* ISOTime.microsPerDay &+ (time.micros ?? 0)
            // A zone behind a date alone is not taken; `read` stops before it.
            let moment: Int64
            if let offset = time.offsetSeconds {
                moment = local &- offset &* 1_000_000
            } else {
                moment = isUTC ? local : try zone.moment(local)
            }
            guard ISOTime.isTaken(micros: moment) else { throw .outsideYears }
            return moment
        case .timestamp:
            // A zone in the text is passed over, as PostgreSQL does.
            guard let days = time.days else { return nil }
            let local = days &* ISOTime.microsPerDay &+ (time.micros ?? 0)
            guard ISOTime.isTaken(micros: local) else { throw .outsideYears }
            return local
        case .date: return time.days
        case .time: return time.micros
        default: return nil
        }
    }

    // MARK: numbers

    /// A moment in microseconds since 1970, UTC.
    @inline(__always)
    func value(moment: Int64, as conversion: Conversion) throws(RowFault) -> Int64 {
        guard ISOTime.isTaken(micros: moment) else { throw .outsideYears }
        if conversion == .timestamptz || isUTC { return moment }
        let local = try zone.local(moment)
        guard ISOTime.isTaken(micros: local) else { throw .outsideYears }
        return local
    }

    /// A local time in microseconds since 1970.
    func value(local: Int64, as conversion: Conversion) throws(RowFault) -> Int64 {
        guard ISOTime.isTaken(micros: local) else { throw .outsideYears }
        if conversion == .timestamp || isUTC { return local }
        let moment = try zone.moment(local)
        guard ISOTime.isTaken(micros: moment) else { throw .outsideYears }
        return moment
    }

    /// A length since midnight.
    func value(timeOfDay micros: Int64) throws(RowFault) -> Int64 {
        guard micros >= 0, micros <= ISOTime.microsPerDay else { throw .outOfRange(.time) }
        return micros
    }

    /// A whole number in the declared unit as a moment, where that is short to say.
    @inline(__always)
    func moment(_ number: Int64) -> Int64? {
        let (product, isOver) = number.multipliedReportingOverflow(by: factor)
        return factor != 0 && !isOver && ISOTime.isTaken(micros: product) ? product : nil
    }

    /// A whole number in the declared unit.
    @inline(__always)
    func read(_ number: Int64, as conversion: Conversion) throws(RowFault) -> Int64 {
        let micros: Int64
        switch unit {
        case .millis: micros = try Self.scaled(number, by: 1000, conversion)
        case .seconds: micros = try Self.scaled(number, by: 1_000_000, conversion)
        case .micros: micros = number
        case .nanos: micros = floored(number, by: 1000)
        }
        return try read(micros: micros, as: conversion)
    }

    @inline(__always)
    private static func scaled(_ number: Int64, by factor: Int64, _ conversion: Conversion) throws(RowFault) -> Int64 {
        let (product, isOver) = number.multipliedReportingOverflow(by: factor)
        if isOver { throw .outsideYears }
        return product
    }

    /// - Parameter conversion: timestamptz, timestamp, or time.
    @inline(__always)
    func read(micros: Int64, as conversion: Conversion) throws(RowFault) -> Int64 {
        conversion == .time ? try value(timeOfDay: micros) : try value(moment: micros, as: conversion)
    }

    /// A number of whatever form, in the declared unit, as microseconds.
    /// - Parameters from, behind: a number of JSON's form.
    func micros(_ from: Place, _ behind: Place) throws(RowFault) -> Int64 {
        guard let value = ExactDecimal.value(from, behind, timesTenTo: unit.power, cut: .down), let micros = Int64(exactly: value) else { throw .outsideYears }
        return micros
    }
}

/// The quotient, rounded down.
@inline(__always)
func floored(_ value: Int64, by divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
