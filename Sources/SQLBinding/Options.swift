// What may stand in WITH: for each connector and use the options that there are, and what their values look like.
//
// An option that is not known is refused with the nearest names, one that is known but not of this connector with the connectors that have it.
// Values are kept as text and read when they are wanted; here it is made sure that they can be read.

import SQLSyntax
import Values
import Wording

public enum Connector: String, Sendable, Hashable, CaseIterable { case kafka, postgres, sqlite, console, discard }

public enum OptionName: String, Sendable, Hashable, CaseIterable {
    case connector, topic, format, mode, url, table, refresh, changes, lateness, version, emit, early, late, ttl, visible, schema, idle
    case keyFormat = "key_format"
    case eventTime = "event_time"
    case deleteKeep = "delete_keep"
    case onError = "on_error"
    case maxFuture = "max_future"
    case partitionWait = "partition_wait"
    case timeUnit = "time_unit"
    case maxState = "max_state"
}

/// The options of one table or output.
public struct TableOptions: Sendable, Hashable {
    private let values: [OptionName: String]

    public init(_ values: [OptionName: String] = [:]) { self.values = values }

    public subscript(name: OptionName) -> String? { values[name] }
}

/// What the options are of.
enum OptionOwner: Sendable, Hashable {
    case table(Connector)
    case view

    /// For a person.
    var name: String {
        switch self {
        case .table(let connector): "connector \(connector.rawValue)"
        case .view: "a materialized view"
        }
    }
}

private enum OptionValue: Sendable {
    case text
    case choice([String])
    case duration
    case bytes
    case flag
    /// A column of the table.
    case column
}

private struct OptionRule: Sendable {
    let name: OptionName
    let value: OptionValue
    let owners: Set<OptionOwner>

    init(_ name: OptionName, _ value: OptionValue, _ connectors: Connector..., ofViews: Bool = false) {
        self.name = name
        self.value = value
        owners = Set(connectors.map { OptionOwner.table($0) } + (ofViews ? [.view] : []))
    }

    static let all: [OptionRule] = [
        OptionRule(.connector, .choice(Connector.allCases.map(\.rawValue)), .kafka, .postgres, .sqlite, .console, .discard),
        OptionRule(.topic, .text, .kafka), OptionRule(.schema, .text, .kafka), OptionRule(.format, .choice(["json", "avro", "raw"]), .kafka),
        OptionRule(.keyFormat, .choice(["text", "json", "avro"]), .kafka),
        // What a number is that stands for a time; milliseconds where nobody says it.
        OptionRule(.timeUnit, .choice(["s", "ms", "us", "ns"]), .kafka), OptionRule(.mode, .choice(["append", "upsert", "lookup"]), .kafka, .postgres, .sqlite),
        OptionRule(.eventTime, .column, .kafka), OptionRule(.lateness, .duration, .kafka), OptionRule(.maxFuture, .duration, .kafka),
        OptionRule(.partitionWait, .duration, .kafka), OptionRule(.idle, .duration, .kafka), OptionRule(.version, .column, .kafka),
        OptionRule(.deleteKeep, .duration, .kafka), OptionRule(.url, .text, .postgres, .sqlite), OptionRule(.table, .text, .postgres, .sqlite),
        OptionRule(.refresh, .duration, .postgres, .sqlite), OptionRule(.changes, .flag, .postgres, .sqlite),
        OptionRule(.onError, .choice(["quarantine", "null", "stop"]), .kafka, .postgres, .sqlite, .console, .discard, ofViews: true),
        OptionRule(.visible, .choice(["batch", "part"]), .postgres, .sqlite, ofViews: true),
        OptionRule(.emit, .choice(["changes", "final"]), .kafka, .postgres, .sqlite, .console, .discard, ofViews: true),
        OptionRule(.early, .duration, .postgres, .sqlite, ofViews: true),
        OptionRule(.late, .text, .kafka, .postgres, .sqlite, .console, .discard, ofViews: true),
        OptionRule(.ttl, .duration, .kafka, .postgres, .sqlite, .console, .discard, ofViews: true),
        OptionRule(.maxState, .bytes, .kafka, .postgres, .sqlite, .console, .discard, ofViews: true),
    ]
}

