// What a worker takes on, keeps and lets go, in every order in which messages may come.

import Engine
import TestSupport
import Testing
import Wire
import Worker

private let job = JobID.random()
private let other = JobID.random()

private func attempt(_ batch: BatchNumber, _ epoch: Epoch = 1, run: Int64, of jobID: JobID = job) -> BatchTry {
    BatchTry(jobID: jobID, batch: batch, epoch: epoch, run: run)
}

private func release(_ batch: BatchNumber, _ epoch: Epoch = 1) -> ReleaseBatch {
    ReleaseBatch(jobID: job, batch: batch, epoch: epoch)
}

private func code(_ body: () throws -> Void) -> Failure.Code? {
    do {
        try body()
        return nil
    } catch { return failure(error).code }
}

/// A desk and the names that it let be held and has not let go.
private struct Held {
    var desk = WorkerDesk(slots: 2)
    var tries: Set<BatchTry> = []
    var kept: Set<JobID> = []

    mutating func did(_ actions: [WorkerDesk.Action]) {
        for action in actions {
            switch action {
            case .drop(let owner): tries.remove(owner)
            case .forget(let jobID): kept.remove(jobID)
            case .closeReaders: break
            }
        }
    }

    /// The request is taken on, and something is held for it.
    mutating func begin(_ asked: BatchTry, isReplay: Bool = false, at millis: Int64 = 0) throws {
        did(try desk.begin(asked, isReplay: isReplay, nowMillis: millis))
        tries.insert(asked)
        kept.insert(asked.jobID)
    }

    mutating func end(_ asked: BatchTry, at millis: Int64 = 0) { did(desk.end(asked, nowMillis: millis)) }

    mutating func run(_ asked: BatchTry, isReplay: Bool = false, at millis: Int64 = 0) throws {
        try begin(asked, isReplay: isReplay, at: millis)
        end(asked, at: millis)
    }
}

@Suite struct `What a worker keeps` {
    @Test func `a batch goes when the next one comes, and another job's stays`() throws {
        var held = Held()
        try held.run(attempt(1, run: 10))
        try held.run(attempt(7, run: 11, of: other))
        try held.run(attempt(2, run: 12))
        #expect(held.tries == [attempt(2, run: 12), attempt(7, run: 11, of: other)])
        // The second stage of the same try drops nothing.
        try held.run(attempt(2, run: 12))
        #expect(held.tries.contains(attempt(2, run: 12)))
    }

    @Test func `a paused driver that wakes up after its job was taken over frees nothing of the newer one`() throws {
        var held = Held()
        try held.run(attempt(5, 1, run: 90))
        try held.run(attempt(5, 2, run: 3))
        #expect(held.tries == [attempt(5, 2, run: 3)])
        held.did(held.desk.cancel(CancelJob(jobID: job, epoch: 1, run: 95), nowMillis: 0))
        held.did(held.desk.release(release(.max, 1), nowMillis: 0))
        #expect(held.tries == [attempt(5, 2, run: 3)])
        #expect(held.kept == [job])
        #expect(!held.desk.isCancelled(attempt(5, 2, run: 3), isReplay: false))
        #expect(code { try held.begin(attempt(6, 1, run: 99)) } == .staleEpoch)
        #expect(code { try held.desk.beginSeal(job, batch: 5, epoch: 1, nowMillis: 0) } == .staleEpoch)
        #expect(code { try held.desk.beginSeal(job, batch: 5, epoch: 2, nowMillis: 0) } == nil)
    }

    @Test func `a request of a try that was given up is refused, however late it comes`() throws {
        var held = Held()
        held.did(held.desk.cancel(CancelJob(jobID: job, epoch: 1, run: 10), nowMillis: 0))
        #expect(code { try held.begin(attempt(1, run: 10)) } == .taskCancelled)
        try held.run(attempt(1, run: 11))
        #expect(code { try held.begin(attempt(1, run: 9)) } == .taskCancelled)
        #expect(held.tries == [attempt(1, run: 11)])
    }

