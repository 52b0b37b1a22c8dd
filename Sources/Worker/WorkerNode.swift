// A worker without its sockets: runs task attempts in slots, holds what they made, seals on the driver's word.
//
// It decides nothing. A request names the tasks of one stage; each goes to the slot that holds its partition's consumer
// or its part's warm state, slots work side by side, and the answer is the list of reports. Requests of several jobs
// queue up in the slots. `WorkerProcess` puts this behind HTTP; `sluice run --workers 0` calls it directly.
//
// What survives a crash: nothing, on purpose. Blocks, held rows, warm state and consumers are all made again from the
// log by another attempt.

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

    private struct Shared {
        /// One a job and lane: other settings of the same job replace the older ones.
        var runtimes: [JobID: JobRuntime] = [:]
        /// The newest try of each job that was given up.
        var cancelled: [JobID: (epoch: Epoch, run: Int64)] = [:]
        var partitionSlots: [JobID: SlotMap<TopicPartition>] = [:]
        var partSlots: [JobID: SlotMap<Int>] = [:]
        /// Jobs whose batches come whole, too small to be shared out among the slots: slot 0 reads them.
        var whole: Set<JobID> = []
        /// Those of them that are cut as records come.
        var bells: [JobID: ArrivalBell] = [:]
        var running = 0
    }

    /// - Parameter blockMemoryBytes: how much of what is held between two stages stays in memory.
    package init(
        slots: Int, jobs: JobDefinitions, build: String, driver: any DriverLink, peers: any BlockLink, blockMemoryBytes: Int
    ) {
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
        shared = Mutex(Shared())
    }

    /// The address under which other workers find this one's blocks.
    package var url: String {
        get { ownURL.withLock { $0 } }
        set { ownURL.withLock { $0 = newValue } }
    }

    /// Whether other hosts can fetch blocks here: a worker on loopback serves only its own.
    private var isReachedFromElsewhere: Bool {
        let url = self.url
        return !["local:", "http://127.", "http://localhost:", "http://[::1]:", "https://127.", "https://localhost:", "https://[::1]:"]
            .contains { url.hasPrefix($0) }
    }

    /// Requests being worked on now.
    package var runningRequests: Int { shared.withLock { $0.running } }
    package var heldBlockBytes: Int { blocks.byteCount }
    /// Bytes of blocks and rows that are held in memory now, and that went to disk since the start.
    package var heldMemoryBytes: Int { memory.residentBytes }
    package var spilledBytes: Int { memory.spilledBytes }

    package func block(_ id: BlockID) throws -> [UInt8]? { try blocks.get(id) }

    // MARK: requests of the driver

    package func run(_ request: RunTasks) throws -> RunTasksReply {
        let runtime = try runtime(request.job)
        shared.withLock { $0.running += 1 }
        defer { shared.withLock { $0.running -= 1 } }
        // A newer batch of the job means that older ones are decided: whatever is held of them is waste.
        if !request.replay { drop(request.job.jobID, upTo: request.context.batch - 1) }

        if request.stage == 0, !request.replay { gather(runtime, isWhole: request.isWhole, isSteady: request.isSteady) }
        let results = run(request, runtime)
        guard let next = request.onward, let merge = Self.merge(next, behind: results, of: request, at: url) else {
            return RunTasksReply(results: results)
        }
        return RunTasksReply(results: results, onward: run(merge, runtime).first)
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

    /// A batch that is here as a whole is read by one slot: each consumer costs a fetch at the log's end again and again,
    /// more than the few rows it brings. When that changes, the consumers that follow other partitions than before go.
    private func gather(_ runtime: JobRuntime, isWhole: Bool, isSteady: Bool) {
        let jobID = runtime.spec.jobID
        let hasChanged = shared.withLock { shared in
            if !isWhole || !isSteady {
                shared.bells[jobID] = nil
            } else if shared.bells[jobID] == nil {
                shared.bells[jobID] = ArrivalBell()
            }
            guard shared.whole.contains(jobID) != isWhole else { return false }
            if isWhole { shared.whole.insert(jobID) } else { shared.whole.remove(jobID) }
            shared.partitionSlots[jobID] = SlotMap(slots: isWhole ? 1 : slotCount)
            return true
        }
        guard hasChanged else { return }
        for slot in slots where !isWhole || slot.number > 0 { slot.queue.async { slot.closeReader(jobID) } }
    }

    /// Waits on the caller's thread, so that the slot stays free for other jobs.
    package func arrived(_ request: AwaitRecords) throws -> ArrivedRecords {
        guard let bell = shared.withLock({ $0.bells[request.jobID] }) else { return ArrivedRecords(ends: nil) }
        // Both are the driver's pace; a request that says more is not one of ours.
        let (restMillis, patienceMillis) = (min(request.restMillis, 1000), min(request.patienceMillis, 2000))
        let began = ContinuousClock.now
        func waitedMillis() -> Int { Int((ContinuousClock.now - began) / .milliseconds(1)) }
        func look() throws -> [Int64]? {
            try slots[0].queue.sync {
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

    /// Runs the tasks on their slots; the results by part.
    private func run(_ request: RunTasks, _ runtime: JobRuntime) -> [TaskResult] {
        let bySlot = shared.withLock { shared in
            var bySlot: [Int: [TaskSpec]] = [:]
            for task in request.tasks {
                let slot: Int
                if let range = task.range {
                    slot = shared.partitionSlots[request.job.jobID, default: SlotMap(slots: slotCount)]
                        .slot(of: range.topicPartition)
                } else {
                    slot = shared.partSlots[request.job.jobID, default: SlotMap(slots: slotCount)].slot(of: task.part)
                }
                bySlot[slot, default: []].append(task)
            }
            return bySlot
        }
        let results = Mutex<[TaskResult]>([])
        onSlots(bySlot) { slot, tasks in
            let done = self.runTasks(tasks, of: request, runtime: runtime, on: slot)
            results.withLock { $0 += done }
        }
        return results.withLock { $0.sorted { $0.part < $1.part } }
    }

    package func seal(_ request: SealTasks) throws -> SealTasksReply {
        let runtime = try runtime(request.job)
        shared.withLock { $0.running += 1 }
        defer { shared.withLock { $0.running -= 1 } }
        var bySlot: [Int: [(SealTasks.Part, HeldRows.Rows)]] = [:]
        let results = Mutex<[SealResult]>([])
        for part in request.parts {
            let key = HeldRows.Key(
                jobID: request.job.jobID, batch: request.batch, epoch: request.epoch, part: part.part,
                attempt: part.attempt)
            if let rows = held.get(key), rows.digest == part.digest {
                bySlot[rows.slot, default: []].append((part, rows))
            } else {
                let failure = Failure(
                    .blockLost, "part \(part.part) of batch \(request.batch) is not held here",
                    why: "this worker started after it was computed, or it was given up",
                    now: "nothing; the driver runs the task again")
                results.withLock { $0.append(SealResult(part: part.part, failure: failure)) }
            }
        }
        onSlots(bySlot) { slot, parts in
            let sealed = slot.seal(
                runtime: runtime, batch: request.batch, epoch: request.epoch,
                parts: parts.map { ($0.part, $1) })
            for ((part, _), outcome) in zip(parts, sealed) {
                let result = switch outcome {
                case .success(let outcome): SealResult(part: part.part, outcome: outcome)
                case .failure(let error): SealResult(part: part.part, failure: failure(error))
                }
                results.withLock { $0.append(result) }
            }
        }
        return SealTasksReply(results: results.withLock { $0.sorted { $0.part < $1.part } })
    }

    package func release(_ request: ReleaseBatch) throws {
        drop(request.jobID, upTo: request.batch)
        for slot in slots { slot.queue.async { slot.closeReader(request.jobID) } }
    }

    package func cancel(_ request: CancelJob) throws {
        shared.withLock { shared in
            let known = shared.cancelled[request.jobID] ?? (0, 0)
            if (request.epoch, request.run) > known { shared.cancelled[request.jobID] = (request.epoch, request.run) }
            shared.runtimes[request.jobID] = nil
            shared.partitionSlots[request.jobID] = nil
            shared.partSlots[request.jobID] = nil
            shared.whole.remove(request.jobID)
            shared.bells[request.jobID] = nil
        }
        drop(request.jobID, upTo: .max)
        for slot in slots { slot.queue.async { slot.forget(request.jobID) } }
    }

    package func checkState(_ request: CheckState) throws {
        _ = try StateStore(address: request.address).read(request.jobID, name: request.name)
    }

    /// Closes consumers and connections that nothing has used for `idleMillis`.
    package func closeIdle(olderThanMillis idleMillis: Int) {
        for slot in slots { slot.queue.async { slot.closeIdle(olderThanMillis: idleMillis) } }
    }

    // MARK: inside

    private func drop(_ jobID: JobID, upTo batch: BatchNumber) {
        blocks.remove(jobID, upTo: batch)
        held.remove(jobID, upTo: batch)
        memory.closeFiles(jobID, upTo: batch)
    }

    private func runtime(_ spec: JobSpec) throws -> JobRuntime {
        guard spec.buildDigest == build else {
            throw Failure(
                .otherBuild, "this worker is another build than the driver of job \(spec.name)",
                why: "build \(build) here, \(spec.buildDigest) at the driver",
                now: "start the worker from the driver's build")
        }
        if let known = shared.withLock({ $0.runtimes[spec.jobID] }), known.spec == spec { return known }
        let made = try JobRuntime(spec: spec, jobs: jobs)
        shared.withLock { $0.runtimes[spec.jobID] = made }
        return made
    }

    private func isCancelled(_ jobID: JobID, _ context: BatchContext) -> Bool {
        shared.withLock { shared in
            guard let newest = shared.cancelled[jobID] else { return false }
            return (context.epoch, context.run) <= newest
        }
    }

    private func onSlots<Work>(_ bySlot: [Int: [Work]], _ body: @escaping (Slot, [Work]) -> Void) {
        if bySlot.count == 1, let (number, work) = bySlot.first {
            slots[number].queue.sync { body(slots[number], work) }
            return
        }
        let group = DispatchGroup()
        for (number, work) in bySlot {
            let slot = slots[number]
            let job = UncheckedWork { body(slot, work) }
            slot.queue.async(group: group) { job.run() }
        }
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
            isCancelled: { [self] in isCancelled(request.job.jobID, request.context) }, compressesBlocks: isReachedFromElsewhere)
        return runner.run(
            tasks,
            keepBlock: { [self] id, bytes in try blocks.put(id, bytes) },
            holdRows: { [self] key, chunks, digest, slot in try held.put(key, chunks, digest: digest, slot: slot) })
    }
}

/// Work handed to one slot's queue while the caller waits for it.
private struct UncheckedWork: @unchecked Sendable {
    let run: () -> Void
}
