// `sluice settings`: every setting there is, with its type, default and meaning; and the table of `--print-settings`.

import Engine

enum SettingsCommand {
    static let command = Command(
        "settings", .about, summary: "list all settings",
        about: """
            Lists every setting with its type, its default and what it is. A setting can be a flag (--max-batch-records), \
            a variable (SLUICE_MAX_BATCH_RECORDS), a line of conf/sluice.yaml (max_batch_records), or --set \
            max_batch_records=N.
            """,
        positionals: [Positional("NAME", isRequired: false, help: "one setting, to see all about it")],
        options: [
            .json,
            Option(flag: "yaml", help: "the whole configuration file, every line commented out"),
        ],
        examples: [
            Command.Example("sluice settings lateness", "what lateness is, and why its default is what it is"),
            Command.Example("sluice settings --yaml > conf/sluice.yaml", "begins an own configuration file"),
        ],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        var keys = SettingTable.engine.keys
        if let name = parsed.positional("NAME") {
            guard let key = SettingTable.engine[name] ?? SettingTable.engine.key(flag: name) else {
                throw SettingTable.engine.unknown(name, in: "the command")
            }
            keys = [key]
        }
        if parsed.flag("json") {
            for key in keys { try terminal.json(Line(key)) }
        } else if parsed.flag("yaml") {
            try terminal.text(ConfText.render(SettingTable(keys)))
        } else if parsed.positional("NAME") != nil {
            for key in keys { try explain(key, terminal) }
        } else {
            var table = Table([.text("name"), .text("type"), .text("default"), .text("what")])
            for key in keys { table.add([key.name, key.type.word, key.fallbackText, key.what]) }
            try terminal.table(table)
        }
        return 0
    }

    private static func explain(_ key: SettingKey, _ terminal: Terminal) throws {
        let rows = [
            ("name", key.name), ("what", key.what), ("why", key.why), ("must be", key.type.expectation),
            ("default", key.fallbackText), ("flag", "\(key.flag) \(key.type.valueName)"), ("variable", key.variable),
            ("changes", key.kind == .result ? "what a batch computes" : "only when and where batches run"),
        ]
        for (title, text) in rows { try terminal.line("\(title.padding(to: 10))\(text)") }
    }

    /// The object of `--json`.
    private struct Line: Encodable {
        var name: String
        var section: String
        var type: String
        var choices: [String]?
        var defaultText: String
        var what: String
        var why: String
        var flag: String
        var variable: String
        var changesResult: Bool

        enum CodingKeys: String, CodingKey {
            case name, section, type, choices
            case defaultText = "default"
            case what, why, flag, variable, changesResult
        }

        init(_ key: SettingKey) {
            name = key.name
            section = key.section.rawValue
            type = key.type.word
            if case .choice(let all) = key.type { choices = all }
            defaultText = key.fallbackText
            what = key.what
            why = key.why
            flag = key.flag
            variable = key.variable
            changesResult = key.kind == .result
        }
    }
}

extension Settings {
    /// `--print-settings`: key, value, and where the value came from; secrets masked.
    package var printed: Table {
        var table = Table([.text("setting"), .text("value"), .text("where from")])
        for entry in all { table.add([entry.key.name, entry.shown, entry.origin.description]) }
        return table
    }

    /// The same for programs, one object a setting.
    package var printedObjects: [PrintedSetting] {
        all.map { PrintedSetting(name: $0.key.name, value: $0.shown, origin: $0.origin.description) }
    }

    package struct PrintedSetting: Encodable, Hashable, Sendable {
        package var name: String
        package var value: String
        package var origin: String
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
