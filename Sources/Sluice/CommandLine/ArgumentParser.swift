// Arguments to a command and its values: which command is meant, and what each word is.
//
// GNU's long options: `--name value`, `--name=value`, `--flag`, `--no-flag`; `--` ends options; `-h` is help. Pure:
// words in, a value or a `Failure` of `wrongUsage` out. Every complaint names the word, and the nearest known one.
// Words are never shortened or guessed: what works today must not become ambiguous with the next option.

import Engine
import Wording

package struct ArgumentParser: Sendable {
    package let commands: [Command]

    package init(commands: [Command]) { self.commands = commands }

    /// Finds the command that the first one or two words name.
    /// - Returns: the command and the words that follow its name.
    package func selectCommand(_ arguments: [String]) throws -> (command: Command, rest: [String]) {
        let first = arguments.first ?? ""
        let second = arguments.count > 1 ? arguments[1] : ""
        if let command = commands.first(where: { $0.name == "\(first) \(second)" }) {
            return (command, Array(arguments.dropFirst(2)))
        }
        let family = commands.filter { $0.name.hasPrefix(first + " ") }
        if let command = commands.first(where: { $0.name == first }) {
            if !family.isEmpty, command.positionals.isEmpty, !second.isEmpty, !second.hasPrefix("-") {
                throw unknownCommand("\(first) \(second)", among: family.map(\.name))
            }
            return (command, Array(arguments.dropFirst()))
        }
        if !family.isEmpty {
            throw unknownCommand(second.isEmpty ? first : "\(first) \(second)", among: family.map(\.name))
        }
        throw unknownCommand(first, among: commands.map(\.name))
    }

    private func unknownCommand(_ name: String, among known: [String]) -> Failure {
        let nearest = nearestNames(to: name, among: known).first
        return Failure(
            .wrongUsage, "unknown command \(name)", why: "sluice has no command of that name",
            now: nearest.map { "did you mean \($0)? `sluice --help` lists all commands" }
                ?? "`sluice --help` lists all commands")
    }

    package static func parse(_ words: [String], for command: Command) throws -> ParsedArguments {
        var parsed = ParsedArguments(command: command)
        var loose: [String] = []
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            if word == "--" {
                loose += words[index...]
                break
            }
            if word == "-h" {
                parsed.wantsHelp = true
            } else if word.hasPrefix("--") {
                let equals = word.firstIndex(of: "=")
                let name = String(word[..<(equals ?? word.endIndex)].dropFirst(2))
                let attached = equals.map { String(word[word.index(after: $0)...]) }
                if let known = findFlag(name, of: command) {
                    if attached != nil { throw takesNoValue(name) }
                    parsed.flags[known.name] = known.isOn
                    if known.name == Option.help.name { parsed.wantsHelp = known.isOn }
                    continue
                }
                guard let target = findValued(name, of: command) else { throw unknownOption(name, command) }
                var text = attached
                // A value may begin with one dash (-10m); two are more likely the next option.
                if text == nil, index < words.count, !words[index].hasPrefix("--") {
                    text = words[index]
                    index += 1
                }
                guard let text else { throw needsValue(name, target.valueName) }
                try accept(text, for: target, spelled: "--" + name, into: &parsed)
            } else if word.hasPrefix("-"), word.count > 1 {
                throw unknownShort(word, command)
            } else {
                loose.append(word)
            }
        }
        if !parsed.wantsHelp { try place(loose, into: &parsed) }
        return parsed
    }

    /// What an option with a value belongs to.
    private enum Target {
        case option(Option)
        case setting(SettingKey)

        var valueName: String {
            switch self {
            case .option(let option): option.valueName
            case .setting(let key): key.type.valueName
            }
        }
    }

    private static func findFlag(_ name: String, of command: Command) -> (name: String, isOn: Bool)? {
        for option in command.allOptions where option.type == nil {
            if name == option.name { return (name, true) }
            if name == "no-" + option.name { return (option.name, false) }
        }
        return nil
    }

    private static func findValued(_ name: String, of command: Command) -> Target? {
        if let option = command.allOptions.first(where: { $0.name == name }) { return .option(option) }
        let keys = command.settingKeys
        if let key = keys.first(where: { $0 != .kafka && $0.flag == "--" + name }) { return .setting(key) }
        if keys.contains(.kafka), name.hasPrefix("kafka."), let key = SettingTable.engine[name] { return .setting(key) }
        return nil
    }

    private static func accept(
        _ text: String, for target: Target, spelled: String, into parsed: inout ParsedArguments
    ) throws {
        switch target {
        case .setting(let key):
            // Checked by `Settings.resolve`, together with the other layers.
            parsed.settingFlags.append(Settings.Flag(name: key.name, text: text, spelled: spelled))
        case .option(let option) where option.name == Option.set.name && parsed.command.takesSettings:
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                throw Failure(
                    .wrongUsage, "--set needs NAME=VALUE", why: "what follows it has no = after a name",
                    now: "write for example --set lateness=10s")
            }
            let name = String(text[..<equals])
            let value = String(text[text.index(after: equals)...])
            parsed.settingFlags.append(Settings.Flag(name: name, text: value, spelled: "--set \(name)"))
        case .option(let option):
            guard let value = option.type?.parse(text) else {
                throw Failure(
                    .wrongUsage, "\(spelled) cannot be '\(AddressPassword.masked(text))'",
                    why: "it must be \(option.type?.expectation ?? "a flag")",
                    now: "`sluice \(parsed.command.name) --help` shows an example")
            }
            parsed.values[option.name, default: []].append(value)
        }
    }

    private static func place(_ loose: [String], into parsed: inout ParsedArguments) throws {
        let command = parsed.command
        var rest = loose[...]
        for positional in command.positionals {
            let taken = positional.isRepeated ? Array(rest) : Array(rest.prefix(1))
            rest = rest.dropFirst(taken.count)
            if taken.isEmpty, positional.isRequired, !parsed.wantsSettings {
                throw Failure(
                    .wrongUsage, "\(positional.name) is missing", why: "\(command.name) needs \(positional.help)",
                    now: "usage: \(HelpText.usage(command))")
            }
            if !positional.choices.isEmpty, let wrong = taken.first(where: { !positional.choices.contains($0) && positional.orFile?($0) != true }) {
                throw Failure(
                    .wrongUsage, "\(positional.name) cannot be '\(wrong)'",
                    why: "it must be one of " + positional.choices.joined(separator: ", "),
                    now: nearestNames(to: wrong, among: positional.choices).first.map { "did you mean \($0)?" }
                        ?? "usage: \(HelpText.usage(command))")
            }
            parsed.words[positional.name] = taken
        }
        if let extra = rest.first {
            throw Failure(
                .wrongUsage, "'\(extra)' is one argument too many",
                why:
                    "\(command.name) takes \(command.positionals.isEmpty ? "none" : "only " + command.positionals.map(\.name).joined(separator: " "))",
                now: "usage: \(HelpText.usage(command))")
        }
    }

    private static func unknownOption(_ name: String, _ command: Command) -> Failure {
        let known = command.allOptions.map(\.name) + command.settingKeys.map { String($0.flag.dropFirst(2)) }
        let help = "`sluice \(command.name) --help` lists all"
        return Failure(
            .wrongUsage, "unknown option --\(name)", why: "\(command.name) has no option of that name",
            now: nearestNames(to: name, among: known).first.map { "did you mean --\($0)? \(help)" } ?? help)
    }

    private static func unknownShort(_ word: String, _ command: Command) -> Failure {
        Failure(
            .wrongUsage, "unknown option \(word)", why: "apart from -h, options are words with two dashes",
            now: "`sluice \(command.name) --help` lists all; put -- before an argument that begins with a dash")
    }

    private static func takesNoValue(_ name: String) -> Failure {
        Failure(
            .wrongUsage, "--\(name) takes no value", why: "it is a flag: there or not",
            now: name.hasPrefix("no-") ? "leave out what follows the =" : "use --\(name) or --no-\(name)")
    }

    private static func needsValue(_ name: String, _ valueName: String) -> Failure {
        Failure(
            .wrongUsage, "--\(name) needs a value", why: "nothing, or the next option, follows it",
            now: "write --\(name) \(valueName), or --\(name)=VALUE for a value that begins with two dashes")
    }
}
