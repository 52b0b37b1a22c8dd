// `scripts/oracle` must see every kind of difference: a judge that cannot say no proves nothing.

import Engine
import Foundation
import Sluice
import TestSupport
import Testing

private let pythonPath = ["/usr/bin/python3", "/usr/local/bin/python3"].first {
    FileManager.default.isExecutableFile(atPath: $0)
}

@Suite(.enabled(if: pythonPath != nil, "no python3 in /usr/bin or /usr/local/bin"))
struct OracleScriptTests {
    struct Change: Sendable {
        var what: String
        /// Done to a table that holds exactly the expected rows.
        var sql: String
        var status: Int32
        var says: String
    }

    static let window = "'2026-03-01T12:00:00.000Z'"

    @Test(arguments: [
        Change(what: "nothing", sql: "SELECT 1", status: 0, says: "equal"),
        Change(
            what: "another count", sql: "UPDATE campaign_views SET views = views + 1 WHERE rowid = 3", status: 1,
            says: "expected "),
        Change(what: "a lost row", sql: "DELETE FROM campaign_views WHERE rowid = 3", status: 1, says: "found nothing"),
        Change(
            what: "an invented row", sql: "INSERT INTO campaign_views VALUES ('x', \(window), 1)", status: 1,
            says: "expected nothing, found 1"),
        Change(
            what: "a row twice", sql: "INSERT INTO campaign_views SELECT * FROM campaign_views WHERE rowid = 3",
            status: 1, says: "2 rows of one key"),
        Change(
            what: "an early window", sql: "INSERT INTO campaign_views VALUES ('x', '2026-03-01T10:59:50.000Z', 1)",
            status: 0, says: "equal"),
        Change(
            what: "another column", sql: "ALTER TABLE campaign_views RENAME COLUMN views TO sights", status: 2,
            says: "no such column"),
    ])
    func `the oracle finds every kind of difference in a SQLite sink`(change: Change) throws {
        let folder = try TemporaryDirectory("oracle")
        let (expected, lines) = try expectedAnswer(in: folder)
        let sink = folder.file("sink.db")
        let database = try SQLiteDatabase(path: sink)
        try database.execute("CREATE TABLE campaign_views (campaign_id TEXT, window_start TEXT, views INTEGER)")
        for line in lines {
            let fields = line.split(separator: ",").map(String.init)
            try database.execute(
                "INSERT INTO campaign_views VALUES ($1, $2, $3)",
                [.text(fields[0]), .text(fields[1]), .int(try #require(Int64(fields[2])))])
        }
        try database.executeScript(change.sql)
        database.close()
        let run = try oracle(["compare", expected, "sqlite:\(sink)", "--from", "2026-03-01T12:00:00.000Z"])
        #expect(run.status == change.status, "\(run.text)")
        #expect(run.text.contains(change.says), "\(run.text)")
    }

    @Test(arguments: [
        (["nowhere.csv", "sqlite:x"], "nowhere.csv"), (["EXPECTED", "sqlite:/nowhere/sink.db"], "no such file"),
        (["EXPECTED", "mysql://x"], "sqlite:FILE"), (["EXPECTED", "sqlite:x", "--table", "a; b"], "table name"),
        (["EXPECTED", "sqlite:x", "--from", "noon"], "no time"),
    ])
    func `the oracle says what it could not read`(arguments: [String], says: String) throws {
        let folder = try TemporaryDirectory("oracle")
        let (expected, _) = try expectedAnswer(in: folder)
        let run = try oracle(["compare"] + arguments.map { $0 == "EXPECTED" ? expected : $0 })
        #expect(run.status == 2 && run.text.contains(says), "\(run.text)")
    }

    private func expectedAnswer(in folder: TemporaryDirectory) throws -> (path: String, lines: [String]) {
        let wanted = traffic(.avro, events: 3_000) { $0.campaigns = 5 }
        let generator = try AdEventGenerator(wanted)
        let tally = try ViewTally(wanted, generator.directory)
        var counts = TrafficCounts()
        _ = records(of: generator, tally: tally, counts: &counts)
        let bytes = tally.csv().bytes
        let path = folder.file("expected.csv")
        try Data(bytes).write(to: URL(filePath: path))
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst().map(String.init)
        try #require(lines.count >= 5)
        return (path, lines)
    }

    private func oracle(_ arguments: [String]) throws -> (status: Int32, text: String) {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(filePath: try #require(pythonPath))
        process.arguments = [root.appending(path: "scripts/oracle").path] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
    }
}
