// `sluice doctor`: what is wrong with the set-up, one line a check, with what to do about it.
//
// It changes nothing anywhere and goes on after a check has failed, because what is wrong often has one cause that a
// later line names. The checks themselves are `DoctorBroker` and `DoctorPlaces`.

import Engine
import Foundation
import Wire

enum DoctorCommand {
    static let command = Command(
        "doctor", .tools, summary: "find out what is wrong with the set-up",
        about: """
            Checks the libraries that are loaded and their known defects, whether the broker answers and what it can do, the \
            topics, clocks, disk space, certificates, and the permissions of catalog, state and secret. One line a check: ok, \
            warn, fail, or skip where it cannot be known. Exits with 1 when any failed.
            """,
        options: [.json],
        settingFlags: .some([
            .bootstrap, .topic, .catalog, .state, .secretFile, .tlsCert, .tlsKey, .tlsCA, .reader, .kafka,
        ]),
        examples: [
            Command.Example("sluice doctor --bootstrap 127.0.0.1:9092 --topic ad-events", "everything, before a first run"),
            Command.Example("sluice doctor", "this host alone"),
        ],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let settings = try parsed.settings()
        let places = DoctorPlaces(settings: settings)
        var checks = libraries()
        let topics = settings.optionalText(.topic).map { [$0] } ?? places.knownTopics()
        let nowMillis = Int64(Date().timeIntervalSince1970 * 1000)
        checks += DoctorBroker(settings: settings, topics: topics, nowMillis: nowMillis).checks()
        checks += places.checks()
        if parsed.flag("json") {
            for check in checks { try terminal.json(check) }
        } else {
            try show(checks, terminal)
        }
        return checks.contains { $0.status == .fail } ? 1 : 0
    }

    private static func show(_ checks: [DoctorCheck], _ terminal: Terminal) throws {
        let widest = checks.map(\.check.count).max() ?? 0
        for check in checks {
            let status = check.status.rawValue.padding(toLength: 4, withPad: " ", startingAt: 0)
            let name = check.check.padding(toLength: widest, withPad: " ", startingAt: 0)
            try terminal.line("\(status)  \(name)  \(check.detail)")
            for entry in check.list ?? [] { try terminal.line("      - \(entry)") }
            if let now = check.now { try terminal.line("      now: \(now)") }
        }
        let failed = checks.count { $0.status == .fail }
        let warned = checks.count { $0.status == .warn }
        let skipped = checks.count { $0.status == .skip }
        try terminal.line(
            failed == 0 && warned == 0
                ? "nothing is wrong\(skipped > 0 ? ", as far as it could be checked (\(skipped) skipped)" : "")"
                : "\(failed) failed, \(warned) to look at, \(skipped) skipped")
    }

    private static func libraries() -> [DoctorCheck] {
        (LibraryVersion.engine + WireLibraries.loaded).map { library in
            let detail = library.version + (library.path.map { " (\($0))" } ?? "")
            return library.name == "librdkafka"
                ? client(KafkaVersion.loaded, detail: detail) : .ok(library.name, detail)
        }
    }

    /// The Kafka client library, with what is known to be wrong with this version of it.
    static func client(_ version: KafkaVersion, detail: String) -> DoctorCheck {
        let defects = version.knownDefects
        if defects.isEmpty { return .ok("librdkafka", detail) }
        return .warn(
            "librdkafka", "\(detail): \(defects.count) known defect\(defects.count == 1 ? "" : "s")", list: defects,
            now: "run scripts/setup, which puts a newer one where this program looks first")
    }
}
