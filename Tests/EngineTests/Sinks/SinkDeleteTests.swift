// Rows that go by key: exactly once, by nobody who is not to, refused like rows, and never the witness of a lost table.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits) struct SinkDeleteTests {
    let table = SinkTable.views

    private func key(_ id: String) -> [Value] { [.text(id), .timestamp(0)] }
    private func row(_ id: String, _ views: Int64 = 1) -> [Value] { key(id) + [.int64(views)] }
    private func gone(_ ids: String...) -> Chunk { deleted(table, ids.map(key)) }
    private func written(_ ids: String..., views: Int64 = 1) -> Chunk { rows(table, ids.map { row($0, views) }) }

    private func ids(_ place: SinkPlace) throws -> [String] {
        try place.ask("SELECT campaign_id FROM campaign_views ORDER BY 1").map { row in if case .text(let id) = row[0] { id } else { "?" } }
    }

    private func seal(
        _ sink: any Sink, _ batch: BatchNumber, part: Int = 0, epoch: Epoch = 1, after: Predecessor = .unknown, _ rows: [Chunk]
    ) throws -> Sealed {
        try sink.seal(table.identity(epoch: epoch), part: part, batch: batch, digest: "d\(batch)", after: after, rows: rows)
    }

    // MARK: once

    @Test(arguments: SinkKind.allCases)
    func `a part writes and deletes in one transaction, again changes nothing, and a key that is not there is no matter`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(table, table.identity())
        #expect(try seal(sink, 1, [written("a", "b", "c")]) == .written)
        let rows = [gone("a", "missing"), written("d"), gone("b"), written("c", views: 2)]
        #expect(try seal(sink, 2, rows) == .written)
        #expect(try ids(place) == ["c", "d"])
        #expect(try place.ask("SELECT views FROM campaign_views WHERE campaign_id = 'c'") == [[.int(2)]])
        let before = try place.contents(of: table)
        #expect(try seal(sink, 2, rows) == .alreadySealed)
        #expect(try seal(place.open(table), 2, rows) == .alreadySealed)
        #expect(failureCode { try seal(sink, 1, [gone("c", "d")]) } == .ledgerConflict)
        #expect(try place.contents(of: table) == before)
        #expect(try sink.existing(keysOf: gone("d", "b")) == [row("d"), nil])
        // Written again behind its end, and the other way round.
        #expect(try seal(sink, 3, [written("a")]) == .written)
        #expect(try seal(sink, 4, [gone("a", "c", "d")]) == .written)
        #expect(try ids(place) == [])
    }

    @Test(arguments: SinkKind.allCases)
    func `a driver that was replaced deletes nothing`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let zombie = try place.claimed(table, table.identity())
        _ = try seal(zombie, 1, [written("a")])
        try place.open(table).claim(table.identity(epoch: 2), SinkClaim(after: 1))
        let before = try place.contents(of: table)
        #expect(failureCode { try seal(zombie, 2, [gone("a")]) } == .staleEpoch)
        #expect(try place.contents(of: table) == before)
    }

    @Test(arguments: SinkKind.allCases)
    func `many keys in many chunks go, selected ones only`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(table, table.identity())
        let all = (0..<5000).map { "c\($0)" }
        _ = try seal(sink, 1, [rows(table, all.map { row($0) })])
        let chunks = (0..<5).map { part in
            var chunk = deleted(table, (0..<1000).map { key("c\(part * 1000 + $0)") })
            let selection = Selection(capacity: 1000)
            var count = 0
            for row in stride(from: 0, to: 1000, by: 2) {
                selection.rows[count] = Int32(row)
                count += 1
            }
            selection.commit(count)
            chunk.selection = selection
            return chunk
        }
        #expect(try seal(sink, 2, chunks) == .written)
        #expect(try ids(place) == stride(from: 1, to: 5000, by: 2).map { "c\($0)" }.sorted())
    }

    @Test(arguments: SinkKind.allCases)
    func `what a row holds is free when it goes`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let time = kind == .sqlite ? "text" : "timestamptz"
        try place.run(
            "CREATE TABLE campaign_views (campaign_id text NOT NULL, window_start \(time) NOT NULL, views bigint UNIQUE, PRIMARY KEY (campaign_id, window_start))")
        let sink = try place.claimed(table, table.identity())
        _ = try seal(sink, 1, [written("old", views: 7)])
        #expect(try seal(sink, 2, [written("new", views: 7), gone("old")]) == .written)
        #expect(try ids(place) == ["new"])
    }

    // MARK: refused

    @Test(arguments: SinkKind.allCases)
    func `a row that others refer to stays, is kept by its key, and the rest goes`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(table, table.identity())
        let all = (0..<50).map { "c\($0)" }
        _ = try seal(sink, 1, [rows(table, all.map { row($0) })])
        let time = kind == .sqlite ? "text" : "timestamptz"
        try place.run(
            """
            CREATE TABLE orders (campaign_id text, window_start \(time),
                FOREIGN KEY (campaign_id, window_start) REFERENCES campaign_views (campaign_id, window_start));
            INSERT INTO orders SELECT campaign_id, window_start FROM campaign_views WHERE campaign_id IN ('c7', 'c30');
            """)
        let part = [written("new"), deleted(table, all.map(key))]
        #expect(try seal(sink, 2, part) == Sealed(.written, refused: 2))
        #expect(try ids(place) == ["c30", "c7", "new"])
        let kept = try place.ask("SELECT number, row_key, reason FROM sluice_refused ORDER BY number")
        #expect(kept.map { $0[0] } == [.int(7), .int(30)])
        #expect(kept.map { $0[1] } == ["c7", "c30"].map { .text(#"{"campaign_id":"\#($0)","window_start":0}"#) })
        guard case .text(let reason)? = kept.first?[2] else { return #expect(Bool(false), "no reason") }
        #expect(reason.hasPrefix("its row could not be deleted: ") && reason.lowercased().contains("foreign key"), "\(reason)")
        #expect(try seal(place.open(table), 2, part) == Sealed(.alreadySealed, refused: 2))
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .found)
        // Refused alone it leaves the part's witness as it is.
        #expect(try seal(sink, 3, [gone("c7", "missing")]) == Sealed(.written, refused: 1))
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .found)
    }

    @Test(arguments: SinkKind.allCases)
    func `a table that only gets rows added takes no deleted keys, and no sink keys of other columns`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        for (wrong, code) in [(SinkTable.purchases, Failure.Code.notPossible), (.bare, .notPossible)] {
            let sink = try place.claimed(wrong, wrong.identity())
            let before = try place.contents(of: wrong)
            let seen = try #require(
                failure { try sink.seal(wrong.identity(), part: 0, batch: 1, digest: "d", rows: [deleted(wrong, [wrong.key.map { _ in .null }])]) })
            #expect(seen.code == code && seen.what.contains(wrong.name), "\(seen)")
            #expect(try place.contents(of: wrong) == before)
        }
        let sink = try place.claimed(table, table.identity())
        var reordered = table
        reordered.key.reverse()
        #expect(failureCode { try seal(sink, 1, [deleted(reordered, [[.timestamp(0), .text("a")]])]) } == .internal)
        #expect(try sink.sealedBatches(table.identity()) == [:])
    }

    @Test(arguments: SinkKind.allCases)
    func `a trigger that keeps or brings back rows is named before anything is stored`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(table, table.identity())
        _ = try seal(sink, 1, [written("a", "b")])
        switch kind {
        case .sqlite: try place.run("CREATE TRIGGER keeper BEFORE DELETE ON campaign_views BEGIN SELECT raise(IGNORE); END")
        case .postgres:
            try place.run(
                """
                CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
                CREATE TRIGGER keeper BEFORE DELETE ON campaign_views FOR EACH ROW EXECUTE FUNCTION keep();
                """)
        }
        let seen = try #require(failure { try seal(sink, 2, [gone("a", "missing"), written("c")]) })
        #expect(seen.code == .sinkMismatch && seen.what.contains("kept the rows of 1") && seen.why.contains("trigger keeper"), "\(seen)")
        #expect(try sink.sealedBatches(table.identity()) == [0: 1])
        #expect(try ids(place) == ["a", "b"])
        try place.run(kind == .sqlite ? "DROP TRIGGER keeper" : "DROP TRIGGER keeper ON campaign_views")
        #expect(try seal(sink, 2, [gone("a", "missing"), written("c")]) == .written)
    }

    @Test(arguments: [false, true])
    func `keys of a large table are found by its index`(nullable: Bool) throws {
        let place = try SinkPlace(.postgres)
        let table = SinkTable(
            name: "large", schema: Schema([Field("k", .text, nullable: nullable, sqlType: "numeric"), Field("v", .int64)]), key: ["k"],
            mode: .keyedUpsert)
        let sink = try place.claimed(table, table.identity())
        try place.run("INSERT INTO large SELECT g, g FROM generate_series(1, 50000) g; ANALYZE large")
        let read = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'large'"
        #expect(try eventually { try place.ask("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'large'") == [[.int(50000)]] })
        let before = try place.ask(read)
        let keys: [[Value]] = (1...20).map { [.text("\($0)")] } + (nullable ? [[.null]] : [])
        #expect(try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [deleted(table, keys)]) == .written)
        sink.close()
        #expect(try eventually { try place.ask("SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'large'") == [[.int(20)]] })
        #expect(try place.ask(read) == before)
        #expect(try place.open(table).existing(keysOf: deleted(table, keys + [[.text("21.0")]])) == keys.map { _ in nil } + [[.text("21"), .int64(21)]])
    }

    // MARK: witnesses

    private func witnesses(_ place: SinkPlace) throws -> [Int: SinkSight.Witness] {
        try #require(try place.open(table).sight(table.identity())).parts.mapValues(\.witness)
    }

    @Test(arguments: SinkKind.allCases)
    func `a part that deletes what it wrote last has no witness until it writes again`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(table, table.identity())
        _ = try seal(sink, 1, [written("a", "b")])
        _ = try seal(sink, 2, [gone("a")])
        #expect(try witnesses(place) == [0: .found])
        _ = try seal(sink, 3, [gone("b")])
        #expect(try witnesses(place) == [0: .unknown])
        #expect(try seal(place.open(table), 4, [gone("b")]) == .written)
        #expect(try seal(place.open(table), 5, [written("c"), gone("a")]) == .written)
        #expect(try witnesses(place) == [0: .found])
    }

    @Test(arguments: SinkKind.allCases)
    func `a witness that another part or a backfill deletes does not look like a lost table`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(table, table.identity())
        for part in 0..<4 { _ = try seal(sink, 1, part: part, [written("a\(part)", "b\(part)")]) }
        // With fewer parts their keys are another part's.
        _ = try seal(sink, 2, part: 0, [gone("b0", "b2", "a1"), written("x")])
        #expect(try witnesses(place) == [0: .found, 1: .found, 2: .unknown, 3: .found])
        let backfill = table.identity("d", job: "job~backfill-1")
        try place.open(table).claim(backfill, SinkClaim(begins: true, parent: table.identity().jobID))
        _ = try place.open(table).seal(backfill, part: 0, batch: 1, digest: "1", rows: [gone("b3", "b1")])
        #expect(try witnesses(place) == [0: .found, 1: .unknown, 2: .unknown, 3: .unknown])
        for part in 1..<4 { #expect(try seal(place.open(table), 3, part: part, [gone("a\(part)")]) == .written) }
        // One that is there again is nobody's witness.
        _ = try seal(sink, 4, part: 0, [written("b3")])
        #expect(try witnesses(place) == [0: .found, 1: .unknown, 2: .unknown, 3: .unknown])
    }

    @Test(arguments: SinkKind.allCases)
    func `a table that is emptied behind a job that deletes is still seen by the rows that it did not delete`(kind: SinkKind) throws {
        for loss in ["DELETE FROM campaign_views", "DELETE FROM campaign_views WHERE campaign_id = 'b'"] {
            let place = try SinkPlace(kind)
            let sink = try place.claimed(table, table.identity())
            _ = try seal(sink, 1, [written("a", "b")])
            _ = try seal(sink, 2, [gone("a")])
            try place.run(loss)
            #expect(try witnesses(place) == [0: .gone])
            let seen = try #require(failure { try seal(place.open(table), 3, [gone("b")]) })
            #expect(seen.code == .sinkMismatch && seen.why.contains("gone"), "\(seen)")
        }
    }
}

