// A terminal whose output a test can read, and a small program to talk to.

import Engine
import Foundation
import Sluice
import Synchronization
import Testing

/// Standard output and standard error as files that are gone with the value.
final class Captured {
    let terminal: Terminal
    private let output = FileHandle(fileDescriptor: Captured.nameless(), closeOnDealloc: true)
    private let errors = FileHandle(fileDescriptor: Captured.nameless(), closeOnDealloc: true)

    init(isTerminal: Bool = false, width: Int = 80) {
        terminal = Terminal(
            outputDescriptor: output.fileDescriptor, errorDescriptor: errors.fileDescriptor, isTerminal: isTerminal,
            width: width)
    }

    var outputText: String { text(of: output) }
    var errorText: String { text(of: errors) }

    private func text(of handle: FileHandle) -> String {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = pread(handle.fileDescriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    private static func nameless() -> Int32 {
        var template = Array("\(NSTemporaryDirectory())/sluice-captured-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        precondition(descriptor >= 0, "no temporary file")
        unlink(template)
        return descriptor
    }
}

/// A command with one of everything.
let sample = Command(
    "run", .jobs, summary: "run a job here and now",
    about: "Runs a job in this process and in the workers that it starts. It stands until it is told to stop.",
    positionals: [Positional("JOB", help: "the job's name")],
    options: [
        Option(flag: "until-caught-up", help: "end when everything that was there is done"),
        Option("last", .integer(1...1000), fallback: "10", help: "how many batches to show"),
        Option("expect", .text, valueName: "WORD", isRepeated: true, help: "a word to look for"),
        .json,
    ],
    settingFlags: .some([.sink, .workers, .maxBatchRecords, .kafka]),
    examples: [Command.Example("sluice run campaign-views --workers 2", "two worker processes")],
    run: { parsed, terminal in
        try terminal.line("ran \(parsed.required("JOB"))")
        return 0
    })

func command(_ name: String, _ run: @escaping @Sendable (ParsedArguments, Terminal) throws -> Int32 = { _, _ in 0 })
    -> Command
{
    Command(
        name, .jobs, summary: "does \(name)", about: "Does \(name).",
        options: [Option("format", .choice(["avro", "json"]), help: "form")],
        examples: [Command.Example("sluice \(name)", "does it")], run: run)
}

let program = Program(
    version: "9.9.9", commands: [sample, command("jobs"), command("jobs show"), command("jobs stop")])

/// The failure that `body` throws, for a test to look into.
func failure(_ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) throws -> Failure {
    do {
        try body()
    } catch let failure as Failure {
        return failure
    }
    return try #require(nil as Failure?, "nothing was thrown", sourceLocation: sourceLocation)
}