    @Test func `what a cancelled task puts down behind its cancel is dropped when it ends`() throws {
        var held = Held()
        try held.begin(attempt(1, run: 10))
        held.did(held.desk.cancel(CancelJob(jobID: job, epoch: 1, run: 10), nowMillis: 0))
        #expect(held.tries.isEmpty)
        #expect(held.desk.isCancelled(attempt(1, run: 10), isReplay: false))
        held.tries.insert(attempt(1, run: 10))
        held.end(attempt(1, run: 10))
        #expect(held.tries.isEmpty)
    }

    @Test func `a stopped job's warm state, lookups, blocks and spill files go with it`() throws {
        var held = Held()
        try held.run(attempt(1, run: 10))
        held.did(held.desk.release(.all(of: job, epoch: 1), nowMillis: 0))
        #expect(held.tries.isEmpty && held.kept.isEmpty)
        // Also what a task leaves behind that was running then.
        try held.begin(attempt(2, 2, run: 11))
        held.did(held.desk.release(.all(of: job, epoch: 2), nowMillis: 0))
        held.kept.insert(job)
        held.end(attempt(2, 2, run: 11))
        #expect(held.tries.isEmpty && held.kept.isEmpty)
        // And then the name itself.
        held.did(held.desk.expire(nowMillis: WorkerDesk.orphanMillis + 1))
        #expect(held.desk.jobCount == 0)
    }

    @Test func `a job that moved away and comes back is taken on again`() throws {
        var held = Held()
        try held.run(attempt(4, run: 10))
        held.did(held.desk.release(release(4), nowMillis: 0))
        #expect(held.kept.isEmpty)
        try held.run(attempt(9, run: 20))
        #expect(held.tries == [attempt(9, run: 20)])
        // The word comes late: the job is here again.
        held.did(held.desk.release(release(8), nowMillis: 0))
        #expect(held.tries == [attempt(9, run: 20)] && held.kept == [job])
    }

    @Test func `a replay stands beside the job: neither lets go of what the other holds`() throws {
        var held = Held()
        try held.run(attempt(8, 3, run: 50))
        try held.run(attempt(2, 1, run: 51), isReplay: true)
        try held.run(attempt(9, 3, run: 52))
        #expect(held.tries == [attempt(9, 3, run: 52), attempt(2, 1, run: 51)])
        held.did(held.desk.cancel(CancelJob(jobID: job, epoch: 1, run: 51, isReplay: true), nowMillis: 0))
        #expect(held.tries == [attempt(9, 3, run: 52)])
        #expect(code { try held.begin(attempt(2, 1, run: 51), isReplay: true) } == .taskCancelled)
        // One whose driver died is an orphan after a while, although the job goes on.
        try held.run(attempt(2, 1, run: 53), isReplay: true, at: 1000)
        held.desk.claimed([JobClaim(jobID: job, epoch: 3)], nowMillis: 1000 + WorkerDesk.replayMillis)
        held.did(held.desk.expire(nowMillis: 1001 + WorkerDesk.replayMillis))
        #expect(held.tries == [attempt(9, 3, run: 52)])
    }

    @Test func `what a whole replay made is gone with its answer`() throws {
        var held = Held()
        try held.begin(attempt(2, run: 51), isReplay: true)
        held.did(held.desk.end(attempt(2, run: 51), isWhole: true, nowMillis: 0))
        #expect(held.tries.isEmpty)
    }

    @Test func `what a driver claims stays, what nobody claims goes by time`() throws {
        var held = Held()
        try held.run(attempt(1, run: 10))
        try held.run(attempt(1, 4, run: 11, of: other))
        for second in stride(from: Int64(0), through: 1000, by: 1) {
            held.desk.claimed([JobClaim(jobID: other, epoch: 4)], nowMillis: second * 1000)
            held.did(held.desk.expire(nowMillis: second * 1000))
        }
        #expect(held.tries == [attempt(1, 4, run: 11, of: other)])
        #expect(held.kept == [other])
        // A claim under an older epoch is another driver's.
        let later = 1_000_000 + WorkerDesk.orphanMillis + 1
        held.desk.claimed([JobClaim(jobID: other, epoch: 3)], nowMillis: later)
        held.did(held.desk.expire(nowMillis: later))
        #expect(held.tries.isEmpty && held.desk.jobCount == 0)
    }

