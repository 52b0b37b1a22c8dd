// A command as data: what it is called, what it takes, what it is good for, and what it does.
//
// Everything that a person or a shell sees of a command (help, completion, complaints) is made from this value, and the
// parser reads nothing else. A command is a small file with one `Command`; the list of all stands in `Program`.

/// One thing that `sluice` can do.
package struct Command: Sendable {
    package enum Group: String, CaseIterable, Sendable {
        case jobs = "Run jobs"
        case cluster = "A small cluster"
        case batches = "Look at batches"
        case tools = "Try out and check"
        case about = "About sluice"
    }

    /// Which settings are flags of the command. All others can still come from variables, the file and `--set`.
    package enum SettingFlags: Sendable {
        /// The command reads no settings at all.
        case none
        case some([SettingKey])
        case all
    }

    package struct Example: Sendable {
        package var line: String
        package var what: String

        package init(_ line: String, _ what: String) {
            self.line = line
            self.what = what
        }
    }

    /// One or two words: `run`, `jobs show`.
    package var name: String
    package var group: Group
    /// One line for the list of commands.
    package var summary: String
    /// One to three sentences for its own help.
    package var about: String
    package var positionals: [Positional]
    package var options: [Option]
    package var settingFlags: SettingFlags
    /// What settings are without a word about them elsewhere: a job's own defaults, by its name among the arguments.
    package var settingDefaults: @Sendable (ParsedArguments) throws -> [String: String]
    package var examples: [Example]
    /// Returns the exit status: 0 done, 1 failed. What goes wrong is thrown.
    package var run: @Sendable (ParsedArguments, Terminal) throws -> Int32

    package init(
        _ name: String, _ group: Group, summary: String, about: String, positionals: [Positional] = [],
        options: [Option] = [], settingFlags: SettingFlags = .none,
        settingDefaults: @escaping @Sendable (ParsedArguments) throws -> [String: String] = { _ in [:] },
        examples: [Example],
        run: @escaping @Sendable (ParsedArguments, Terminal) throws -> Int32
    ) {
        self.name = name
        self.group = group
        self.summary = summary
        self.about = about
        self.positionals = positionals
        self.options = options
        self.settingFlags = settingFlags
        self.settingDefaults = settingDefaults
        self.examples = examples
        self.run = run
    }

    /// The keys that are flags here.
    package var settingKeys: [SettingKey] {
        switch settingFlags {
        case .none: []
        case .some(let keys): keys
        case .all: SettingTable.engine.keys
        }
    }

    package var takesSettings: Bool {
        if case .none = settingFlags { return false }
        return true
    }

    /// The command's own options and those that come with reading settings and with being a command.
    package var allOptions: [Option] { options + (takesSettings ? Option.ofSettings : []) + [.help] }
}

/// `--name VALUE`, or `--name` alone for a flag.
package struct Option: Sendable {
    /// Without dashes.
    package var name: String
    /// nil for a flag, which is also known as `--no-name`.
    package var type: SettingType?
    package var valueName: String
    /// What holds without it.
    package var fallback: String?
    package var isRepeated: Bool
    package var help: String

    /// An option with a value.
    package init(
        _ name: String, _ type: SettingType, valueName: String? = nil, fallback: String? = nil,
        isRepeated: Bool = false,
        help: String
    ) {
        self.name = name
        self.type = type
        self.valueName = valueName ?? type.valueName
        self.fallback = fallback
        self.isRepeated = isRepeated
        self.help = help
    }

    /// A flag.
    package init(flag name: String, help: String) {
        self.name = name
        type = nil
        valueName = ""
        fallback = nil
        isRepeated = false
        self.help = help
    }

    package static let json = Option(flag: "json", help: "one JSON object a line, for programs")
    package static let help = Option(flag: "help", help: "show this text")
    package static let set = Option(
        "set", .text, valueName: "NAME=VALUE", isRepeated: true, help: "any setting, also one that has no flag here")
    package static let conf = Option(
        "conf", .file, help: "read settings from this file instead of \(SettingsSource.defaultPath)")
    package static let printSettings = Option(
        flag: "print-settings", help: "show every setting and where its value came from, and do nothing else")
    static let ofSettings = [set, conf, printSettings]
}

/// An argument that is known by its place.
package struct Positional: Sendable {
    /// In capitals, as it stands in the usage line.
    package var name: String
    package var isRequired: Bool
    /// Takes all that follow; only the last one may.
    package var isRepeated: Bool
    /// What completion offers and, unless empty, the only words allowed.
    package var choices: [String]
    /// Words that are allowed beside the choices.
    package var orFile: (@Sendable (String) -> Bool)?
    package var help: String

    package init(
        _ name: String, isRequired: Bool = true, isRepeated: Bool = false, choices: [String] = [], orFile: (@Sendable (String) -> Bool)? = nil, help: String
    ) {
        self.orFile = orFile
        self.name = name
        self.isRequired = isRequired
        self.isRepeated = isRepeated
        self.choices = choices
        self.help = help
    }
}
