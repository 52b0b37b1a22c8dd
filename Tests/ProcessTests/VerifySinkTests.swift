import Engine
import Foundation
import TestSupport
import Testing

/// Recorded batches, delivered in every wrong way into a staging sink.
@Suite(.waits, .serialized) struct VerifySinkTests {
    @Test(arguments: ["campaign-views", "purchases"])
    func `deliveries that are repeated, out of order and killed leave the rows once`(job: String) throws {
        let harness = try JobHarness()
        try harness.generate(events: 12_000)
        try harness.run(job, workers: 0, extra: ["--max-batch-records", "4000"])
        let plan = try harness.sluice("verify-sink", job, "--against", "sqlite:staging.db", "--plan")
        #expect(plan.output.contains("killed at sink-written: nothing is there of it"))
        #expect(!FileManager.default.fileExists(atPath: harness.directory.file("staging.db")), "a plan made something")
        let result = try harness.sluice("verify-sink", job, "--against", "sqlite:staging.db", "--batches", "2")
        #expect(result.output.contains("are there once") && !result.output.contains("WRONG"), "\(result.output)")
        #expect(result.output.contains("killed at worker-sealed: its rows are there, once"))
        // A table with rows is no place for a trial.
        let again = try harness.sluice("verify-sink", job, "--against", "sqlite:staging.db", expecting: 1)
        #expect(again.errors.contains("has rows"), "\(again.errors)")
        let lines = try harness.sluice("verify-sink", job, "--against", "sqlite:other.db", "--batches", "1", "--json")
        #expect(lines.output.split(separator: "\n").allSatisfy { $0.contains("\"passed\":true") }, "\(lines.output)")
    }

    @Test func `a sink that takes a delivery twice is found`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 4000)
        try harness.run("purchases", workers: 0)
        // What makes a second delivery harmless is taken away behind the trial's back: the ledger forgets at once.
        let database = try openDatabase("sqlite:" + harness.directory.file("staging.db"))
        try database.executeScript(
            """
            CREATE TABLE sluice_jobs (job text PRIMARY KEY, job_id text NOT NULL, epoch bigint NOT NULL);
            CREATE TABLE sluice_ledger (job_id text NOT NULL, sink text NOT NULL, part bigint NOT NULL,
                batch bigint NOT NULL, epoch bigint NOT NULL, digest text NOT NULL, witness text, refused bigint,
                PRIMARY KEY (job_id, sink, part));
            CREATE TRIGGER forget AFTER INSERT ON sluice_ledger BEGIN DELETE FROM sluice_ledger; END;
            """)
        database.close()
        let result = try harness.sluice("verify-sink", "purchases", "--against", "sqlite:staging.db", expecting: 1)
        #expect(result.output.contains("WRONG"), "\(result.output)\(result.errors)")
    }

    @Test func `a verification against nothing that can be read back is refused`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 1000)
        try harness.run(workers: 0)
        let none = try harness.sluice("verify-sink", "campaign-views", expecting: 2)
        #expect(none.errors.contains("--against"), "\(none.errors)")
        let console = try harness.sluice("verify-sink", "campaign-views", "--against", "console:", expecting: 1)
        #expect(console.errors.contains("is no database"), "\(console.errors)")
    }
}
