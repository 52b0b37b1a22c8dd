// The log: one event a line on stderr, for people (`text`) or for programs (`json`).
//
// A message is a static text, so that equal events can be counted and searched; what differs stands in the metadata.
// Values are masked here, once, for everybody (`maskSecrets`); rows never go into a log at all. Error level is for what
// a person must act on. The configuration is global because the log is: a process sets it at its start, before threads.
//
// What survives a crash: everything logged before it, since a line is one `write` and nothing is buffered. A line that
// cannot be written (stderr closed, disk full) is lost without a word: there is nobody left to tell.
//
// Checklist: a line never contains a raw newline; a level that is off must cost one atomic load and build no strings.

import Glibc
import Synchronization

/// Where every module writes its events: `Log.info("batch done", [("batch.id", "7")])`.
package enum Log {
    package enum Level: Int, Sendable, CaseIterable, Comparable {
        case trace, debug, info, notice, warning, error, critical

        package init?(name: String) {
            guard let level = Level.allCases.first(where: { "\($0)" == name }) else { return nil }
            self = level
        }
        package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    package enum Format: String, Sendable, CaseIterable { case text, json }

    /// Sets level, form, the pairs that every line carries (which process speaks), and where lines go.
    package static func configure(
        level: Level = .info, format: Format = .text, always: [(String, String)] = [], descriptor: Int32 = STDERR_FILENO
    ) {
        output.withLock { $0 = Output(format: format, always: always, descriptor: descriptor) }
        lowest.store(level.rawValue, ordering: .relaxed)
    }

    package static func isOn(_ level: Level) -> Bool { level.rawValue >= lowest.load(ordering: .relaxed) }

    package static func trace(_ message: StaticString, _ metadata: @autoclosure () -> [(String, String)] = []) {
        event(.trace, message, metadata())
    }
    package static func debug(_ message: StaticString, _ metadata: @autoclosure () -> [(String, String)] = []) {
        event(.debug, message, metadata())
    }
    package static func info(_ message: StaticString, _ metadata: @autoclosure () -> [(String, String)] = []) {
        event(.info, message, metadata())
    }
    package static func notice(_ message: StaticString, _ metadata: @autoclosure () -> [(String, String)] = []) {
        event(.notice, message, metadata())
    }
    package static func warning(_ message: StaticString, _ metadata: @autoclosure () -> [(String, String)] = []) {
        event(.warning, message, metadata())
    }
    package static func error(_ message: StaticString, _ metadata: @autoclosure () -> [(String, String)] = []) {
        event(.error, message, metadata())
    }
    package static func critical(_ message: StaticString, _ metadata: @autoclosure () -> [(String, String)] = []) {
        event(.critical, message, metadata())
    }

    /// The pairs that name a failure: its code and its three sentences.
    package static func pairs(of failure: Failure) -> [(String, String)] {
        [
            ("failure.code", failure.code.rawValue), ("failure.what", failure.what), ("failure.why", failure.why),
            ("failure.now", failure.now),
        ]
    }

    package static func event(
        _ level: Level, _ message: StaticString, _ metadata: @autoclosure () -> [(String, String)] = []
    ) {
        guard isOn(level) else { return }
        let pairs = metadata()
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let millis = Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
        output.withLock { output in
            let line = logLine(
                output.format, timeMillis: millis, level: level, message: "\(message)", metadata: output.always + pairs)
            output.write(line)
        }
    }

    private struct Output: Sendable {
        var format: Format
        var always: [(String, String)]
        var descriptor: Int32

        func write(_ line: String) {
            var rest = Array(line.utf8)[...]
            while !rest.isEmpty {
                let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if written > 0 {
                    rest = rest.dropFirst(written)
                } else if errno == EAGAIN {
                    // A terminal or pipe that was made non-blocking by another process: wait until it takes more.
                    var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    if poll(&ready, 1, 1000) == 0 { return }
                } else if errno != EINTR {
                    return
                }
            }
        }
    }

    private static let output = Mutex(Output(format: .text, always: [], descriptor: STDERR_FILENO))
    private static let lowest = Atomic(Level.info.rawValue)
}

/// One line of the log with its newline.
package func logLine(
    _ format: Log.Format, timeMillis: Int64, level: Log.Level, message: String, metadata: [(String, String)]
) -> String {
    switch format {
    case .text:
        let name = "\(level)"
        var line = "\(formatTime(timeMillis)) \(name)\(String(repeating: " ", count: 8 - name.utf8.count)) \(message)"
        for (key, value) in metadata {
            let shown = shortened(maskSecrets(value))
            line += " \(key)=\(isBare(shown) ? shown : jsonText(shown))"
        }
        return line + "\n"
    case .json:
        var line = "{\"time\":\"\(formatTime(timeMillis))\",\"level\":\"\(level)\",\"message\":\(jsonText(message))"
        for (key, value) in metadata {
            line += ",\(jsonText(key)):\(jsonText(shortened(maskSecrets(value))))"
        }
        return line + "}\n"
    }
}

/// A value is cut at this length, so that one long message of a library cannot fill a screen or a disk.
private let valueLimitCharacters = 2000

private func shortened(_ value: String) -> String {
    value.utf8.count > valueLimitCharacters && value.count > valueLimitCharacters
        ? value.prefix(valueLimitCharacters) + "…" : value
}

/// Whether a value can stand in a text line without quotes.
private func isBare(_ value: String) -> Bool {
    !value.isEmpty && value.utf8.allSatisfy { $0 > 32 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        && PlainText.isPlain(value)
}

private func jsonText(_ value: String) -> String {
    var text = "\""
    for scalar in value.unicodeScalars {
        switch scalar {
        case "\"": text += "\\\""
        case "\\": text += "\\\\"
        default: text.unicodeScalars.append(scalar)
        }
    }
    return PlainText.of(text) + "\""
}
