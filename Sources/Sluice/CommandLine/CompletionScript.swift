// Completion for bash, zsh and fish out of the same declarations as everything else.
//
// The scripts hold words only: no shell has to start `sluice` to complete. What they offer is the command's name (one
// or two words), its options and settings, the choices of a value, and files where a file is meant.

struct CompletionScript {
    let commands: [Command]

    /// An option as a shell needs it.
    private struct Offer {
        var flag: String
        var takesValue: Bool
        var choices: [String]
        var isFile: Bool
        var help: String
    }

    private func offers(of command: Command) -> [Offer] {
        let options = command.allOptions.map {
            Offer(
                flag: "--" + $0.name, takesValue: $0.type != nil, choices: $0.type?.choices ?? [],
                isFile: $0.type == .file, help: $0.help)
        }
        let settings = command.settingKeys.filter { $0 != .kafka }.map {
            Offer(
                flag: $0.flag, takesValue: true, choices: $0.type.choices, isFile: $0.type == .file, help: $0.what)
        }
        return options + settings
    }

    private var firstWords: [String] {
        var seen: Set<String> = ["help"]
        let words = commands.compactMap { $0.name.split(separator: " ").first.map(String.init) }
        return words.filter { seen.insert($0).inserted } + ["help", "--help", "--version"]
    }

    private func secondWords(of first: String) -> [String] {
        commands.filter { $0.name.hasPrefix(first + " ") }.map { String($0.name.dropFirst(first.count + 1)) }
    }

    private func choices(ofPositionalsOf command: Command) -> [String] { command.positionals.flatMap(\.choices) }

    var bash: String {
        var lines = [
            "# sluice completion for bash; use it with: source <(sluice completion bash)",
            "_sluice() {",
            "    local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"",
            "    local command=\"${COMP_WORDS[1]}\" words=\"\"",
            "    COMPREPLY=()",
            "    if (( COMP_CWORD == 1 )); then",
            "        COMPREPLY=($(compgen -W \"\(firstWords.joined(separator: " "))\" -- \"$current\"))",
            "        return",
            "    fi",
            "    if (( COMP_CWORD > 2 )); then",
            "        case \"$command ${COMP_WORDS[2]}\" in",
        ]
        let doubles = commands.map(\.name).filter { $0.contains(" ") }
        // An empty list of patterns is a syntax error.
        let pattern = doubles.isEmpty ? "''" : doubles.map { "'\($0)'" }.joined(separator: "|")
        lines += ["            \(pattern)) command=\"$command ${COMP_WORDS[2]}\" ;;", "        esac", "    fi"]
        lines.append("    case \"$command:$previous\" in")
        for command in commands {
            for offer in offers(of: command) where offer.takesValue {
                let reply =
                    offer.isFile
                    ? "compgen -f -- \"$current\""
                    : "compgen -W \"\(offer.choices.joined(separator: " "))\" -- \"$current\""
                lines.append("        '\(command.name):\(offer.flag)') COMPREPLY=($(\(reply))); return ;;")
            }
        }
        lines += ["        *) ;;", "    esac", "    case \"$command\" in"]
        for command in commands {
            let words = choices(ofPositionalsOf: command) + offers(of: command).map(\.flag)
            lines.append("        '\(command.name)') words=\"\(words.joined(separator: " "))\" ;;")
        }
        lines += ["    esac", "    if (( COMP_CWORD == 2 )); then", "        case \"$command\" in"]
        for first in firstWords where !secondWords(of: first).isEmpty {
            lines.append("            '\(first)') words+=\" \(secondWords(of: first).joined(separator: " "))\" ;;")
        }
        lines += [
            "            help) words=\"\(firstWords.filter { !$0.hasPrefix("-") }.joined(separator: " "))\" ;;",
            "        esac", "    fi",
            "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))",
            "}",
            "complete -o default -F _sluice sluice", "",
        ]
        return lines.joined(separator: "\n")
    }

