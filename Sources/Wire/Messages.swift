// Everything that driver and workers say to each other, on one page.
//
// The driver calls, the worker answers: one POST runs the tasks of one stage that one worker got, and its answer is the
// report, so a worker that dies is seen at once as a broken call. Bodies are JSON with a version, readable with curl.
// Every message names job id, batch, stage, part, attempt and epoch; whoever gets an answer accepts it by those and by
// nothing else. Workers are told names and numbers, never code: both sides build the plan from the job's definition and
// its settings and compare digests.
//
//   worker -> driver   POST /v1/workers                 RegisterWorker      -> Registered
//                      POST /v1/workers/ID/heartbeat    Heartbeat           -> HeartbeatReply
//                      GET  /v1/lookups/DIGEST          the bytes of a lookup
//                      GET  /v1/state/JOBID/NAME        an inline state file
//   driver -> worker   POST /v1/tasks/run               JobSpec, RunTasks   -> RunTasksReply   (two lines, `JobLine`)
//                      POST /v1/tasks/seal              JobSpec, SealTasks  -> SealTasksReply
//                      POST /v1/tasks/arrived           AwaitRecords        -> ArrivedRecords
//                      POST /v1/tasks/release           ReleaseBatch        -> {}
//                      POST /v1/tasks/cancel            CancelJob           -> {}
//                      POST /v1/state/check             CheckState          -> {}
//   worker -> worker   GET  /v1/blocks/JOBID/BATCH/EPOCH/RUN/STAGE/PART/ATTEMPT/DESTINATION   an encoded chunk
//
// When changing a message: raise `wireVersion`; a worker of another build is refused at registration anyway.

import Engine
import Foundation

/// The version that every registration carries.
package let wireVersion = 6

// MARK: membership

package struct RegisterWorker: Codable, Sendable {
    package var version = wireVersion
    package var url: String
    package var slots: Int
    package var build: String
    package var pid: Int32
    package var host: String
    package var bootID: String

    package init(url: String, slots: Int, build: String, pid: Int32, host: String, bootID: String) {
        self.url = url
        self.slots = slots
        self.build = build
        self.pid = pid
        self.host = host
        self.bootID = bootID
    }
}

package struct Registered: Codable, Sendable {
    package var workerID: String
    package var heartbeatMillis: Int
    package init(workerID: String, heartbeatMillis: Int) {
        self.workerID = workerID
        self.heartbeatMillis = heartbeatMillis
    }
}

package struct Heartbeat: Codable, Sendable {
    /// True when the worker is draining and wants no more tasks.
    package var leaving: Bool
    package init(leaving: Bool) { self.leaving = leaving }
}

package struct HeartbeatReply: Codable, Sendable {
    /// False when the driver does not know the worker (any more): register again.
    package var known: Bool
    /// The jobs that the driver runs now: what a worker holds of another one is nobody's.
    package var jobs: [JobClaim]
    package init(known: Bool, jobs: [JobClaim] = []) {
        self.known = known
        self.jobs = jobs
    }
}

/// A driver runs this job under this epoch.
package struct JobClaim: Codable, Sendable, Hashable {
    package var jobID: JobID
    package var epoch: Epoch
    package init(jobID: JobID, epoch: Epoch) {
        self.jobID = jobID
        self.epoch = epoch
    }
}

// MARK: tasks

/// What a worker needs to build the same plan as the driver.
package struct JobSpec: Codable, Sendable, Hashable {
    package var name: String
    package var jobID: JobID
    /// The name under which the job's code is known to the binary.
    package var definition: String
    package var settings: [String: String]
    package var planDigest: String
    package var buildDigest: String
    /// The text of the writer schema, as the driver read it.
    package var schemaText: String?
    /// Live jobs and backfills never share a consumer.
    package var lane: String
    /// For a backfill: only rows with an event time in `[from, until)` count, in milliseconds since 1970.
    package var outputFromMillis: Int64?
    package var outputUntilMillis: Int64?

    package init(
        name: String, jobID: JobID, definition: String, settings: [String: String], planDigest: String,
        buildDigest: String, schemaText: String?, lane: String, outputFromMillis: Int64? = nil,
        outputUntilMillis: Int64? = nil
    ) {
        self.name = name
        self.jobID = jobID
        self.definition = definition
        self.settings = settings
        self.planDigest = planDigest
        self.buildDigest = buildDigest
        self.schemaText = schemaText
        self.lane = lane
        self.outputFromMillis = outputFromMillis
        self.outputUntilMillis = outputUntilMillis
    }
}

