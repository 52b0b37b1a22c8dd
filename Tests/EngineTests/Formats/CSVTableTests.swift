// CSV: what a table is, what is refused and on which line, and that what we write we read.

import Engine
import Foundation
import TestSupport
import Testing

struct CSVTableTests {
    private func rows(_ text: String) throws -> [[String]] {
        let table = try CSVTable(Array(text.utf8), source: "the test")
        return [table.header] + (0..<table.rowCount).map { row in table.columns.map { $0.string(row) } }
    }

    @Test(
        arguments: [
            ("ad_id,campaign_id\na1,c1\na2,c2\n", [["ad_id", "campaign_id"], ["a1", "c1"], ["a2", "c2"]]),
            ("a,b\r\n1,2\r\n3,4", [["a", "b"], ["1", "2"], ["3", "4"]]),
            ("a,b\n\"x,y\",\"say \"\"hi\"\"\"\n", [["a", "b"], ["x,y", "say \"hi\""]]),
            ("a,b\n\"two\nlines\",\"\"\n", [["a", "b"], ["two\nlines", ""]]),
            ("a,b\n,\n\n\nx,", [["a", "b"], ["", ""], ["x", ""]]),
            ("\u{FEFF}a\nä\n", [["a"], ["ä"]]), ("a\n\"\"\n", [["a"], [""]]), ("a,b", [["a", "b"]]),
            ("a,b\nx\ry,z\n", [["a", "b"], ["x\ry", "z"]]),
        ] as [(String, [[String]])])
    func `a table is read as RFC 4180 says`(text: String, expected: [[String]]) throws {
        #expect(try rows(text) == expected)
    }

    @Test(arguments: [
        ("", "empty"), ("\n\n", "empty"), ("a,b\n1,2\n3\n", "line 3"), ("a,b\n1,2,3\n", "line 2"),
        ("a,b\n\"x\n\n\",1\n1,2,3\n", "line 5"), ("a,b\n1,\"open\n\n", "line 2"), ("a,b\n\"x\"y,1\n", "line 2"),
        ("a,b\nx\"y,1\n", "line 2"), ("a,a\n1,2\n", "same name"),
    ])
    func `a broken table is refused with its line`(text: String, mention: String) {
        let failure = #expect(throws: Failure.self) { try CSVTable(Array(text.utf8), source: "the test") }
        #expect(failure?.code == .fileInvalid)
        #expect(failure?.why.contains(mention) == true, "\(failure?.why ?? "")")
    }

    @Test func `bytes that are no UTF-8 are refused with their line`() {
        let failure = #expect(throws: Failure.self) {
            try CSVTable(Array("a\nx\n".utf8) + [0xFF, 0x0A], source: "the test")
        }
        #expect(failure?.why.contains("line 3") == true)
    }

    @Test func `a missing column and a missing file are named`() throws {
        let table = try CSVTable(Array("ad,campaign\n1,2\n".utf8), source: "ads.csv")
        #expect(try table.column("campaign", source: "ads.csv").string(0) == "2")
        let column = #expect(throws: Failure.self) { try table.column("campaign_id", source: "ads.csv") }
        #expect(column?.what.contains("campaign_id") == true && column?.why.contains("ad and campaign") == true)
        let file = #expect(throws: Failure.self) { try CSVTable(path: "/nonexistent/ads.csv") }
        #expect(file?.code == .fileMissing)
        let folder = #expect(throws: Failure.self) { try CSVTable(path: "/") }
        #expect(folder?.code == .fileInvalid)
    }

    @Test func `rows that were written are read back`() throws {
        let schema = Schema([Field("t", .text, nullable: true), Field("i", .int64), Field("w", .timestamp), Field("d", .float64)])
        var chunk = Chunk(schema: schema)
        let texts = ["plain", "a,b", "quote \" inside", "line\nend", "cr\rlf\r\n", "", "ä"]
        for (index, text) in texts.enumerated() {
            let row: [Value] = [.text(text), .int64(Int64(index)), .timestamp(1_772_366_400_250), .float64(0.5)]
            for (column, value) in zip(chunk.columns, row) { column.append(value) }
        }
        for (column, value) in zip(chunk.columns, [.null, .int64(9), .timestamp(0), .float64(-1)] as [Value]) {
            column.append(value)
        }
        chunk.rowCount = texts.count + 1
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).csv").path
        defer { unlink(path) }
        try writeCSV([chunk], header: schema.names, to: path)
        let table = try CSVTable(path: path)
        #expect(table.header == schema.names)
        #expect((0..<table.rowCount).map { table.columns[0].string($0) } == texts + [""])
        #expect(table.columns[2].string(0) == "2026-03-01T12:00:00.250Z")
        #expect(table.columns[3].string(7) == "-1.0")
        let failure = #expect(throws: Failure.self) {
            try writeCSV([chunk], header: schema.names, to: "/nonexistent/out.csv")
        }
        #expect(failure?.what.contains("out.csv") == true)
    }
}
