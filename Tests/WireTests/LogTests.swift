import Dispatch
import Engine
import Foundation
import Testing

@Suite struct `Log lines` {
    @Test(
        arguments: [
            ([], "2026-03-01T12:00:00.250Z warning  batch is late\n"),
            (
                [("batch.id", "7"), ("job", "a b")],
                "2026-03-01T12:00:00.250Z warning  batch is late batch.id=7 job=\"a b\"\n"
            ),
            ([("x", "")], "2026-03-01T12:00:00.250Z warning  batch is late x=\"\"\n"),
            (
                [("x", "two\nlines \"here\"")],
                "2026-03-01T12:00:00.250Z warning  batch is late x=\"two\\nlines \\\"here\\\"\"\n"
            ),
            (
                [("sink", "postgres://u:pw@h/d")],
                "2026-03-01T12:00:00.250Z warning  batch is late sink=postgres://u:***@h/d\n"
            ),
        ] as [([(String, String)], String)])
    func `an event is one line of text`(metadata: [(String, String)], line: String) throws {
        let millis = try #require(parseTime("2026-03-01T12:00:00.250Z"))
        #expect(
            logLine(.text, timeMillis: millis, level: .warning, message: "batch is late", metadata: metadata) == line)
    }

    @Test func `an event is one JSON object a line`() throws {
        let odd = "tab\t quote\" slash\\ newline\n bell\u{7} ümlaut"
        let line = logLine(
            .json, timeMillis: 0, level: .info, message: "hello", metadata: [("k", odd), ("url", "http://u:pw@h")])
        #expect(line.hasSuffix("}\n") && line.dropLast().allSatisfy { !$0.isNewline })
        let object = try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
        #expect(
            object == [
                "time": "1970-01-01T00:00:00.000Z", "level": "info", "message": "hello", "k": odd,
                "url": "http://u:***@h",
            ])
    }

    @Test func `a value without end is cut`() {
        let line = logLine(
            .text, timeMillis: 0, level: .info, message: "m", metadata: [("k", String(repeating: "x", count: 100_000))])
        #expect(line.utf8.count < 3000)
        #expect(line.hasSuffix("x…\n"))
    }

    @Test func `levels are known by name and ordered`() {
        let names = ["trace", "debug", "info", "notice", "warning", "error", "critical"]
        #expect(names.map { Log.Level(name: $0) } == Log.Level.allCases.map(Optional.some))
        #expect(Log.Level.allCases == Log.Level.allCases.sorted())
        #expect(Log.Level(name: "loud") == nil)
    }

    @Test func `lines of many threads come whole, and a level that is off builds nothing`() throws {
        let pipe = Pipe()
        Log.configure(
            level: .info, format: .json, always: [("process", "test")],
            descriptor: pipe.fileHandleForWriting.fileDescriptor)
        defer { Log.configure() }
        let reading = DispatchQueue(label: "reader")
        nonisolated(unsafe) var received = Data()
        reading.async { received = pipe.fileHandleForReading.readDataToEndOfFile() }

        func never() -> [(String, String)] {
            Issue.record("metadata of a level that is off was built")
            return []
        }
        Log.debug("off", never())
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for event in 0..<100 {
                Log.notice("event", [("id", "\(thread).\(event)"), ("filler", String(repeating: "f", count: 500))])
            }
        }
        Log.error("failed", Log.pairs(of: Failure(.portTaken, "a", why: "b", now: "c")))
        Log.configure()
        try pipe.fileHandleForWriting.close()
        reading.sync {}

        let lines = try received.split(separator: UInt8(ascii: "\n")).map {
            try JSONDecoder().decode([String: String].self, from: Data($0))
        }
        // Others of this process may log meanwhile.
        let own = lines.filter { $0["filler"] != nil || $0["failure.code"] == "portTaken" }
        #expect(Set(own.compactMap { $0["id"] }).count == 800)
        #expect(own.count == 801)
        #expect(lines.allSatisfy { $0["process"] == "test" })
        #expect(own.last?["failure.code"] == "portTaken")
        let time = try #require(own.last?["time"].flatMap(parseTime))
        #expect(abs(Double(time) / 1000 - Date().timeIntervalSince1970) < 60)
    }
}
