// A PostgreSQL sink behind a pooler: with PgBouncer in transaction mode the server's session is another client's with each
// transaction, so nothing may be left in it or expected there.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .enabled(if: PgBouncerFixture.missingReason == nil, "needs PgBouncer and a PostgreSQL server"))
struct PgBouncerTests {
    let direct: String
    init() throws { direct = try PostgresFixture.shared().newDatabase() }

    /// Once it listens.
    private func pooled(_ mode: PgBouncerFixture.Mode) throws -> PgBouncerFixture {
        let pooler = try PgBouncerFixture(before: direct, mode)
        let url = pooler.url(of: direct)
        let isThere = eventually { (try? PostgresDatabase(url: url)) != nil }
        #expect(isThere)
        return pooler
    }

    private func chunk(_ batch: Int64, _ part: Int) -> Chunk {
        rows(.views, (0..<50).map { [.text("c\(part)-\($0)"), .timestamp(batch), .int64(batch)] })
    }

    @Test(arguments: [PgBouncerFixture.Mode.transaction, .session])
    func `parts are sealed side by side through few server connections, and every row is there once`(mode: PgBouncerFixture.Mode) throws {
        let pooler = try pooled(mode)
        let url = pooler.url(of: direct)
        let table = SinkTable.views
        let sink = try openSink(address: url, table: table)
        try sink.claim(table.identity(), adopt: false)
        // A client that leaves things in its session: names that ours once had, and settings that change what is read.
        let rude = try PostgresDatabase(url: url)
        _ = failure { try rude.executeScript("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'") }
        let failures = failuresOfThreads(6) { part in
            let sink = try openSink(address: url, table: table)
            for batch: Int64 in 1...10 {
                let after = batch == 1 ? Predecessor.nothing : .seal(batch: batch - 1, digest: "\(batch - 1)")
                let sealed = try sink.seal(
                    table.identity(), part: part, batch: batch, digest: "\(batch)", after: after, rows: [chunk(batch, part)])
                #expect(sealed == .written)
            }
        }
        #expect(failures.isEmpty, "\(failures)")
        #expect(try openDatabase(direct).execute("SELECT count(*), min(window_start) FROM campaign_views") == [[.int(3000), .text("1970-01-01T00:00:00.001Z")]])
        #expect(try sink.existing(keysOf: chunk(7, 3)).allSatisfy { $0?[1] == .timestamp(7) && $0?[2] == .int64(7) })
        #expect(try sink.sight(table.identity())?.parts.count == 6)
        // A row that is refused takes the same way.
        let odd = rows(table, [[.text("a"), .timestamp(0), .int64(1)], [.text("b\0"), .timestamp(0), .int64(1)]])
        let sealed = try sink.seal(table.identity(), part: 0, batch: 11, digest: "11", after: .seal(batch: 10, digest: "10"), rows: [odd])
        #expect(sealed == Sealed(.written, refused: 1))
    }

    @Test func `a pooler that is killed is an outage, and what was lost with it is written by the retry`() throws {
        let pooler = try pooled(.transaction)
        let table = SinkTable.views
        let sink = try openSink(address: pooler.url(of: direct), table: table)
        try sink.claim(table.identity(), adopt: false)
        for batch: Int64 in 1...5 {
            pooler.stop()
            let after = batch == 1 ? Predecessor.nothing : .seal(batch: batch - 1, digest: "\(batch - 1)")
            func seal() throws -> Sealed {
                try sink.seal(table.identity(), part: 0, batch: batch, digest: "\(batch)", after: after, rows: [chunk(batch, 0)])
            }
            let seen = try #require(failure { try seal() })
            #expect(seen.isOutage, "\(seen)")
            try pooler.start()
            var last: Failure?
            let isWritten = eventually {
                last = failure { _ = try seal() }
                #expect(last.map(\.isOutage) ?? true, "\(String(describing: last))")
                return last == nil
            }
            #expect(isWritten, "\(String(describing: last))")
        }
        #expect(try openDatabase(direct).execute("SELECT count(*) FROM campaign_views") == [[.int(250)]])
    }

    @Test func `server connections killed behind the pooler cost a retry and no row`() throws {
        let pooler = try pooled(.transaction)
        let table = SinkTable.views
        let sink = try openSink(address: pooler.url(of: direct), table: table)
        try sink.claim(table.identity(), adopt: false)
        let killer = try PostgresDatabase(url: direct)
        for batch: Int64 in 1...30 {
            let after = batch == 1 ? Predecessor.nothing : .seal(batch: batch - 1, digest: "\(batch - 1)")
            if batch % 3 == 0 {
                try killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            }
            var last: Failure?
            let isWritten = eventually {
                last = failure {
                    _ = try sink.seal(table.identity(), part: 0, batch: batch, digest: "\(batch)", after: after, rows: [chunk(batch, 0)])
                }
                #expect(last.map(\.isOutage) ?? true, "\(String(describing: last))")
                return last == nil
            }
            #expect(isWritten, "\(String(describing: last))")
        }
        #expect(try killer.execute("SELECT count(*) FROM campaign_views") == [[.int(1500)]])
    }

    @Test func `a pooler in statement mode is refused before anything is made, with the mode to use`() throws {
        let pooler = try pooled(.statement)
        let sink = try openSink(address: pooler.url(of: direct), table: .views)
        let seen = try #require(failure { try sink.claim(SinkTable.views.identity(), adopt: false) })
        #expect(seen.code == .notPossible && seen.now.contains("pool_mode = session"), "\(seen)")
        #expect(try openDatabase(direct).execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [[.int(0)]])
    }
}
