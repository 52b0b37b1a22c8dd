// A catalog of a test's own, in either database, and plain batches to put into it.

import Driver
import Engine
import Foundation
import Testing
import TestSupport

/// The databases that a catalog can live in.
enum CatalogPlace: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite, postgres

    /// PostgreSQL only where its server is installed; `CatalogOpeningTests` says why when it is not.
    static var available: [CatalogPlace] { PostgresFixture.missingReason == nil ? allCases : [.sqlite] }
    var testDescription: String { rawValue }
}

/// An empty catalog that goes with the value.
final class CatalogFixture: Sendable {
    /// Where a database can be, and the directory that goes with it.
    struct Place: Sendable {
        var text: String
        var directory: TemporaryDirectory?
    }

    let catalog: Catalog
    private let place: Place
    var address: String { place.text }

    init(_ kind: CatalogPlace) throws {
        place = try Self.emptyPlace(kind)
        catalog = try Catalog.open(address: place.text)
    }

    deinit { catalog.close() }

    /// A place that holds no catalog yet.
    static func emptyPlace(_ kind: CatalogPlace) throws -> Place {
        switch kind {
        case .sqlite:
            let directory = try TemporaryDirectory("catalog")
            return Place(text: "sqlite:" + directory.file("catalog.db"), directory: directory)
        case .postgres:
            return Place(text: try PostgresFixture.shared().newDatabase(), directory: nil)
        }
    }

    /// Another process's view of the same catalog: a connection of its own.
    func another() throws -> Catalog { try Catalog.open(address: address) }
    func database() throws -> any SQLDatabase { try openDatabase(address, busyTimeoutMillis: 0) }

    /// One stateful batch from plan to DONE, through `catalog`.
    func finish(_ catalog: Catalog, _ jobID: JobID, _ epoch: Epoch, _ batch: BatchNumber) throws {
        let plan = BatchPlan.sample(jobID, batch, epoch: epoch)
        try catalog.appendPlan(plan)
        try catalog.finishBatch(plan, epoch: epoch)
    }

    /// A job with its lease held by `holder`.
    func job(_ name: String = "views", holder: LeaseHolder = .elsewhere("first")) throws -> (JobID, Epoch) {
        let job = JobRecord(
            jobID: .random(), name: name, definition: "campaign-views", settings: ["topic": "events"],
            buildDigest: "b1", settingsDigest: "s1")
        try catalog.insertJob(job)
        return (job.jobID, try acquire(name, holder))
    }

    func acquire(_ name: String = "views", _ holder: LeaseHolder, leaseMillis: Int64 = 60_000) throws -> Epoch {
        let answer = try catalog.acquireLease(name, holder: holder, leaseMillis: leaseMillis)
        guard case .acquired(let epoch) = answer else {
            throw Failure(.leaseHeld, "a test's lease is held", why: "\(answer)", now: "look at the test")
        }
        return epoch
    }

    /// Writes `batches` DONE batches of `partitions` partitions, each of ten offsets.
    func run(_ jobID: JobID, _ epoch: Epoch, batches: ClosedRange<BatchNumber>, partitions: Int32 = 2) throws {
        for batch in batches {
            let plan = BatchPlan.sample(jobID, batch, epoch: epoch, partitions: partitions)
            try catalog.appendPlan(plan)
            try catalog.finishBatch(plan, epoch: epoch)
        }
    }
}

extension LeaseHolder {
    /// A holder on another host, of whose process nothing can be known here.
    static func elsewhere(_ id: String) -> LeaseHolder {
        LeaseHolder(
            id: id, pid: 1, bootID: "another-boot", host: "another-host", address: "http://another-host:7070",
            processStart: "1", pidNamespace: "pid:[1]")
    }
}

extension BatchPlan {
    /// Batch N of a job whose every batch reads ten offsets of each of its partitions.
    static func sample(_ jobID: JobID, _ batch: BatchNumber, epoch: Epoch, partitions: Int32 = 2) -> BatchPlan {
        sample(
            jobID, batch, epoch: epoch,
            ranges: (0..<partitions).map {
                OffsetRange(topic: "events", partition: $0, from: (batch - 1) * 10, until: batch * 10)
            })
    }

    static func sample(_ jobID: JobID, _ batch: BatchNumber, epoch: Epoch, ranges: [OffsetRange]) -> BatchPlan {
        BatchPlan(
            job: "views", jobID: jobID, batch: batch, epoch: epoch, batchTimeMillis: 1_772_366_400_123,
            seed: .max - UInt64(batch), ranges: ranges, splits: [0: [3, 7]], watermarkBeforeMillis: batch * 1000,
            taskCounts: [ranges.count, 4], keyGroups: 128, buildDigest: "b1", settingsDigest: "s1", planDigest: "p1",
            schemaDigest: "c1", lookups: ["ads": "d1"], topicIDs: ["events": "t1"],
            stateBefore: .sample(version: batch - 1))
    }

    /// Where the partitions stand after this plan.
    var positionsAfter: [PartitionPosition] {
        ranges.map {
            PartitionPosition(
                topic: $0.topic, partition: $0.partition, position: $0.until, tailOffset: $0.until - 1,
                tailHash: "h\($0.until)", maxEventTimeMillis: $0.partition == 0 ? nil : 5000)
        }
    }
}

extension StateManifest {
    /// One snapshot in the store and one inline delta of the version.
    static func sample(version: BatchNumber) -> StateManifest {
        StateManifest(
            version: version,
            entries: [
                Entry(
                    firstGroup: 0, untilGroup: 128,
                    files: [
                        StateFile(
                            kind: .snapshot, version: 0, name: "snapshot-0", inline: false, bytes: 9, rows: 3,
                            digest: "q"),
                        StateFile(
                            kind: .delta, version: version, name: "delta-\(version)", inline: true, bytes: 3, rows: 1,
                            digest: "d\(version)"),
                    ])
            ])
    }
}

extension BatchOutcome {
    static func sample(_ batch: BatchNumber) -> BatchOutcome {
        var outcome = BatchOutcome()
        outcome.rowsIn = 20
        outcome.rowsOut = 5
        outcome.late = 1
        outcome.rejected = 2
        outcome.unmatched = 3
        outcome.bytesIn = 4096
        outcome.digest = "o\(batch)"
        outcome.parts = [SealedPart(part: 0, rows: 5, digest: "x")]
        outcome.watermarkAfterMillis = (batch + 1) * 1000
        outcome.state = .sample(version: batch)
        outcome.rejectedRanges = [OffsetRange(topic: "events", partition: 0, from: 3, until: 5)]
        outcome.timings.runMillis = 0.1 + 0.2
        return outcome
    }
}

extension Catalog {
    /// Finishes `plan` with everything that a stateful batch brings.
    func finishBatch(_ plan: BatchPlan, epoch: Epoch, next: BatchPlan? = nil) throws {
        try finishBatch(
            plan.jobID, batch: plan.batch, epoch: epoch, outcome: .sample(plan.batch), positions: plan.positionsAfter,
            inlineState: [
                InlineState(name: "delta-\(plan.batch)", bytes: [1, 2, UInt8(truncatingIfNeeded: plan.batch)])
            ],
            next: next)
    }
}

/// The code of the failure that `body` throws; nil when it throws none.
func failureCode(_ body: () throws -> Void) -> Failure.Code? {
    do {
        try body()
        return nil
    } catch let failure as Failure {
        return failure.code
    } catch {
        Issue.record("not a Failure: \(error)")
        return nil
    }
}
