// The PostgreSQL wrapper on a real server: values, transactions, lost connections, names of failures, hidden passwords.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .enabled(if: PostgresFixture.missingReason == nil, "needs a PostgreSQL server"))
struct PostgresDatabaseTests {
    let url: String
    init() throws { url = try PostgresFixture.shared().newDatabase() }

    func open() throws -> PostgresDatabase { try PostgresDatabase(url: url) }

    @Test(arguments: [
        ("bigint", SQLValue.int(.min)), ("bigint", .int(.max)), ("integer", .int(-7)), ("smallint", .int(7)),
        ("double precision", .double(0.1)), ("double precision", .double(-1e300)), ("text", .text("")),
        ("text", .text("a'b\"c\\d\n☃ 🧊")), ("bytea", .blob([])), ("bytea", .blob([0, 255, 39, 92])), ("boolean", .int(1)),
        ("boolean", .int(0)), ("text", .null), ("bytea", .null), ("timestamptz", .text("2026-03-01T12:00:00.123Z")),
        ("timestamptz", .text("1969-12-31T23:59:59.999Z")), ("timestamptz", .text("infinity")), ("numeric", .int(12)),
        ("numeric", .double(1.5)),
    ])
    func `a bound value comes back as it went in`(type: String, value: SQLValue) throws {
        let database = try open()
        try database.execute("CREATE TABLE t (v \(type))")
        try database.execute("INSERT INTO t VALUES ($1)", [value])
        #expect(try database.execute("SELECT v FROM t") == [[value]])
    }

    @Test func `a text that PostgreSQL cannot store is refused and not cut`() throws {
        let database = try open()
        try database.execute("CREATE TABLE t (v text)")
        #expect(failureCode { try database.execute("INSERT INTO t VALUES ($1)", [.text("a\0b")]) } == .rowRefused)
        #expect(try database.execute("SELECT count(*) FROM t") == [[.int(0)]])
    }

    @Test func `a time with microseconds or another zone is shown in UTC with milliseconds`() throws {
        let rows = try open().execute("SELECT '2026-03-01 12:00:00.123999+02'::timestamptz")
        #expect(rows == [[.text("2026-03-01T10:00:00.123Z")]])
    }

    @Test func `more statements than the cache holds still work, old ones too`() throws {
        let database = try open()
        for round in 0..<600 {
            #expect(try database.execute("SELECT $1::bigint + \(round % 300)", [.int(1)]) == [[.int(Int64(round % 300) + 1)]])
        }
    }

    @Test func `changed rows are those of the last statement`() throws {
        let database = try open()
        try database.executeScript("CREATE TABLE t (v int); CREATE TABLE u (v int);")
        try database.execute("INSERT INTO t VALUES (1), (2), (3)")
        #expect(database.changedRows == 3)
        try database.execute("UPDATE t SET v = 9 WHERE v > $1", [.int(100)])
        #expect(database.changedRows == 0)
        try database.execute("CREATE TABLE x (v int)")
        #expect(database.changedRows == 0)
    }

