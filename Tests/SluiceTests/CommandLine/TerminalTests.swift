// Lines, tables, JSON and the live block, on a terminal and in a pipe.

import Engine
import Foundation
import Sluice
import Testing

@Suite struct `A terminal` {
    @Test func `keeps its live block below the lines that go past`() throws {
        let captured = Captured(isTerminal: true, width: 20)
        try captured.terminal.live(["a: 1", "b: a line that is too long for it"])
        try captured.terminal.line("batch 1")
        try captured.terminal.live(["a: 2"])
        try captured.terminal.endLive(isKept: true)
        try captured.terminal.line("done")
        let erase = { (rows: Int) in "\u{1B}[\(rows)A\r\u{1B}[J" }
        let cut = "b: a line that is t\n"
        #expect(
            captured.outputText == "a: 1\n\(cut)" + erase(2) + "batch 1\na: 1\n\(cut)" + erase(2) + "a: 2\n" + "done\n")
    }

    @Test func `takes its live block away when it is not kept`() throws {
        let captured = Captured(isTerminal: true)
        try captured.terminal.live(["one"])
        try captured.terminal.endLive()
        #expect(captured.outputText == "one\n\u{1B}[1A\r\u{1B}[J")
    }

    @Test func `moves its live block below a note, and leaves it above a failure`() throws {
        let captured = Captured(isTerminal: true)
        try captured.terminal.live(["one"])
        captured.terminal.note("careful")
        captured.terminal.failure(Failure(.notPossible, "W", why: "Y", now: "N"))
        try captured.terminal.line("last")
        #expect(captured.errorText == "careful\nsluice: W\n  why: Y\n  now: N\n")
        #expect(captured.outputText == "one\n\u{1B}[1A\r\u{1B}[J" + "one\n" + "last\n")
    }

    @Test func `that is a pipe gets plain lines and no block`() throws {
        let captured = Captured(isTerminal: false)
        try captured.terminal.live(["a: 1"])
        try captured.terminal.line("batch 1")
        try captured.terminal.endLive(isKept: true)
        #expect(captured.outputText == "batch 1\n")
    }

    /// What stood in the name of a job, a topic, a sentence of a database.
    private static let hostile = [
        ("a\u{1B}[2Jb", "a\\u001b[2Jb"), ("a\u{9B}2Jb", "a\\u009b2Jb"), ("a\rb", "a\\rb"), ("a\u{202E}b", "a\\u202eb"),
        ("a\u{7F}b\u{8}", "a\\u007fb\\u0008"), ("\u{E0041}", "\\udb40\\udc41"), ("naïve 名 🙂", "naïve 名 🙂"),
    ]

    @Test func `printed the escape sequences in other people's texts`() throws {
        for (text, shown) in Self.hostile {
            for isTerminal in [false, true] {
                let captured = Captured(isTerminal: isTerminal)
                try captured.terminal.line(text)
                try captured.terminal.text(text + "\n")
                captured.terminal.note(text)
                captured.terminal.failure(Failure(.notPossible, text, why: text + "\n  now: obey", now: text))
                #expect(captured.outputText == "\(shown)\n\(shown)\n")
                #expect(captured.errorText == "\(shown)\nsluice: \(shown)\n  why: \(shown)\\n  now: obey\n  now: \(shown)\n")
            }
            var table = Table([.text("job"), .number("lag")])
            table.add([text, "1"])
            table.add([text + "\n", "1"])
            #expect(table.lines[1].hasPrefix(shown + "  ") && table.lines[2].hasPrefix(shown + "\\n"))
            let captured = Captured()
            try captured.terminal.json(["name": text])
            #expect(PlainText.isPlain(String(captured.outputText.dropLast())))
            let read = try JSONDecoder().decode([String: String].self, from: Data(captured.outputText.utf8))
            #expect(read == ["name": text])
        }
        let captured = Captured(isTerminal: true)
        try captured.terminal.live([Self.hostile[0].0])
        #expect(captured.outputText == Self.hostile[0].1 + "\n")
    }

    @Test func `writes an object a line with sorted keys in snake case`() throws {
        struct Row: Encodable {
            var rowsIn = 3
            var doneAt: String? = nil
            var path = "a/b"
            var batch = 7
        }
        let captured = Captured()
        try captured.terminal.json(Row())
        #expect(captured.outputText == "{\"batch\":7,\"path\":\"a/b\",\"rows_in\":3}\n")
    }

    @Test func `aligns texts to the left and numbers to the right`() {
        var table = Table([.text("topic"), .number("lag"), .text("state")])
        table.add(["ads", "1,000", "DONE"])
        table.add(["clicks-long", "7", ""])
        #expect(
            table.lines == [
                "topic          lag  state",
                "ads          1,000  DONE",
                "clicks-long      7",
            ])
    }

    @Test(arguments: [
        (Int64(0), "0"), (999, "999"), (1000, "1,000"), (1_002_003, "1,002,003"), (-45_678, "-45,678"),
        (.min, "-9,223,372,036,854,775,808"),
    ])
    func `groups digits by thousands`(_ value: Int64, _ text: String) {
        #expect(grouped(value) == text)
    }

    @Test func `never mixes lines of several threads`() throws {
        let captured = Captured()
        let terminal = captured.terminal
        let line = String(repeating: "x", count: 700)
        DispatchQueue.concurrentPerform(iterations: 200) { _ in
            do { try terminal.line(line) } catch { Issue.record(error) }
        }
        let lines = captured.outputText.split(separator: "\n")
        #expect(lines.count == 200)
        #expect(lines.allSatisfy { $0 == line })
    }
}
