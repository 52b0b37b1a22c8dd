// A worker without its sockets: runs task attempts in slots, holds what they made, seals on the driver's word.
//
// It decides nothing: what is taken on, kept and let go says `WorkerDesk`, under a lock; this carries it out. A request
// names the tasks of one stage; each goes to the slot that holds its partition's consumer or its part's warm state, slots
// work side by side, and the answer is the list of reports. Requests of several jobs queue up at the slots' lanes.
// `WorkerProcess` puts this behind HTTP; `sluice run --workers 0` calls it directly.
//
// What survives a crash: nothing, on purpose. Blocks, held rows, warm state and consumers are all made again from the
// log by another attempt.
//
// When changing it: whatever is kept for a job, here or in a slot, must go in `carryOut`.

import Dispatch
import Engine
import Foundation
import Synchronization
import Wire

package final class WorkerNode: WorkerLink {
    package let slotCount: Int
    let jobs: JobDefinitions
    let build: String
    private let driver: any DriverLink
    private let peers: any BlockLink
    private let ownURL: Mutex<String>
    private let slots: [Slot]
    private let memory: HeldMemory
    private let blocks: BlockStore
    private let held: HeldRows
    private let shared: Mutex<Shared>
    /// Runs tasks in a process of its own.
    package typealias Prober = @Sendable (RunTasks) throws -> ProbeReply
    private let prober: Prober?

    private struct Shared {
        var desk: WorkerDesk
        /// One a job and lane: other settings of the same job replace the older ones.
        var runtimes: [JobID: JobRuntime] = [:]
        /// Of jobs whose batches come whole and are cut as records come.
        var bells: [JobID: ArrivalBell] = [:]
        var sealing = 0
    }

    /// - Parameter blockMemoryBytes: how much of what is held between two stages stays in memory.
    package init(
        slots: Int, jobs: JobDefinitions, build: String, driver: any DriverLink, peers: any BlockLink, blockMemoryBytes: Int,
        prober: Prober? = nil
    ) {
        self.prober = prober
        memory = HeldMemory(budgetBytes: blockMemoryBytes)
        blocks = BlockStore(memory: memory)
        held = HeldRows(memory: memory)
        slotCount = slots
        self.jobs = jobs
        self.build = build
        self.driver = driver
        self.peers = peers
        ownURL = Mutex("local:")
        self.slots = (0..<slots).map { Slot(number: $0, of: slots) }
        shared = Mutex(Shared(desk: WorkerDesk(slots: slots)))
    }

    /// The address under which other workers find this one's blocks.
    package var url: String {
        get { ownURL.withLock { $0 } }
        set { ownURL.withLock { $0 = newValue } }
    }

    private let known = Mutex(false)
    /// Whether a driver has this worker on its list, as of the last time it answered.
    package var isKnown: Bool {
        get { known.withLock { $0 } }
        set { known.withLock { $0 = newValue } }
    }

    /// Whether other hosts can fetch blocks here: a worker on loopback serves only its own.
    private var isReachedFromElsewhere: Bool {
        let url = self.url
        return !["local:", "http://127.", "http://localhost:", "http://[::1]:", "https://127.", "https://localhost:", "https://[::1]:"]
            .contains { url.hasPrefix($0) }
    }

    /// Requests being worked on now.
    package var runningRequests: Int { shared.withLock { $0.desk.runningRequests + $0.sealing } }
    package var heldBlockBytes: Int { blocks.byteCount }
    /// Jobs of which a plan, lookups, consumers, connections or state are kept.
    package var keptJobs: Int { shared.withLock { $0.runtimes.count } }
    /// Bytes of blocks and rows that are held in memory now, and that went to disk since the start.
    package var heldMemoryBytes: Int { memory.residentBytes }
    package var spilledBytes: Int { memory.spilledBytes }

    package func block(_ id: BlockID) throws -> [UInt8]? { try blocks.get(id) }

    // MARK: requests of the driver

    package func run(_ request: RunTasks) throws -> RunTasksReply {
        let asked = BatchTry(request)
        let runtime = try runtime(request.job) { desk in
            try desk.begin(asked, isReplay: request.replay, nowMillis: steadyMillis())
        }
        // What a whole replay made is fetched inside this request and by nobody else.
        defer { decide { $0.end(asked, isWhole: request.onward != nil, nowMillis: steadyMillis()) } }
        if request.stage == 0, !request.replay { gather(runtime, isWhole: request.isWhole, isSteady: request.isSteady) }
        let results = run(request, runtime)
        guard let next = request.onward, let merge = Self.merge(next, behind: results, of: request, at: url) else {
            return RunTasksReply(to: request, results: results)
        }
        return RunTasksReply(to: request, results: results, onward: run(merge, runtime).first)
    }

    /// The request for the stage after the exchange, when every source has succeeded here.
    private static func merge(_ next: TaskSpec, behind sources: [TaskResult], of request: RunTasks, at url: String) -> RunTasks? {
        let reports = sources.compactMap(\.report)
        guard reports.count == sources.count, sources.map(\.part) == Array(0..<sources.count) else { return nil }
        var made = PartRuns()
        for (part, report) in reports.enumerated() where report.destinations.contains(next.part) { made.append(part) }
        var merge = request
        merge.stage = 1
        merge.tasks = [TaskSpec(part: next.part, attempt: next.attempt, sources: made, state: next.state ?? [])]
        merge.holders = BlockHolders(
            urls: [url], worker: sources.map { _ in 0 }, attempt: sources.map(\.attempt))
        merge.onward = nil
        return merge
    }

    private func gather(_ runtime: JobRuntime, isWhole: Bool, isSteady: Bool) {
        let jobID = runtime.spec.jobID
        shared.withLock { shared in
            if !isWhole || !isSteady {
                shared.bells[jobID] = nil
            } else if shared.bells[jobID] == nil {
                shared.bells[jobID] = ArrivalBell()
            }
        }
        decide { $0.gather(jobID, isWhole: isWhole) }
    }

    /// Waits on the caller's thread, so that the slot stays free for other jobs.
    package func arrived(_ request: AwaitRecords) throws -> ArrivedRecords {
        guard let bell = shared.withLock({ $0.bells[request.jobID] }) else { return ArrivedRecords(ends: nil) }
        // Both are the driver's pace; a request that says more is not one of ours.
        let (restMillis, patienceMillis) = (min(request.restMillis, 1000), min(request.patienceMillis, 2000))
        let began = ContinuousClock.now
        func waitedMillis() -> Int { Int((ContinuousClock.now - began) / .milliseconds(1)) }
        func look() throws -> [Int64]? {
            try slots[0].lane.perform {
                do {
                    return try slots[0].arrived(request.jobID, bell, request.positions, most: Self.mostArrived)
                } catch {
                    slots[0].closeReader(request.jobID)
                    throw error
                }
            }
        }
        while true {
            let hasRung = bell.wait(millis: patienceMillis - waitedMillis())
            // One answer of the broker fills several queues, one after the other.
            if hasRung { usleep(UInt32(max(Self.fillingMicros, (restMillis - waitedMillis()) * 1000))) }
            guard let ends = try look() else {
                // What stays in a queue rings no more; it is there for the next one who asks.
                bell.ring()
                return ArrivedRecords(ends: nil)
            }
            if !hasRung || zip(ends, request.positions).contains(where: { $0 > $1.from }) { return ArrivedRecords(ends: ends) }
        }
    }

    /// Records of one partition that may wait for a batch; with more the broker is asked, and the batch is shared out.
    private static let mostArrived = 4096
    private static let fillingMicros = 100

    /// Runs the tasks in their slots; the results by part.
    private func run(_ request: RunTasks, _ runtime: JobRuntime) -> [TaskResult] {
        let bySlot = shared.withLock { $0.desk.slots(for: request.tasks, of: request.job.jobID) }
        let results = Mutex<[TaskResult]>([])
        onSlots(bySlot, \.lane) { slot, tasks in
            let done = self.runTasks(tasks, of: request, runtime: runtime, on: slot)
            results.withLock { $0 += done }
        }
        return results.withLock { $0.sorted { $0.part < $1.part } }
    }

    package func probe(_ request: RunTasks) throws -> ProbeReply {
        guard let prober else {
            throw Failure(
                .notPossible, "tasks cannot be tried apart", why: "this worker has no process of its own",
                now: "run the job with --workers 1 or more")
        }
        return try prober(request)
    }

    package func seal(_ request: SealTasks) throws -> SealTasksReply {
        let jobID = request.job.jobID
        try shared.withLock { shared in
            try shared.desk.beginSeal(jobID, batch: request.batch, epoch: request.epoch, nowMillis: steadyMillis())
            shared.sealing += 1
        }
        defer { shared.withLock { $0.sealing -= 1 } }
        var bySlot: [Int: [(SealTasks.Part, HeldRows.Rows)]] = [:]
        let results = Mutex<[SealResult]>([])
        for part in request.parts {
            let rows = held.get(jobID, batch: request.batch, epoch: request.epoch, part: part.part, attempt: part.attempt)
            if let rows, rows.digest == part.digest {
                bySlot[rows.slot, default: []].append((part, rows))
            } else {
                let failure = Failure(
                    .blockLost, "part \(part.part) of batch \(request.batch) is not held here",
                    why: "this worker started after it was computed, or it was given up",
                    now: "nothing; the driver runs the task again")
                results.withLock { $0.append(SealResult(part: part.part, failure: failure)) }
            }
        }
        // A job of which nothing is held here gets no plan and no connection either.
        guard !bySlot.isEmpty else { return SealTasksReply(results: results.withLock { $0.sorted { $0.part < $1.part } }) }
        let runtime = try runtime(request.job) { _ in [] }
        onSlots(bySlot, \.sealing) { slot, parts in
            let sealed = slot.seal(
                runtime: runtime, batch: request.batch, epoch: request.epoch,
                parts: parts.map { ($0, $1) })
            for ((part, _), outcome) in zip(parts, sealed) {
                let result =
                    switch outcome {
                    case .success(let sealed):
                        SealResult(part: part.part, outcome: sealed.outcome, refused: sealed.refused > 0 ? sealed.refused : nil)
                    case .failure(let error): SealResult(part: part.part, failure: failure(error))
                    }
                results.withLock { $0.append(result) }
            }
        }
        return SealTasksReply(results: results.withLock { $0.sorted { $0.part < $1.part } })
    }

    package func release(_ request: ReleaseBatch) throws { decide { $0.release(request, nowMillis: steadyMillis()) } }

    package func cancel(_ request: CancelJob) throws { decide { $0.cancel(request, nowMillis: steadyMillis()) } }

    /// What the driver says of its jobs with each heartbeat.
    package func claimed(_ claims: [JobClaim]) {
        shared.withLock { $0.desk.claimed(claims, nowMillis: steadyMillis()) }
    }

    package func checkState(_ request: CheckState) throws {
        let store = try StateStore(address: request.address)
        do {
            _ = try store.read(request.jobID, name: request.name)
            let own = request.name + "-\(hexadecimal(UInt64.random(in: 0...UInt64.max)))"
            try store.put(request.jobID, name: own, bytes: Array(own.utf8))
            store.remove(request.jobID, name: own)
        } catch {
            let reason = failure(error)
            Log.error(
                "the state place is not reached here",
                [("state", request.address), ("what", reason.what), ("why", reason.why), ("then", "no task of jobs with this state comes here")])
            throw reason
        }
    }

    /// Lets go of what nobody claims any more, and closes consumers and connections that nothing has used for `idleMillis`.
    package func tidy(idleMillis: Int) {
        decide { $0.expire(nowMillis: steadyMillis()) }
        for slot in slots { slot.closeIdle(olderThanMillis: idleMillis) }
    }

    // MARK: inside

    /// Asks the desk and does what it says.
    private func decide(_ ask: (inout WorkerDesk) -> [WorkerDesk.Action]) {
        for action in shared.withLock({ ask(&$0.desk) }) { carryOut(action) }
    }

    private func carryOut(_ action: WorkerDesk.Action) {
        switch action {
        case .drop(let owner):
            blocks.remove(owner)
            held.remove(owner)
            memory.closeFile(of: owner)
        case .forget(let jobID):
            shared.withLock { shared in
                shared.runtimes[jobID] = nil
                shared.bells[jobID] = nil
            }
            for slot in slots { slot.forget(jobID) }
        case .closeReaders(let jobID, let first):
            for slot in slots[first...] { slot.lane.put { slot.closeReader(jobID) } }
        }
    }

    /// The job's plan, when the desk takes the request on.
    private func runtime(_ spec: JobSpec, _ ask: (inout WorkerDesk) throws -> [WorkerDesk.Action]) throws -> JobRuntime {
        guard spec.buildDigest == build else {
            throw Failure(
                .otherBuild, "this worker is another build than the driver of job \(spec.name)",
                why: "build \(build) here, \(spec.buildDigest) at the driver",
                now: "start the worker from the driver's build")
        }
        let known = shared.withLock { $0.runtimes[spec.jobID] }
        let runtime = if let known, known.spec == spec { known } else { try JobRuntime(spec: spec, jobs: jobs) }
        let actions = try shared.withLock { shared in
            let actions = try ask(&shared.desk)
            shared.runtimes[spec.jobID] = runtime
            return actions
        }
        for action in actions { carryOut(action) }
        return runtime
    }

    private func isCancelled(_ request: RunTasks) -> Bool {
        shared.withLock { $0.desk.isCancelled(BatchTry(request), isReplay: request.replay) }
    }

    /// What a job keeps here now, for tests and metrics.
    package var kept: (jobs: Int, plans: Int, inSlots: Int) {
        let (isEmpty, plans) = shared.withLock { ($0.desk.jobCount, $0.runtimes.count + $0.bells.count) }
        return (isEmpty, plans, slots.reduce(0) { $0 + $1.keptCount })
    }

    /// The first slot's work is done on the caller's thread, the others' on their own, side by side.
    private func onSlots<Work>(_ bySlot: [Int: [Work]], _ lane: KeyPath<Slot, Lane>, _ body: @escaping (Slot, [Work]) -> Void) {
        let works = bySlot.sorted { $0.key < $1.key }
        let group = DispatchGroup()
        for (number, work) in works.dropFirst() {
            let slot = slots[number]
            let job = UncheckedWork { slot[keyPath: lane].perform { body(slot, work) } }
            group.enter()
            slot.thread.put {
                job.run()
                group.leave()
            }
        }
        if let (number, work) = works.first { slots[number][keyPath: lane].perform { body(slots[number], work) } }
        group.wait()
    }

    private func runTasks(_ tasks: [TaskSpec], of request: RunTasks, runtime: JobRuntime, on slot: Slot) -> [TaskResult] {
        let runner = TaskRunner(
            request: request, runtime: runtime, slot: slot,
            bell: request.isWhole && !request.replay ? shared.withLock { $0.bells[request.job.jobID] } : nil, driver: driver,
            fetch: { [self] id, workerURL in
                if workerURL == url {
                    if let bytes = try blocks.get(id) { return bytes }
                    throw Failure(
                        .blockLost, "block \(id.path) is not here", why: "it was released or never made",
                        now: "nothing; the driver runs its task again")
                }
                return try peers.block(id, at: workerURL)
            },
            isCancelled: { [self] in isCancelled(request) }, compressesBlocks: isReachedFromElsewhere)
        let results = runner.run(
            tasks,
            keepBlock: { [self] id, bytes in try blocks.put(id, bytes) },
            holdRows: { [self] key, chunks, digest, slot in try held.put(key, chunks, digest: digest, slot: slot) })
        if request.stage == 0, !request.replay { slot.readOn(request.job.jobID) }
        return results
    }
}

/// Work handed to one slot's thread while the caller waits for it.
private struct UncheckedWork: @unchecked Sendable {
    let run: () -> Void
}