    @Test func `copied bytes become rows, and a copy that its sender stops leaves none`() throws {
        let database = try open()
        try database.execute("CREATE TABLE t (a bigint, b text)")
        try Array("1\tone\n2\t\\N\n".utf8).withUnsafeBufferPointer { try database.copyIn("COPY t FROM STDIN", $0) }
        #expect(database.changedRows == 2)
        #expect(try database.execute("SELECT * FROM t ORDER BY a") == [[.int(1), .text("one")], [.int(2), .null]])
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try database.copyIn("COPY t FROM STDIN") { send in
                try Array("3\tthree\n".utf8).withUnsafeBufferPointer(send)
                throw Stop()
            }
        }
        let wrong = Array("no number\tsecret row\n".utf8)
        let seen = failure { try wrong.withUnsafeBufferPointer { try database.copyIn("COPY t FROM STDIN", $0) } }
        #expect(seen?.code == .rowRefused)
        #expect(seen?.description.contains("no number") == false)
        #expect(try database.execute("SELECT count(*) FROM t") == [[.int(2)]])
    }

    @Test func `a transaction that throws leaves nothing, one whose failure was swallowed does not count as committed`() throws {
        let database = try open()
        try database.execute("CREATE TABLE t (v int)")
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try database.transaction {
                try database.execute("INSERT INTO t VALUES (1)")
                throw Stop()
            }
        }
        let swallowed = failureCode {
            try database.transaction {
                try database.execute("INSERT INTO t VALUES (2)")
                _ = failureCode { try database.execute("SELECT 1/0") }
            }
        }
        #expect(swallowed == .catalogFailed)
        #expect(failureCode { try database.transaction { try database.transaction {} } } == .internal)
        #expect(try database.transaction { try database.execute("SELECT count(*) FROM t") } == [[.int(0)]])
    }

    @Test func `a lost connection ends its transaction and the next statement has a new one`() throws {
        let database = try open()
        let other = try open()
        try database.execute("CREATE TABLE t (v int)")
        let first = database.connectionNumber
        func killBackend() throws {
            let pid = try database.execute("SELECT pg_backend_pid()")[0][0]
            try other.execute("SELECT pg_terminate_backend($1)", [pid])
            let deadline = ContinuousClock.now + .seconds(10)
            let question = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
            while try other.execute(question, [pid]) != [[.int(0)]], ContinuousClock.now < deadline {}
        }
        let lost = failureCode {
            try database.transaction {
                try database.execute("INSERT INTO t VALUES (1)")
                try killBackend()
                try database.execute("INSERT INTO t VALUES (2)")
            }
        }
        #expect(lost == .databaseUnreachable)
        #expect(try database.execute("SELECT count(*) FROM t") == [[.int(0)]])
        #expect(database.connectionNumber == first + 1)
        // Died while idle: a transaction begins on a fresh connection without an error.
        try killBackend()
        try database.transaction { _ = try database.execute("INSERT INTO t VALUES (3)") }
        #expect(try other.execute("SELECT v FROM t") == [[.int(3)]])
        // Died between the last statement and COMMIT: an error, never silence.
        let atCommit = failureCode {
            try database.transaction {
                try database.execute("INSERT INTO t VALUES (4)")
                try killBackend()
            }
        }
        #expect(atCommit == .databaseUnreachable)
        #expect(try other.execute("SELECT v FROM t") == [[.int(3)]])
        // The transaction is over even for a body that overlooks the loss: what follows must not be committed on its own.
        let overlooked = failureCode {
            try database.transaction {
                try killBackend()
                _ = failureCode { try database.execute("INSERT INTO t VALUES (5)") }
                try database.execute("INSERT INTO t VALUES (6)")
            }
        }
        #expect(overlooked == .databaseUnreachable)
        #expect(try other.execute("SELECT v FROM t") == [[.int(3)]])
    }

    @Test(arguments: [
        ("SELECT * FROM nothing", Failure.Code.sinkMismatch), ("SELECT nothing", .sinkMismatch),
        ("SELECT 'secret'::bigint", .rowRefused), ("SET TRANSACTION READ ONLY; CREATE TABLE x ()", .databaseReadOnly),
        ("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", .diskFull), ("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", .databaseBusy),
        ("SET statement_timeout = 1; SELECT pg_sleep(5)", .databaseBusy),
        ("DO $$ BEGIN RAISE SQLSTATE 'XX000'; END $$", .catalogFailed),
        ("SELECT pg_terminate_backend(pg_backend_pid())", .databaseUnreachable),
        ("DO $$ BEGIN RAISE SQLSTATE '53400'; END $$", .databaseBusy), ("DO $$ BEGIN RAISE SQLSTATE '58030'; END $$", .databaseUnreachable),
        ("DO $$ BEGIN RAISE SQLSTATE '57P01'; END $$", .databaseUnreachable), ("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$", .databaseBusy),
        ("DO $$ BEGIN RAISE 'no'; END $$", .rowRefused), ("DO $$ BEGIN RAISE SQLSTATE '42501'; END $$", .catalogReadOnly),
    ])
    func `a server's error is named by what a person can do`(script: String, expected: Failure.Code) throws {
        let seen = try #require(failure { try open().executeScript(script) })
        #expect(seen.code == expected)
        #expect(!seen.description.contains("secret"))
    }

    @Test func `a deadlock ends one of two transactions as busy`() throws {
        let setUp = try open()
        try setUp.execute("CREATE TABLE t (k int PRIMARY KEY, v int)")
        try setUp.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
        let url = url
        let both = Gate(2)
        let failures = failuresOfThreads(2) { index in
            let database = try PostgresDatabase(url: url)
            try database.transaction {
                try database.execute("UPDATE t SET v = 1 WHERE k = $1", [.int(Int64(index + 1))])
                both.wait()
                try database.execute("UPDATE t SET v = 1 WHERE k = $1", [.int(Int64(2 - index))])
            }
        }
        #expect(failures.map { ($0 as? Failure)?.code } == [.databaseBusy])
    }

    @Test func `the session waits for nothing without a bound and says whose it is`() throws {
        let rows = try open().execute(
            """
            SELECT current_setting('application_name'), current_setting('statement_timeout'), current_setting('lock_timeout'),
                current_setting('idle_in_transaction_session_timeout'), current_setting('synchronous_commit')
            """)
        #expect(rows == [[.text("sluice"), .text("2min"), .text("20s"), .text("15s"), .text("on")]])
    }

    @Test func `a server that was killed and started again is reached without ceremony`() throws {
        let server = try PostgresFixture()
        let database = try PostgresDatabase(url: server.url)
        try database.execute("CREATE TABLE t (v int)")
        try database.execute("INSERT INTO t VALUES (1)")
        try server.kill9()
        #expect(failureCode { try database.execute("SELECT v FROM t") } == .databaseUnreachable)
        #expect(failureCode { try database.execute("SELECT v FROM t") } == .databaseUnreachable)
        try server.start()
        #expect(try database.execute("SELECT v FROM t") == [[.int(1)]])
        try server.stop()
        #expect(failureCode { try PostgresDatabase(url: server.url) } == .databaseUnreachable)
    }
}

