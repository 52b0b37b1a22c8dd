// Rows that a database does not take or does not keep: the good ones are stored, the others are told.

import Engine
import Foundation
import TestSupport
import Testing

@Suite struct SinkRefusalTests {
    @Test(arguments: SinkKind.allCases)
    func `a row that breaks a constraint is kept beside the others with its coordinates, and the good ones are stored`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.purchases
        let integer = kind == .sqlite ? "INTEGER" : "integer"
        try place.run(
            """
            CREATE TABLE purchases (topic text NOT NULL, "partition" \(integer) NOT NULL, "offset" bigint NOT NULL,
                user_id text CHECK (user_id <> 'bad'), PRIMARY KEY (topic, "partition", "offset"))
            """)
        let sink = try place.claimed(table, table.identity())
        let bad: Set<Int64> = [3, 500, 501, 999]
        func chunk(_ offsets: Range<Int64>) -> Chunk {
            rows(table, offsets.map { [.text("in"), .int64(2), .int64($0), .text(bad.contains($0) ? "bad" : "u\($0)")] })
        }
        let chunks = [chunk(0..<600), chunk(600..<1000)]
        let sealed = try sink.seal(table.identity(), part: 5, batch: 7, digest: "d", after: .nothing, rows: chunks)
        #expect(sealed == Sealed(.written, refused: 4))
        #expect(try place.ask("SELECT count(*), max(\"offset\") FROM purchases") == [[.int(996), .int(998)]])
        let kept = try place.ask(
            #"SELECT job_id, sink, part, batch, number, topic, "partition", "offset" FROM sluice_refused ORDER BY number"#)
        #expect(
            kept
                == bad.sorted().map {
                    [.text(String(repeating: "a", count: 32)), .text("purchases"), .int(5), .int(7), .int($0), .text("in"), .int(2), .int($0)]
                })
        let reasons = try place.ask("SELECT DISTINCT reason FROM sluice_refused")
        guard case .text(let reason)? = reasons.first?[0] else { return #expect(Bool(false), "no reason") }
        #expect(reasons.count == 1 && reason.lowercased().contains("check"))
        // Sealed again it is the same, refused rows included.
        let again = try place.open(table).seal(table.identity(), part: 5, batch: 7, digest: "d", after: .nothing, rows: chunks)
        #expect(again == Sealed(.alreadySealed, refused: 4))
        #expect(try place.ask("SELECT count(*) FROM sluice_refused") == [[.int(4)]])
        // The witness is a row that was stored.
        #expect(try place.open(table).sight(table.identity())?.parts[5]?.witness == .found)
    }

    @Test func `a time that PostgreSQL cannot hold, a text with a zero byte and a key that is NULL do not keep the others away`() throws {
        let place = try SinkPlace(.postgres)
        let table = SinkTable.types
        let sink = try place.claimed(table, table.identity())
        var all: [[Value]] = (0..<200).map { [.int64($0), .int64(1), .null, .null, .timestamp(0), .text("t\($0)")] }
        all[7] = [.int64(7), .null, .null, .null, .timestamp(.max), .text("secret")]
        all[8] = [.int64(8), .null, .null, .null, .null, .text("zero\0byte")]
        all[150] = [.null, .null, .null, .null, .null, .text("no key")]
        all[199] = [.int64(199), .null, .null, .null, .timestamp(.min), .text("last")]
        let sealed = try sink.seal(table.identity(), part: 0, batch: 2, digest: "d", after: .nothing, rows: [rows(table, all)])
        #expect(sealed == Sealed(.written, refused: 4))
        #expect(try place.ask("SELECT count(*) FROM types") == [[.int(196)]])
        let kept = try place.ask("SELECT number, row_key, reason FROM sluice_refused ORDER BY number")
        #expect(kept.map { $0[0] } == [.int(7), .int(8), .int(150), .int(199)])
        #expect(kept.map { $0[1] } == [.text("{\"k\":7}"), .text("{\"k\":8}"), .text("{\"k\":null}"), .text("{\"k\":199}")])
        let reasons = kept.map { row in if case .text(let text) = row[2] { text } else { "" } }
        #expect(reasons[0].contains("22008") && reasons[1].contains("U+0000") && reasons[2].contains("23502"))
        #expect(!reasons.joined().contains("secret"))
    }

