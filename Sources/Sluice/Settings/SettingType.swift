// What a setting's or an option's text may say, and the one form in which it is compared.
//
// A type checks a text and turns it into a value; it does not know where the text came from (see `Settings`) nor what
// the value is for. Two texts with the same meaning have the same `canonical` text (`10s` and `10000ms`), so that
// writing a value in another way is not another setting.
//
// When adding a case: give it a value name, a sentence of what it expects, and its rows in the test's table.

import Engine

package enum SettingType: Hashable, Sendable {
    case text
    case integer(ClosedRange<Int64>)
    /// A part of a whole, 0 to 1.
    case share
    /// A length of time; bounds in milliseconds.
    case duration(ClosedRange<Int64>)
    /// A number of bytes.
    case size(ClosedRange<Int64>)
    case boolean
    case choice([String])
    /// `SCHEME:REST`, one of the schemes.
    case address([String])
    /// `HOST:PORT`, with `many` also a list separated by commas.
    case hostPort(many: Bool)
    /// Where a job without a log starts: `earliest`, `latest`, a time, or a length of time ago.
    case startPoint
    case file
    /// A file, or `ID=FILE,ID=FILE`.
    case schemaFiles

    /// The value's name in a usage line.
    package var valueName: String {
        switch self {
        case .text: "TEXT"
        case .integer: "N"
        case .share: "SHARE"
        case .duration: "TIME"
        case .size: "SIZE"
        case .boolean: "yes|no"
        case .choice(let choices): choices.count <= 4 ? choices.joined(separator: "|") : "CHOICE"
        case .address: "ADDRESS"
        case .hostPort(let many): many ? "HOST:PORT,..." : "HOST:PORT"
        case .startPoint: "WHEN"
        case .file: "FILE"
        case .schemaFiles: "FILE|ID=FILE,..."
        }
    }

    /// One word for lists of settings.
    package var word: String {
        switch self {
        case .text: "text"
        case .integer: "whole number"
        case .share: "share"
        case .duration: "duration"
        case .size: "size"
        case .boolean: "yes or no"
        case .choice: "choice"
        case .address, .hostPort: "address"
        case .startPoint: "start point"
        case .file, .schemaFiles: "file"
        }
    }

    /// The values to offer where they can be listed.
    package var choices: [String] {
        switch self {
        case .choice(let choices): choices
        case .boolean: ["yes", "no"]
        case .startPoint: ["earliest", "latest"]
        case .address(let schemes): schemes.map { $0 + ":" }
        default: []
        }
    }

    /// What a right text looks like, to follow "it must be".
    package var expectation: String {
        switch self {
        case .text: "a text that is not empty"
        case .integer(let bounds): "a whole number" + Self.between(bounds) { String($0) }
        case .share: "a share from 0 to 1, such as 0.5"
        case .duration(let bounds):
            "a length of time such as 250ms, 10s, 5m, 2h or 7d" + Self.between(bounds, formatDuration)
        case .size(let bounds):
            "a size such as 65536, 64KiB, 48MiB or 1GiB" + Self.between(bounds, formatSize)
        case .boolean: "yes or no"
        case .choice(let choices): "one of " + choices.joined(separator: ", ")
        case .address(let schemes): "an address that begins with " + schemes.map { $0 + ":" }.joined(separator: " or ")
        case .hostPort(let many): many ? "HOST:PORT, or several separated by commas" : "HOST:PORT"
        case .startPoint: "earliest, latest, a time such as 2026-03-01T12:00:00Z, or a time ago such as -10m"
        case .file: "the path of a file"
        case .schemaFiles: "the path of a file, or a path for each schema id such as 1=a.avsc,2=b.avsc"
        }
    }

    /// - Returns: the value, or nil when the text does not fit the type.
    package func parse(_ text: String) -> SettingValue? {
        switch self {
        case .text, .file, .schemaFiles:
            return text.isEmpty ? nil : .text(text)
        case .integer(let bounds):
            guard let value = Int64(text), bounds.contains(value) else { return nil }
            return .integer(value)
        case .share:
            guard let value = Double(text), value >= 0, value <= 1 else { return nil }
            return .share(value)
        case .duration(let bounds):
            guard let value = parseDuration(text), bounds.contains(value) else { return nil }
            return .integer(value)
        case .size(let bounds):
            guard let value = parseSize(text), bounds.contains(value) else { return nil }
            return .integer(value)
        case .boolean:
            switch text {
            case "yes", "true", "on", "1": return .boolean(true)
            case "no", "false", "off", "0": return .boolean(false)
            default: return nil
            }
        case .choice(let choices):
            return choices.contains(text) ? .text(text) : nil
        case .address(let schemes):
            // The console and the place for nothing have nothing after their colon: they are places by themselves.
            let fits = schemes.contains {
                text.hasPrefix($0 + ":") && (text.utf8.count > $0.utf8.count + 1 || $0 == "console" || $0 == "discard")
            }
            return fits ? .text(text) : nil
        case .hostPort(let many):
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            guard many || parts.count == 1, parts.allSatisfy(Self.isHostPort) else { return nil }
            return .text(text)
        case .startPoint:
            let isAgo = text.hasPrefix("-") && parseDuration(String(text.dropFirst())) != nil
            guard text == "earliest" || text == "latest" || isAgo || parseTime(text) != nil else { return nil }
            return .text(text)
        }
    }

    /// A canonical text in the units in which people write it.
    package func shown(canonical: String) -> String {
        switch self {
        case .duration: Int64(canonical).map(formatDuration) ?? canonical
        case .size: Int64(canonical).map(formatSize) ?? canonical
        default: canonical
        }
    }

    private static func isHostPort(_ text: Substring) -> Bool {
        guard let colon = text.lastIndex(of: ":"), colon > text.startIndex, !text.contains(" "), !text.contains("/"),
            let port = Int(text[text.index(after: colon)...])
        else { return false }
        return (0...65_535).contains(port)
    }

    private static func between(_ bounds: ClosedRange<Int64>, _ format: (Int64) -> String) -> String {
        if bounds.upperBound == .max { return bounds.lowerBound == 0 ? "" : ", at least \(format(bounds.lowerBound))" }
        return ", from \(format(bounds.lowerBound)) to \(format(bounds.upperBound))"
    }
}

/// A checked value. Lengths of time are milliseconds, sizes are bytes.
package enum SettingValue: Hashable, Sendable {
    case text(String)
    case integer(Int64)
    case share(Double)
    case boolean(Bool)

    /// The same text for the same meaning.
    package var canonical: String {
        switch self {
        case .text(let text): text
        case .integer(let value): String(value)
        case .share(let value): String(value)
        case .boolean(let value): value ? "yes" : "no"
        }
    }
}
