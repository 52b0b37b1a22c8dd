// The settings of one run: every known key with its value and where that value came from.
//
// Decides which of several texts for a key holds, and that each is one that the key allows. From the strongest:
//
//     flags (--sink, --set sink=...)  >  SLUICE_* variables  >  configuration file  >  job  >  engine
//
// `resolve` is pure: it is handed the layers and reads nothing (see `SettingsSource` for where they come from). Every
// layer is checked, also where a stronger one hides it: a wrong line in a file is wrong today as on the day when the
// flag is left out. A secret in a flag is refused, because every user of a host can read the arguments of its
// processes.
//
// When changing this file: `digest` is compared with digests in the logs of running jobs. Its text must stay the same
// for the same settings.

import Engine
import Wording

package struct Settings: Sendable {
    package enum Origin: Hashable, Sendable, CustomStringConvertible {
        case flag(String)
        case environment(String)
        case file(path: String, line: Int)
        case job, engine

        package var description: String {
            switch self {
            case .flag(let spelled): "flag \(spelled)"
            case .environment(let variable): "variable \(variable)"
            case .file(let path, let line): "\(path), line \(line)"
            case .job: "default of the job"
            case .engine: "default"
            }
        }
    }

    /// A setting as it was given on the command line; `spelled` is what stood there (`--sink`, `--set sink`).
    package struct Flag: Hashable, Sendable {
        package var name: String
        package var text: String
        package var spelled: String

        package init(name: String, text: String, spelled: String) {
            self.name = name
            self.text = text
            self.spelled = spelled
        }
    }

    package struct Entry: Sendable {
        package var key: SettingKey
        package var text: String
        package var value: SettingValue
        package var origin: Origin

        /// The text as it may be printed.
        package var shown: String { key.shown(text) }
    }

    package let table: SettingTable
    private var entries: [String: Entry] = [:]

    /// The value of every known key out of the layers.
    /// - Parameter flags: in the order of the command line; the last one for a key holds.
    /// - Parameter environment: all variables; those that do not begin with `SLUICE_` and empty ones, by
    ///   which containers say "not set", are not looked at.
    package static func resolve(
        flags: [Flag] = [], environment: [String: String] = [:], file: ConfFile? = nil,
        jobDefaults: [String: String] = [:], table: SettingTable = .engine
    ) throws -> Settings {
        var settings = Settings(table: table.adding(ownKeysOf: jobDefaults))
        for key in settings.table.keys {
            if let text = key.fallback { try settings.set(key, text, .engine) }
        }
        for (name, text) in jobDefaults.sorted(by: { $0.key < $1.key }) {
            if let key = settings.table[name] { try settings.set(key, text, .job) }
        }
        for line in file?.lines ?? [] {
            let origin = Origin.file(path: file?.path ?? "", line: line.number)
            guard let key = settings.table[line.name] else {
                throw settings.table.unknown(line.name, in: origin.description)
            }
            try settings.set(key, line.text, origin)
        }
        for (variable, text) in environment.sorted(by: { $0.key < $1.key })
        where variable.hasPrefix("SLUICE_") && !isForeign(variable) && !text.isEmpty {
            guard let key = settings.table.key(variable: variable) else {
                throw unknownVariable(variable, table: settings.table)
            }
            try settings.set(key, text, .environment(variable))
        }
        for flag in flags {
            guard let key = settings.table[flag.name] else {
                throw settings.table.unknown(flag.name, in: flag.spelled)
            }
            try refuseSecret(of: key, in: flag)
            try settings.set(key, flag.text, .flag(flag.spelled))
        }
        settings.derive()
        return settings
    }

    private init(table: SettingTable) { self.table = table }

    /// Defaults that follow from other settings.
    private mutating func derive() {
        if entries[SettingKey.poll.name] == nil, let interval = optionalMillis(.interval) {
            let pollMillis = interval == 0 ? 5 : interval
            entries[SettingKey.poll.name] = Entry(
                key: .poll, text: formatDuration(pollMillis), value: .integer(pollMillis), origin: .engine)
        }
        if table[SettingKey.sinkFormat.name] != nil, entries[SettingKey.sinkFormat.name] == nil, let format = optionalText(.format) {
            entries[SettingKey.sinkFormat.name] = Entry(
                key: .sinkFormat, text: format, value: .text(format), origin: .engine)
        }
        if entries[SettingKey.state.name] == nil, let catalog = optionalText(.catalog) {
            let place = "file:" + Self.directoryBeside(catalog) + "state"
            entries[SettingKey.state.name] = Entry(key: .state, text: place, value: .text(place), origin: .engine)
        }
    }

    /// The directory of a catalog that is a file, otherwise our own under the current directory; with its last slash.
    private static func directoryBeside(_ catalog: String) -> String {
        guard catalog.hasPrefix("sqlite:") else { return ".sluice/" }
        let path = catalog.dropFirst("sqlite:".count)
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return String(path[...slash])
    }

    private mutating func set(_ key: SettingKey, _ text: String, _ origin: Origin) throws {
        if let instead = SettingTable.fixedProperties[key.name] {
            throw Failure(
                .invalidSetting, "\(key.name) cannot be set", why: "\(origin) sets it, but the engine sets it itself",
                now: instead)
        }
        guard let value = key.type.parse(text) else {
            throw Failure(
                .invalidSetting, "\(key.name) cannot be '\(key.shown(text))'",
                why: "\(origin) says so, and it must be \(key.type.expectation)",
                now: key.fallback.map { "change it, or leave it out for the default, \($0)" }
                    ?? "change it or leave it out")
        }
        entries[key.name] = Entry(key: key, text: text, value: value, origin: origin)
    }

    private static func refuseSecret(of key: SettingKey, in flag: Flag) throws {
        let isSecret = key.isSecret && !flag.text.hasPrefix("file:")
        guard isSecret || AddressPassword.isPresent(in: flag.text) else { return }
        let way =
            key.isSecret
            ? "use \(key.variable), or give file:PATH with the path of a file that holds it"
            : "leave the password out and use PGPASSFILE, PGPASSWORD or \(key.variable)"
        throw Failure(
            .notAllowed, "\(flag.spelled) holds a secret",
            why: "every user of this host can read the arguments of its processes", now: way)
    }

    /// Variables with our prefix that are no settings: the file to read, a shared secret handed to child processes, and
    /// whatever tests use.
    private static func isForeign(_ variable: String) -> Bool {
        variable == SettingsSource.fileVariable || variable == "SLUICE_SECRET" || variable == SettingsSource.probeVariable || variable.hasPrefix("SLUICE_TEST_")
    }

    private static func unknownVariable(_ variable: String, table: SettingTable) -> Failure {
        let nearest = nearestNames(to: variable, among: table.keys.filter { $0 != .kafka }.map(\.variable)).first
        return Failure(
            .unknownSetting, "unknown setting \(variable)",
            why: "the environment holds it, and no setting has that variable",
            now: nearest.map { "did you mean \($0)? `sluice settings` lists all" }
                ?? "unset it; `sluice settings` lists all")
    }
}