    @Test func `a key with a zero byte is kept as JSON`() throws {
        let place = try SinkPlace(.postgres)
        let table = SinkTable.views
        let sink = try place.claimed(table, table.identity())
        let all: [[Value]] = [[.text("a"), .timestamp(0), .int64(1)], [.text("b\0"), .timestamp(5), .int64(1)]]
        let sealed = try sink.seal(table.identity(), part: 0, batch: 2, digest: "d", after: .nothing, rows: [rows(table, all)])
        #expect(sealed.refused == 1)
        #expect(try place.ask("SELECT row_key FROM sluice_refused") == [[.text(#"{"campaign_id":"b\u0000","window_start":5}"#)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `too many refused rows stop the job, and nothing of the part is stored`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        try place.run("CREATE TABLE bare (a bigint CHECK (a < 10), b text, c bigint)")
        let sink = try openSink(address: place.address, table: table, limit: RefusalLimit(share: 0.5, minimum: 20))
        try sink.claim(table.identity(), adopt: false)
        func chunk(_ count: Int64) -> Chunk { rows(table, (0..<count).map { [.int64($0), .null, .int64(0)] }) }
        // Eleven of 21 are below the minimum; of a job's first batch all are looked at.
        let first = try #require(failure { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk(21)]) })
        #expect(first.code == .tooManyRejected && first.what.contains("11 of the 21"))
        let many = try #require(failure { try sink.seal(table.identity(), part: 0, batch: 2, digest: "d", rows: [chunk(60)]) })
        #expect(many.code == .tooManyRejected)
        #expect(try place.ask("SELECT count(*) FROM bare") == [[.int(0)]])
        #expect(try place.ask("SELECT count(*) FROM sluice_refused") == [[.int(0)]])
        #expect(try sink.sealedBatches(table.identity()) == [:])
        let few = try sink.seal(table.identity(), part: 0, batch: 2, digest: "d", rows: [chunk(21)])
        #expect(few == Sealed(.written, refused: 11))
        #expect(try place.ask("SELECT count(*) FROM bare") == [[.int(10)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `a trigger that swallows rows is named before anything is stored`(kind: SinkKind) throws {
        for table in [SinkTable.views, .bare] {
            let place = try SinkPlace(kind)
            let sink = try place.claimed(table, table.identity())
            switch kind {
            case .sqlite:
                try place.run("CREATE TRIGGER swallower BEFORE INSERT ON \(table.name) BEGIN SELECT raise(IGNORE); END")
            case .postgres:
                try place.run(
                    """
                    CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
                    CREATE TRIGGER swallower BEFORE INSERT ON \(table.name) FOR EACH ROW EXECUTE FUNCTION swallow();
                    """)
            }
            let chunk =
                table == .bare
                ? rows(table, [[.int64(1), .null, .int64(0)], [.int64(2), .null, .int64(0)]])
                : rows(table, [[.text("a"), .timestamp(0), .int64(1)], [.text("b"), .timestamp(0), .int64(1)]])
            let seen = try #require(failure { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk]) })
            #expect(seen.code == .sinkMismatch && seen.what.contains("2 rows") && seen.what.contains("stored 0"), "\(seen)")
            #expect(seen.why.contains("trigger swallower"), "\(seen)")
            #expect(try sink.sealedBatches(table.identity()) == [:])
        }
    }