@Suite(.waits) struct PostgresAddressTests {
    @Test(arguments: [
        ("postgres://h/db", "postgres://h/db"), ("postgres://u@h:5432/db?sslmode=require", "postgres://u@h:5432/db?sslmode=require"),
        ("postgres://u:hunter2@h/db", "postgres://u:***@h/db"), ("postgres://u:hunter2:x@h/db", "postgres://u:***@h/db"),
        ("postgres://u:file%3A%2Fhunter2@h/db", "postgres://u:***@h/db"),
        ("postgres://h/db?user=u&password=hunter2&a=b", "postgres://h/db?user=u&password=***&a=b"),
        ("postgres://h/db?p%61ssword=hunter2", "postgres://h/db?p%61ssword=***"),
        ("postgres://h/db?sslpassword=hunter2", "postgres://h/db?sslpassword=***"),
        ("postgres://u:hun@ter2@h/db", "postgres://u:***@h/db"), ("postgres://u:hun/ter2@h/db", "postgres://u:***@h/db"),
        ("u:hunter2@h", "***"),
    ])
    func `what is shown of an address has no password`(address: String, shown: String) {
        #expect(maskedAddress(address) == shown)
    }

    @Test(arguments: [
        "postgres://u:hun@ter2@h/db", "postgres://u:hun/ter2@h/db", "postgres://u:hun?ter2@h/db", "postgres://u:hunter2@h:x:y/db?z",
        "postgres://u:hunter2@h/db?nothing=hunter2", "postgres://u:hunter2%zz@h/db",
    ])
    func `an address that cannot be read is refused without repeating it`(address: String) throws {
        let seen = try #require(failure { try openDatabase(address) })
        #expect(seen.code == .invalidSetting)
        #expect(!seen.description.contains("hun") && !seen.description.contains("ter2"))
    }

    @Test func `an unreachable server is named without its password`() throws {
        let directory = try TemporaryDirectory()
        try Data("hunter2\n".utf8).write(to: URL(fileURLWithPath: directory.file("pw")))
        let encoded = directory.file("pw").replacing("/", with: "%2F")
        for password in ["hunter2", "file%3A\(encoded)"] {
            let seen = try #require(failure { try openDatabase("postgres://u:\(password)@127.0.0.1:1/hunter2") })
            #expect(seen.code == .databaseUnreachable)
            #expect(seen.what.contains("postgres://u:***@127.0.0.1:1/"))
            #expect(!seen.why.contains("hunter2"))
        }
        #expect(failureCode { try openDatabase("postgres://u:file%3A%2Fnowhere%2Fpw@127.0.0.1:1/db") } == .fileMissing)
    }

    @Test(arguments: ["", "sqlite:", "mysql://x", "postgres:/x", "file.db"])
    func `another kind of address is refused with the two valid forms`(address: String) throws {
        let seen = try #require(failure { try openDatabase(address) })
        #expect(seen.code == .invalidSetting)
        #expect(seen.now.contains("sqlite:FILE") && seen.now.contains("postgres://"))
    }
}
