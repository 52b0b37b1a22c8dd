// What a worker takes on, keeps and lets go: pure, so that every order of messages can be tried.
//
// It knows tries and jobs by name and nothing of rows, threads or clocks: requests go in, with the time by a clock that
// never jumps, and what is to be dropped comes out. `WorkerNode` is the shell.
//
//   request of a try -> older than what is known of the job, or given up? refused
//                    -> else it becomes the job's newest; older ones are given up, what they hold is dropped
//   cancel, release  -> name an epoch, and reach what that epoch or an older one has here, never more
//   end of a request -> what a given-up try still put down behind its drop is dropped again
//   time             -> what no driver claims any more goes, whether or not anybody said so
//
// A replay stands beside the job: it has batches and epochs of the past, so it is known by its run alone; it gives up
// nobody and nobody gives it up but its own cancel, and time.
//
// Survives nothing. A drop that comes too early costs a recomputation, never an answer: what is missing is `blockLost`.
//
// Checklist: a try may hold something only between `begin` and its drop; every way in which a job can end leads to
// `forget`; nothing here may grow with time (`WorkerDeskTests` drives random orders against that).

import Engine
import Wire

/// One try at one batch: what a request belongs to, and under which things are held.
package struct BatchTry: Hashable, Sendable {
    package var jobID: JobID
    package var batch: BatchNumber
    package var epoch: Epoch
    package var run: Int64

    package init(jobID: JobID, batch: BatchNumber, epoch: Epoch, run: Int64) {
        self.jobID = jobID
        self.batch = batch
        self.epoch = epoch
        self.run = run
    }

    package init(_ request: RunTasks) {
        self.init(
            jobID: request.job.jobID, batch: request.context.batch, epoch: request.context.epoch, run: request.context.run)
    }
}

