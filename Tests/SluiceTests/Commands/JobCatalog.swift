// A catalog with one job in it, and the whole program to ask about it.

import Driver
import Engine
import Foundation
import Sluice
import TestSupport
import Testing

final class JobCatalog {
    let directory: TemporaryDirectory
    let address: String
    let catalog: Catalog
    let jobID = JobID.random()
    private(set) var epoch: Epoch = 0
    private let holder: LeaseHolder

    /// - Parameter isRun: whether a process on another host holds the job's lease.
    init(_ name: String = "views", isRun: Bool = false, state: JobState = .running) throws {
        directory = try TemporaryDirectory("commands")
        address = "sqlite:" + directory.file("catalog.db")
        catalog = try Catalog.open(address: address)
        holder = LeaseHolder(
            id: "first", pid: 1, bootID: "another-boot", host: "another-host", address: "http://another-host:7070",
            processStart: "1", pidNamespace: "pid:[1]")
        try catalog.insertJob(
            JobRecord(
                jobID: jobID, name: name, definition: "campaign-views",
                settings: ["topic": "events", "bootstrap": "127.0.0.1:1", "lateness": "90000", "state_inline": "65536"], state: state, buildDigest: "b1",
                settingsDigest: "s1"))
        guard case .acquired(let epoch) = try catalog.acquireLease(name, holder: holder, leaseMillis: 600_000) else {
            throw Failure(.leaseHeld, "a new catalog's lease is held", why: "it cannot be", now: "look at the test")
        }
        self.epoch = epoch
        if !isRun { try free(name) }
    }

    deinit { catalog.close() }

    func free(_ name: String = "views") throws { try catalog.releaseLease(name, holderID: holder.id, epoch: epoch) }

    /// Adds a batch over `ranges` of partition 0, 1, ...; PLANNED unless `isDone`.
    func add(
        _ batch: BatchNumber, _ ranges: [ClosedRange<Int64>], isDone: Bool = true, rejected: [QuarantinedRecord] = [],
        previousCommitMillis: Double? = nil, rows: Int64 = 0
    ) throws {
        guard case .acquired(let epoch) = try catalog.acquireLease("views", holder: holder, leaseMillis: 600_000) else {
            throw Failure(.leaseHeld, "the test's own lease is held", why: "it cannot be", now: "look at the test")
        }
        self.epoch = epoch
        // A partition without news is in no plan.
        let ranges = ranges.enumerated().map {
            OffsetRange(topic: "events", partition: Int32($0), from: $1.lowerBound, until: $1.upperBound)
        }.filter { !$0.isEmpty }
        let plan = BatchPlan(
            job: "views", jobID: jobID, batch: batch, epoch: epoch, batchTimeMillis: 1_772_366_400_123, seed: 1,
            ranges: ranges, splits: [:], watermarkBeforeMillis: nil, taskCounts: [ranges.count], keyGroups: 128,
            buildDigest: "b1", settingsDigest: "s1", planDigest: "p1", schemaDigest: "c1", lookups: [:], topicIDs: [:],
            stateBefore: nil)
        try catalog.appendPlan(plan)
        if isDone {
            var outcome = BatchOutcome()
            outcome.rowsIn = ranges.reduce(0) { $0 + $1.count }
            outcome.rowsOut = 1234
            outcome.late = 7
            outcome.rejected = Int64(rejected.count)
            outcome.digest = "d\(batch)"
            if rows > 0 { outcome.parts = [SealedPart(part: 0, rows: rows, digest: "d\(batch)")] }
            outcome.timings.runMillis = 12.345
            outcome.timings.previousCommitMillis = previousCommitMillis
            try catalog.finishBatch(
                jobID, batch: batch, epoch: epoch, outcome: outcome,
                positions: ranges.map {
                    PartitionPosition(topic: $0.topic, partition: $0.partition, position: $0.until)
                },
                quarantine: rejected)
        }
        try free()
    }

    /// Whether any file of the catalog holds these bytes.
    func holdsText(_ text: String) throws -> Bool {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).contains { name in
            FileManager.default.contents(atPath: directory.file(name))?.range(of: Data(text.utf8)) != nil
        }
    }

    /// Changes the log behind the catalog's back, which refuses every wrong range itself.
    func tamper(_ statement: String) throws {
        let database = try SQLiteDatabase(path: String(address.dropFirst("sqlite:".count)))
        defer { database.close() }
        try database.execute(statement, [])
    }

    /// Runs `sluice` with these words and this catalog.
    func sluice(_ words: String...) -> (status: Int32, output: String, errors: String) { sluice(words) }

    func sluice(_ words: [String]) -> (status: Int32, output: String, errors: String) {
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions([])))
        let status = program.main(words + ["--catalog", address], terminal: captured.terminal)
        return (status, captured.outputText, captured.errorText)
    }
}

/// The objects of `--json` output.
func objects(_ output: String) throws -> [[String: Any]] {
    try output.split(separator: "\n").map { line in
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
}

func writeSecret(_ text: String, to path: String, mode: Int) throws {
    try Data(text.utf8).write(to: URL(filePath: path))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
}
