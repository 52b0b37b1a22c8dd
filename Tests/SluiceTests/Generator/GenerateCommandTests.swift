// `sluice generate ad-events` from its words to its last line.

import Engine
import Foundation
import Sluice
import TestSupport
import Testing

struct GenerateCommandTests {
    private let sluice = Program(version: "9.9.9", commands: [GenerateCommand.command])

    @Test func `the command sends, writes its files and tells what it did`() throws {
        let broker = try EmbeddedBroker(topics: [("clicks", 4)])
        let folder = try TemporaryDirectory("generate")
        let captured = Captured()
        let words = [
            "generate", "ad-events", "--bootstrap", broker.bootstrap, "--topic", "clicks", "--events", "12000",
            "--start", "2026-03-01T12:00:00Z", "--format", "json", "--late-share", "0.1", "--disorder", "500ms",
            "--ads", folder.file("ads.csv"), "--expected", folder.file("expected.csv"),
        ]
        #expect(sluice.main(words, terminal: captured.terminal) == 0, "\(captured.errorText)")
        let text = captured.outputText
        #expect(text.hasPrefix("clicks: 12,000 json events, "))
        #expect(text.contains("partitions  3,000 3,000 3,000 3,000\n"))
        #expect(text.contains("event time  2026-03-01T12:00:00.000Z to 2026-03-01T12:00:01.200Z, seed 1\n"))
        #expect(text.contains(": 1,000 ads of 100 campaigns\n") && text.contains("late        1,"))
        let answer = try String(contentsOfFile: folder.file("expected.csv"), encoding: .utf8)
        #expect(answer.split(separator: "\n").count == 101)
    }

    @Test func `for programs it prints one object with all counts`() throws {
        let broker = try EmbeddedBroker(topics: [("ad-events", 2)])
        let folder = try TemporaryDirectory("generate")
        let captured = Captured()
        let words = [
            "generate", "ad-events", "--bootstrap", broker.bootstrap, "--events", "1000", "--ads",
            folder.file("ads.csv"), "--json",
        ]
        #expect(sluice.main(words, terminal: captured.terminal) == 0, "\(captured.errorText)")
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(captured.outputText.utf8)) as? [String: Any])
        #expect(object["events"] as? Int == 1000 && object["partition_events"] as? [Int] == [500, 500])
        #expect(object["topic"] as? String == "ad-events" && object["late_views"] as? Int == 0)
        #expect(object["made_topic"] as? Bool == false && object["expected_file"] == nil)
    }

    @Test(
        arguments: [
            (["--events", "0"], 2, "--events"), (["--start", "noon"], 2, "--start"),
            (["--late-share", "2"], 2, "share"),
            (["--bootstrap", "127.0.0.1:1", "--disorder", "2h"], 2, "--disorder"), (["--format", "xml"], 2, "format"),
            ([], 2, "bootstrap"),
            (["--bootstrap", "127.0.0.1:1", "--start", "1970-01-01T00:00:00Z"], 2, "--start"),
        ] as [([String], Int32, String)])
    func `wrong words are refused by name`(words: [String], status: Int32, says: String) {
        let captured = Captured()
        #expect(sluice.main(["generate", "ad-events"] + words, terminal: captured.terminal) == status)
        #expect(captured.errorText.contains(says), "\(captured.errorText)")
    }
}
