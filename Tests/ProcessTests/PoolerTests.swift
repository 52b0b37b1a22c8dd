import Engine
import Foundation
import TestSupport
import Testing

/// Whole jobs whose databases are behind a PgBouncer in one of its modes.
@Suite(.waits, .enabled(if: PgBouncerFixture.missingReason == nil, "needs PgBouncer and a PostgreSQL server"))
struct PoolerTests {
    private struct Pooled {
        let pooler: PgBouncerFixture
        let direct: String
        var url: String { pooler.url(of: direct) }

        init(_ mode: PgBouncerFixture.Mode) throws {
            direct = try postgresSink()
            pooler = try PgBouncerFixture(before: direct, mode)
            let url = pooler.url(of: direct)
            let isThere = eventually { (try? PostgresDatabase(url: url)) != nil }
            #expect(isThere)
        }
    }

    @Test func `a whole job writes through a pooler in transaction mode, through a kill`() throws {
        let pooled = try Pooled(.transaction)
        let harness = try JobHarness(sink: pooled.url)
        try harness.generate(events: 20_000)
        let killed = try harness.run(
            workers: 2, extra: ["--max-batch-records", "4000"], environment: ["SLUICE_TEST_FAILPOINT": "part-sealed@2"], expecting: nil)
        #expect(killed.status == 128 + SIGKILL, "\(killed.errors)")
        try harness.run(workers: 2, extra: ["--max-batch-records", "4000"])
        try harness.expectExact()
        try harness.expectWhole(deep: true)
    }

    @Test func `a whole job keeps its catalog behind a pooler in transaction mode`() throws {
        let pooled = try Pooled(.transaction)
        let harness = try JobHarness(environment: ["SLUICE_CATALOG": pooled.url])
        try harness.generate(events: 20_000)
        let killed = try harness.run(
            workers: 2, extra: ["--max-batch-records", "4000"], environment: ["SLUICE_TEST_FAILPOINT": "done@2"], expecting: nil)
        #expect(killed.status == 128 + SIGKILL, "\(killed.errors)")
        try harness.run(workers: 2, extra: ["--max-batch-records", "4000"])
        try harness.expectExact()
        try harness.expectWhole()
    }

    @Test func `a catalog behind a pooler in statement mode is refused by name before the first batch`() throws {
        let pooled = try Pooled(.statement)
        let harness = try JobHarness(environment: ["SLUICE_CATALOG": pooled.url])
        try harness.generate(events: 100)
        let refused = try harness.run(workers: 0, expecting: 1)
        #expect(refused.errors.contains("pool_mode = session"), "\(refused.errors)")
        #expect(!refused.output.contains("batch 1 "))
        #expect(try openDatabase(pooled.direct).execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [[.int(0)]])
    }
}