extension TableOptions {
    /// Reads what stands in WITH.
    /// - Parameter columns: the table's, for options that name one.
    init(_ options: [Option], of owner: OptionOwner, columns: [String]) throws(SQLFault) {
        var values: [OptionName: String] = [:]
        for option in options {
            let rules = OptionRule.all.filter { $0.name.rawValue == option.key.text }
            guard let rule = rules.first else {
                let known = OptionRule.all.filter { $0.owners.contains(owner) }.map(\.name.rawValue)
                throw SQLFault(
                    "there is no option \"\(option.key.text)\"", at: option.key.place, why: "\(owner.name) has no such option",
                    hint: nearestHint(to: option.key.text, among: known, kind: "option"))
            }
            guard rule.owners.contains(owner) else {
                throw SQLFault(
                    "option \"\(option.key.text)\" is not one of \(owner.name)", at: option.key.place,
                    why: "it is of \(rule.owners.map(\.name).sorted().joined(separator: ", "))", hint: "leave it out, or take another connector")
            }
            guard values[rule.name] == nil else {
                throw SQLFault("option \"\(option.key.text)\" stands twice", at: option.key.place, why: "its values may contradict each other", hint: "leave one out")
            }
            try Self.check(option, rule.value, columns: columns)
            values[rule.name] = option.value
        }
        self.init(values)
    }

    private static func check(_ option: Option, _ value: OptionValue, columns: [String]) throws(SQLFault) {
        func refuse(_ why: String, _ hint: String) -> SQLFault {
            SQLFault("\(option.key.text) = '\(option.value)' is not understood", at: option.key.place, why: why, hint: hint)
        }
        switch value {
        case .text: if option.value.isEmpty { throw refuse("it is empty", "give it a value") }
        case .choice(let choices):
            if option.key.text == "mode", option.value == "debezium" { throw notYet("mode = 'debezium'", at: option.key.place) }
            if !choices.contains(option.value) { throw refuse("it is none of its values", nearestHint(to: option.value, among: choices, kind: "value")) }
        case .duration:
            if durationMicros(option.value) == nil { throw refuse("it is no length of time above zero", "write '10 s', '5 min', '1 day': months and years have no fixed length") }
        case .bytes: if byteCount(option.value) == nil { throw refuse("it is no number of bytes", "write '512 MiB' or '2 GiB'") }
        case .flag: if !["true", "false"].contains(option.value) { throw refuse("it is neither true nor false", "write 'true' or 'false'") }
        case .column:
            if !columns.isEmpty && !columns.contains(option.value) {
                throw SQLFault(
                    "there is no column \"\(option.value)\"", at: option.key.place, why: "\(option.key.text) names a column of this table",
                    hint: nearestHint(to: option.value, among: columns, kind: "column"))
            }
        }
    }
}

/// What will be understood one day, and is not.
func notYet(_ what: String, at place: Place, hint: String = "leave it out") -> SQLFault {
    SQLFault("\(what) is not there yet", at: place, why: "it is not understood here so far", hint: hint)
}

/// A length of time above zero without months, in microseconds; a day is 24 hours.
package func durationMicros(_ text: String) -> Int64? {
    guard case .interval(let length)? = try? TypeText.read(text, as: .interval, context: EvaluationContext()) else { return nil }
    return micros(of: length)
}

/// The same of an interval.
func micros(of interval: Interval) -> Int64? {
    let (days, isTooLong) = Int64(interval.days).multipliedReportingOverflow(by: 86_400_000_000)
    let (sum, overflows) = days.addingReportingOverflow(interval.micros)
    return interval.months == 0 && !isTooLong && !overflows && sum > 0 ? sum : nil
}

/// `512 MiB`, `2 GiB`, `1000`.
func byteCount(_ text: String) -> Int64? {
    let parts = text.split(separator: " ")
    guard (1...2).contains(parts.count), let number = Int64(parts[0]), number > 0 else { return nil }
    guard parts.count == 2 else { return number }
    guard let unit = ["B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40][parts[1]], number <= Int64.max >> Int64(unit) else { return nil }
    return number << Int64(unit)
}
