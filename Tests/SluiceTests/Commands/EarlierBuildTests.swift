// What the build before catalog version 3 left (`Tests/Fixtures/version-2`) is read by this one.

import Driver
import Engine
import Foundation
import Jobs
import Sluice
import TestSupport
import Testing

/// A copy of the fixture, whose places are where the copy is.
final class EarlierBuild {
    static let build = "30b9effc766d42e293c5c2345a824ec5"
    let directory: TemporaryDirectory
    let catalog: Catalog
    var address: String { "sqlite:" + directory.file("catalog.db") }
    var sinkPath: String { directory.file("sink.db") }
    var state: StateStore { get throws { try StateStore(address: "file:" + directory.file("state")) } }

    init() throws {
        directory = try TemporaryDirectory("earlier")
        let fixture = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/version-2").standardized.path
        for name in try FileManager.default.contentsOfDirectory(atPath: fixture) {
            try FileManager.default.copyItem(atPath: fixture + "/" + name, toPath: directory.file(name))
        }
        catalog = try Catalog.open(address: "sqlite:" + directory.file("catalog.db"))
        let database = try SQLiteDatabase(path: directory.file("catalog.db"))
        defer { database.close() }
        try database.execute("UPDATE sluice_registry SET settings = replace(settings, '/tmp/fx/.sluice/', $1)", [.text(directory.path + "/")])
        try database.execute("UPDATE sluice_registry SET settings = replace(settings, '/tmp/fx/', $1)", [.text(directory.path + "/")])
    }

    deinit { catalog.close() }

    func record(_ job: String) throws -> JobRecord { try #require(try catalog.job(named: job)) }

    func sluice(_ words: String...) -> (status: Int32, output: String, errors: String) {
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions(ShippedJobs.all)))
        let status = program.main(words + ["--catalog", address], terminal: captured.terminal)
        return (status, captured.outputText, captured.errorText)
    }
}

@Suite struct EarlierBuildTests {
    @Test func `the catalog of the build before is read by every command that looks`() throws {
        let earlier = try EarlierBuild()
        let jobs = try objects(earlier.sluice("jobs", "--json").output)
        #expect(jobs.map { $0["job"] as? String } == ["campaign-report", "campaign-views", "purchases"])
        #expect(jobs.map { $0["state"] as? String } == ["running", "running", "finished"])
        for (job, batches, until) in [("campaign-views", 2, 200), ("campaign-report", 2, 200), ("purchases", 4, 400)] {
            let audit = try #require(try objects(earlier.sluice("audit", job, "--json").output).first)
            #expect(audit["passes"] as? Bool == true && audit["batches"] as? Int == batches)
            let partitions = try #require(audit["partitions"] as? [[String: Any]])
            #expect(partitions.map { $0["until"] as? Int } == [until, until])
            let shown = try objects(earlier.sluice("batches", job, "--json").output)
            #expect(shown.filter { $0["state"] as? String == "DONE" }.map { $0["rows_in"] as? Int } == Array(repeating: 200, count: batches))
            #expect(earlier.sluice("quarantine", job).output.contains("no record of job \(job) is in quarantine"))
            #expect(earlier.sluice("jobs", "show", job).status == 0)
        }
        #expect(earlier.sluice("catalog", "check").output == "ok: the catalog is whole, with 3 jobs\n")
    }

    @Test func `plans and outcomes of the build before are whole`() throws {
        let earlier = try EarlierBuild()
        let id = try earlier.record("campaign-views").jobID
        let open = try #require(try earlier.catalog.openPlan(id)?.plan)
        #expect(open.batch == 3 && open.buildDigest == EarlierBuild.build && open.seed == 5_305_839_983_097_119_984)
        #expect(open.ranges.map(\.until) == [300, 300] && open.lookups == ["ads": "7fefdc4620d26db42eca41d5538484a7"])
        #expect(open.predecessors == nil && open.kind == nil && open.keyGroups == 128)
        let last = try #require(try earlier.catalog.lastDone(id))
        #expect(last.outcome?.state == open.stateBefore && last.outcome?.parts.map(\.rows) == [29, 34])
        #expect(last.outcome?.digest == "3e015a2074be913b000000000000003f" && last.outcome?.timings.previousCommitMillis == 1.12485)
        #expect(try earlier.catalog.lookup("7fefdc4620d26db42eca41d5538484a7")?.count == 74_018)
    }