extension Settings {
    /// All settings that have a value, in the table's order, then those of librdkafka by name.
    package var all: [Entry] {
        let known = table.keys.compactMap { entries[$0.name] }
        let handed = entries.values.filter { $0.key.name.hasPrefix("kafka.") }
        return known + handed.sorted { $0.key.name < $1.key.name }
    }

    package subscript(name: String) -> Entry? { entries[name] }

    package func origin(of key: SettingKey) -> Origin? { entries[key.name]?.origin }

    package func optionalText(_ key: SettingKey) -> String? { entries[key.name]?.text }

    /// The text of a key that has a default of the engine.
    package func text(_ key: SettingKey) -> String { value(key).canonical }

    /// The text of a key that has no default and that the caller cannot do without.
    package func required(_ key: SettingKey) throws -> String {
        if let text = entries[key.name]?.text { return text }
        throw Failure(
            .invalidSetting, "\(key.name) is not set", why: "this command cannot do without it, and it has no default",
            now: "give \(key.flag) \(key.type.valueName), \(key.variable), or \(key.name) in conf/sluice.yaml")
    }

    package func integer(_ key: SettingKey) -> Int {
        guard case .integer(let value) = value(key) else { preconditionFailure("\(key.name) is no number") }
        return Int(value)
    }

    /// The value of a duration, in milliseconds.
    package func millis(_ key: SettingKey) -> Int64 { Int64(integer(key)) }

    /// The value of a size, in bytes.
    package func bytes(_ key: SettingKey) -> Int { integer(key) }

    package func share(_ key: SettingKey) -> Double {
        guard case .share(let value) = value(key) else { preconditionFailure("\(key.name) is no share") }
        return value
    }

    package func boolean(_ key: SettingKey) -> Bool {
        guard case .boolean(let value) = value(key) else { preconditionFailure("\(key.name) is not yes or no") }
        return value
    }

    private func value(_ key: SettingKey) -> SettingValue {
        guard let entry = entries[key.name] else { preconditionFailure("\(key.name) has no default: use optionalText") }
        return entry.value
    }

    private func optionalMillis(_ key: SettingKey) -> Int64? {
        guard case .integer(let value) = entries[key.name]?.value else { return nil }
        return value
    }

    /// Every setting as text by name: what a job's definition may read. Secrets are left out.
    package var texts: [String: String] {
        entries.mapValues(\.text).filter { entries[$0.key]?.key.isSecret == false }
    }

    /// What somebody set and what may be written down: without defaults of the engine, secrets, and passwords.
    package var recordable: [String: String] {
        entries.values.reduce(into: [:]) { result, entry in
            guard entry.origin != .engine, !entry.key.isSecret else { return }
            result[entry.key.name] = AddressPassword.removed(from: entry.text)
        }
    }

    /// The properties for librdkafka by its own names; secrets as `file:PATH` are still paths (see `SettingsSource`).
    package var kafkaProperties: [String: String] {
        entries.values.reduce(into: [:]) { result, entry in
            guard entry.key.name.hasPrefix("kafka.") else { return }
            result[String(entry.key.name.dropFirst("kafka.".count))] = entry.text
        }
    }

    /// Of everything that changes rows, in canonical form and sorted: two runs with the same digest compute the same.
    /// Passwords are no part of it, so changing one is not another job. How a topic's rows are written counts where the
    /// sink is a topic: elsewhere it changes nothing, and the digests of older logs stay as they are.
    package var digest: String {
        let isTopic = optionalText(.sink)?.hasPrefix("kafka:") ?? false
        let counted = entries.values.filter { entry in
            entry.key.kind == .result && !entry.key.isSecret
                && (isTopic || ![SettingKey.sinkFormat, .sinkSchemaID].contains(entry.key))
        }
        let lines = counted.map { entry in
            "\(entry.key.name)=\(AddressPassword.removed(from: entry.value.canonical))\n"
        }
        return Engine.digest(of: lines.sorted().joined())
    }
}
