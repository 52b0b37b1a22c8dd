// Keys that can be NULL, and the key without columns: one row of each key, whatever the database thinks of NULL.

import Engine
import TestSupport
import Testing

@Suite(.waits) struct SinkNullKeyTests {
    /// By a column that can be NULL, one that cannot, and another that can.
    static let table = SinkTable(
        name: "totals",
        schema: Schema([
            Field("total", .int64, nullable: true), Field("region", .text, nullable: true), Field("day", .text, sqlType: "date"),
            Field("size", .int64, nullable: true, sqlType: "integer"),
        ]), key: ["region", "day", "size"], mode: .keyedUpsert)

    private static let day = Value.text("2026-03-01")
    private static let keys: [[Value]] = [
        [.null, day, .null], [.null, day, .int64(0)], [.text(""), day, .null], [.text(""), day, .int64(0)], [.text("eu"), day, .null],
        [.null, .text("2026-03-02"), .null],
    ]

    private func all(_ total: Int64) -> [[Value]] { Self.keys.enumerated().map { [.int64(total + Int64($0))] + $1 } }

    /// One row a key, written over, found, deleted.
    private func tryOut(_ place: SinkPlace, _ table: SinkTable = table) throws {
        let sink = try place.open(table)
        func seal(_ batch: BatchNumber, _ rows: [Chunk]) throws -> Sealed {
            try sink.seal(table.identity(), part: 0, batch: batch, digest: "d\(batch)", rows: rows)
        }
        for batch: Int64 in 1...2 { #expect(try seal(batch, [rows(table, all(batch * 10))]) == .written) }
        #expect(try place.ask("SELECT count(*), sum(total) FROM totals") == [[.int(6), .int(135)]])
        #expect(try sink.existing(keysOf: rows(table, all(0))) == all(20).map(Optional.some))
        // Two rows of one key in one part: the last.
        #expect(try seal(3, [rows(table, [all(1)[0], all(30)[0]])]) == .written)
        #expect(try sink.existing(keysOf: deleted(table, [Self.keys[0]])) == [all(30)[0]])
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .found)
        #expect(try seal(4, [deleted(table, [Self.keys[0], Self.keys[3]]), rows(table, [all(40)[1]])]) == .written)
        #expect(
            try sink.existing(keysOf: rows(table, all(0)))
                == [nil, all(40)[1], all(20)[2], nil, all(20)[4], all(20)[5]])
        #expect(try seal(5, [deleted(table, Self.keys)]) == .written)
        #expect(try place.ask("SELECT count(*) FROM totals") == [[.int(0)]])
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .unknown)
    }

    @Test(arguments: SinkKind.allCases)
    func `a table that a job makes has one row of each key, NULL or not, and is taken again`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        _ = try place.claimed(Self.table, Self.table.identity())
        try tryOut(place)
        try place.open(Self.table).claim(Self.table.identity(epoch: 2), SinkClaim(after: 5))
        if kind == .postgres {
            let index = try place.ask("SELECT indnullsnotdistinct, indisprimary FROM pg_index WHERE indrelid = 'totals'::regclass")
            #expect(index == [[.int(1), .int(0)]])
            let filled = try place.ask("SELECT attname FROM pg_attribute WHERE attrelid = 'totals'::regclass AND attnum > 0 AND attnotnull")
            #expect(filled == [[.text("day")]])
        } else {
            let plan = try place.ask(
                """
                EXPLAIN QUERY PLAN SELECT total FROM totals WHERE ("region" IS NULL) = ($1 IS NULL) AND coalesce("region", '') = coalesce($1, '')
                    AND "day" = $2 AND ("size" IS NULL) = ($3 IS NULL) AND coalesce("size", '') = coalesce($3, '')
                """, [.null, .text("x"), .null])
            guard case .text(let detail)? = plan.first?.last else { return #expect(Bool(false), "no plan") }
            #expect(detail.contains("USING INDEX sluice_key_totals (<expr>=? AND <expr>=? AND day=? AND <expr>=? AND <expr>=?)"), "\(detail)")
        }
    }

    @Test func `a server that keeps NULLs apart is given an index over expressions`() throws {
        let place = try SinkPlace(.postgres)
        try place.run(
            """
            CREATE TABLE totals (total bigint, region text, day date NOT NULL, size integer);
            CREATE UNIQUE INDEX ON totals (("region" IS NULL), (coalesce("region", '')), "day", ("size" IS NULL), (coalesce("size", 0)));
            """)
        _ = try place.claimed(Self.table, Self.table.identity())
        try tryOut(place)
    }

    @Test(arguments: SinkKind.allCases)
    func `a table whose key lets several NULLs in is refused, and one that takes no NULL refuses such rows`(kind: SinkKind) throws {
        let day = kind == .sqlite ? "text" : "date"
        for unique in [
            "UNIQUE (region, day, size)", "UNIQUE (day, size, region), UNIQUE (region, day)",
        ] {
            let place = try SinkPlace(kind)
            try place.run("CREATE TABLE totals (total bigint, region text, day \(day) NOT NULL, size integer, \(unique))")
            let seen = try #require(failure { try place.open(Self.table).claim(Self.table.identity(), adopt: false) })
            #expect(seen.code == .sinkMismatch && seen.what.contains("several rows with NULL") && seen.why.contains("region, size"), "\(seen)")
        }
        let place = try SinkPlace(kind)
        try place.run(
            "CREATE TABLE totals (total bigint, region text NOT NULL, day \(day) NOT NULL, size integer NOT NULL, PRIMARY KEY (region, day, size))")
        let sink = try place.claimed(Self.table, Self.table.identity())
        let sealed = try sink.seal(Self.table.identity(), part: 0, batch: 2, digest: "d", rows: [rows(Self.table, all(0))])
        #expect(sealed == Sealed(.written, refused: 5))
        #expect(try sink.existing(keysOf: rows(Self.table, all(0))) == [nil, nil, nil, all(0)[3], nil, nil])
        #expect(
            try sink.seal(Self.table.identity(), part: 0, batch: 3, digest: "d", rows: [deleted(Self.table, Self.keys)]) == .written)
        #expect(try place.ask("SELECT count(*) FROM totals") == [[.int(0)]])
    }

    @Test func `a unique index over expressions and columns is none of its columns alone`() throws {
        let place = try SinkPlace(.sqlite)
        try place.run(
            """
            CREATE TABLE campaign_views (campaign_id text NOT NULL, window_start text NOT NULL, views bigint);
            CREATE UNIQUE INDEX u ON campaign_views (campaign_id, window_start, abs(views));
            """)
        #expect(failureCode { try place.open(.views).claim(SinkTable.views.identity(), adopt: false) } == .sinkMismatch)
    }

    @Test func `tables of keys that cannot be NULL are made as ever`() throws {
        let place = try SinkPlace(.sqlite)
        for table in [SinkTable.views, .purchases, .bare] { try place.open(table).claim(table.identity(), adopt: false) }
        let made = try place.ask("SELECT sql FROM sqlite_master WHERE name IN ('campaign_views', 'purchases', 'bare') ORDER BY name")
        #expect(
            made == [
                [.text(#"CREATE TABLE "bare" ("a" INTEGER, "b" TEXT, "c" INTEGER)"#)],
                [
                    .text(
                        #"CREATE TABLE "campaign_views" ("campaign_id" TEXT NOT NULL, "window_start" TEXT NOT NULL, "views" INTEGER, "#
                            + #"PRIMARY KEY ("campaign_id", "window_start")) WITHOUT ROWID"#)
                ],
                [
                    .text(
                        #"CREATE TABLE "purchases" ("topic" TEXT NOT NULL, "partition" INTEGER NOT NULL, "offset" INTEGER NOT NULL, "#
                            + #""user_id" TEXT, PRIMARY KEY ("topic", "partition", "offset")) WITHOUT ROWID"#)
                ],
            ])
    }
}

@Suite(.waits) struct EmptyKeyTests {
    static let table = SinkTable(
        name: "total", schema: Schema([Field("n", .int64), Field("s", .text, nullable: true, sqlType: "numeric")]), key: [], mode: .keyedUpsert)

    private func row(_ n: Int64, _ s: Value = .null) -> [Value] { [.int64(n), s] }
    private var gone: Chunk {
        var chunk = Chunk(schema: Schema([]), columns: [], rowCount: 1)
        chunk.isDelete = true
        return chunk
    }

    private func seal(_ sink: any Sink, _ batch: BatchNumber, part: Int = 0, _ chunks: [Chunk]) throws -> Sealed {
        try sink.seal(Self.table.identity(), part: part, batch: batch, digest: "d\(batch)", rows: chunks)
    }

    private func there(_ place: SinkPlace) throws -> [[SQLValue]] { try place.ask("SELECT n FROM total ORDER BY n") }

    private func contents(_ place: SinkPlace) throws -> [[[SQLValue]]] {
        try [place.ask("SELECT * FROM total"), place.ask("SELECT * FROM sluice_ledger")]
    }

    private func witnesses(_ place: SinkPlace) throws -> [Int: SinkSight.Witness] {
        try #require(try place.open(Self.table).sight(Self.table.identity())).parts.mapValues(\.witness)
    }

    @Test(arguments: SinkKind.allCases)
    func `the table has one row, which is replaced, and none when it goes`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = Self.table
        let sink = try place.claimed(table, table.identity())
        #expect(try sink.existing(keysOf: gone) == [nil])
        for batch: Int64 in 1...3 { #expect(try seal(sink, batch, [rows(table, [row(batch, .text("1.50"))])]) == .written) }
        #expect(try there(place) == [[.int(3)]])
        #expect(try sink.existing(keysOf: rows(table, [row(0), row(1)])) == [row(3, .text("1.50")), row(3, .text("1.50"))])
        let before = try contents(place)
        #expect(try seal(sink, 3, [rows(table, [row(3, .text("1.50"))])]) == .alreadySealed)
        #expect(failureCode { try seal(sink, 2, [gone]) } == .ledgerConflict)
        #expect(try contents(place) == before)
        // Of several rows the last counts.
        #expect(try seal(sink, 4, [rows(table, [row(8), row(9)])]) == .written)
        #expect(try there(place) == [[.int(9)]])
        #expect(try seal(sink, 5, [gone]) == .written)
        #expect(try there(place) == [])
        #expect(try seal(sink, 6, [gone]) == .written)
        #expect(try seal(sink, 7, [rows(table, [row(7)])]) == .written)
        #expect(try there(place) == [[.int(7)]])
        try place.open(table).claim(table.identity(epoch: 2), SinkClaim(after: 7))
    }

    @Test(arguments: SinkKind.allCases)
    func `a row that is refused leaves the one before it`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = Self.table
        try place.run("CREATE TABLE total (n bigint CHECK (n < 10), s \(kind == .sqlite ? "text" : "numeric"))")
        let sink = try place.claimed(table, table.identity())
        _ = try seal(sink, 1, [rows(table, [row(1)])])
        #expect(try seal(sink, 2, [rows(table, [row(10)])]) == Sealed(.written, refused: 1))
        #expect(try there(place) == [[.int(1)]])
        #expect(try place.ask("SELECT row_key FROM sluice_refused") == [[.text(#"{"n":10,"s":null}"#)]])
        #expect(try seal(place.open(table), 3, [rows(table, [row(3)])]) == .written)
        #expect(try there(place) == [[.int(3)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `somebody's table of several rows is not taken, one row is`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        try place.run("CREATE TABLE total (n bigint PRIMARY KEY, s \(kind == .sqlite ? "text" : "numeric")); INSERT INTO total VALUES (1, '1'), (2, '2')")
        for adopt in [false, true] {
            let seen = try #require(failure { try place.open(Self.table).claim(Self.table.identity(), adopt: adopt) })
            #expect(seen.code == .sinkMismatch && seen.what.contains("several rows"), "\(seen)")
        }
        #expect(failureCode { try seal(place.open(Self.table), 1, [gone]) } != nil)
        #expect(try there(place) == [[.int(1)], [.int(2)]])
        try place.run("DELETE FROM total WHERE n = 1")
        let sink = try place.claimed(Self.table, Self.table.identity())
        #expect(try seal(sink, 1, [rows(Self.table, [row(5)])]) == .written)
        #expect(try there(place) == [[.int(5)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `two jobs with shares of the keys do not share the only row`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let (eu, us) = (Self.table.identity("e", job: "eu"), Self.table.identity("d", job: "us"))
        let sink = try place.open(Self.table)
        try sink.claim(eu, SinkClaim(begins: true, keys: "eu"))
        _ = try sink.seal(eu, part: 0, batch: 1, digest: "1", rows: [rows(Self.table, [row(1)])])
        #expect(failureCode { try place.open(Self.table).claim(us, SinkClaim(begins: true, keys: "us")) } == .sinkOwnedByOther)
    }

    @Test(arguments: SinkKind.allCases)
    func `the witness is the row that is there, whichever part wrote it`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(Self.table, Self.table.identity())
        _ = try seal(sink, 1, part: 0, [rows(Self.table, [row(1, .text("0.10"))])])
        #expect(try witnesses(place) == [0: .found])
        _ = try seal(sink, 2, part: 3, [rows(Self.table, [row(2, .text("0.20"))])])
        #expect(try witnesses(place) == [0: .unknown, 3: .found])
        if kind == .postgres {
            try place.run("VACUUM FULL total")
            #expect(try witnesses(place) == [0: .unknown, 3: .found])
        }
        #expect(try seal(place.open(Self.table), 3, part: 3, [gone]) == .written)
        #expect(try witnesses(place) == [0: .unknown, 3: .unknown])
        #expect(try seal(place.open(Self.table), 4, part: 3, [rows(Self.table, [row(4)])]) == .written)
        try place.run("DELETE FROM total")
        #expect(try witnesses(place)[3] == .gone)
        #expect(failureCode { try seal(place.open(Self.table), 5, part: 3, [rows(Self.table, [row(5)])]) } == .sinkMismatch)
    }

    @Test(arguments: SinkKind.allCases)
    func `a trigger that keeps the row is named`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(Self.table, Self.table.identity())
        _ = try seal(sink, 1, [rows(Self.table, [row(1)])])
        switch kind {
        case .sqlite: try place.run("CREATE TRIGGER keeper BEFORE DELETE ON total BEGIN SELECT raise(IGNORE); END")
        case .postgres:
            try place.run(
                """
                CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
                CREATE TRIGGER keeper BEFORE DELETE ON total FOR EACH ROW EXECUTE FUNCTION keep();
                """)
        }
        for chunk in [gone, rows(Self.table, [row(2)])] {
            let seen = try #require(failure { try seal(sink, 2, [chunk]) })
            #expect(seen.code == .sinkMismatch && seen.why.contains("trigger keeper"), "\(seen)")
        }
        #expect(try there(place) == [[.int(1)]])
    }
}