package struct WorkerDesk: Sendable {
    package enum Action: Hashable, Sendable {
        /// Blocks, rows and file of a try.
        case drop(BatchTry)
        /// Everything else that is kept for a job: plan, lookups, decoders, consumers, sink connections, warm state.
        case forget(JobID)
        /// Consumers that follow other partitions than before.
        case closeReaders(JobID, fromSlot: Int)
    }

    /// What no driver has claimed for so long is nobody's. A driver claims its jobs with each heartbeat, so this is also how
    /// long a worker keeps its work for one that is away.
    package static let orphanMillis: Int64 = 120_000
    /// The longest that a replay may rest between two requests.
    package static let replayMillis: Int64 = 3_600_000

    /// The numbers by which tries of one job are older or newer than each other.
    private struct Turn: Comparable {
        var epoch: Epoch
        var run: Int64
        static func < (left: Turn, right: Turn) -> Bool { (left.epoch, left.run) < (right.epoch, right.run) }
    }

    private struct Life {
        var isReplay: Bool
        var requests = 0
        var heardMillis: Int64
    }

    private struct Job {
        var newest: Turn?
        var newestBatch: BatchNumber = 0
        var cancelled: Turn?
        var released: (epoch: Epoch, batch: BatchNumber)?
        /// By run, with the time at which it was said: a late request of one may still come.
        var cancelledReplays: [Int64: Int64] = [:]
        /// Tries that may hold something here, or are worked on.
        var tries: [BatchTry: Life] = [:]
        var heardMillis: Int64
        /// `forget` was said and nothing has begun since.
        var isForgotten = false
        var isWhole = false
        var partitionSlots: SlotMap<TopicPartition>
        var partSlots: SlotMap<Int>
    }

    private let slotCount: Int
    private var jobs: [JobID: Job] = [:]

    package init(slots: Int) { slotCount = slots }

    /// Requests being worked on.
    package var runningRequests: Int { jobs.values.reduce(0) { $0 + $1.tries.values.reduce(0) { $0 + $1.requests } } }
    /// Requests of one try that are being worked on; nil for one of which nothing may be held here.
    package func requests(of asked: BatchTry) -> Int? { jobs[asked.jobID]?.tries[asked]?.requests }
    /// Jobs of which something may be kept here.
    package var jobCount: Int { jobs.count }

    // MARK: requests

    /// A request for tasks has come.
    /// - Throws: `staleEpoch` when a newer driver has the job, `taskCancelled` when the try was given up.
    package mutating func begin(_ asked: BatchTry, isReplay: Bool, nowMillis: Int64) throws -> [Action] {
        var job = jobs[asked.jobID] ?? makeJob(nowMillis)
        defer { jobs[asked.jobID] = job }
        job.heardMillis = nowMillis
        var actions: [Action] = []
        if isReplay {
            if job.cancelledReplays[asked.run] != nil { throw Self.givenUp(asked) }
        } else {
            let turn = Turn(epoch: asked.epoch, run: asked.run)
            if let newest = job.newest, turn < newest {
                throw asked.epoch < newest.epoch ? Self.stale(asked, newest.epoch) : Self.givenUp(asked)
            }
            guard isCurrent(asked, in: job) else { throw Self.givenUp(asked) }
            job.newest = turn
            job.newestBatch = asked.batch
            let older = job.tries.filter { !$0.value.isReplay && $0.key != asked }.keys
            actions += drop(Array(older), of: &job)
        }
        job.isForgotten = false
        job.tries[asked, default: Life(isReplay: isReplay, heardMillis: nowMillis)].requests += 1
        return actions
    }

    /// A request to seal has come; what it names is held or not, which the shell looks up by name.
    package mutating func beginSeal(_ jobID: JobID, batch: BatchNumber, epoch: Epoch, nowMillis: Int64) throws {
        guard var job = jobs[jobID] else { return }
        if let newest = job.newest, epoch < newest.epoch {
            throw Self.stale(BatchTry(jobID: jobID, batch: batch, epoch: epoch, run: 0), newest.epoch)
        }
        job.heardMillis = nowMillis
        for held in job.tries.keys where held.batch == batch && held.epoch == epoch {
            job.tries[held]!.heardMillis = nowMillis
        }
        jobs[jobID] = job
    }

    /// A request for tasks is answered.
    /// - Parameter isWhole: nobody will ask for what a replay made here.
    package mutating func end(_ asked: BatchTry, isWhole: Bool = false, nowMillis: Int64) -> [Action] {
        guard var job = jobs[asked.jobID], var life = job.tries[asked] else { return [] }
        life.requests -= 1
        life.heardMillis = nowMillis
        job.heardMillis = nowMillis
        job.tries[asked] = life
        var actions: [Action] = []
        if life.requests == 0 {
            let isOver = life.isReplay ? isWhole || job.cancelledReplays[asked.run] != nil : !isCurrent(asked, in: job)
            if isOver { actions += drop([asked], of: &job) }
            if job.isForgotten { actions += forget(asked.jobID, &job) }
        }
        jobs[asked.jobID] = job
        return actions
    }

    /// Whether a try is worth going on with.
    package func isCancelled(_ asked: BatchTry, isReplay: Bool) -> Bool {
        guard let job = jobs[asked.jobID] else { return true }
        return isReplay ? job.cancelledReplays[asked.run] != nil : !isCurrent(asked, in: job)
    }

    // MARK: letting go

    package mutating func release(_ request: ReleaseBatch, nowMillis: Int64) -> [Action] {
        guard var job = jobs[request.jobID] else { return [] }
        if let known = job.released, (known.epoch, known.batch) >= (request.epoch, request.batch) {
            // An older word, or the same again.
        } else {
            job.released = (request.epoch, request.batch)
        }
        let gone = job.tries.filter { !$0.value.isReplay && ($0.key.epoch, $0.key.batch) <= (request.epoch, request.batch) }.keys
        var actions = drop(Array(gone), of: &job)
        let isNewer = job.newest.map { ($0.epoch, job.newestBatch) > (request.epoch, request.batch) } ?? false
        if !isNewer { actions += forget(request.jobID, &job) }
        jobs[request.jobID] = job
        return actions
    }

    package mutating func cancel(_ request: CancelJob, nowMillis: Int64) -> [Action] {
        // It may come before the request that it cancels.
        var job = jobs[request.jobID] ?? makeJob(nowMillis)
        defer { jobs[request.jobID] = job }
        if request.isReplay {
            job.cancelledReplays[request.run] = nowMillis
            return drop(job.tries.filter { $0.value.isReplay && $0.key.run == request.run }.map(\.key), of: &job)
        }
        let turn = Turn(epoch: request.epoch, run: request.run)
        job.cancelled = max(job.cancelled ?? turn, turn)
        return drop(
            job.tries.filter { !$0.value.isReplay && Turn(epoch: $0.key.epoch, run: $0.key.run) <= turn }.map(\.key), of: &job)
    }

    /// The driver runs these jobs.
    package mutating func claimed(_ claims: [JobClaim], nowMillis: Int64) {
        for claim in claims {
            guard let newest = jobs[claim.jobID]?.newest, claim.epoch >= newest.epoch else { continue }
            jobs[claim.jobID]!.heardMillis = nowMillis
        }
    }

    /// What nobody claims any more.
    package mutating func expire(nowMillis: Int64) -> [Action] {
        var actions: [Action] = []
        for jobID in jobs.keys.sorted(by: { $0.text < $1.text }) {
            var job = jobs[jobID]!
            let replays = job.tries.filter {
                $0.value.isReplay && $0.value.requests == 0 && nowMillis - $0.value.heardMillis > Self.replayMillis
            }
            actions += drop(replays.map(\.key), of: &job)
            job.cancelledReplays = job.cancelledReplays.filter { nowMillis - $0.value <= Self.orphanMillis }
            let isBusy = job.tries.values.contains { $0.requests > 0 || $0.isReplay }
            guard !isBusy, nowMillis - job.heardMillis > Self.orphanMillis else {
                jobs[jobID] = job
                continue
            }
            actions += drop(Array(job.tries.keys), of: &job)
            actions += forget(jobID, &job)
            jobs[jobID] = nil
        }
        return actions
    }

    // MARK: slots

    /// A batch that is here as a whole is read by one slot: each consumer costs a fetch at the log's end again and again,
    /// more than the few rows it brings. When that changes, the consumers that follow other partitions than before go.
    package mutating func gather(_ jobID: JobID, isWhole: Bool) -> [Action] {
        guard let job = jobs[jobID], job.isWhole != isWhole else { return [] }
        jobs[jobID]!.isWhole = isWhole
        jobs[jobID]!.partitionSlots = SlotMap(slots: isWhole ? 1 : slotCount)
        return [.closeReaders(jobID, fromSlot: isWhole ? 1 : 0)]
    }

    /// The slot that works on each task: where its partition's consumer or its part's state is.
    package mutating func slots(for tasks: [TaskSpec], of jobID: JobID) -> [Int: [TaskSpec]] {
        var bySlot: [Int: [TaskSpec]] = [:]
        for task in tasks {
            let slot =
                task.range.map { jobs[jobID]?.partitionSlots.slot(of: $0.topicPartition) ?? 0 }
                ?? jobs[jobID]?.partSlots.slot(of: task.part) ?? 0
            bySlot[slot, default: []].append(task)
        }
        return bySlot
    }

    // MARK: inside

    private func makeJob(_ nowMillis: Int64) -> Job {
        Job(heardMillis: nowMillis, partitionSlots: SlotMap(slots: slotCount), partSlots: SlotMap(slots: slotCount))
    }

    private func isCurrent(_ asked: BatchTry, in job: Job) -> Bool {
        let turn = Turn(epoch: asked.epoch, run: asked.run)
        if let newest = job.newest, turn < newest { return false }
        if let cancelled = job.cancelled, turn <= cancelled { return false }
        if let released = job.released, (asked.epoch, asked.batch) <= released { return false }
        return true
    }

    /// One that is still worked on stays known until its last request ends.
    private func drop(_ tries: [BatchTry], of job: inout Job) -> [Action] {
        for gone in tries where job.tries[gone]?.requests == 0 { job.tries[gone] = nil }
        return tries.sorted { ($0.epoch, $0.run) < ($1.epoch, $1.run) }.map { .drop($0) }
    }

    private func forget(_ jobID: JobID, _ job: inout Job) -> [Action] {
        job.isForgotten = true
        job.isWhole = false
        job.partitionSlots = SlotMap(slots: slotCount)
        job.partSlots = SlotMap(slots: slotCount)
        return [.forget(jobID)]
    }

    private static func stale(_ asked: BatchTry, _ newest: Epoch) -> Failure {
        Failure(
            .staleEpoch, "batch \(asked.batch) was asked for under epoch \(asked.epoch)",
            why: "a newer driver has the job: epoch \(newest) was here", now: "nothing; the newer driver goes on with the job")
    }

    private static func givenUp(_ asked: BatchTry) -> Failure {
        Failure(
            .taskCancelled, "this try at batch \(asked.batch) was given up",
            why: "its driver cancelled it, released it or tries again already", now: "nothing")
    }
}
