// How large the log of a busy job gets, and what a batch costs in it.

import Driver
import Engine
import Foundation
import Testing
import TestSupport

/// A standing job with small batches: eight partitions, two parts, state in small deltas, a snapshot every eight.
private struct BusyJob {
    let jobID: JobID
    let epoch: Epoch
    private(set) var manifest: StateManifest?
    private(set) var parts: [SealedPart] = []
    private var random: UInt64 = 88_172_645_463_325_252

    init(_ jobID: JobID, _ epoch: Epoch) {
        self.jobID = jobID
        self.epoch = epoch
    }

    private mutating func next() -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random
    }

    private mutating func digest() -> String { hexadecimal(next()) + hexadecimal(next()) }

    mutating func plan(_ batch: BatchNumber) -> BatchPlan {
        var plan = BatchPlan(
            job: "campaign-views", jobID: jobID, batch: batch, epoch: epoch, batchTimeMillis: 1_795_955_559_472 + batch * 200,
            seed: next(),
            ranges: (0..<8).map { OffsetRange(topic: "ad-events", partition: $0, from: (batch - 1) * 25, until: batch * 25) },
            watermarkBeforeMillis: 1_772_366_449_400 + batch * 200, taskCounts: [8, 2], keyGroups: 128,
            buildDigest: "30b9effc766d42e293c5c2345a824ec5", settingsDigest: "05d8ab08e7d1889e0b30fe12e1fcdfd1",
            planDigest: "fcaca9cd57f64f353a61e1e18cdd8974", schemaDigest: "2a43b3206bb39fd8dd3e0f3c51aefa0c",
            lookups: ["ads": "7fefdc4620d26db42eca41d5538484a7"], topicIDs: ["ad-events": "zJ3lTjRbSDm4k7hPLJJPLQ"],
            stateBefore: manifest)
        plan.predecessors = parts.map { SealMark(part: $0.part, batch: batch - 1, digest: $0.digest) }
        return plan
    }

    mutating func outcome(_ batch: BatchNumber) -> (BatchOutcome, [InlineState]) {
        var outcome = BatchOutcome()
        outcome.rowsIn = 200
        outcome.rowsOut = 67
        outcome.bytesIn = 48_947
        outcome.digest = digest()
        outcome.parts = (0..<2).map { SealedPart(part: $0, rows: 30, digest: digest()) }
        outcome.watermarkAfterMillis = 1_772_366_449_600 + batch * 200
        outcome.workers = 1
        outcome.timings.planMillis = 0.686377
        outcome.timings.runMillis = 11.625047
        outcome.timings.sealMillis = 5.058349
        outcome.timings.previousCommitMillis = 1.124851
        var offered: [Int: StateFile] = [:]
        var inline: [InlineState] = []
        for part in 0..<2 {
            let digest = digest()
            // Each part writes its snapshots in a batch of its own.
            let isSnapshot = (batch + Int64(part) * 3) % 8 == 0
            let name = "v\(batch)-\(part * 64)-\((part + 1) * 64)-1-1-\(digest)"
            offered[part] = StateFile(
                kind: isSnapshot ? .snapshot : .delta, version: batch, name: name, inline: true, bytes: 1646, rows: 28,
                digest: digest)
            inline.append(InlineState(name: name, bytes: Array(repeating: UInt8(truncatingIfNeeded: batch), count: 64)))
        }
        manifest = .next(after: manifest, version: batch, bounds: [0, 64, 128], offered: offered)
        outcome.state = manifest
        parts = outcome.parts
        return (outcome, inline)
    }

    func positions(_ plan: BatchPlan) -> [PartitionPosition] {
        plan.ranges.map {
            PartitionPosition(
                topic: $0.topic, partition: $0.partition, position: $0.until, tailOffset: $0.until - 1,
                tailHash: "16d24f44f0788c19", maxEventTimeMillis: 1_772_366_449_400)
        }
    }
}

/// SQLite without waiting for the disk: what is measured is what is written, not how fast a disk syncs.
private func unsyncedCatalog(_ file: String) throws -> Catalog {
    try Catalog(file: file) {
        let database = try SQLiteDatabase(path: file)
        try database.executeScript("PRAGMA synchronous=OFF")
        return database
    }
}

/// Processor time of this thread: what others do on the machine does not count.
private func threadMillis() -> Double {
    var time = timespec()
    guard clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0 else { return .nan }
    return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
}

