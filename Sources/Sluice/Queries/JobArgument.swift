// The argument JOB of commands: the name of a job of this binary, or a file of SQL.
//
// A file becomes settings, as a job's own defaults are: its text, the values for it, and what it SETs; the job's name is the file's. So
// flags, variables and the configuration file go before what the text sets, as with every job.

import Engine
import Foundation
import SQLBinding
import SQLJobs
import SQLSyntax

enum JobArgument {
    static let positional = "JOB"
    static let help = "the job to run: one of this program, or a file of SQL"
    /// What `${NAME}` in a text stands for.
    static let value = Option("value", .text, valueName: "NAME=VALUE", help: "what ${NAME} in a file of SQL stands for, or several with commas between")

    static func isFile(_ word: String) -> Bool { word.hasSuffix(".sql") }

    /// The settings that a text may `SET`, apart from those that SQL itself has.
    static let settingNames: Set<String> = Set(SettingTable.engine.keys.filter { $0 != .kafka }.map(\.name))

    static func definition(_ parsed: ParsedArguments) -> String {
        let word = parsed.required(positional)
        return isFile(word) ? SQLJob.definition : word
    }

    /// The defaults of the job that is named: those of its code, or a text and what it sets.
    /// - Throws: `SQLError` where the text is wrong.
    static func defaults(_ parsed: ParsedArguments, _ jobs: JobDefinitions) throws -> [String: String] {
        guard let word = parsed.positional(positional) else { return [:] }
        guard isFile(word) else { return try jobs.job(word).defaults }
        let text = try QueryFile.text(of: word)
        let job = try QueryFile.job(SourceText(text, name: word), parsed)
        var defaults = job.settings.filter { !BoundJob.settingNames.contains($0.key) }
        if let table = job.tables.first(where: { AddressPassword.isPresent(in: $0.options[.url] ?? "") }) {
            throw SQLFault(
                "the url of \"\(table.name)\" holds a password", at: table.place, why: "the text of a job is written into its log",
                hint: "leave the password out, and use PGPASSFILE or PGPASSWORD"
            ).error(in: job.text)
        }
        defaults[SQLJob.Carrier.query.key] = text
        defaults[SQLJob.Carrier.values.key] = SQLJob.text(of: try QueryFile.values(parsed))
        defaults[SQLJob.Carrier.directory.key] = FileManager.default.currentDirectoryPath
        defaults[SettingKey.name.name] = String(URL(filePath: word).deletingPathExtension().lastPathComponent)
        return defaults
    }
}

extension JobDefinitions {
    /// The defaults of the job that the argument JOB names; without one only the engine's own hold.
    func settingDefaults(_ parsed: ParsedArguments) throws -> [String: String] { try JobArgument.defaults(parsed, self) }
}