/// The part of a plan that every task of the batch shares.
package struct BatchContext: Codable, Sendable, Hashable {
    package var batch: BatchNumber
    package var epoch: Epoch
    package var batchTimeMillis: Int64
    package var seed: UInt64
    package var watermarkBeforeMillis: Int64?
    package var parts: Int
    package var keyGroups: Int
    /// The batch writes the state anew; so many key groups is what the entries of the state before count in.
    package var rehashFrom: Int?
    package var lookups: [String: String]
    package var output: BatchPlan.OutputMode
    /// So many ranges of rejected, and of late, offsets a task reports; the others go into a file. Earlier builds do not say.
    package var listedRanges: Int?
    /// Which try at the batch this is, rising with each; a try that was given up is cancelled by it.
    package var run: Int64

    package init(plan: BatchPlan, run: Int64) {
        batch = plan.batch
        epoch = plan.epoch
        batchTimeMillis = plan.batchTimeMillis
        seed = plan.seed
        watermarkBeforeMillis = plan.watermarkBeforeMillis
        parts = plan.taskCounts.last ?? 1
        keyGroups = plan.keyGroups
        rehashFrom = plan.kind == .rehash ? plan.stateBefore?.keyGroups ?? plan.keyGroups : nil
        lookups = plan.lookups
        output = plan.output ?? .changes
        listedRanges = plan.listedRanges / max(1, plan.ranges.count)
        self.run = run
    }
}

/// Where a block lies: the attempt that made it, on the worker that holds it.
package struct BlockLocation: Codable, Sendable, Hashable {
    package var sourcePart: Int
    package var attempt: Int
    package var workerURL: String
    package init(sourcePart: Int, attempt: Int, workerURL: String) {
        self.sourcePart = sourcePart
        self.attempt = attempt
        self.workerURL = workerURL
    }
}

/// Who holds the blocks of stage 0, by the part that made them: said once a request, however many parts fetch from them.
package struct BlockHolders: Codable, Sendable {
    /// Addresses of workers; `worker` counts in it.
    package var urls: [String]
    package var worker: [Int]
    package var attempt: [Int]

    package init(urls: [String] = [], worker: [Int] = [], attempt: [Int] = []) {
        self.urls = urls
        self.worker = worker
        self.attempt = attempt
    }

    package func location(_ sourcePart: Int) -> BlockLocation? {
        guard worker.indices.contains(sourcePart), attempt.indices.contains(sourcePart),
            urls.indices.contains(worker[sourcePart])
        else { return nil }
        return BlockLocation(
            sourcePart: sourcePart, attempt: attempt[sourcePart], workerURL: urls[worker[sourcePart]])
    }
}

/// Ascending part numbers as runs `[from, until)`: mostly all of them, so mostly one run.
package struct PartRuns: Codable, Sendable, Hashable {
    private var bounds: [Int] = []

    package init() {}

    /// - Parameter part: not below what was added before.
    package mutating func append(_ part: Int) {
        if let last = bounds.last, last == part {
            bounds[bounds.count - 1] = part + 1
        } else {
            bounds += [part, part + 1]
        }
    }

    package init(from decoder: any Decoder) throws {
        bounds = try decoder.singleValueContainer().decode([Int].self)
        guard bounds.count % 2 == 0, zip(bounds, bounds.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "no runs of parts"))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var single = encoder.singleValueContainer()
        try single.encode(bounds)
    }

    package var parts: [Int] {
        stride(from: 0, to: bounds.count, by: 2).flatMap { bounds[$0]..<bounds[$0 + 1] }
    }
}

