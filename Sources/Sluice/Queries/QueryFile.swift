// A file of SQL as commands take it: read, with the values of the command line put in, and bound.

import Engine
import Foundation
import SQLBinding
import SQLSyntax

enum QueryFile {
    static func text(of path: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure(.fileMissing, "\(path) cannot be read", why: String(cString: strerror(errno)), now: "check the path")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw Failure(.fileInvalid, "\(path) is no text", why: "it is not UTF-8 throughout", now: "save it as UTF-8")
        }
        return text
    }

    /// - Throws: `SQLError` where the text is wrong.
    static func job(_ path: String, _ parsed: ParsedArguments) throws -> BoundJob {
        try job(SourceText(try text(of: path), name: path), parsed)
    }

    /// - Throws: `SQLError` where the text is wrong.
    static func job(_ text: SourceText, _ parsed: ParsedArguments) throws -> BoundJob {
        let script = try Script(parsing: text, values: StartValues(values(parsed)))
        return try BoundJob(binding: script, settings: JobArgument.settingNames)
    }

    static func values(_ parsed: ParsedArguments) throws -> [String: String] {
        var values: [String: String] = [:]
        for pair in parsed.text("value")?.split(separator: ",") ?? [] {
            let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2, !words[0].isEmpty else {
                throw Failure(.wrongUsage, "\(pair) is no value", why: "--value wants NAME=VALUE", now: "such as --value region=eu")
            }
            values[String(words[0])] = String(words[1])
        }
        return values
    }
}
