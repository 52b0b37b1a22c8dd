// A table that lost its rows, or that another job writes, as each kind of database shows it: nothing is made anew, nobody
// goes on behind a gap, nobody overwrites another's rows.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits) struct SinkLossTests {
    let noon: Int64 = 1_772_366_400_000

    private func row(_ table: SinkTable, _ number: Int64) -> Chunk {
        switch table.name {
        case "campaign_views": rows(table, [[.text("c\(number)"), .timestamp(noon + number), .int64(number)]])
        case "purchases": rows(table, [[.text("t"), .int64(0), .int64(number), .text("u")]])
        default: rows(table, [[.int64(number), .null, .int64(number)]])
        }
    }

    /// A sink with two batches of one part.
    private func filled(_ place: SinkPlace, _ table: SinkTable) throws -> any Sink {
        let sink = try place.claimed(table, table.identity())
        for batch: Int64 in 1...2 {
            let after = batch == 1 ? Predecessor.nothing : .seal(batch: 1, digest: "d1")
            _ = try sink.seal(table.identity(), part: 0, batch: batch, digest: "d\(batch)", after: after, rows: [row(table, batch)])
        }
        return sink
    }

    private func next(_ sink: any Sink, _ table: SinkTable) throws -> Sealed {
        try sink.seal(
            table.identity(), part: 0, batch: 3, digest: "d3", after: .seal(batch: 2, digest: "d2"), rows: [row(table, 3)])
    }

    enum Loss: String, CaseIterable, CustomTestStringConvertible {
        case deleted, truncated, dropped, madeAnew, renamedAway
        var testDescription: String { rawValue }

        func script(_ table: String, _ kind: SinkKind) -> String {
            let copy = "CREATE TABLE keep AS SELECT * FROM \(table); "
            let empty = kind == .sqlite ? "CREATE TABLE \(table) AS SELECT * FROM keep WHERE 0" : "CREATE TABLE \(table) (LIKE keep)"
            return switch self {
            case .deleted: "DELETE FROM \(table)"
            case .truncated: kind == .sqlite ? "DELETE FROM \(table)" : "TRUNCATE \(table)"
            case .dropped: "DROP TABLE \(table)"
            case .madeAnew: copy + "DROP TABLE \(table); " + empty
            case .renamedAway: "ALTER TABLE \(table) RENAME TO \(table)_old"
            }
        }
    }

    @Test(arguments: SinkKind.allCases, Loss.allCases)
    func `a table that lost its rows is seen by a start, and by the next seal after a silence`(kind: SinkKind, loss: Loss) throws {
        for table in [SinkTable.views, .purchases, .bare] {
            let place = try SinkPlace(kind)
            _ = try filled(place, table)
            let before = try #require(try place.open(table).sight(table.identity()))
            #expect(before.parts[0] == SinkSight.Part(batch: 2, digest: "d2", witness: .found) && before.isSameTable == true)
            try place.run(loss.script(table.name, kind))
            let after = try #require(try place.open(table).sight(table.identity()))
            #expect(after.table == nil || after.parts[0]?.witness == .gone, "\(table.name): \(after)")
            #expect(after.owner == before.owner)
            let seen = try #require(failure { try next(place.open(table), table) }, "\(table.name)")
            #expect(seen.code == .sinkMismatch && seen.now.contains("sluice repair job"), "\(seen)")
            if after.table == nil {
                // A claim that does not begin the table makes none.
                let claimed = failure { try place.open(table).claim(table.identity(epoch: 2), SinkClaim(after: 2)) }
                #expect(claimed?.code == .sinkMismatch && claimed?.why.contains("not there") == true)
                #expect(try place.open(table).sight(table.identity())?.table == nil)
            }
        }
    }

    @Test(arguments: SinkKind.allCases)
    func `a table that is emptied or made anew under a running job takes no further batch`(kind: SinkKind) throws {
        for loss in [Loss.truncated, .dropped, .madeAnew] where kind == .postgres || loss != .truncated {
            let place = try SinkPlace(kind)
            let sink = try filled(place, .views)
            try place.run(loss.script("campaign_views", kind))
            let seen = try #require(failure { try next(sink, .views) })
            #expect(seen.code == .sinkMismatch, "\(loss): \(seen)")
            #expect(try place.ask("SELECT max(batch) FROM sluice_ledger") == [[.int(2)]])
        }
    }

    @Test func `a table that was only rewritten is the same table`() throws {
        let place = try SinkPlace(.postgres)
        for table in [SinkTable.views, .purchases, .bare] {
            let sink = try filled(place, table)
            try place.run("VACUUM FULL \(table.name)")
            #expect(try place.open(table).sight(table.identity())?.isSameTable == false)
            #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .found)
            #expect(try next(sink, table) == .written)
            #expect(try place.open(table).sight(table.identity())?.isSameTable == true)
        }
        let file = try SinkPlace(.sqlite)
        let sink = try filled(file, .views)
        try file.run("VACUUM")
        #expect(try next(sink, .views) == .written)
    }

    @Test func `a table put back alone from an older copy is seen by its rows`() throws {
        let place = try SinkPlace(.postgres)
        let table = SinkTable.views
        let sink = try place.claimed(table, table.identity())
        func views(_ count: Int64) -> Chunk { rows(table, [[.text("a"), .timestamp(noon), .int64(count)]]) }
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [views(1)])
        try place.run("CREATE TABLE copy (LIKE campaign_views INCLUDING ALL); INSERT INTO copy SELECT * FROM campaign_views")
        _ = try sink.seal(table.identity(), part: 0, batch: 2, digest: "2", rows: [views(7)])
        try place.run("DROP TABLE campaign_views; ALTER TABLE copy RENAME TO campaign_views")
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .changed)
        #expect(failureCode { try sink.seal(table.identity(), part: 0, batch: 3, digest: "3", rows: [views(8)]) } == .sinkMismatch)
    }

    @Test func `an unlogged table is refused, and one that a crash of the server emptied is seen`() throws {
        if let reason = PostgresFixture.missingReason { try Test.cancel("\(reason)") }
        let server = try PostgresFixture()
        let address = try server.newDatabase()
        let table = SinkTable.views
        try openDatabase(address).executeScript(
            "CREATE UNLOGGED TABLE campaign_views (campaign_id text, window_start timestamptz, views bigint, PRIMARY KEY (campaign_id, window_start))")
        let refused = try #require(failure { try openSink(address: address, table: table).claim(table.identity(), adopt: false) })
        #expect(refused.code == .sinkMismatch && refused.what.contains("unlogged") && refused.now.contains("SET LOGGED"))
        try openDatabase(address).executeScript("ALTER TABLE campaign_views SET LOGGED")
        let sink = try openSink(address: address, table: table)
        try sink.claim(table.identity(), adopt: false)
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [row(table, 1)])
        // Somebody makes it fast behind our back; its rows are still there.
        try openDatabase(address).executeScript("ALTER TABLE campaign_views SET UNLOGGED")
        let fast = try #require(failure { try sink.seal(table.identity(), part: 0, batch: 2, digest: "2", rows: [row(table, 2)]) })
        #expect(fast.what.contains("unlogged"))
        try server.kill9()
        try server.start()
        #expect(try openSink(address: address, table: table).sight(table.identity())?.parts[0]?.witness == .gone)
    }

    @Test(arguments: SinkKind.allCases)
    func `a sink of an earlier build is taken over with its ledger`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let time = kind == .sqlite ? "text" : "timestamptz"
        try place.run(
            """
            CREATE TABLE sluice_jobs (job text PRIMARY KEY, job_id text NOT NULL, epoch bigint NOT NULL);
            CREATE TABLE sluice_ledger (job_id text NOT NULL, sink text NOT NULL, part bigint NOT NULL,
                batch bigint NOT NULL, epoch bigint NOT NULL, digest text NOT NULL, PRIMARY KEY (job_id, sink, part));
            CREATE TABLE campaign_views (campaign_id text NOT NULL, window_start \(time) NOT NULL, views bigint,
                PRIMARY KEY (campaign_id, window_start));
            INSERT INTO sluice_jobs VALUES ('job', '\(String(repeating: "a", count: 32))', 1);
            INSERT INTO sluice_ledger VALUES ('\(String(repeating: "a", count: 32))', 'campaign_views', 0, 2, 1, 'd2');
            INSERT INTO sluice_ledger VALUES ('\(String(repeating: "f", count: 32))', 'campaign_views', 0, 9, 1, 'old');
            """)
        let table = SinkTable.views
        let sight = try #require(try place.open(table).sight(table.identity()))
        #expect(sight.parts == [0: SinkSight.Part(batch: 2, digest: "d2")] && sight.isSameTable == nil && sight.table != nil)
        let sink = try place.open(table)
        // The rows of an id that no job has any more are nobody's.
        try sink.claim(table.identity(epoch: 2), SinkClaim(after: 2))
        #expect(
            try sink.seal(
                table.identity(epoch: 2), part: 0, batch: 3, digest: "d3", after: .seal(batch: 2, digest: "d2"), rows: [row(table, 3)])
                == .written)
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .found)
    }

    // MARK: whose table

    @Test(arguments: SinkKind.allCases)
    func `two names of one job do not overwrite each other's rows in a keyed table`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let (eu, us) = (SinkTable.views.identity("e", job: "eu"), SinkTable.views.identity("d", job: "us"))
        // As long as neither has written a row, both may claim the table; the first rows decide.
        let first = try place.claimed(.views, eu)
        let second = try place.claimed(.views, us)
        _ = try first.seal(eu, part: 0, batch: 1, digest: "1", rows: [row(.views, 1)])
        let refused = try #require(failure { try second.seal(us, part: 0, batch: 1, digest: "1", rows: [row(.views, 1)]) })
        #expect(refused.code == .sinkOwnedByOther && refused.what.contains("job eu") && refused.now.contains("sink_table"))
        #expect(try place.ask("SELECT count(*) FROM sluice_ledger") == [[.int(1)]])
        #expect(failureCode { try place.open(.views).claim(us, adopt: false) } == .sinkOwnedByOther)
        // A table of its own, and tables that only get rows added, are no matter.
        var own = SinkTable.views
        own.name = "us_views"
        try place.open(own).claim(SinkIdentity(job: "us", jobID: us.jobID, epoch: 1, sink: own.name), adopt: false)
        for identity in [SinkTable.bare.identity("e", job: "eu"), SinkTable.bare.identity("d", job: "us")] {
            _ = try place.claimed(.bare, identity)
        }
        // Taken over by a person's word: then the first one is out, until it is taken back.
        try place.open(.views).claim(us, adopt: true)
        #expect(failureCode { try first.seal(eu, part: 0, batch: 2, digest: "2", rows: [row(.views, 2)]) } == .sinkOwnedByOther)
        #expect(failureCode { try place.open(.views).claim(eu, adopt: false) } == .sinkOwnedByOther)
        try place.open(.views).claim(eu, adopt: true)
        #expect(try first.seal(eu, part: 0, batch: 2, digest: "2", rows: [row(.views, 2)]) == .written)
        #expect(failureCode { try place.open(.views).seal(us, part: 0, batch: 2, digest: "2", rows: []) } == .sinkOwnedByOther)
    }

    @Test(arguments: SinkKind.allCases)
    func `a backfill of the same job, and jobs that declare different keys, share a keyed table`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let live = SinkTable.views.identity("e", job: "eu")
        let backfill = SinkTable.views.identity("d", job: "eu~backfill-1")
        let sink = try place.open(.views)
        try sink.claim(live, SinkClaim(begins: true, keys: "eu"))
        _ = try sink.seal(live, part: 0, batch: 1, digest: "1", rows: [row(.views, 1)])
        try place.open(.views).claim(backfill, SinkClaim(begins: true, parent: live.jobID))
        _ = try place.open(.views).seal(backfill, part: 0, batch: 1, digest: "1", rows: [row(.views, 2)])
        try place.open(.views).claim(live, SinkClaim(begins: true, keys: "eu"))
        let again = SinkTable.views.identity("f", job: "eu~backfill-2")
        try place.open(.views).claim(again, SinkClaim(begins: true, parent: live.jobID))
        let us = SinkTable.views.identity("c", job: "us")
        func claimUS(_ keys: String?) -> Failure.Code? {
            failureCode { try place.open(.views).claim(us, SinkClaim(begins: true, keys: keys)) }
        }
        #expect(claimUS(nil) == .sinkOwnedByOther && claimUS("eu") == .sinkOwnedByOther)
        #expect(claimUS("us") == .sinkOwnedByOther, "a backfill may write any key")
        try place.run("DELETE FROM sluice_ledger WHERE job_id = '\(backfill.jobID)'")
        #expect(claimUS("us") == nil)
    }

    @Test(arguments: SinkKind.allCases)
    func `adopting a sink makes its ledger say what the log says, and keeps what the planned batch has sealed`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        let sink = try place.claimed(table, table.identity())
        for (part, batch) in [(0, 7), (1, 9), (2, 4)] as [(Int, Int64)] {
            _ = try sink.seal(table.identity(), part: part, batch: batch, digest: "d\(batch)", rows: [row(table, batch)])
        }
        let marks = [SealMark(part: 0, batch: 6, digest: "d6"), SealMark(part: 3, batch: 5, digest: "d5")]
        try place.open(table).claim(table.identity(epoch: 2), SinkClaim(adopt: true, after: 8, open: 9, seals: marks))
        let ledger = try place.ask("SELECT part, batch, digest, witness FROM sluice_ledger ORDER BY part")
        #expect(
            ledger == [
                [.int(0), .int(6), .text("d6"), .null], [.int(1), .int(9), .text("d9"), .null],
                [.int(3), .int(5), .text("d5"), .null],
            ])
    }

    @Test func `a table is named by the job where the setting says so`() {
        #expect(StageGraph.sinkTable("views_{job}", job: "eu-west.1") == "views_eu_west_1")
        #expect(StageGraph.sinkTable("views", job: "eu") == "views")
    }
}
