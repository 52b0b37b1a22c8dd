// Help as text, made from declarations: of one command, and of all.

package enum HelpText {
    /// Where descriptions begin; a longer name puts its description on the next line.
    private static let column = 30

    package static func usage(_ command: Command) -> String {
        let words = command.positionals.map { positional in
            let name = positional.name + (positional.isRepeated ? "..." : "")
            return positional.isRequired ? name : "[\(name)]"
        }
        return (["sluice", command.name] + words + ["[options]"]).joined(separator: " ")
    }

    package static func of(_ command: Command, width: Int = 100) -> String {
        var lines = ["Usage: " + usage(command), ""]
        lines += wrapped(command.about, width: width)
        if !command.positionals.isEmpty {
            lines += ["", "Arguments:"]
            for positional in command.positionals {
                let choices = positional.choices.isEmpty ? "" : " (\(positional.choices.joined(separator: ", ")))"
                lines += entry(positional.name, positional.help + choices, width: width)
            }
        }
        lines += ["", "Options:"]
        for option in command.allOptions {
            let name = option.name == Option.help.name ? "-h, --help" : "--\(option.name)"
            let notes = [option.fallback.map { "default \($0)" }, option.isRepeated ? "can be repeated" : nil]
            lines += entry(
                option.type == nil ? name : "\(name) \(option.valueName)", option.help + parenthesis(notes),
                width: width)
        }
        if !command.settingKeys.isEmpty {
            lines += ["", "Settings (each also as SLUICE_NAME, in \(SettingsSource.defaultPath), and with --set):"]
            for key in command.settingKeys {
                let note = key.fallback.map { "default \($0)" } ?? key.fallbackNote.map { "default: \($0)" }
                lines += entry("\(key.flag) \(key.type.valueName)", key.what + parenthesis([note]), width: width)
            }
        }
        lines += ["", command.examples.count > 1 ? "Examples:" : "Example:"]
        for example in command.examples { lines += ["  " + example.line, "      " + example.what] }
        return lines.joined(separator: "\n") + "\n"
    }

    package static func ofAll(_ commands: [Command], width: Int = 100) -> String {
        var lines = [
            "Usage: sluice COMMAND [options]", "",
            "Micro-batch analytics over Kafka: exact batches, run by worker processes, into idempotent sinks.",
        ]
        for group in Command.Group.allCases {
            let members = commands.filter { $0.group == group }
            if members.isEmpty { continue }
            lines += ["", group.rawValue + ":"]
            let widest = commands.map(\.name.count).max() ?? 0
            for command in members {
                lines += entry(command.name, command.summary, width: width, column: widest + 4)
            }
        }
        lines += ["", "`sluice COMMAND --help` explains one command; `sluice --version` names the version."]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func parenthesis(_ notes: [String?]) -> String {
        let present = notes.compactMap { $0 }
        return present.isEmpty ? "" : " (\(present.joined(separator: "; ")))"
    }

    private static func entry(_ name: String, _ text: String, width: Int, column: Int = column) -> [String] {
        let indent = String(repeating: " ", count: column)
        let texts = wrapped(text, width: max(20, width - column)).map { indent + $0 }
        let head = "  " + name
        guard head.count + 2 <= column, let first = texts.first else { return [head] + texts }
        return [head + first.dropFirst(head.count)] + texts.dropFirst()
    }
}
