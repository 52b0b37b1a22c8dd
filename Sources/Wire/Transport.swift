// The seam between driver and workers: what each side may ask of the other, whatever carries it.
//
// HTTP carries it between processes (`HTTPLinks.swift`); with `--workers 0` the same calls are made in one process. So
// a test, a simulation or another transport replaces these protocols and nothing else. Calls block until they are
// answered and throw a `Failure`; they may be made from many threads at once.

import Engine

/// A worker as the driver sees it.
package protocol WorkerLink: Sendable {
    func run(_ request: RunTasks) throws -> RunTasksReply
    /// Runs tasks of stage 0 in a process of its own, to see whether that survives; nothing is kept of them.
    func probe(_ request: RunTasks) throws -> ProbeReply
    func seal(_ request: SealTasks) throws -> SealTasksReply
    func arrived(_ request: AwaitRecords) throws -> ArrivedRecords
    func release(_ request: ReleaseBatch) throws
    func cancel(_ request: CancelJob) throws
    func checkState(_ request: CheckState) throws
    /// The worker answers at its address.
    func ping() throws
    /// The worker is a member no more: calls that wait for it end within two seconds.
    func abandon()
}

extension WorkerLink {
    // A worker in this process is there as long as this process is.
    package func probe(_ request: RunTasks) throws -> ProbeReply {
        throw Failure(
            .notPossible, "tasks cannot be tried apart", why: "this worker has no process of its own", now: "run the job with --workers 1 or more")
    }
    package func ping() throws {}
    package func abandon() {}
}

/// The driver as a worker sees it: the bytes that a plan names by digest or name.
package protocol DriverLink: Sendable {
    func lookup(digest: String) throws -> [UInt8]
    func inlineState(jobID: JobID, name: String) throws -> [UInt8]
}

/// Another worker as a worker sees it.
package protocol BlockLink: Sendable {
    func block(_ id: BlockID, at workerURL: String) throws -> [UInt8]
}

/// The name of a block: who made it, for whom. Two tries at a batch may give other blocks (a probe reads less of a range),
/// so the try is part of it.
package struct BlockID: Hashable, Sendable {
    package var jobID: JobID
    package var batch: BatchNumber
    package var epoch: Epoch
    package var run: Int64
    package var stage: Int
    package var part: Int
    package var attempt: Int
    package var destination: Int

    package init(
        jobID: JobID, batch: BatchNumber, epoch: Epoch, run: Int64, stage: Int, part: Int, attempt: Int, destination: Int
    ) {
        self.jobID = jobID
        self.batch = batch
        self.epoch = epoch
        self.run = run
        self.stage = stage
        self.part = part
        self.attempt = attempt
        self.destination = destination
    }

    package var path: String {
        "/v1/blocks/\(jobID)/\(batch)/\(epoch)/\(run)/\(stage)/\(part)/\(attempt)/\(destination)"
    }

    package init?(path: String) {
        let pieces = path.split(separator: "/", omittingEmptySubsequences: true)
        guard pieces.count == 10, pieces[0] == "v1", pieces[1] == "blocks", let batch = Int64(pieces[3]),
            let epoch = Int64(pieces[4]), let run = Int64(pieces[5]), let stage = Int(pieces[6]), let part = Int(pieces[7]),
            let attempt = Int(pieces[8]), let destination = Int(pieces[9])
        else { return nil }
        self.init(
            jobID: JobID(text: String(pieces[2])), batch: batch, epoch: epoch, run: run, stage: stage, part: part,
            attempt: attempt, destination: destination)
    }
}
