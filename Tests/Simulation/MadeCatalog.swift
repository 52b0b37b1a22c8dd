// A made catalog: the log and the lease with the guards of the real one, in memory that survives drivers.
//
// Guards as in `Catalog+Log`: the epoch first, one open plan, no holes in batch numbers, DONE once, a plan starts where its
// partitions stand, a finished range ends where they stand afterwards.

import Driver
import Engine

final class MadeCatalog {
    var record: JobRecord
    /// What a person wants of the job.
    var desired = DesiredState.run
    private(set) var lease = Lease(epoch: 0, holder: nil, untilMillis: 0)
    private(set) var positions: [TopicPartition: PartitionPosition] = [:]
    private(set) var done: [BatchRecord] = []
    private(set) var openPlan: BatchPlan?
    private(set) var seals: [SealMark] = []
    private(set) var state: [String: [UInt8]] = [:]
    private(set) var begun: Catalog.BegunTable?
    /// Digests of the state files outside the log, by name: of all that is done.
    private(set) var namedFiles: [String: String] = [:]
    var isUp = true
    private let mutant: Mutant?

    init(record: JobRecord, mutant: Mutant?) {
        self.record = record
        self.mutant = mutant
    }

    static let away = Failure(.databaseUnreachable, "the catalog does not answer", why: "made so", now: "wait")

    func fall(_ world: World, _ millis: Int64) {
        isUp = false
        world.after(millis) { self.isUp = true }
    }

    // MARK: lease

    func acquire(_ holder: LeaseHolder, now: Int64) -> LeaseAnswer {
        let answer = lease.answer(to: holder, nowMillis: now, holderLife: .unknown)
        if case .acquired(let epoch) = answer {
            lease = Lease(epoch: epoch, holder: holder, untilMillis: now + Catalog.leaseMillis)
        }
        return answer
    }

    func renew(_ holder: LeaseHolder, epoch: Epoch, now: Int64) -> Bool {
        guard isHeld(by: holder, epoch) else { return false }
        lease.untilMillis = now + Catalog.leaseMillis
        return true
    }

    func release(_ holder: LeaseHolder, epoch: Epoch) {
        if isHeld(by: holder, epoch) { lease = Lease(epoch: epoch, holder: nil, untilMillis: 0) }
    }

    func isHeld(by holder: LeaseHolder, _ epoch: Epoch) -> Bool { lease.holder?.id == holder.id && lease.epoch == epoch }

    private func require(_ epoch: Epoch) throws(Failure) {
        guard mutant != .epochNotCompared, lease.epoch != epoch else { return }
        throw Failure(.leaseLost, "epoch \(epoch) no longer holds the job", why: "epoch \(lease.epoch) does", now: "nothing")
    }

    private func broken(_ what: String) -> Failure { Failure(.internal, what, why: "a guard of the log", now: "look at it") }

    // MARK: log

    var facts: LogStand { LogStand(positions: positions, openPlan: openPlan, lastDone: done.last, seals: seals) }

    func isRecordedEnd(_ partition: TopicPartition, _ offset: Int64) -> Bool {
        positions[partition]?.position == offset
            || done.contains { $0.plan.ranges.contains { $0.topicPartition == partition && ($0.until == offset || $0.from == offset) } }
    }

    func begin(_ table: Catalog.BegunTable, epoch: Epoch) throws(Failure) {
        try require(epoch)
        begun = table
    }

    func startAt(_ new: [PartitionPosition], epoch: Epoch) throws(Failure) {
        try require(epoch)
        for position in new where positions[position.topicPartition] == nil { positions[position.topicPartition] = position }
    }

    func replace(_ plan: BatchPlan) throws(Failure) {
        try require(plan.epoch)
        guard let open = openPlan, open.batch == plan.batch else { throw broken("batch \(plan.batch) is not open") }
        guard open.ranges == plan.ranges, plan.epoch > open.epoch else { throw broken("batch \(plan.batch) is another") }
        openPlan = plan
    }

    func append(_ plan: BatchPlan) throws(Failure) {
        try require(plan.epoch)
        guard openPlan == nil else { throw broken("batch \(plan.batch) beside an open one") }
        guard plan.batch == (done.last?.plan.batch ?? 0) + 1 else { throw broken("batch \(plan.batch) leaves a hole") }
        for range in plan.ranges {
            guard let position = positions[range.topicPartition], position.position != range.from else { continue }
            throw broken("batch \(plan.batch) does not go on where \(range.topicPartition) stands")
        }
        openPlan = plan
    }

    func finish(_ batch: FinishedBatch, next: BatchPlan?, epoch: Epoch, now: Int64) throws(Failure) {
        try require(epoch)
        guard let plan = openPlan, plan.batch == batch.plan.batch else { throw broken("batch \(batch.plan.batch) is not open") }
        let before = (openPlan, done, positions, seals)
        done.append(
            BatchRecord(plan: plan, state: .done, outcome: batch.outcome, plannedAtMillis: plan.batchTimeMillis, doneAtMillis: now))
        openPlan = nil
        for position in batch.positions { positions[position.topicPartition] = position }
        for range in plan.ranges where positions[range.topicPartition]?.position != range.until {
            (openPlan, done, positions, seals) = before
            throw broken("batch \(plan.batch) does not leave \(range.topicPartition) at its end")
        }
        seals = SealMark.after(seals, batch: plan.batch, parts: batch.outcome.parts)
        for file in batch.inlineState { state[file.name] = file.bytes }
        let files = batch.outcome.state?.entries.flatMap(\.files) ?? []
        if let next {
            do { try append(next) } catch {
                (openPlan, done, positions, seals) = before
                throw error
            }
        }
        for file in files where !file.inline { namedFiles[file.name] = file.digest }
    }
}
