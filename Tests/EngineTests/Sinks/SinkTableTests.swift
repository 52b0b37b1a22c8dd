// Tables that do not fit, names that may not be, addresses that lead nowhere, and failures of one kind of database.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits) struct SinkTableTests {
    @Test(arguments: SinkKind.allCases)
    func `a table made by a claim is accepted by the next one`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        for epoch: Epoch in 1...2 {
            for table in [SinkTable.views, .purchases, .bare, .types] {
                try place.open(table).claim(table.identity(epoch: epoch), adopt: false)
            }
        }
        #expect(try place.ask("SELECT epoch FROM sluice_jobs") == [[.int(2)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `the shipped tables have the documented types and keys`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        try place.open(.purchases).claim(SinkTable.purchases.identity(), adopt: false)
        try place.open(.views).claim(SinkTable.views.identity(), adopt: false)
        if kind == .sqlite {
            let columns = try place.ask("SELECT name || ' ' || type || ' ' || pk FROM pragma_table_info('purchases') ORDER BY cid")
            #expect(columns == [[.text("topic TEXT 1")], [.text("partition INTEGER 2")], [.text("offset INTEGER 3")], [.text("user_id TEXT 0")]])
        } else {
            let types = """
                SELECT column_name || ' ' || data_type FROM information_schema.columns
                WHERE table_name IN ('purchases', 'campaign_views') ORDER BY table_name, ordinal_position
                """
            let expected = [
                "campaign_id text", "window_start timestamp with time zone", "views bigint", "topic text", "partition integer",
                "offset bigint", "user_id text",
            ]
            #expect(try place.ask(types) == expected.map { [.text($0)] })
        }
    }

    @Test(
        arguments: SinkKind.allCases,
        [
            "campaign_id text, window_start TIME, PRIMARY KEY (campaign_id, window_start)",
            "campaign_id text, window_start TIME, views bigint, extra text, PRIMARY KEY (campaign_id, window_start)",
            "campaign_id text, window_start TIME, views text, PRIMARY KEY (campaign_id, window_start)",
            "campaign_id text, window_start TIME, Views2 bigint, PRIMARY KEY (campaign_id, window_start)",
            "campaign_id text, window_start TIME, views bigint, PRIMARY KEY (campaign_id)",
            "campaign_id text, window_start TIME, views bigint, PRIMARY KEY (campaign_id, window_start, views)",
            "campaign_id text, window_start TIME, views bigint",
        ])
    func `a table with other columns or another key is refused, and nothing is claimed`(kind: SinkKind, body: String) throws {
        let place = try SinkPlace(kind)
        let time = kind == .sqlite ? "text" : "timestamptz"
        try place.run("CREATE TABLE campaign_views (\(body.replacing("TIME", with: time)))")
        let sink = try place.open(.views)
        let seen = try #require(failure { try sink.claim(SinkTable.views.identity(), adopt: false) })
        #expect(seen.code == .sinkMismatch)
        #expect(seen.why.contains("expected columns: campaign_id") && seen.why.contains("found columns: "))
        #expect(try sink.owner(job: "job") == .nobody)
    }

    @Test(arguments: SinkKind.allCases)
    func `a table that people made with the right columns is taken, in any order and with any unique index`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let time = kind == .sqlite ? "text" : "timestamptz"
        try place.run(
            """
            CREATE TABLE campaign_views (views bigint, window_start \(time) NOT NULL, campaign_id varchar NOT NULL);
            CREATE UNIQUE INDEX u ON campaign_views (window_start, campaign_id)
            """)
        let sink = try place.claimed(.views, SinkTable.views.identity())
        let chunk = rows(.views, [[.text("a"), .timestamp(0), .int64(5)]])
        for batch: Int64 in 1...2 { _ = try sink.seal(SinkTable.views.identity(), part: 0, batch: batch, digest: "", rows: [chunk]) }
        #expect(try place.ask("SELECT campaign_id, views FROM campaign_views") == [[.text("a"), .int(5)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `a bare append table may not collide with somebody's primary key`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        try place.run("CREATE TABLE bare (a bigint PRIMARY KEY, b text, c bigint)")
        #expect(failureCode { try place.open(.bare).claim(SinkTable.bare.identity(), adopt: false) } == .sinkMismatch)
    }

    @Test(
        arguments: SinkKind.allCases,
        [
            ("", ["a"], []), ("a b", ["a"], []), ("a\"b", ["a"], []), ("1a", ["a"], []), ("ä", ["a"], []), ("a;b", ["a"], []),
            ("sluice_jobs", ["a"], []), ("SQLITE_x", ["a"], []), ("a.b.c", ["a"], []), ("a.", ["a"], []),
            (String(repeating: "a", count: 64), ["a"], []), ("t", [], []), ("t", ["a b"], []), ("t", ["a\"; --"], []),
            ("t", ["a", "A"], []), ("t", ["sluice_row"], []), ("t", ["a"], ["b"]), ("t", ["a"], ["a", "a"]),
        ] as [(String, [String], [String])])
    func `names outside letters, digits and underscore never reach a statement`(
        kind: SinkKind, table: (name: String, columns: [String], key: [String])
    ) throws {
        let place = try SinkPlace(kind)
        let wrong = SinkTable(
            name: table.name, schema: Schema(table.columns.map { Field($0, .text) }), key: table.key, mode: .append)
        #expect(failureCode { try place.open(wrong) } == .invalidSetting)
    }

    @Test(arguments: ["", "sqlite:", "kafka:", "file.db", "mysql://x", "console", "postgres://u:hunter2@h@h/db", "ftp://u:hunter2@h"])
    func `an address that names no sink is refused without its password`(address: String) throws {
        let seen = try #require(failure { try openSink(address: address, table: .views) })
        #expect(seen.code == .invalidSetting)
        #expect(!seen.description.contains("hunter2"))
    }

    @Test(arguments: [
        ("sqlite:f", SinkTable.purchases, true), ("kafka:t", .purchases, false), ("sqlite:f", .bare, false),
        ("kafka:t", .views, true), ("postgres://h/d", .views, true),
    ])
    func `rows that come again replace the first ones where there is a key to find them by`(
        address: String, table: SinkTable, replaces: Bool
    ) {
        #expect(sinkReplacesRows(address: address, table: table) == replaces)
    }
}

