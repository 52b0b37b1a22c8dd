import Engine
import Foundation
import TestSupport
import Testing

/// What jobs of SQL do beyond one query over one topic: several topics, rows that fail, rows that leave once, a first row before any
/// record, totals that a reader sees while batches are sealed.
@Suite(.waits, .serialized, .enabled(if: PostgresFixture.missingReason == nil && KafkaFixture.isAvailable, "no PostgreSQL or no Kafka")) struct SQLJobKindsTests {
    private let batches = ["--max-batch-records", "400", "--interval", "0"]

    @Test func `two topics meet in a join, and in a union to which rows are only added`() throws {
        let world = try SQLJobWorld()
        let payments = try TestBroker.topic(partitions: 2)
        let tables =
            world.declared() + """
                CREATE TABLE payments (id int8, paid numeric(12, 2)) WITH (connector = 'kafka', topic = '\(payments)', format = 'json');

                """
        try world.write(
            tables + """
                CREATE MATERIALIZED VIEW answer AS
                    SELECT e.account, count(*) AS n, sum(p.paid) AS paid, sum(e.amount) AS owed FROM events AS e LEFT JOIN payments AS p ON p.id = e.id GROUP BY e.account;
                """)
        try world.write(
            tables + """
                CREATE TABLE moves (id int8, amount numeric(12, 2)) WITH (connector = 'postgres', url = '\(world.harness.sink)', table = 'moves');
                INSERT INTO moves SELECT id, amount FROM events UNION ALL SELECT id, paid FROM payments;
                """, to: "moves.sql")
        try world.send(SQLJobWorld.events(2_000, seed: 3))
        _ = try world.rows("CREATE TABLE payments (id int8, paid numeric(12, 2))")
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: world.harness.bootstrap))
        for id in stride(from: 0, to: 2_000, by: 3) {
            try producer.send(topic: payments, partition: Int32(id % 2), text: "{\"id\":\(id),\"paid\":\(id % 70).50}")
            _ = try world.rows("INSERT INTO payments VALUES (\(id), \(id % 70).50)")
        }
        try producer.flush()
        let process = try world.start(workers: 2, extra: batches)
        usleep(400_000)
        process.kill9()
        _ = process.wait()
        try world.run(workers: 2, extra: batches)
        try world.expect(
            "SELECT * FROM answer",
            equals: "SELECT e.account, count(*) AS n, sum(p.paid) AS paid, sum(e.amount) AS owed FROM events AS e LEFT JOIN payments AS p ON p.id = e.id GROUP BY e.account")
        try world.harness.sluice("audit", "job")
        try world.harness.expectWhole("job")
        let other = try world.start("moves.sql", workers: 2, extra: batches)
        usleep(300_000)
        other.kill9()
        _ = other.wait()
        try world.run("moves.sql", workers: 0, extra: batches)
        try world.expect("SELECT * FROM moves", equals: "SELECT id, amount FROM events UNION ALL SELECT id, paid FROM payments")
        try world.harness.expectWhole("moves")
    }

    @Test func `a row that fails is in quarantine with its coordinates, and can be run again`() throws {
        let world = try SQLJobWorld()
        try world.write(
            world.declared() + "CREATE MATERIALIZED VIEW answer AS SELECT kind, sum(1000 / (account - 3)) AS total FROM events WHERE account IS NOT NULL GROUP BY kind;")
        let events = SQLJobWorld.events(1_000, seed: 5)
        try world.send(events)
        let failing = events.filter { $0.account == 3 }.count
        try world.run(workers: 2, extra: batches + ["--set", "max_rejected_share=1"])
        try world.expect(
            "SELECT * FROM answer", equals: "SELECT kind, sum(1000 / (account - 3)) AS total FROM events WHERE account IS NOT NULL AND account <> 3 GROUP BY kind")
        let listed = try world.harness.sluice("quarantine", "job", "--limit", "1000", "--json").output.split(separator: "\n").filter { $0.contains("\"reason\":\"expression\"") }
        #expect(listed.count == failing && failing > 50, "\(listed.count) of \(failing)")
        // What failed fails again, and stays where it is.
        try world.harness.sluice("redrive", "job", expecting: nil)
        try world.expect(
            "SELECT * FROM answer", equals: "SELECT kind, sum(1000 / (account - 3)) AS total FROM events WHERE account IS NOT NULL AND account <> 3 GROUP BY kind")
        // Where a record has several rows and one of them fails, the others stay: it is counted, and is no record to run again.
        let several = "SELECT window_start, sum(1000 / (account - extract(minute FROM window_start)::int4 % 9)) AS total"
        try world.write(
            world.declared(", event_time = 'at'")
                + "CREATE MATERIALIZED VIEW hopping AS \(several) FROM hop(events, at, INTERVAL '1 min', INTERVAL '3 min') GROUP BY window_start;",
            to: "hop.sql")
        let hopped = try world.run("hop.sql", extra: batches + ["--set", "max_rejected_share=1"])
        #expect(hopped.output.contains(" failed") && !hopped.output.contains(" rejected  "), "\(hopped.output)")
        try world.expect(
            "SELECT * FROM hopping",
            equals: """
                \(several) FROM (
                    SELECT account, date_bin('1 min', at, '1970-01-01') - n * INTERVAL '1 min' AS window_start FROM events, generate_series(0, 2) AS n) AS windows
                WHERE account IS NULL OR account <> extract(minute FROM window_start)::int4 % 9 GROUP BY window_start
                """)
        // Under 'stop' the first one ends the job, with its reason.
        try world.write("SET on_error = 'stop';\n" + world.declared() + "CREATE MATERIALIZED VIEW stopped AS SELECT id, 1000 / (account - 3) AS total FROM events;", to: "stop.sql")
        let stopped = try world.run("stop.sql", expecting: 1)
        #expect(stopped.errors.contains("division by zero"), "\(stopped.errors)")
    }

    @Test func `final rows leave once the watermark has passed them, without a record that follows`() throws {
        let world = try SQLJobWorld()
        try world.write(
            world.declared(", event_time = 'at', lateness = '5 s'") + """
                CREATE MATERIALIZED VIEW answer WITH (emit = 'final') AS
                    SELECT window_end, count(*) AS n, sum(amount) AS total FROM tumble(events, at, INTERVAL '10 s') GROUP BY window_end;
                """)
        try world.send(SQLJobWorld.events(1_500, seed: 9))
        let closed = """
            SELECT date_bin('10 s', at, '1970-01-01') + INTERVAL '10 s' AS window_end, count(*) AS n, sum(amount) AS total FROM events GROUP BY 1
            HAVING date_bin('10 s', max(at), '1970-01-01') + INTERVAL '10 s'
                <= (SELECT min(newest) - INTERVAL '5 s' FROM (SELECT max(at) AS newest FROM events GROUP BY id % 3) AS partitions)
            """
        try world.run(workers: 2)
        try world.expect("SELECT * FROM answer", equals: closed)
        let shown = try world.harness.sluice("batches", "job").output
        #expect(shown.contains(" due "), "\(shown)")
        try world.send(SQLJobWorld.events(300, from: 1_500, seed: 10))
        try world.run(workers: 0, extra: batches)
        try world.expect("SELECT * FROM answer", equals: closed)
        try world.harness.expectWhole("job", deep: true)
    }

    @Test func `one row is there before the first record`() throws {
        let world = try SQLJobWorld()
        try world.write(world.declared() + "CREATE MATERIALIZED VIEW answer AS SELECT count(*) AS n, sum(amount) AS total FROM events;")
        try world.run()
        try world.expect("SELECT * FROM answer", equals: "SELECT 0::int8 AS n, NULL::numeric AS total")
        try world.run()
        try world.send(SQLJobWorld.events(10, seed: 1))
        try world.run()
        let refused = try world.harness.sluice("backfill", "job", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z", expecting: 1)
        #expect(refused.errors.contains("a backfill of job is not there yet"), "\(refused.errors)")
        try world.expect("SELECT * FROM answer", equals: "SELECT count(*) AS n, sum(amount) AS total FROM events")
    }

    @Test func `a file is submitted to a driver, and is not replaced by one that would lose its state`() throws {
        let world = try SQLJobWorld()
        func text(_ kind: String) -> String {
            world.declared() + "CREATE MATERIALIZED VIEW answer AS SELECT account, count(*) AS n FROM events WHERE kind = '\(kind)' GROUP BY account;"
        }
        try world.write(text("${kind}").replacing("'${kind}'", with: "${kind}"))
        try world.send(SQLJobWorld.events(2_000, seed: 31))
        let cluster = try Cluster(world.harness)
        let workers = try [cluster.worker(), cluster.worker()]
        _ = try cluster.submit("job.sql", ["--value", "kind=a"])
        let judged = "SELECT account, count(*) AS n FROM events WHERE kind = 'a' GROUP BY account"
        #expect(try SluiceProcess.eventually { try cluster.lag("job") == 0 })
        try world.expect("SELECT * FROM answer", equals: judged)
        let refused = try cluster.submit("job.sql", ["--value", "kind=b", "--replace"], expecting: 1)
        #expect(refused.errors.contains("1 of the 1 states that it keeps would be lost"), "\(refused.errors)")
        // It runs on as it was.
        workers[0].kill9()
        try world.send(SQLJobWorld.events(500, from: 2_000, seed: 32))
        #expect(try SluiceProcess.eventually { try cluster.lag("job") == 0 })
        try world.expect("SELECT * FROM answer", equals: judged)
        #expect(try cluster.state("job") == "running")
        #expect(cluster.stop().status == 0)
        try world.harness.expectWhole("job")
    }

    /// Transfers between accounts: what is there in all is nothing, after every batch and for whoever looks meanwhile.
    @Test func `the bank's total is zero whenever somebody looks`() throws {
        let world = try SQLJobWorld()
        try world.write(
            world.declared() + """
                CREATE VIEW credits AS SELECT account, sum(amount) AS amount FROM events WHERE account IS NOT NULL AND amount IS NOT NULL GROUP BY account;
                CREATE VIEW debits AS SELECT (account + id % 5) % 9 AS account, sum(amount) AS amount FROM events
                    WHERE account IS NOT NULL AND amount IS NOT NULL GROUP BY (account + id % 5) % 9;
                CREATE MATERIALIZED VIEW balance AS
                    SELECT account, sum(amount) AS amount FROM (
                        SELECT coalesce(c.account, d.account) AS account, coalesce(c.amount, 0) - coalesce(d.amount, 0) AS amount
                        FROM credits AS c FULL JOIN debits AS d ON c.account = d.account) AS moved
                    GROUP BY account;
                """)
        try world.send(SQLJobWorld.events(12_000, seed: 21))
        var random = SeededRandom(seed: 2)
        var (looks, kills) = (0, 0)
        let small = ["--max-batch-records", "80", "--interval", "0"]
        var process = try world.start(workers: 2, extra: small)
        // Counted from when it has begun to write.
        var deadline: ContinuousClock.Instant?
        while true {
            if case .int(1)? = try world.rows("SELECT count(*) FROM pg_tables WHERE tablename = 'balance'").first?.first {
                let totals = try world.rows("SELECT sum(amount) <> 0 FROM balance")
                #expect(totals.first?.first == .int(0) || totals.first?.first == .null, "somebody saw \(totals)")
                looks += 1
                if deadline == nil { deadline = ContinuousClock.now + .milliseconds(random.below(60)) }
            }
            if !process.isRunning {
                let ended = process.wait()
                if ended.status == 0 { break }
                try #require(ended.status == 128 + SIGKILL, "\(ended.errors)")
                process = try world.start(workers: [1, 2, 4][random.below(3)], extra: small)
                deadline = ContinuousClock.now + .milliseconds(200 + random.below(600))
            } else if kills < 5, let end = deadline, ContinuousClock.now > end {
                process.kill9()
                kills += 1
            }
            usleep(5_000)
        }
        #expect(looks > 50 && kills > 0, "\(looks) looks, \(kills) kills")
        try world.expect(
            "SELECT account, amount FROM balance",
            equals: """
                SELECT account, sum(amount) AS amount FROM (
                    SELECT account, amount FROM events WHERE account IS NOT NULL AND amount IS NOT NULL
                    UNION ALL SELECT (account + id % 5) % 9, -amount FROM events WHERE account IS NOT NULL AND amount IS NOT NULL) AS t GROUP BY account
                """)
    }
}
