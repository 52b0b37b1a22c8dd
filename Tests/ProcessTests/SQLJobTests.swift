import Engine
import Foundation
import TestSupport
import Testing

/// Jobs that are files of SQL, run by the real binary: killed, begun again with other workers, and judged by a real PostgreSQL.
@Suite(.waits, .serialized, .enabled(if: PostgresFixture.missingReason == nil && KafkaFixture.isAvailable, "no PostgreSQL or no Kafka")) struct SQLJobTests {
    struct Query: Sendable, CustomStringConvertible {
        let name: String
        /// Of `events`, in the words of both sides.
        let text: String
        var isUpsert = false
        /// Those of the answer, where the view has further ones for its key.
        var columns = "*"
        var description: String { name }
    }

    static let queries = [
        Query(name: "groups", text: "SELECT kind, account, count(*) AS n, sum(amount) AS total, min(at) AS first, max(id) AS last FROM events GROUP BY kind, account"),
        Query(
            name: "groups of groups",
            text:
                "SELECT n, count(*) AS groups, sum(total) AS total FROM (SELECT account, kind, count(*) AS n, sum(amount) AS total FROM events GROUP BY account, kind) AS g GROUP BY n"
        ),
        Query(name: "having, so rows go", text: "SELECT account, sum(amount) AS total FROM events GROUP BY account HAVING sum(amount) > 0"),
        Query(name: "one row", text: "SELECT count(*) AS n, sum(amount) AS total, count(DISTINCT kind) AS kinds FROM events"),
        Query(name: "distinct", text: "SELECT DISTINCT kind, note ->> 'n' AS n FROM events"),
        Query(
            name: "the largest three of each account",
            text: """
                SELECT account, place, id, amount FROM (
                    SELECT account, id, amount, row_number() OVER (PARTITION BY account ORDER BY amount DESC NULLS LAST, id) AS place FROM events) AS ranked
                WHERE place <= 3
                """, columns: "account, place, id, amount"),
        Query(
            name: "groups joined, left",
            text: """
                SELECT a.account, a.total, b.n FROM (SELECT account, sum(amount) AS total FROM events WHERE account IS NOT NULL GROUP BY account) AS a
                LEFT JOIN (SELECT account, count(*) AS n FROM events WHERE kind = 'd' AND amount > 1200 GROUP BY account) AS b ON a.account = b.account
                """),
        Query(
            name: "rows without partners",
            text: "SELECT id, account FROM events AS e WHERE NOT EXISTS (SELECT 1 FROM events AS o WHERE o.account = e.account AND o.amount > 1250 AND o.kind = 'a')",
            columns: "id, account"),
        Query(
            name: "groups of rows that are replaced", text: "SELECT kind, count(*) AS n, sum(amount) AS total FROM events GROUP BY kind", isUpsert: true),
        Query(name: "rows that are replaced", text: "SELECT id, account, amount, at FROM events WHERE amount > 0", isUpsert: true),
    ]

    @Test(arguments: queries) func `a query has PostgreSQL's answer, whatever is killed and however many work`(query: Query) throws {
        let world = try SQLJobWorld()
        let declared = query.isUpsert ? world.declared(mode: "upsert", key: " PRIMARY KEY") : world.declared()
        try world.write(declared + "CREATE MATERIALIZED VIEW answer AS\n" + query.text + ";\n")
        var random = SeededRandom(seed: UInt64(query.name.utf8.count))
        var events = SQLJobWorld.events(3_000, seed: 7)
        try world.send(events, keyed: query.isUpsert)
        let batches = ["--max-batch-records", "400", "--interval", "0"]
        // Killed in the middle, driver or worker, and begun again with another number of them.
        for workers in [2, 0, 3] {
            let process = try world.start(workers: workers, extra: batches)
            usleep(UInt32(150_000 + random.below(350_000)))
            if let victim = children(of: process.pid).randomElement(using: &random) {
                kill(victim, SIGKILL)
                usleep(UInt32(random.below(100_000)))
            }
            process.kill9()
            _ = process.wait()
        }
        try world.run(workers: 2, extra: batches)
        try world.expect("SELECT \(query.columns) FROM answer", equals: query.text)
        // More comes, and of a table that is replaced some goes.
        if query.isUpsert {
            events = SQLJobWorld.events(700, from: 100, seed: 11)
            try world.remove(Array(2_500..<2_600))
        } else {
            events = SQLJobWorld.events(700, from: 3_000, seed: 11)
        }
        try world.send(events, keyed: query.isUpsert)
        try world.run(workers: 1, extra: batches)
        try world.expect("SELECT \(query.columns) FROM answer", equals: query.text)
        try world.harness.sluice("audit", "job")
        try world.harness.expectWhole("job", deep: true)
        try world.harness.sluice("replay", "job", "--batch", "3", "--local")
    }
}
