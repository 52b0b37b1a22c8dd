// The SQLite wrapper: values in and out, parameters, transactions, and what each defect is called.

import CSQLite
import Engine
import Foundation
import TestSupport
import Testing

@Suite struct SQLiteDatabaseTests {
    let directory: TemporaryDirectory
    init() throws { directory = try TemporaryDirectory("sqlite") }

    func open(_ name: String = "a.db", readOnly: Bool = false, busyTimeoutMillis: Int = 0) throws -> SQLiteDatabase {
        try SQLiteDatabase(path: directory.file(name), readOnly: readOnly, busyTimeoutMillis: busyTimeoutMillis)
    }

    @Test(arguments: [
        SQLValue.null, .int(0), .int(.min), .int(.max), .double(0.1), .double(-1e300), .text(""), .text("a'b\"c\0d"),
        .text("snow ☃ 🧊"), .blob([]), .blob([0, 255, 39]),
    ])
    func `a bound value comes back as it went in`(value: SQLValue) throws {
        let database = try open()
        try database.execute("CREATE TABLE t (v)")
        try database.execute("INSERT INTO t VALUES ($1)", [value])
        #expect(try database.execute("SELECT v FROM t") == [[value]])
    }

    @Test func `parameters are bound by their number, in any order and more than once`() throws {
        let database = try open()
        let rows = try database.execute("SELECT $3, $1, $1, $2", [.int(1), .text("two"), .int(3)])
        #expect(rows == [[.int(3), .int(1), .int(1), .text("two")]])
        #expect(throws: Failure.self) { try database.execute("SELECT $1", []) }
    }

    @Test func `changed rows are those of the last statement`() throws {
        let database = try open()
        try database.execute("CREATE TABLE t (v)")
        try database.execute("INSERT INTO t VALUES (1), (2), (3)")
        #expect(database.changedRows == 3)
        try database.execute("UPDATE t SET v = 9 WHERE v > 100")
        #expect(database.changedRows == 0)
        try database.execute("DELETE FROM t WHERE v = 2")
        #expect(database.changedRows == 1)
        try database.execute("SELECT * FROM t")
        #expect(database.changedRows == 0)
        try database.execute("CREATE TABLE u (v)")
        #expect(database.changedRows == 0)
    }

    @Test func `a missing directory is made, the file is a durable write-ahead log with foreign keys`() throws {
        let database = try open("deep/er/a.db")
        #expect(try database.execute("PRAGMA journal_mode") == [[.text("wal")]])
        #expect(try database.execute("PRAGMA synchronous") == [[.int(2)]])
        try database.executeScript("CREATE TABLE p (k PRIMARY KEY); CREATE TABLE c (k REFERENCES p(k));")
        #expect(failureCode { try database.execute("INSERT INTO c VALUES (1)") } == .rowRefused)
    }

    @Test func `a transaction that throws leaves nothing, and the next one works`() throws {
        let database = try open()
        try database.execute("CREATE TABLE t (v)")
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try database.transaction {
                try database.execute("INSERT INTO t VALUES (1)")
                throw Stop()
            }
        }
        #expect(try database.execute("SELECT count(*) FROM t") == [[.int(0)]])
        let result = try database.transaction { try database.execute("INSERT INTO t VALUES (2) RETURNING v") }
        #expect(result == [[.int(2)]])
        #expect(try open().execute("SELECT v FROM t") == [[.int(2)]])
    }

    @Test func `a second writer is told busy, at once or after the time it wanted to wait`() throws {
        let first = try open()
        let second = try open()
        let patient = try open(busyTimeoutMillis: 50)
        try first.execute("CREATE TABLE t (v)")
        try first.transaction {
            #expect(failureCode { try second.transaction {} } == .databaseBusy)
            let start = ContinuousClock.now
            #expect(failureCode { try patient.transaction {} } == .databaseBusy)
            #expect(ContinuousClock.now - start >= .milliseconds(45))
        }
        try second.transaction {}
    }

    @Test func `a full disk is called so, and what was there stays`() throws {
        let database = try open()
        try database.execute("CREATE TABLE t (v)")
        try database.execute("INSERT INTO t VALUES (1)")
        try database.execute("PRAGMA max_page_count = 4")
        let large = SQLValue.blob([UInt8](repeating: 7, count: 100_000))
        #expect(failureCode { try database.transaction { try database.execute("INSERT INTO t VALUES ($1)", [large]) } } == .diskFull)
        #expect(try database.execute("SELECT v FROM t") == [[.int(1)]])
        try database.execute("PRAGMA max_page_count = 1000")
        try database.transaction { _ = try database.execute("INSERT INTO t VALUES ($1)", [large]) }
        #expect(try database.execute("SELECT count(*) FROM t") == [[.int(2)]])
    }

    @Test func `reading only changes nothing and needs the file`() throws {
        #expect(failureCode { try open("none.db", readOnly: true) } == .fileMissing)
        #expect(!FileManager.default.fileExists(atPath: directory.file("none.db")))
        let writer = try open()
        try writer.execute("CREATE TABLE t (v)")
        let reader = try open(readOnly: true)
        #expect(try reader.transaction { try reader.execute("SELECT count(*) FROM t") } == [[.int(0)]])
        #expect(failureCode { try reader.execute("INSERT INTO t VALUES (1)") } == .catalogReadOnly)
    }

    @Test func `a file that is no database, a directory, and a missing table are told apart`() throws {
        try Data("this is not a database, however long it may be".utf8).write(to: URL(fileURLWithPath: directory.file("x")))
        #expect(failureCode { try open("x") } == .catalogFailed)
        #expect(failureCode { try open(".") } == .catalogReadOnly)
        let database = try open()
        #expect(failureCode { try database.execute("SELECT * FROM nothing") } == .sinkMismatch)
        #expect(failureCode { try database.execute("SELECT nothing") } == .sinkMismatch)
        database.close()
        #expect(failureCode { try database.execute("SELECT 1") } == .catalogFailed)
    }

    @Test func `two connections that create one file together both open it`() throws {
        for round in 0..<20 {
            let path = directory.file("race-\(round).db")
            let failures = failuresOfThreads(4) { _ in _ = try SQLiteDatabase(path: path) }
            #expect(failures.isEmpty)
        }
    }
}