    @Test func `a task that runs for hours is nobody's orphan`() throws {
        var held = Held()
        try held.begin(attempt(1, run: 10))
        held.did(held.desk.expire(nowMillis: 8 * 3_600_000))
        #expect(held.tries == [attempt(1, run: 10)])
        held.end(attempt(1, run: 10), at: 8 * 3_600_000)
        held.did(held.desk.expire(nowMillis: 8 * 3_600_000 + 1))
        #expect(held.tries == [attempt(1, run: 10)])
    }

    @Test func `small batches of a job are read by one slot until they are shared out again`() throws {
        var desk = WorkerDesk(slots: 2)
        _ = try desk.begin(attempt(1, run: 1), isReplay: false, nowMillis: 0)
        let tasks = (0..<4).map { part in
            TaskSpec(part: part, attempt: 1, range: OffsetRange(topic: "t", partition: Int32(part), from: 0, until: 1))
        }
        #expect(desk.slots(for: tasks, of: job).count == 2)
        #expect(desk.gather(job, isWhole: true) == [.closeReaders(job, fromSlot: 1)])
        #expect(desk.gather(job, isWhole: true) == [])
        #expect(desk.slots(for: tasks, of: job).keys.sorted() == [0])
        #expect(desk.gather(job, isWhole: false) == [.closeReaders(job, fromSlot: 0)])
        #expect(desk.slots(for: tasks, of: job).count == 2)
    }

    /// Messages of two drivers in any order, doubled and late: only the newest epoch's are taken on, a word of an older one
    /// reaches nothing newer, and when all is over nothing is left.
    @Test(arguments: 0..<200) func `in any order of messages nothing newer is lost and nothing is left over`(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var held = Held()
        var running: [BatchTry] = []
        var replays: Set<BatchTry> = []
        var newest: Epoch = 0
        var now: Int64 = 0
        for step in 0..<300 {
            now += Int64(random.below(2000))
            let epoch = Epoch(1 + random.below(3))
            let run = Int64(random.below(step / 10 + 1))
            var asked = BatchTry(jobID: job, batch: run, epoch: epoch, run: run)
            let isReplay = random.below(5) == 0
            // A replay's run is its own.
            if isReplay { asked.run += 1_000_000 }
            if isReplay { replays.insert(asked) }
            // What a newer driver's tasks made: no word of this epoch may reach it.
            let newer = held.tries.filter { $0.epoch > epoch && !replays.contains($0) }
            switch random.below(6) {
            case 0, 1:
                do {
                    try held.begin(asked, isReplay: isReplay, at: now)
                    running.append(asked)
                    if !isReplay {
                        #expect(epoch >= newest)
                        newest = epoch
                    }
                } catch { #expect([.staleEpoch, .taskCancelled].contains(failure(error).code)) }
            case 2 where !running.isEmpty: held.end(running.remove(at: random.below(running.count)), at: now)
            case 3: held.did(held.desk.cancel(CancelJob(jobID: job, epoch: epoch, run: asked.run, isReplay: isReplay), nowMillis: now))
            case 4: held.did(held.desk.release(ReleaseBatch(jobID: job, batch: asked.batch, epoch: epoch), nowMillis: now))
            default:
                held.did(held.desk.expire(nowMillis: now))
                continue
            }
            let lost = newer.subtracting(held.tries)
            #expect(lost.isEmpty, "step \(step): \(lost) went by a word of epoch \(epoch)")
        }
        for asked in running { held.end(asked, at: now) }
        held.did(held.desk.expire(nowMillis: now + WorkerDesk.replayMillis + WorkerDesk.orphanMillis + 1))
        held.did(held.desk.expire(nowMillis: now + WorkerDesk.replayMillis + WorkerDesk.orphanMillis + 2))
        #expect(held.tries.isEmpty && held.kept.isEmpty && held.desk.jobCount == 0 && held.desk.runningRequests == 0)
    }
}