@Suite(.waits) struct ConsoleDeleteTests {
    @Test func `a key whose row goes is a line of its own`() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let sink = ConsoleSink(table: .views, descriptor: ends[1])
        let identity = SinkTable.views.identity()
        let gone = deleted(.views, [[.text("a\u{1b}"), .timestamp(0)], [.text("b"), .timestamp(1)]])
        _ = try sink.seal(identity, part: 0, batch: 3, digest: "d", rows: [rows(.views, [[.text("c"), .timestamp(0), .int64(5)]]), gone])
        _ = try sink.seal(identity, part: 1, batch: 3, digest: "d", rows: [gone])
        #expect(try openSink(address: "discard:", table: .views).seal(identity, part: 1, batch: 3, digest: "d", rows: [gone]) == .written)
        close(ends[1])
        let printed = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true).readDataToEndOfFile()
        let keys = "- a\\u{1B}  1970-01-01T00:00:00.000Z\n- b  1970-01-01T00:00:00.001Z\n"
        #expect(
            String(decoding: printed, as: UTF8.self) == "campaign_views, batch 3, part 0\n" + keys
                + "campaign_id  window_start              views\nc            1970-01-01T00:00:00.000Z      5\n"
                + "campaign_views, batch 3, part 1\n" + keys)
    }
}