@Suite(.waits) struct SQLiteSinkTests {
    @Test func `a full disk undoes the part and its ledger row, and the retry writes it`() throws {
        let directory = try TemporaryDirectory("full")
        let image = directory.file("sink.db")
        let table = SinkTable.bare
        let sink = try SQLiteSink(path: image, table: table)
        try sink.claim(table.identity(), adopt: false)
        let chunk = rows(table, (0..<2000).map { [.int64($0), .text(String(repeating: "x", count: 200)), .int64(0)] })
        try sink.limitPages(20)
        let seen = try #require(failure { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk]) })
        #expect(seen.code == .diskFull)
        #expect(try sink.sealedBatches(table.identity()) == [:])
        try sink.limitPages(1_000_000)
        #expect(try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk]) == .written)
        #expect(try SQLiteDatabase(path: image).execute("SELECT count(*) FROM bare") == [[.int(2000)]])
    }

    @Test func `a file that was removed or replaced behind the sink takes no rows`() throws {
        let directory = try TemporaryDirectory("gone")
        let path = directory.file("sink.db")
        let table = SinkTable.bare
        let sink = try SQLiteSink(path: path, table: table)
        try sink.claim(table.identity(), adopt: false)
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.removeItem(atPath: path + suffix)
        }
        #expect(failureCode { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: []) } == .fileMissing)
        try SQLiteDatabase(path: path).execute("CREATE TABLE t (v)")
        #expect(failureCode { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: []) } == .sinkMismatch)
    }

    @Test func `writers of several connections wait for each other and none is told busy`() throws {
        let directory = try TemporaryDirectory("queue")
        let path = directory.file("sink.db")
        let table = SinkTable.bare
        try SQLiteSink(path: path, table: table).claim(table.identity(), adopt: false)
        let failures = failuresOfThreads(8) { part in
            // Half of them name the file by another path.
            let sink = try SQLiteSink(path: part % 2 == 0 ? path : directory.path + "/./sink.db", table: table)
            for batch: Int64 in 1...20 {
                let chunk = rows(table, [[.int64(batch), .text("\(part)"), .int64(0)]])
                _ = try sink.seal(table.identity(), part: part, batch: batch, digest: "d", rows: [chunk])
            }
        }
        #expect(failures.isEmpty)
        #expect(try SQLiteDatabase(path: path).execute("SELECT count(*) FROM bare") == [[.int(160)]])
    }
}

@Suite(.waits, .enabled(if: PostgresFixture.missingReason == nil, "needs a PostgreSQL server"))
struct PostgresSinkTests {
    let url: String
    init() throws { url = try PostgresFixture.shared().newDatabase() }