struct LogSizeTests {
    /// Runs batches `first...last` of `job`, each finished together with the plan of the next; returns milliseconds
    /// of processor time a batch.
    private func run(
        _ job: inout BusyJob, _ catalog: Catalog, _ plan: inout BatchPlan, until last: BatchNumber
    ) throws -> Double {
        let start = threadMillis()
        let first = plan.batch
        while plan.batch <= last {
            let (outcome, inline) = job.outcome(plan.batch)
            let next = job.plan(plan.batch + 1)
            try catalog.finishBatch(
                job.jobID, batch: plan.batch, epoch: job.epoch, outcome: outcome, positions: job.positions(plan),
                inlineState: inline, next: next)
            plan = next
        }
        return (threadMillis() - start) / Double(last - first + 1)
    }

    private func rowBytes(_ file: String) throws -> Double {
        let database = try SQLiteDatabase(path: file, readOnly: true)
        defer { database.close() }
        let rows = try database.execute(
            "SELECT avg(length(plan) + coalesce(length(outcome), 0) + length(ranges)) FROM sluice_batches")
        guard case .double(let average)? = rows.first?.first else { return .infinity }
        return average
    }

    @Test func `the log of a job with small batches grew by kilobytes a batch`() throws {
        let directory = try TemporaryDirectory("log")
        let file = directory.file("catalog.db")
        let catalog = try unsyncedCatalog(file)
        defer { catalog.close() }
        try catalog.insertJob(
            JobRecord(jobID: JobID(text: "34089314ae54481082385ff437ac0719"), name: "views", definition: "d", settings: [:], buildDigest: "b", settingsDigest: "s"))
        guard case .acquired(let epoch) = try catalog.acquireLease("views", holder: .elsewhere("a"), leaseMillis: 600_000)
        else { return }
        var job = BusyJob(JobID(text: "34089314ae54481082385ff437ac0719"), epoch)
        var plan = job.plan(1)
        try catalog.appendPlan(plan)
        _ = try run(&job, catalog, &plan, until: 1000)
        let bytes = try rowBytes(file)
        print("log: \(Int(bytes)) bytes of text a batch")
        #expect(bytes < 1000)
        let first = try catalog.batches(job.jobID, last: 3)
        #expect(first.last?.plan == plan && first[1].outcome?.state == job.manifest && first[0].plan.stateBefore?.version == 998)
    }

    @Test func `twenty thousand small batches leave a bounded file and cost the same each`() throws {
        let directory = try TemporaryDirectory("log")
        let file = directory.file("catalog.db")
        let catalog = try unsyncedCatalog(file)
        defer { catalog.close() }
        let jobID = JobID(text: "34089314ae54481082385ff437ac0719")
        try catalog.insertJob(
            JobRecord(jobID: jobID, name: "views", definition: "d", settings: [:], buildDigest: "b", settingsDigest: "s"))
        guard case .acquired(let epoch) = try catalog.acquireLease("views", holder: .elsewhere("a"), leaseMillis: 600_000)
        else { return }
        var job = BusyJob(jobID, epoch)
        var plan = job.plan(1)
        try catalog.appendPlan(plan)
        let retention = LogRetention(
            logKeepMillis: 86_400_000, logBytes: 3 << 20, stateKeepBatches: 1000, stateKeepMillis: 86_400_000)
        var bytes: [Int] = []
        var millis: [Double] = []
        for last in stride(from: 1000, through: 20_000, by: 1000) {
            millis.append(try run(&job, catalog, &plan, until: BatchNumber(last)))
            let report = try catalog.fold(jobID, epoch: epoch, retention)
            #expect(report.findings.isEmpty)
            bytes.append(try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int ?? 0)
        }
        print("log: \(bytes[4]) bytes after 5,000 batches, \(bytes[19]) after 20,000")
        // What was freed is used again.
        #expect(bytes[19] <= bytes[9] + bytes[9] / 20 && bytes[19] < 12 << 20)
        let (early, late) = (millis[2..<6].min() ?? 0, millis[16..<20].min() ?? .infinity)
        print("log: \(early) ms a batch after 3,000, \(late) after 20,000")
        #expect(late < early * 1.5 + 0.05)
        let audit = try catalog.audit(jobID)
        #expect(audit.passes(strict: true) && audit.batches == 20_000)
        #expect(audit.partitions.allSatisfy { $0.range.from == 0 && $0.range.until == 500_000 })
        let newest = try catalog.batches(jobID, last: 2)
        #expect(newest.first?.outcome?.state == job.manifest && newest.last?.plan == plan)
    }
}
