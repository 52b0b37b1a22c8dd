// What stood on the command line, checked against the command's declaration.
//
// Asking for an option or argument that the command does not declare is a defect of ours and stops the process: it
// would otherwise read as "not given" for ever.

import Engine

package struct ParsedArguments: Sendable {
    package let command: Command
    var flags: [String: Bool] = [:]
    var values: [String: [SettingValue]] = [:]
    var words: [String: [String]] = [:]
    /// Settings given as flags or with `--set`, in their order.
    package internal(set) var settingFlags: [Settings.Flag] = []
    package internal(set) var wantsHelp = false

    init(command: Command) { self.command = command }

    package func flag(_ name: String) -> Bool {
        check(name, isFlag: true)
        return flags[name] ?? false
    }

    package func text(_ name: String) -> String? { value(name)?.canonical }

    /// The value of an option that is declared with a default.
    package func textOrDefault(_ name: String) -> String {
        guard let text = text(name) else { preconditionFailure("--\(name) has no default") }
        return text
    }

    package func integer(_ name: String) -> Int? {
        guard let value = value(name) else { return nil }
        guard case .integer(let number) = value else { preconditionFailure("--\(name) is no number") }
        return Int(number)
    }

    /// The value of a duration, in milliseconds.
    package func millis(_ name: String) -> Int64? { integer(name).map(Int64.init) }

    package func share(_ name: String) -> Double? {
        guard let value = value(name) else { return nil }
        guard case .share(let share) = value else { preconditionFailure("--\(name) is no share") }
        return share
    }

    /// All values of a repeated option, in their order.
    package func all(_ name: String) -> [String] {
        check(name, isFlag: false)
        return (values[name] ?? []).map(\.canonical)
    }

    /// The argument in this place, or nil when it was left out.
    package func positional(_ name: String) -> String? {
        guard command.positionals.contains(where: { $0.name == name }) else {
            preconditionFailure("\(command.name) declares no \(name)")
        }
        return words[name]?.first
    }

    /// An argument that is declared as required.
    package func required(_ name: String) -> String {
        guard let word = positional(name) else { preconditionFailure("\(name) is not declared as required") }
        return word
    }

    package func positionals(_ name: String) -> [String] { words[name] ?? [] }

    /// The settings of this run: flags over variables over the file over the job's and the engine's defaults.
    package func settings() throws -> Settings {
        try SettingsSource.load(
            flags: settingFlags, confPath: text(Option.conf.name), jobDefaults: command.settingDefaults(self))
    }

    /// Only the settings are asked for, and nothing is to be done: no argument is needed either.
    package var wantsSettings: Bool { command.takesSettings && flag(Option.printSettings.name) }

    private func value(_ name: String) -> SettingValue? {
        let option = check(name, isFlag: false)
        return values[name]?.last ?? option.fallback.flatMap { option.type?.parse($0) }
    }

    @discardableResult
    private func check(_ name: String, isFlag: Bool) -> Option {
        guard let option = command.allOptions.first(where: { $0.name == name }), (option.type == nil) == isFlag else {
            preconditionFailure("\(command.name) declares no \(isFlag ? "flag" : "option") --\(name)")
        }
        return option
    }
}