    @Test func `a backend killed while a part is written leaves nothing, and the retry writes it once`() throws {
        let table = SinkTable.bare
        let sink = try PostgresSink(url: url, table: table)
        try sink.claim(table.identity(), adopt: false)
        let other = try PostgresDatabase(url: url)
        // A trigger kills the backend in the middle of the insert, and only once.
        try other.executeScript(
            """
            CREATE SEQUENCE calls;
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('calls') = 50 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END $$;
            CREATE TRIGGER t BEFORE INSERT ON bare FOR EACH ROW EXECUTE FUNCTION fail();
            """)
        let chunk = rows(table, (0..<100).map { [.int64($0), .null, .int64(0)] })
        func seal(_ batch: Int64) throws -> Sealed {
            try sink.seal(table.identity(), part: 0, batch: batch, digest: "d", rows: [chunk])
        }
        #expect(failureCode { try seal(1) } == .databaseUnreachable)
        #expect(try other.execute("SELECT count(*) FROM bare") == [[.int(0)]])
        #expect(try sink.sealedBatches(table.identity()) == [:])
        #expect(try seal(1) == .written)
        #expect(try seal(1) == .alreadySealed)
        #expect(try seal(2) == .written)
        #expect(try other.execute("SELECT count(*) FROM bare") == [[.int(200)]])
    }

    @Test func `a lost answer to COMMIT is an unknown outcome that the ledger settles`() throws {
        let table = SinkTable.bare
        let sink = try PostgresSink(url: url, table: table)
        try sink.claim(table.identity(), adopt: false)
        let other = try PostgresDatabase(url: url)
        // A deferred trigger runs inside COMMIT: before the end for the kill, or never.
        try other.executeScript(
            """
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
            CREATE CONSTRAINT TRIGGER t AFTER INSERT ON bare DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();
            """)
        let chunk = rows(table, [[.int64(1), .null, .int64(0)]])
        let seen = failure { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk]) }
        #expect(seen?.code == .databaseUnreachable)
        #expect(seen?.what.contains("unknown") == true)
        try other.execute("DROP TRIGGER t ON bare")
        let again = try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk])
        #expect(again == .written)
        #expect(try other.execute("SELECT count(*) FROM bare") == [[.int(1)]])
    }

    @Test func `a claim waits for the seal under way, and the next seal sees its epoch`() throws {
        let table = SinkTable.bare
        let old = try PostgresSink(url: url, table: table)
        try old.claim(table.identity(epoch: 1), adopt: false)
        let holder = try PostgresDatabase(url: url)
        // The seal stands still in the middle of its rows for as long as the holder holds this lock.
        try holder.executeScript(
            """
            CREATE FUNCTION stand() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$;
            CREATE TRIGGER t BEFORE INSERT ON bare FOR EACH ROW EXECUTE FUNCTION stand();
            SELECT pg_advisory_lock(42)
            """)
        let url = url
        let sealed = Flag()
        let claimed = Flag()
        Thread.detachNewThread {
            let chunk = rows(table, [[.int64(1), .null, .int64(0)]])
            let seen = failureCode {
                try PostgresSink(url: url, table: table).seal(table.identity(epoch: 1), part: 0, batch: 1, digest: "d", rows: [chunk])
            }
            sealed.set(seen?.rawValue ?? "sealed")
        }
        #expect(try waitingSessions(reach: 1))
        Thread.detachNewThread {
            let seen = failureCode { try PostgresSink(url: url, table: table).claim(table.identity(epoch: 2), adopt: false) }
            claimed.set(seen?.rawValue ?? "claimed")
        }
        #expect(try waitingSessions(reach: 2))
        #expect(claimed.value == nil)
        try holder.execute("SELECT pg_advisory_unlock(42)")
        #expect(sealed.wait() == "sealed")
        #expect(claimed.wait() == "claimed")
        #expect(failureCode { try old.seal(table.identity(epoch: 1), part: 0, batch: 2, digest: "d", rows: []) } == .staleEpoch)
    }

    @Test func `a claim does not wait for ever for a process that was stopped in the midst of its rows`() throws {
        let table = SinkTable.bare
        let old = try PostgresSink(url: url, table: table)
        try old.claim(table.identity(epoch: 1), adopt: false)
        let url = url
        let wakes = DispatchSemaphore(value: 0)
        let stopped = Flag()
        Thread.detachNewThread {
            // As a seal does it, until the process sends nothing more and ends nothing.
            let seen = failureCode {
                let database = try PostgresDatabase(url: url)
                try database.transaction {
                    try database.execute("SELECT epoch FROM sluice_jobs FOR SHARE")
                    try database.executeScript("CREATE TEMPORARY TABLE staged (a text)")
                    try database.copyIn("COPY staged FROM STDIN") { _ in wakes.wait() }
                }
            }
            stopped.set(seen?.rawValue ?? "committed")
        }
        let watcher = try PostgresDatabase(url: url)
        let question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientRead' AND state = 'active' AND datname = current_database()"
        let deadline = ContinuousClock.now + .seconds(10)
        while try watcher.execute(question) != [[.int(1)]], ContinuousClock.now < deadline { usleep(10_000) }
        try PostgresSink(url: url, table: table).claim(table.identity(epoch: 2), adopt: false)
        #expect(try watcher.execute(question) == [[.int(0)]])
        wakes.signal()
        #expect(stopped.wait() == "databaseUnreachable")
        #expect(try watcher.execute("SELECT epoch FROM sluice_jobs") == [[.int(2)]])
    }

    /// Whether `count` sessions of this test's database come to wait for a lock, within ten seconds.
    private func waitingSessions(reach count: Int64) throws -> Bool {
        let watcher = try PostgresDatabase(url: url)
        let question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if try watcher.execute(question) == [[.int(count)]] { return true }
        }
        return false
    }

    @Test func `a text with a zero byte, a key that is NULL, and a time past the server's are refused by name`() throws {
        let sink = try PostgresSink(url: url, table: .types)
        let identity = SinkTable.types.identity()
        try sink.claim(identity, adopt: false)
        let wrong: [([Value], String)] = [
            ([.int64(1), .null, .null, .null, .null, .text("secret\0")], "U+0000"),
            ([.null, .null, .null, .null, .null, .text("secret")], "SQLSTATE 23502"),
            ([.int64(1), .null, .null, .null, .timestamp(.max), .text("secret")], "SQLSTATE 22008"),
        ]
        for (row, reason) in wrong {
            let seen = failure { try sink.seal(identity, part: 0, batch: 1, digest: "d", rows: [rows(.types, [row])]) }
            #expect(seen?.code == .tooManyRejected)
            #expect(seen?.why.contains(reason) == true && seen?.description.contains("secret") == false)
        }
        #expect(try sink.sealedBatches(identity) == [:])
    }

    @Test func `a table in another schema is made and used there`() throws {
        try PostgresDatabase(url: url).execute("CREATE SCHEMA reports")
        var table = SinkTable.views
        table.name = "reports.campaign_views"
        let sink = try PostgresSink(url: url, table: table)
        try sink.claim(table.identity(), adopt: false)
        let chunk = rows(table, [[.text("a"), .timestamp(0), .int64(5)]])
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk])
        #expect(try PostgresDatabase(url: url).execute("SELECT views FROM reports.campaign_views") == [[.int(5)]])
    }

    @Test func `a user who may write rows but not make tables can run on tables that are there`() throws {
        let table = SinkTable.views
        try PostgresSink(url: url, table: table).claim(table.identity(), adopt: false)
        let user = "writer_\(url.split(separator: "/").last!)"
        try PostgresDatabase(url: url).executeScript(
            "CREATE USER \(user); GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO \(user)")
        let sink = try PostgresSink(url: url.replacing("sluice@", with: "\(user)@"), table: table)
        try sink.claim(table.identity(epoch: 2), adopt: false)
        let chunk = rows(table, [[.text("a"), .timestamp(0), .int64(5)]])
        #expect(try sink.seal(table.identity(epoch: 2), part: 0, batch: 1, digest: "d", rows: [chunk]) == .written)
        let other = try PostgresSink(url: url.replacing("sluice@", with: "\(user)@"), table: .bare)
        #expect(failureCode { try other.claim(SinkTable.bare.identity(epoch: 2), adopt: false) } == .catalogReadOnly)
    }
}

