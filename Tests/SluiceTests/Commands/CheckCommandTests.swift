import Engine
import Foundation
import Jobs
import Sluice
import TestSupport
import Testing

struct CheckCommandTests {
    private let directory: TemporaryDirectory
    init() throws { directory = try TemporaryDirectory("check") }

    private func check(_ sql: String, _ words: String...) throws -> (status: Int32, output: String, errors: String) {
        let file = directory.file("report.sql")
        try sql.write(toFile: file, atomically: true, encoding: .utf8)
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions(ShippedJobs.all)))
        let status = program.main(["check", file] + words, terminal: captured.terminal)
        return (status, captured.outputText, captured.errorText.replacing(directory.path + "/", with: ""))
    }

    private let tables = """
        CREATE TABLE views (user_id text, campaign text NOT NULL, at timestamptz)
          WITH (connector = 'kafka', topic = 'views', format = 'json', event_time = 'at', lateness = '10 s');

        """

    @Test func `a text that fits says what it reads and writes`() throws {
        let shown = try check(
            tables + "CREATE MATERIALIZED VIEW per AS SELECT campaign, count(*) AS n FROM views WHERE user_id = ${who} GROUP BY campaign;", "--value", "who=me", "--plan")
        #expect(shown.status == 0, "\(shown)")
        #expect(shown.output.contains("input") && shown.output.contains("campaign text, n bigint"), "\(shown.output)")
        #expect(shown.output.contains("aggregate") && shown.output.contains("scan views"), "\(shown.output)")
    }

    @Test func `what is wrong is shown with line, column, caret and what works`() throws {
        let shown = try check(tables + "CREATE MATERIALIZED VIEW per AS\n  SELECT campain, count(*) FROM views GROUP BY campain;")
        #expect(shown.status == 1 && shown.output.isEmpty)
        #expect(shown.errors.hasPrefix("report.sql:4:48: "), "\(shown.errors)")
        let caret = "GROUP BY campain;\n    |                                                ^"
        #expect(shown.errors.contains(caret) && shown.errors.contains("campaign") && shown.errors.contains("  now: "), "\(shown.errors)")
    }

    @Test func `a setting of the engine may be set, and one that is none is named with the nearest`() throws {
        let right = try check(tables + "SET max_batch_records = 1000; SELECT campaign FROM views;")
        #expect(right.status == 0, "\(right)")
        let wrong = try check(tables + "SET max_batch_record = 1000; SELECT campaign FROM views;")
        #expect(wrong.status == 1 && wrong.errors.contains("did you mean \"max_batch_records\"?"), "\(wrong.errors)")
    }

    @Test func `a program gets the same as an object`() throws {
        let wrong = try objects(check("SELECT 1 +;", "--json").output)
        #expect(wrong.first?["kind"] as? String == "error" && wrong.first?["line"] as? Int == 1 && wrong.first?["column"] as? Int == 11)
        let right = try objects(check(tables + "SELECT campaign FROM views;", "--json").output)
        #expect(right.map { $0["kind"] as? String } == ["input", "question"])
    }

    @Test(arguments: ["campaign-views", "campaign-report", "purchases"]) func `the jobs that ship fit as files of SQL, too`(job: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../conf/jobs/\(job).sql").standardized.path
        let shown = try check(String(contentsOfFile: file, encoding: .utf8))
        #expect(shown.status == 0 && shown.output.contains(job.replacing("-", with: "_")), "\(shown)")
    }

    @Test func `a value that is none, and a file that is not there, are refused by name`() throws {
        let wrong = try check("SELECT 1;", "--value", "nonsense")
        #expect(wrong.status == 2 && wrong.errors.contains("NAME=VALUE"), "\(wrong.errors)")
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions(ShippedJobs.all)))
        #expect(program.main(["check", directory.file("none.sql")], terminal: captured.terminal) == 1)
        #expect(captured.errorText.contains("none.sql cannot be read"))
    }
}
