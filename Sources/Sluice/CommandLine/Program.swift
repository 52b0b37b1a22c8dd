// The program `sluice`: words in, exit status out.
//
// It finds the command, parses its words, runs it, and is the one place where an error becomes text and a status:
// 0 done, 1 failed, 2 wrong usage (what was asked for cannot be asked so). It knows no command's business.

import Engine
import Foundation
import SQLSyntax

package struct Program: Sendable {
    package let version: String
    package let commands: [Command]
    /// What only the program itself calls: neither help nor completion names them.
    private let inner: [Command]

    /// - Parameter commands: what the program can do besides explaining itself.
    package init(version: String = sluiceVersion, commands: [Command], inner: [Command] = []) {
        self.version = version
        self.inner = inner
        let explaining = [SettingsCommand.command]
        // Completion offers itself too, so it is told of everything including its own name.
        let listed = commands + explaining
        self.commands = listed + [CompletionCommand.command(completing: listed)]
    }

    /// Runs what the words ask for.
    /// - Parameter arguments: without the program's own name.
    package func main(_ arguments: [String], terminal: Terminal = Terminal()) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        do {
            return try dispatch(arguments, terminal)
        } catch is BrokenPipe {
            return 0
        } catch let failure as Failure {
            terminal.failure(failure)
            return Self.status(of: failure)
        } catch let error as SQLError {
            terminal.note(error.description)
            return 1
        } catch {
            terminal.failure(
                Failure(
                    .internal, "something unexpected went wrong", why: "\(type(of: error)): \(error)",
                    now: "this is a defect of sluice: please report it with the command that you ran"))
            return 1
        }
    }

    package static func status(of failure: Failure) -> Int32 {
        switch failure.code {
        case .wrongUsage, .unknownSetting, .invalidSetting: 2
        default: 1
        }
    }

    /// `--print-settings` of any command.
    private func printSettings(_ parsed: ParsedArguments, _ terminal: Terminal) throws {
        let settings = try parsed.settings()
        guard parsed.command.options.contains(where: { $0.name == Option.json.name }), parsed.flag(Option.json.name) else {
            return try terminal.table(settings.printed)
        }
        for entry in settings.printedObjects { try terminal.json(entry) }
    }

    private func dispatch(_ arguments: [String], _ terminal: Terminal) throws -> Int32 {
        switch arguments.first {
        case nil:
            terminal.note(HelpText.ofAll(commands, width: terminal.width))
            return 2
        case "--help", "-h":
            try terminal.text(HelpText.ofAll(commands, width: terminal.width))
            return 0
        case "--version":
            try terminal.line("sluice \(version)")
            return 0
        case "help":
            if arguments.count == 1 { return try dispatch(["--help"], terminal) }
            let (command, _) = try ArgumentParser(commands: commands).selectCommand(Array(arguments.dropFirst()))
            try terminal.text(HelpText.of(command, width: terminal.width))
            return 0
        case let first? where first.hasPrefix("-"):
            throw Failure(
                .wrongUsage, "unknown option \(first)", why: "a command comes first, then its options",
                now: "`sluice --help` lists all commands")
        default:
            let own = inner.first { $0.name == arguments.first }
            let (command, rest) =
                try own.map { ($0, Array(arguments.dropFirst())) }
                ?? ArgumentParser(commands: commands).selectCommand(arguments)
            let parsed = try ArgumentParser.parse(rest, for: command)
            if parsed.wantsHelp {
                try terminal.text(HelpText.of(command, width: terminal.width))
                return 0
            }
            if parsed.wantsSettings {
                try printSettings(parsed, terminal)
                return 0
            }
            return try command.run(parsed, terminal)
        }
    }
}

/// The version of this source, as `--version` says it.
package let sluiceVersion = "0.1.0"
