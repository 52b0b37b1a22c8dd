// A made driver process around the real `JobMachine`: carries its asks out against the made outside, one at a time, and keeps
// the lease by `LeaseWatch` beside it. It crashes, is paused in the middle of anything (and goes on as a zombie), comes back. Where the
// job ends with a refusal it does what a person would do who reads it (`ended`).

import Driver
import Engine
import Wire

final class MadeDriver {
    let number: Int
    unowned let world: World
    var build = "b1"
    var incarnation = 1
    var isUp = true
    var pausedUntil: Int64 = 0
    var skewMillis: Int64 = 0
    var machine: JobMachine?
    var run: BatchRun?
    var runs = 0
    var sinkWasSilent = false
    var job: RunningJob?
    var watch: LeaseWatch?
    /// A worker is counted on until this is known of it.
    var lostWorkers: Set<String> = []
    /// The last answer that was truly equal.
    var provedMillis: Int64?
    /// Batches that this process has done.
    var doneHere: Set<BatchNumber> = []
    private var refusals = 0
    /// 1 when the job was asked to drain, 2 when it was killed.
    var heardWish = 0

    init(number: Int, world: World) throws {
        self.number = number
        self.world = world
    }

    var place: Place { .driver(number) }
    var stand: String { "driver \(number) \(isUp ? "up" : "down") \(machine.map { "\($0)".prefix(0) + "epoch \($0.epoch)" } ?? "-")" }

    var holder: LeaseHolder {
        LeaseHolder(
            id: "d\(number).\(incarnation)", pid: 1, bootID: "made", host: "d\(number)", address: "made:", processStart: "1",
            pidNamespace: "made")
    }

    // MARK: life

    func start() {
        guard isUp, machine == nil else { return }
        var options = LoopOptions()
        options.waitForLease = true
        machine = JobMachine(name: "made", options: options)
        lostWorkers = []
        proceed()
    }

    func crash(forMillis millis: Int64, build: String?) {
        guard isUp else { return }
        isUp = false
        stopped()
        if let build { self.build = build }
        world.after(millis) { [unowned self] in
            isUp = true
            start()
        }
    }

    func stopped() {
        incarnation += 1
        (machine, run, watch, job) = (nil, nil, nil, nil)
        (provedMillis, doneHere, heardWish) = (nil, [], 0)
    }

    func pause(forMillis millis: Int64) { pausedUntil = max(pausedUntil, world.nowMillis + millis) }

    func heal() {
        pausedUntil = 0
        skewMillis = 0
        if !isUp {
            isUp = true
            start()
        }
    }

    /// Does `body` when this incarnation gets to run; never, when it dies before.
    func later(_ millis: Int64 = 0, _ body: @escaping () -> Void) {
        let born = incarnation
        world.at(max(world.nowMillis + millis, pausedUntil)) { [unowned self] in
            guard incarnation == born else { return }
            if world.nowMillis < pausedUntil { return later(0, body) }
            body()
        }
    }

    var moment: Moment { world.moment(skewMillis: skewMillis) }

    var members: [BatchRun.Member] {
        world.workers.filter { $0.isUp && !$0.isSilent && !lostWorkers.contains($0.id) && !world.network.isCut(place, $0.place) }.map(\.member)
    }

    /// The job that it runs, as its workers hear it.
    var claim: JobClaim? {
        guard let job, let machine, machine.epoch > 0, !machine.isOver else { return nil }
        return JobClaim(jobID: job.record.jobID, epoch: machine.epoch)
    }

    // MARK: the end

    /// What a drain promises. An outside that is away, and batches that the sink still lacks, keep a plan open.
    private func brokenDrain() -> String? {
        guard let machine, machine.failure == nil, machine.running != nil, heardWish == 1, !machine.isWritingAgain, world.catalog.isHeld(by: holder, machine.epoch) else {
            return nil
        }
        world.marks.insert("drained")
        return world.catalog.openPlan.map { "driver \(number) drained the job and left batch \($0.batch) planned" }
    }

    /// However it ended: what workers keep for the job under this epoch is nobody's now, and the lease is free.
    private func letGo() {
        guard let machine, let job, machine.epoch > 0 else { return }
        let (world, holder, epoch) = (self.world, self.holder, machine.epoch)
        let request = ReleaseBatch.all(of: job.record.jobID, epoch: epoch)
        for worker in world.workers {
            let incarnation = worker.incarnation
            world.network.call(
                world, from: place, to: worker.place, lost: MadeCatalog.away,
                {
                    if worker.incarnation == incarnation, worker.isUp { worker.release(request) }
                    return .success(())
                }
            ) { (_: Result<Void, Failure>) in }
        }
        world.network.call(
            world, from: place, to: .outside, lost: MadeCatalog.away,
            {
                if world.catalog.isUp { world.catalog.release(holder, epoch: epoch) }
                return .success(())
            }
        ) { (_: Result<Void, Failure>) in }
    }

    func ended() {
        if let broken = brokenDrain() { return world.violate(broken) }
        letGo()
        guard let reason = machine?.failure else { return restart(afterMillis: 1000) }
        world.trace.say(world.nowMillis, "d\(number) ended: \(reason)")
        let isOtherTopic = !world.kafka.lossMillis.isEmpty
        switch reason.code {
        case .leaseLost, .staleEpoch: restart(afterMillis: 1000)
        // Asked to stop while the outside is away: it does not wait for that, and is not failed by it.
        case _ where heardWish > 0 && reason.isWeather: restart(afterMillis: 1000)
        case .planSealedByOther:
            // What a person does then: the build that planned it finishes it.
            build = world.catalog.openPlan?.buildDigest ?? build
            restart(afterMillis: 500)
        case .ledgerConflict where world.sink.wasRestored:
            // What a person does then: start it once more.
            world.marks.insert("restored sink refused")
            restart(afterMillis: 500)
        case .topicRecreated where isOtherTopic:
            guard world.truth.isNamed(by: reason, of: doneHere) else {
                return world.violate("batches \(world.truth.foreign.sorted()) have rows of another topic, and are not named: \(reason)")
            }
            world.stopByRefusal()
        // Part of a batch was sealed, and what it was computed of is there no more: nobody can tell why.
        case .ledgerConflict where world.kafka.wasTruncated: world.stopByRefusal()
        case .ledgerConflict where isOtherTopic: restartOrRest()
        // The next start says what it is.
        case .topicMissing where isOtherTopic: restart(afterMillis: 500)
        // A sink that was put back cannot have its rows again out of a topic that lost them; a start may know more of that.
        case .digestMismatch where isOtherTopic: restartOrRest()
        case .sinkMismatch where world.topic != nil: refusedByTopic(reason)
        default: world.violate("driver \(number) stopped the job: \(reason)")
        }
    }

    private func refusedByTopic(_ reason: Failure) {
        guard let topic = world.topic else { return }
        if topic.partitions < world.kafka.partitions.count {
            topic.partitions = world.kafka.partitions.count
            return restart(afterMillis: 500)
        }
        guard topic.wasForgotten else { return world.violate("driver \(number) stopped the job: \(reason)") }
        // The refusal says: start the job again.
        restartOrRest()
    }

    /// Whoever is refused starts the job some times more, then looks for somebody who knows.
    private func restartOrRest() {
        refusals += 1
        if refusals < 3 { restart(afterMillis: 500) } else { world.stopByRefusal() }
    }

    private func restart(afterMillis: Int64) {
        stopped()
        world.after(afterMillis) { [unowned self] in start() }
    }
}