    @Test(arguments: ["campaign-views", "campaign-report"])
    func `state of the build before is loaded and is part of what the sink holds`(_ name: String) throws {
        let earlier = try EarlierBuild()
        let record = try earlier.record(name)
        let graph = try JobDefinitions(ShippedJobs.all).graph(definition: record.definition, settings: record.settings)
        let manifest = try #require(try earlier.catalog.lastDone(record.jobID)?.outcome?.state)
        let sink = try SQLiteDatabase(path: earlier.sinkPath, readOnly: true)
        defer { sink.close() }
        let column = name == "campaign-views" ? "window_start" : "minute"
        var stored: [String: Int64] = [:]
        for row in try sink.execute("SELECT campaign_id, \(column), views FROM \(graph.sink.name)") {
            guard case .text(let campaign) = row[0], case .text(let window) = row[1], case .int(let views) = row[2] else { continue }
            stored[campaign + window] = views
        }
        var keys = 0
        for groups in [0..<64, 64..<128] {
            let state = KeyedState(graph: graph, keyGroups: 128)
            for file in StateSources(manifest.entries(for: groups)).files {
                state.apply(delta: try ChunkCodec.decode(earlier.state.get(record.jobID, file), for: .state), groups: groups)
            }
            #expect(state.groupCount > 0)
            let snapshot = state.snapshot()
            snapshot.forEachSelectedRow { row in
                let values = snapshot.values(row)
                guard case .text(let campaign) = values[0], case .timestamp(let window) = values[1], case .int64(let views) = values[2]
                else {
                    Issue.record("a key of the state is \(values)")
                    return
                }
                // Batch 3 is in the sink already and may have added to a window.
                #expect((stored[campaign + formatTime(window)] ?? 0) >= views)
                keys += 1
            }
        }
        #expect(keys > 60)
    }

    @Test func `the ledger of the build before is recognised, and its open batch is refused by the build's name`() throws {
        let earlier = try EarlierBuild()
        let record = try earlier.record("campaign-views")
        let graph = try JobDefinitions(ShippedJobs.all).graph(definition: record.definition, settings: record.settings)
        let sink = try SQLiteSink(path: earlier.sinkPath, table: graph.sink)
        defer { sink.close() }
        let owner = try sink.owner(job: record.name)
        #expect(owner == .job(record.jobID, 1))
        let sealed = try sink.sealedBatches(SinkIdentity(job: record.name, jobID: record.jobID, epoch: 2, sink: graph.sink.name))
        #expect(sealed == [0: 3, 1: 3])
        let facts = RecoveryPlan.Facts(
            job: record.name, jobID: record.jobID, isStateful: true, group: "sluice.campaign-views", sinkOwner: owner,
            positions: Dictionary(
                uniqueKeysWithValues: try earlier.catalog.positions(record.jobID).map {
                    (TopicPartition(topic: $0.topic, partition: $0.partition), $0.position)
                }),
            committed: [:], openPlan: try earlier.catalog.openPlan(record.jobID)?.plan, sealed: sealed,
            buildDigest: "another", settingsDigest: record.settingsDigest, planDigest: graph.digest, adopt: false, offsets: nil)
        let refusal = try failure { _ = try RecoveryPlan.decide(facts) }
        #expect(refusal.code == .planSealedByOther && refusal.what.contains(EarlierBuild.build))
    }

    @Test func `the next batch of an earlier build's job is written short and read whole`() throws {
        let earlier = try EarlierBuild()
        let record = try earlier.record("purchases")
        let holder = LeaseHolder(
            id: "t", pid: 1, bootID: "b", host: "h", address: "a", processStart: "1", pidNamespace: "n")
        guard case .acquired(let epoch) = try earlier.catalog.acquireLease("purchases", holder: holder, leaseMillis: 60_000) else {
            Issue.record("the lease is held")
            return
        }
        var plan = try #require(try earlier.catalog.lastDone(record.jobID)?.plan)
        plan.batch += 1
        plan.epoch = epoch
        plan.ranges = plan.ranges.map { OffsetRange(topic: $0.topic, partition: $0.partition, from: $0.until, until: $0.until + 5) }
        try earlier.catalog.appendPlan(plan)
        #expect(try earlier.catalog.openPlan(record.jobID)?.plan == plan)
        var outcome = BatchOutcome()
        outcome.rowsIn = 10
        try earlier.catalog.finishBatch(
            record.jobID, batch: plan.batch, epoch: epoch, outcome: outcome,
            positions: plan.ranges.map { PartitionPosition(topic: $0.topic, partition: $0.partition, position: $0.until) })
        #expect(try earlier.catalog.audit(record.jobID).passes(strict: true))
        #expect(try earlier.catalog.batches(record.jobID, last: 9).map { $0.plan.batch } == [1, 2, 3, 4, 5])
    }
}