    var zsh: String {
        var lines = [
            "#compdef sluice",
            "# sluice completion for zsh; use it with: source <(sluice completion zsh)",
            "_sluice() {",
            "    local command=\"${words[2]}\"",
            "    if (( CURRENT == 2 )); then",
            "        local -a commands=(",
        ]
        for command in commands where !command.name.contains(" ") {
            lines.append("            '\(command.name):\(Self.quoted(command.summary))'")
        }
        for first in firstWords where !commands.contains(where: { $0.name == first }) && !first.hasPrefix("-") {
            lines.append("            '\(first)'")
        }
        lines += ["        )", "        _describe command commands", "        return", "    fi"]
        for first in firstWords where !secondWords(of: first).isEmpty {
            let words = secondWords(of: first).joined(separator: " ")
            lines += [
                "    if [[ \"$command\" == '\(first)' ]]; then",
                "        if (( CURRENT == 3 )); then compadd -- \(words); fi",
                "        case \"${words[3]}\" in \(words.replacing(" ", with: "|"))) command+=\" ${words[3]}\" ;; esac",
                "    fi",
            ]
        }
        lines.append("    case \"$command\" in")
        for command in commands {
            lines.append("        '\(command.name)') _arguments -S \\")
            for offer in offers(of: command) {
                let value =
                    !offer.takesValue
                    ? ""
                    : offer.isFile
                        ? ":file:_files"
                        : ":value:"
                            + (offer.choices.isEmpty
                                ? "" : "(\(offer.choices.map(Self.escaped).joined(separator: " ")))")
                lines.append("            '\(offer.flag)[\(Self.quoted(offer.help))]\(value)' \\")
            }
            let choices = choices(ofPositionalsOf: command)
            lines.append(
                "            '*:argument:\(choices.isEmpty ? "_files" : "(\(choices.joined(separator: " ")))")' ;;")
        }
        lines += ["    esac", "}", "compdef _sluice sluice", ""]
        return lines.joined(separator: "\n")
    }

    var fish: String {
        var lines = ["# sluice completion for fish", "complete -c sluice -f"]
        for first in firstWords {
            if first.hasPrefix("--") {
                lines.append("complete -c sluice -n __fish_use_subcommand -l \(first.dropFirst(2))")
                continue
            }
            let summary = commands.first { $0.name == first }?.summary ?? ""
            lines.append("complete -c sluice -n __fish_use_subcommand -a \(first) -d '\(Self.plain(summary))'")
            for second in secondWords(of: first) {
                let summary = commands.first { $0.name == "\(first) \(second)" }?.summary ?? ""
                lines.append(
                    "complete -c sluice -n '__fish_seen_subcommand_from \(first)' -a \(second) -d '\(Self.plain(summary))'"
                )
            }
        }
        for command in commands {
            let seen = command.name.split(separator: " ").map { "__fish_seen_subcommand_from \($0)" }
            let condition = seen.joined(separator: "; and ")
            for word in choices(ofPositionalsOf: command) {
                lines.append("complete -c sluice -n '\(condition)' -a \(word)")
            }
            for offer in offers(of: command) {
                var line = "complete -c sluice -n '\(condition)' -l \(offer.flag.dropFirst(2))"
                if offer.isFile { line += " -r -F" } else if offer.takesValue { line += " -x" }
                if !offer.choices.isEmpty { line += " -a '\(offer.choices.joined(separator: " "))'" }
                lines.append(line + " -d '\(Self.plain(offer.help))'")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Inside single quotes of a shell.
    private static func plain(_ text: String) -> String { text.replacing("'", with: "'\\''") }

    /// Inside single quotes and in brackets of zsh's `_arguments`.
    private static func quoted(_ text: String) -> String {
        plain(text).replacing("[", with: "\\[").replacing("]", with: "\\]").replacing(":", with: "\\:")
    }

    private static func escaped(_ choice: String) -> String { choice.replacing(":", with: "\\:") }
}