    @Test(arguments: SinkKind.allCases)
    func `a trigger that removes rows after they were stored is seen in a keyed table`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.views
        let sink = try place.claimed(table, table.identity())
        switch kind {
        case .sqlite:
            try place.run("CREATE TRIGGER remover AFTER INSERT ON campaign_views BEGIN DELETE FROM campaign_views WHERE campaign_id = 'b'; END")
        case .postgres:
            try place.run(
                """
                CREATE FUNCTION remove() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    DELETE FROM campaign_views WHERE campaign_id = 'b'; RETURN NULL; END $$;
                CREATE TRIGGER remover AFTER INSERT ON campaign_views FOR EACH ROW EXECUTE FUNCTION remove();
                """)
        }
        let chunk = rows(table, [[.text("a"), .timestamp(0), .int64(1)], [.text("b"), .timestamp(0), .int64(1)]])
        let seen = try #require(failure { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk]) })
        #expect(seen.what.contains("stored 1") && seen.why.contains("trigger remover"), "\(seen)")
        // One that leaves the rows alone is no matter, and several rows of a key count once.
        try place.run(kind == .sqlite ? "DROP TRIGGER remover" : "DROP TRIGGER remover ON campaign_views")
        try place.run("CREATE TABLE copies (id text)")
        switch kind {
        case .sqlite: try place.run("CREATE TRIGGER copier AFTER INSERT ON campaign_views BEGIN INSERT INTO copies VALUES (new.campaign_id); END")
        case .postgres:
            try place.run(
                """
                CREATE FUNCTION copy_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    INSERT INTO copies VALUES (new.campaign_id); RETURN NULL; END $$;
                CREATE TRIGGER copier AFTER INSERT ON campaign_views FOR EACH ROW EXECUTE FUNCTION copy_it();
                """)
        }
        let twice = rows(table, [[.text("a"), .timestamp(0), .int64(1)], [.text("b"), .timestamp(0), .int64(1)], [.text("a"), .timestamp(0), .int64(2)]])
        #expect(try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [twice]) == .written)
    }

    @Test func `a partitioned table takes rows by key, refuses those that no partition takes, and is seen when it is emptied`() throws {
        let place = try SinkPlace(.postgres)
        let table = SinkTable.purchases
        try place.run(
            """
            CREATE TABLE purchases (topic text NOT NULL, "partition" integer NOT NULL, "offset" bigint NOT NULL, user_id text,
                PRIMARY KEY (topic, "partition", "offset")) PARTITION BY RANGE ("offset");
            CREATE TABLE purchases_0 PARTITION OF purchases FOR VALUES FROM (0) TO (100);
            CREATE TABLE purchases_1 PARTITION OF purchases FOR VALUES FROM (100) TO (200);
            """)
        let sink = try place.claimed(table, table.identity())
        func chunk(_ offsets: Range<Int64>) -> Chunk { rows(table, offsets.map { [.text("in"), .int64(0), .int64($0), .null] }) }
        #expect(try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [chunk(0..<150)]) == .written)
        #expect(try sink.seal(table.identity(), part: 0, batch: 2, digest: "2", rows: [chunk(100..<203)]) == Sealed(.written, refused: 3))
        #expect(try place.ask("SELECT count(*) FROM purchases") == [[.int(200)]])
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .found)
        try place.run("TRUNCATE purchases")
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .gone)
    }

    @Test func `a rule that sends rows elsewhere is named`() throws {
        let place = try SinkPlace(.postgres)
        let table = SinkTable.bare
        let sink = try place.claimed(table, table.identity())
        try place.run("CREATE RULE away AS ON INSERT TO bare DO INSTEAD NOTHING")
        let seen = try #require(
            failure { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [rows(table, [[.int64(1), .null, .int64(0)]])]) })
        #expect(seen.code == .sinkMismatch && seen.why.contains("rule away"), "\(seen)")
        #expect(try place.ask("SELECT count(*) FROM sluice_ledger") == [[.int(0)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `a table that is all key counts rows that come again as stored`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable(name: "seen", schema: Schema([Field("k", .text)]), key: ["k"], mode: .keyedUpsert)
        let sink = try place.claimed(table, table.identity())
        let chunk = rows(table, [[.text("a")], [.text("b")]])
        for batch: Int64 in 1...2 {
            #expect(try sink.seal(table.identity(), part: 0, batch: batch, digest: "d", rows: [chunk]) == .written)
        }
        #expect(try place.ask("SELECT count(*) FROM seen") == [[.int(2)]])
    }

    @Test func `a deferred constraint refuses its row and not the batch`() throws {
        let place = try SinkPlace(.postgres)
        try place.run(
            """
            CREATE TABLE known (a bigint PRIMARY KEY); INSERT INTO known VALUES (1), (2);
            CREATE TABLE bare (a bigint REFERENCES known DEFERRABLE INITIALLY DEFERRED, b text, c bigint);
            """)
        let table = SinkTable.bare
        let sink = try place.claimed(table, table.identity())
        let chunk = rows(table, (1...3).map { [.int64($0), .null, .int64(0)] })
        #expect(try sink.seal(table.identity(), part: 0, batch: 2, digest: "d", rows: [chunk]) == Sealed(.written, refused: 1))
        #expect(try place.ask("SELECT a FROM bare ORDER BY a") == [[.int(1)], [.int(2)]])
    }
}