package struct TaskSpec: Codable, Sendable {
    package var part: Int
    package var attempt: Int
    /// Stage 0: what to read.
    package var range: OffsetRange?
    /// Stage 0: what of the range to leave out.
    package var excluded: [OffsetRange]?
    /// Stage 0: what of the range to look at, where that is not all of it.
    package var only: [OffsetRange]?
    /// Stage 0: what is known of the range beyond its offsets.
    package var mark: RangeMark?
    /// Later stages: the parts of stage 0 that made a block for this one.
    package var sources: PartRuns?
    /// Stateful stages: the entries of the state that this part starts from, cut to its key groups.
    package var state: [StateManifest.Entry]?

    package init(part: Int, attempt: Int, range: OffsetRange) {
        self.part = part
        self.attempt = attempt
        self.range = range
    }

    package init(part: Int, attempt: Int, sources: PartRuns, state: [StateManifest.Entry]) {
        self.part = part
        self.attempt = attempt
        self.sources = sources
        self.state = state
    }
}

/// What came of tasks that were tried in a process of their own.
package struct ProbeReply: Codable, Sendable, Equatable {
    /// How the process ended, when it did not end by itself.
    package var died: String?
    package init(died: String? = nil) { self.died = died }
}

package struct RunTasks: JobMessage {
    package var job = JobSpec.elsewhere
    package var context: BatchContext
    package var stage: Int
    package var tasks: [TaskSpec]
    /// Stages after the first: where the blocks of their sources lie.
    package var holders: BlockHolders?
    /// A replay computes and compares; its results are dropped, no state and no sink is touched.
    package var replay: Bool
    /// The rows shall come back with the report: to be printed, or looked at before they may be sealed.
    package var returnRows: Bool
    /// Stage 0, when all of it is in this request: the only task of the next stage, run at once if all of these succeed.
    /// What it fetches and from whom is known when they have, so its `sources` are empty.
    package var onward: TaskSpec?
    /// A probe: tasks of the next stage, to be run in the same process on what these have made there; their `sources` are empty.
    package var merges: [TaskSpec]?
    /// Stage 0: all of the batch's ranges are in this request, because it is too small to be shared out.
    package var isWhole: Bool
    /// With `isWhole`: records come all the time, so fetches may gather and the next cut will ask what has arrived.
    package var isSteady: Bool

    private enum CodingKeys: CodingKey { case context, stage, tasks, holders, replay, returnRows, onward, merges, isWhole, isSteady }

    package init(
        job: JobSpec, context: BatchContext, stage: Int, tasks: [TaskSpec], holders: BlockHolders? = nil,
        replay: Bool = false, returnRows: Bool = false, onward: TaskSpec? = nil, isWhole: Bool = false,
        isSteady: Bool = false
    ) {
        self.isWhole = isWhole
        self.isSteady = isSteady
        self.onward = onward
        self.job = job
        self.context = context
        self.stage = stage
        self.tasks = tasks
        self.holders = holders
        self.replay = replay
        self.returnRows = returnRows
    }
}

package struct TaskResult: Codable, Sendable {
    package var part: Int
    package var attempt: Int
    package var report: TaskReport?
    package var failure: Failure?
    /// With `failure.code == blockLost`: the block that could not be fetched.
    package var lost: BlockLocation?

    package init(part: Int, attempt: Int, report: TaskReport) {
        self.part = part
        self.attempt = attempt
        self.report = report
    }
    package init(part: Int, attempt: Int, failure: Failure, lost: BlockLocation? = nil) {
        self.part = part
        self.attempt = attempt
        self.failure = failure
        self.lost = lost
    }
}

package struct RunTasksReply: Codable, Sendable {
    /// What was asked: with part and attempt of each result the six coordinates by which it is accepted (protocol 3).
    package var of: Asked
    package var results: [TaskResult]
    /// Of the task that `onward` named, if it was run.
    package var onward: TaskResult?

    package struct Asked: Codable, Sendable, Hashable {
        package var jobID: JobID
        package var batch: BatchNumber
        package var epoch: Epoch
        package var stage: Int
        package init(jobID: JobID, batch: BatchNumber, epoch: Epoch, stage: Int) {
            self.jobID = jobID
            self.batch = batch
            self.epoch = epoch
            self.stage = stage
        }
    }

    package init(of asked: Asked, results: [TaskResult]) {
        of = asked
        self.results = results
    }

    package init(to request: RunTasks, results: [TaskResult], onward: TaskResult? = nil) {
        of = request.asked
        self.results = results
        self.onward = onward
    }
}

