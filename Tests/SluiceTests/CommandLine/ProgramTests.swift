// What comes back from the program: the text, where it goes, and the exit status.

import Engine
import Foundation
import Sluice
import Testing

@Suite struct `The program` {
    @Test func `prints what a command prints and its status`() {
        let captured = Captured()
        #expect(program.main(["run", "views"], terminal: captured.terminal) == 0)
        #expect(captured.outputText == "ran views\n")
        #expect(captured.errorText == "")
    }

    @Test func `answers a wrong word with three lines on standard error and status 2`() {
        let captured = Captured()
        #expect(program.main(["run", "views", "--sinck", "x"], terminal: captured.terminal) == 2)
        #expect(captured.outputText == "")
        #expect(
            captured.errorText == """
                sluice: unknown option --sinck
                  why: run has no option of that name
                  now: did you mean --sink? `sluice run --help` lists all

                """)
    }

    @Test(arguments: [
        (Failure.Code.wrongUsage, Int32(2)), (.unknownSetting, 2), (.invalidSetting, 2), (.brokerUnreachable, 1),
        (.auditFailed, 1), (.fileMissing, 1),
    ])
    func `ends with the status that the failure's code has`(_ code: Failure.Code, _ status: Int32) {
        let failing = Program(commands: [command("fail") { _, _ in throw Failure(code, "W", why: "Y", now: "N") }])
        let captured = Captured()
        #expect(failing.main(["fail"], terminal: captured.terminal) == status)
        #expect(captured.errorText == "sluice: W\n  why: Y\n  now: N\n")
    }

    @Test func `says of an error that it does not know that it is a defect`() {
        struct Odd: Error {}
        let captured = Captured()
        let odd = Program(commands: [command("fail") { _, _ in throw Odd() }])
        #expect(odd.main(["fail"], terminal: captured.terminal) == 1)
        #expect(captured.errorText.contains("please report it"))
    }

    @Test(arguments: [
        ["--version"], ["--help"], ["-h"], ["help"], ["help", "run"], ["run", "--help"], ["run", "-h"],
        ["jobs", "show", "--help"],
    ])
    func `explains itself on standard output with status 0`(_ words: [String]) {
        let captured = Captured()
        #expect(program.main(words, terminal: captured.terminal) == 0)
        #expect(!captured.outputText.isEmpty)
        #expect(captured.errorText == "")
    }

    @Test func `without a word shows its commands on standard error with status 2`() {
        let captured = Captured()
        #expect(program.main([], terminal: captured.terminal) == 2)
        #expect(captured.outputText == "")
        #expect(captured.errorText.contains("run a job here and now"))
    }

    @Test func `ends quietly when nobody reads its output any more`() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        let errors = Captured()
        let terminal = Terminal(outputDescriptor: ends[1], errorDescriptor: ends[1], isTerminal: false)
        let reached = Program(commands: [
            command("chat") { _, terminal in
                try terminal.line("one")
                return 7
            }
        ])
        #expect(reached.main(["chat"], terminal: terminal) == 0)
        #expect(errors.errorText == "")
    }

    @Test func `settings are printed for a job, or for none, and nothing is run`() throws {
        struct Quiet: StreamingJob {
            let name = "quiet"
            let summary = "for the test"
            let defaults = ["lateness": "3s"]
            func define(in job: JobContext) throws {}
        }
        let whole = Program(commands: SluiceProgram.commands(JobDefinitions([Quiet()])))
        for (words, lateness) in [(["run"], "10s"), (["run", "quiet"], "3s"), (["submit", "quiet", "--lateness", "4s"], "4s")] {
            let captured = Captured()
            #expect(whole.main(words + ["--print-settings"], terminal: captured.terminal) == 0)
            let line = captured.outputText.split(separator: "\n").first { $0.hasPrefix("lateness") }
            #expect(line?.split(separator: " ").dropFirst().first == Substring(lateness), "\(words)")
        }
        let captured = Captured()
        #expect(whole.main(["run"], terminal: captured.terminal) == 2)
    }

    @Test func `lists settings as a table, as objects, and as a file`() throws {
        let table = Captured()
        #expect(program.main(["settings"], terminal: table.terminal) == 0)
        let rows = table.outputText.split(separator: "\n")
        #expect(rows.count == SettingTable.engine.keys.count + 1)

        let objects = Captured()
        #expect(program.main(["settings", "lateness", "--json"], terminal: objects.terminal) == 0)
        #expect(objects.outputText.hasPrefix("{\"changes_result\":true,\"default\":\"10s\",\"flag\":\"--lateness\""))

        let unknown = Captured()
        #expect(program.main(["settings", "latenes"], terminal: unknown.terminal) == 2)
        #expect(unknown.errorText.contains("did you mean lateness?"))
    }
}