@Suite(.waits) struct ConsoleSinkTests {
    @Test func `rows are printed once as aligned lines, with nothing that steers a terminal`() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let table = SinkTable.views
        let sink = ConsoleSink(table: table, descriptor: ends[1])
        let chunk = rows(
            table, [[.text("short"), .timestamp(0), .int64(12_345)], [.text("\u{1b}[2J\u{202e}x"), .timestamp(1), .null]])
        #expect(try sink.seal(table.identity(), part: 0, batch: 3, digest: "d", rows: [chunk]) == .written)
        #expect(try sink.seal(table.identity(), part: 0, batch: 3, digest: "d", rows: [chunk]) == .alreadySealed)
        #expect(try sink.seal(table.identity(), part: 1, batch: 3, digest: "d", rows: []) == .written)
        #expect(try sink.sealedBatches(table.identity()) == [0: 3, 1: 3])
        #expect(try sink.existing(keysOf: chunk) == [nil, nil])
        close(ends[1])
        let printed = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true).readDataToEndOfFile()
        #expect(
            String(decoding: printed, as: UTF8.self) == """
                campaign_views, batch 3, part 0
                campaign_id         window_start              views
                short               1970-01-01T00:00:00.000Z  12345
                \\u{1B}[2J\\u{202E}x  1970-01-01T00:00:00.001Z   NULL

                """)
    }
}