extension RunTasks {
    package var asked: RunTasksReply.Asked {
        RunTasksReply.Asked(jobID: job.jobID, batch: context.batch, epoch: context.epoch, stage: stage)
    }
}

// MARK: seal and release

package struct SealTasks: JobMessage {
    package struct Part: Codable, Sendable {
        package var part: Int
        package var attempt: Int
        package var digest: String
        /// What the ledger must hold of this part before.
        package var predecessor: Predecessor
        package init(part: Int, attempt: Int, digest: String, predecessor: Predecessor) {
            self.part = part
            self.attempt = attempt
            self.digest = digest
            self.predecessor = predecessor
        }
    }
    package var job = JobSpec.elsewhere
    package var batch: BatchNumber
    package var epoch: Epoch
    package var parts: [Part]

    private enum CodingKeys: CodingKey { case batch, epoch, parts }

    package init(job: JobSpec, batch: BatchNumber, epoch: Epoch, parts: [Part]) {
        self.job = job
        self.batch = batch
        self.epoch = epoch
        self.parts = parts
    }
}

package struct SealResult: Codable, Sendable {
    package var part: Int
    package var outcome: SealOutcome?
    package var failure: Failure?
    /// Rows that the sink refused and kept beside the others; nil for none.
    package var refused: Int64?
    package init(part: Int, outcome: SealOutcome, refused: Int64? = nil) {
        self.part = part
        self.outcome = outcome
        self.refused = refused
    }
    package init(part: Int, failure: Failure) {
        self.part = part
        self.failure = failure
    }
}

package struct SealTasksReply: Codable, Sendable {
    package var results: [SealResult]
    package init(results: [SealResult]) { self.results = results }
}

/// Asks a worker that does the job's batches as a whole what has come behind these positions.
package struct AwaitRecords: Codable, Sendable {
    package var jobID: JobID
    /// Of every partition of the job where its next range begins; `from` counts.
    package var positions: [OffsetRange]
    /// No answer before this, so that one batch takes what comes meanwhile.
    package var restMillis: Int
    /// The answer when nothing came.
    package var patienceMillis: Int
    package init(jobID: JobID, positions: [OffsetRange], restMillis: Int, patienceMillis: Int) {
        self.jobID = jobID
        self.positions = positions
        self.restMillis = restMillis
        self.patienceMillis = patienceMillis
    }
}

package struct ArrivedRecords: Codable, Sendable {
    /// Up to where the records of each partition are there, in the order of the positions; nil when this worker cannot
    /// tell and Kafka is to be asked.
    package var ends: [Int64]?
    package init(ends: [Int64]?) { self.ends = ends }
}

/// This worker is not used for the job any more, or not for what lies before this: what it holds of the job's batches up to
/// this one, under this epoch or an older one, goes. When nothing newer is there, so does everything else that it keeps for
/// the job: consumers would fetch what nobody reads here.
package struct ReleaseBatch: Codable, Sendable {
    package var jobID: JobID
    package var batch: BatchNumber
    package var epoch: Epoch

    package init(jobID: JobID, batch: BatchNumber, epoch: Epoch) {
        self.jobID = jobID
        self.batch = batch
        self.epoch = epoch
    }

    /// The job has stopped, ended or moved to another driver.
    package static func all(of jobID: JobID, epoch: Epoch) -> ReleaseBatch {
        ReleaseBatch(jobID: jobID, batch: .max, epoch: epoch)
    }
}

/// Stop every attempt of the job up to this epoch and, within it, up to this try, and drop what they made.
package struct CancelJob: Codable, Sendable {
    package var jobID: JobID
    package var epoch: Epoch
    package var run: Int64
    /// Only this one try, which was a replay: what the running job has here stays.
    package var isReplay: Bool
    package init(jobID: JobID, epoch: Epoch, run: Int64, isReplay: Bool = false) {
        self.jobID = jobID
        self.epoch = epoch
        self.run = run
        self.isReplay = isReplay
    }
}

/// Proves that the worker reaches the state place: the file with this name must be readable there.
package struct CheckState: Codable, Sendable {
    package var address: String
    package var jobID: JobID
    package var name: String
    package init(address: String, jobID: JobID, name: String) {
        self.address = address
        self.jobID = jobID
        self.name = name
    }
}
