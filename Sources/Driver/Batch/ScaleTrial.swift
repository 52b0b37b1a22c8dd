// One job's batches over many partitions and workers, step by step, with the processor time of each step.
//
// The steps are the driver's own: the pure cut and plan, the catalog with its guards, the runner with placement and
// tracker, the outcome, DONE. What is not here is what surrounds the driver: the ends come as numbers instead of from a
// broker, and the workers are whatever links the pool holds, whose own time in this process its caller takes off
// (`othersMillis`). The batches are in the catalog afterwards, so `sluice audit` can be asked about them.

import Engine
import Foundation

package final class ScaleTrial {
    package struct Step: Sendable {
        package var name: String
        package var millis: Double
    }

    private let catalog: Catalog
    private let pool: WorkerPool
    private let job: RunningJob
    private let holder = LeaseHolder.thisProcess(id: UUID().uuidString, address: "bench")
    private let epoch: Epoch
    private let parts: Int
    private let othersMillis: () -> Double
    private var positions: [TopicPartition: PartitionPosition] = [:]
    private var placement = TaskPlacement()
    private var lastBatch: BatchNumber = 0
    private var lastWatermark: Int64?
    private var lastState: StateManifest?

    /// - Parameter othersMillis: processor time of this process that is not the driver's, so far.
    package init(
        record: JobRecord, jobs: JobDefinitions, partitions: Int, catalog: Catalog, pool: WorkerPool,
        othersMillis: @escaping () -> Double
    ) throws {
        self.catalog = catalog
        self.pool = pool
        self.othersMillis = othersMillis
        try catalog.insertJob(record)
        job = try RunningJob(record: record, jobs: jobs, buildDigest: record.buildDigest, catalog: catalog)
        guard case .acquired(let epoch) = try catalog.acquireLease(record.name, holder: holder) else {
            throw Failure(.leaseHeld, "the lease of \(record.name) is held", why: "by another", now: "take a new catalog")
        }
        self.epoch = epoch
        parts = pool.available.reduce(0) { $0 + $1.slots }
        let topic = job.settings.topic
        let begin = (0..<Int32(partitions)).map { PartitionPosition(topic: topic, partition: $0, position: 0) }
        try catalog.startAt(record.jobID, epoch: epoch, positions: begin)
        for position in begin { positions[TopicPartition(topic: topic, partition: position.partition)] = position }
    }

    /// Plans, runs and commits one batch that reads `records` of each partition.
    package func batch(recordsOfEach records: Int64) throws -> [Step] {
        var steps: [Step] = []
        func step<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
            let (before, others) = (Self.cpuMillis(), othersMillis())
            defer { steps.append(Step(name: name, millis: Self.cpuMillis() - before - (othersMillis() - others))) }
            return try body()
        }
        guard try catalog.renewLease(job.record.name, holderID: holder.id, epoch: epoch) else {
            throw Failure(.leaseLost, "the lease is lost", why: "the trial outlasted it", now: "run it again")
        }
        let ends = positions.mapValues { $0.position + records }
        let cut = step("offsets") { BatchCut(positions: positions, ends: ends, targets: nil, maxRecords: 0) }
        let plan = step("plan") {
            PlanFrame(
                job: job, epoch: epoch, batch: lastBatch + 1, watermarkBeforeMillis: lastWatermark, topicIDs: [:],
                stateBefore: lastState, parts: parts
            ).plan(cut.ranges, batchTimeMillis: wallMillis(), seed: 1)
        }
        try step("catalog: PLANNED") { try catalog.appendPlan(plan) }
        // Once by itself, to be shown; the runner does the same again.
        step("placement") {
            var placement = placement
            let members = pool.available.map { TaskPlacement.Member(id: $0.id, slots: $0.slots) }
            _ = placement.place(plan.ranges.map { .partition($0.topicPartition) }, on: members)
        }
        let finished = try step("placement and scheduling") {
            try BatchRunner(
                BatchRun(
                    plan: plan, epoch: epoch, spec: job.spec, settings: job.settings, placement: placement,
                    runNumber: BatchRun.number()), pool: pool, shouldStop: { nil }
            ).finish()
        }
        placement = finished.run.homes
        let result = step("outcome") {
            finished.run.builder.outcome(
                watermark: WatermarkTracker(latenessMillis: job.settings.latenessMillis),
                positions: Array(positions.values), unread: cut.unread)
        }
        try step("catalog: DONE") {
            try catalog.finishBatch(
                job.record.jobID, batch: plan.batch, epoch: epoch, outcome: result.outcome, positions: result.positions,
                quarantine: result.quarantine, inlineState: result.inlineState)
        }
        for position in result.positions {
            positions[TopicPartition(topic: position.topic, partition: position.partition)] = position
        }
        lastBatch = plan.batch
        lastWatermark = result.outcome.watermarkAfterMillis
        lastState = result.outcome.state
        return steps
    }

    /// Proves that the log of the trial is whole.
    package func audit() throws -> AuditReport { try catalog.audit(job.record.jobID) }

    private static func cpuMillis() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
    }
}
