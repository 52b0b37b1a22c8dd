// A made driver process around the real `JobMachine`: carries its asks out against the made outside, one at a time, and keeps
// the lease by `LeaseWatch` beside it. It crashes, is paused in the middle of anything (and goes on as a zombie), comes back.

import Driver
import Engine
import Wire

final class MadeDriver {
    let number: Int
    private unowned let world: World
    private var build = "b1"
    private var incarnation = 1
    private var isUp = true
    private var pausedUntil: Int64 = 0
    var skewMillis: Int64 = 0
    private var machine: JobMachine?
    private var run: BatchRun?
    private var sinkWasSilent = false
    private var job: RunningJob?
    private var watch: LeaseWatch?
    /// A worker is counted on until this is known of it.
    private var lostWorkers: Set<String> = []

    init(number: Int, world: World) throws {
        self.number = number
        self.world = world
    }

    var place: Place { .driver(number) }
    var stand: String { "driver \(number) \(isUp ? "up" : "down") \(machine.map { "\($0)".prefix(0) + "epoch \($0.epoch)" } ?? "-")" }

    private var holder: LeaseHolder {
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

    private func stopped() {
        incarnation += 1
        (machine, run, watch, job) = (nil, nil, nil, nil)
    }

    func pause(forMillis millis: Int64) { pausedUntil = max(pausedUntil, world.nowMillis + millis) }

    func heal() {
        pausedUntil = 0
        skewMillis = 0
        if !isUp {
            isUp = true
            start()
        } else if world.sink.wasRestored {
            // A job that rests asks its sink nothing. Whoever put the copy in place starts the job anew.
            crash(forMillis: 10, build: nil)
        }
    }

    /// Does `body` when this incarnation gets to run; never, when it dies before.
    private func later(_ millis: Int64 = 0, _ body: @escaping () -> Void) {
        let born = incarnation
        world.at(max(world.nowMillis + millis, pausedUntil)) { [unowned self] in
            guard incarnation == born else { return }
            if world.nowMillis < pausedUntil { return later(0, body) }
            body()
        }
    }

    private var moment: Moment { world.moment(skewMillis: skewMillis) }

    private var members: [BatchRun.Member] {
        world.workers.filter { $0.isUp && !lostWorkers.contains($0.id) && !world.network.isCut(place, $0.place) }.map(\.member)
    }

    // MARK: asks

    private func proceed() {
        guard var machine else { return }
        let ask = machine.next(moment, slots: members.reduce(0) { $0 + $1.slots })
        self.machine = machine
        takeNotes()
        guard let ask else { return ended() }
        carryOut(ask)
    }

    /// - Parameter born: the incarnation that asked; a later one hears nothing of it.
    private func answer(_ result: Result<JobAnswer, Failure>, to born: Int) {
        guard born == incarnation else { return }
        later { [unowned self] in
            machine?.answer(result, moment)
            takeNotes()
            proceed()
        }
    }

    private func takeNotes() {
        for note in machine?.takeNotes() ?? [] {
            switch note {
            case .confirm(let offsets, _, _): confirm(offsets)
            case .waits(let waiting, _): world.trace.say(world.nowMillis, "d\(number) waits: \(waiting.failure.what)")
            case .say(_, let what, let details): world.trace.say(world.nowMillis, "d\(number) says \(what) \(details.map(\.1))")
            case .done(let record, _, _): world.trace.say(world.nowMillis, "d\(number) done batch \(record.plan.batch)")
            default: break
            }
        }
    }

    private func confirm(_ offsets: [TopicPartition: Int64]) {
        let world = self.world
        world.network.call(
            world, from: place, to: .outside, lost: MadeKafka.away,
            {
                if world.kafka.isUp { world.kafka.commit(offsets) }
                return .success(())
            }
        ) { (_: Result<Void, Failure>) in }
    }

    private func ended() {
        guard let reason = machine?.failure else { return restart(afterMillis: 1000) }
        world.trace.say(world.nowMillis, "d\(number) ended: \(reason)")
        switch reason.code {
        case .leaseLost, .staleEpoch: restart(afterMillis: 1000)
        case .planSealedByOther:
            // What a person does then: the build that planned it finishes it.
            build = world.catalog.openPlan?.buildDigest ?? build
            restart(afterMillis: 500)
        case .ledgerConflict where world.sink.wasRestored:
            // What a person does then: start it once more.
            world.marks.insert("restored sink refused")
            restart(afterMillis: 500)
        default: world.violate("driver \(number) stopped the job: \(reason)")
        }
    }

    private func restart(afterMillis: Int64) {
        stopped()
        world.after(afterMillis) { [unowned self] in start() }
    }

    private func call(_ up: @escaping () -> Failure?, _ body: @escaping () throws -> JobAnswer) {
        let born = incarnation
        world.network.call(
            world, from: place, to: .outside, lost: MadeCatalog.away,
            {
                if let away = up() { return .failure(away) }
                return Result { try body() }.mapError(Engine.failure)
            }
        ) { [unowned self] in answer($0, to: born) }
    }

    private func carryOut(_ ask: JobAsk) {
        let (world, catalog) = (self.world, self.world.catalog)
        let epoch = machine?.epoch ?? 0
        let catalogUp: () -> Failure? = { catalog.isUp ? nil : MadeCatalog.away }
        let kafkaUp: () -> Failure? = { world.kafka.isUp ? nil : MadeKafka.away }
        let sinkUp: () -> Failure? = { world.sink.isUp ? nil : MadeSink.away }
        let nowWall = Scenario.epochMillis + world.nowMillis
        switch ask {
        case .lease: lease()
        case .load:
            call(catalogUp) { [unowned self] in
                let job = try world.scenario.job(catalog.record, build: build)
                self.job = job
                return .loaded(job, desired: .run)
            }
        case .facts: call({ kafkaUp() ?? sinkUp() ?? catalogUp() }) { .facts(Self.facts(world)) }
        case .claimSink:
            call(sinkUp) {
                try world.sink.claim(epoch)
                return .claimed(SinkClaimed(fixedParts: nil, sealed: world.sink.sealed, sight: world.sink.sight))
            }
        case .write(let writes):
            call(catalogUp) {
                for write in writes {
                    switch write {
                    case .settings, .confirmAll: break
                    case .startAt(let positions): try catalog.startAt(positions, epoch: epoch)
                    case .replacePlan(let plan): try catalog.replace(plan)
                    case .jump: throw Failure(.internal, "a jump nobody asked for", why: "no offsets were moved", now: "look")
                    }
                }
                return .done
            }
        case .checkSource: call(kafkaUp) { .done }
        case .checkState, .renewSink, .housekeep, .lookAtLookups, .lookAtSink, .setState, .expectWorkers: call(catalogUp) { .done }
        case .ends(let known, let discovers):
            call(kafkaUp) {
                let new = discovers ? world.kafka.partitions.filter { !known.contains($0) } : []
                return .ends(
                    world.kafka.ends.filter { known.contains($0.key) }, found: Dictionary(uniqueKeysWithValues: new.map { ($0, 0) }))
            }
        case .arrived: answer(.success(.arrived(nil)), to: incarnation)
        case .startAt(let positions):
            call(catalogUp) {
                try catalog.startAt(positions, epoch: epoch)
                return .done
            }
        case .append(let plan):
            call(catalogUp) {
                try catalog.append(plan)
                return .done
            }
        case .run(let run): begin(run)
        case .writeAgain(let batch):
            call({ kafkaUp() ?? sinkUp() }) {
                try MadeDelivery(world: world).again(batch, epoch: epoch)
                return .done
            }
        case .repair: answer(.failure(Failure(.internal, "a repair nobody asked for", why: "no person is here", now: "look")), to: incarnation)
        case .finish(let batch, let next):
            call(catalogUp) {
                try catalog.finish(batch, next: next, epoch: epoch, now: nowWall)
                return .done
            }
        case .log: call(catalogUp) { .log(catalog.facts) }
        case .rest(let millis): later(millis) { [unowned self] in answer(.success(.done), to: incarnation) }
        }
    }

    private static func facts(_ world: World) -> StartFacts {
        let (kafka, catalog) = (world.kafka, world.catalog)
        let starts = kafka.ends.mapValues { _ in Int64(0) }
        var facts = StartFacts(
            log: catalog.facts, partitions: kafka.partitions, starts: starts, ends: kafka.ends, from: starts,
            committed: Dictionary(
                uniqueKeysWithValues: kafka.committed.map { partition, offset in
                    let mark = OffsetMark(batch: 1, epoch: 1).text
                    let isRecorded = catalog.isRecordedEnd(partition, offset)
                    return (partition, RecoveryPlan.Committed(offset: offset, metadata: mark, isRecorded: isRecorded))
                }),
            sinkOwner: world.sink.content.epoch == 0 ? .nobody : .job(catalog.record.jobID, world.sink.content.epoch),
            sealed: world.sink.sealed)
        guard world.sink.content.epoch > 0 else { return facts }
        facts.sink = SinkVerdict.Facts(
            job: "made", place: "made", begun: Catalog.BegunTable(place: "made", identity: "made"), sight: world.sink.sight,
            seals: catalog.seals,
            history: catalog.done.flatMap { done in
                (done.outcome?.parts ?? []).filter { $0.rows > 0 }.map {
                    SealMark(part: $0.part, batch: done.plan.batch, digest: $0.digest)
                }
            }, open: catalog.openPlan?.batch, last: catalog.done.last?.plan.batch ?? 0, canRunFrom: 1, replacesRows: true)
        return facts
    }

    // MARK: lease

    private func lease() {
        let (world, holder, born) = (self.world, self.holder, incarnation)
        world.network.call(
            world, from: place, to: .outside, lost: MadeCatalog.away,
            {
                world.catalog.isUp ? .success(.lease(world.catalog.acquire(holder, now: world.nowMillis))) : .failure(MadeCatalog.away)
            }
        ) { [unowned self] (result: Result<JobAnswer, Failure>) in
            if case .success(.lease(.acquired(let epoch))) = result, born == incarnation {
                watch = LeaseWatch(now: world.nowMillis)
                machine?.hear(CatalogClock(millis: Scenario.epochMillis + world.nowMillis, steadyNanos: moment.steadyNanos))
                keep(epoch)
            }
            answer(result, to: born)
        }
    }

    private func keep(_ epoch: Epoch) {
        later(1000) { [unowned self] in
            guard machine?.epoch == epoch || machine?.epoch == 0 || (machine?.epoch ?? 0) < epoch, watch != nil else { return }
            let (world, holder) = (self.world, self.holder)
            world.network.call(
                world, from: place, to: .outside, lost: MadeCatalog.away,
                {
                    world.catalog.isUp
                        ? .success(world.catalog.renew(holder, epoch: epoch, now: world.nowMillis)) : .failure(MadeCatalog.away)
                }
            ) { [unowned self] (result: Result<Bool, Failure>) in
                later { [unowned self] in
                    let isOurs: Bool? = if case .success(let ours) = result { ours } else { nil }
                    heard(watch?.renewed(isOurs: isOurs, now: world.nowMillis) ?? .held, epoch)
                }
            }
        }
    }

    private func heard(_ verdict: LeaseWatch.Verdict, _ epoch: Epoch) {
        guard machine?.epoch ?? 0 <= epoch else { return }
        let lost = Failure(.leaseLost, "the lease is lost", why: "\(verdict)", now: "nothing")
        switch verdict {
        case .held, .waiting: return keep(epoch)
        case .taken: machine?.hear(.lost(lost))
        case .silent:
            watch = nil
            machine?.leaseFellSilent(lost)
        }
        if let reason = machine?.stopReason, run != nil { step(.stop(reason)) }
    }

    // MARK: a batch

    private func begin(_ run: BatchRun) {
        if world.mutant == .offsetFirst {
            world.kafka.commit(Dictionary(uniqueKeysWithValues: run.plan.ranges.map { ($0.topicPartition, $0.until) }))
        }
        self.run = run
        sinkWasSilent = false
        let members = members
        let actions = self.run?.begin(members) ?? []
        tick()
        carryOut(actions)
    }

    private func tick() {
        later(200) { [unowned self] in
            guard run != nil else { return }
            lostWorkers = lostWorkers.filter { id in world.workers.contains { $0.id == id } && !world.random.chance(0.2) }
            step(.tick)
            if run != nil { tick() }
        }
    }

    private func step(_ event: BatchRun.Event) {
        guard run != nil else { return }
        let members = members
        let actions = run?.handle(event, members) ?? []
        carryOut(actions)
    }

    private func carryOut(_ actions: [BatchRun.Action]) {
        for action in actions {
            switch action {
            case .run(let worker, let attempts, let request, let afterMillis):
                let batchRun = run.map { ($0.plan.batch, $0.epoch) }
                later(Int64(afterMillis)) { [unowned self] in
                    guard let made = world.workers.first(where: { $0.id == worker }) else {
                        return step(.ran(worker: worker, attempts, .failure(MadeWorker.gone(worker))))
                    }
                    made.run(request, from: place) { result in
                        self.later {
                            guard let run = self.run, (run.plan.batch, run.epoch) == batchRun! else { return }
                            self.step(.ran(worker: worker, attempts, result))
                        }
                    }
                }
            case .probe(let worker, let number, let request, let afterMillis):
                let batchRun = run.map { ($0.plan.batch, $0.epoch) }
                later(Int64(afterMillis)) { [unowned self] in
                    guard let made = world.workers.first(where: { $0.id == worker }) else {
                        return step(.probed(number: number, .failure(MadeWorker.gone(worker))))
                    }
                    made.probe(request, from: place) { result in
                        self.later {
                            guard let run = self.run, (run.plan.batch, run.epoch) == batchRun! else { return }
                            self.step(.probed(number: number, result))
                        }
                    }
                }
            case .seal(let worker, let attempts, let request, let afterMillis):
                let batchRun = run.map { ($0.plan.batch, $0.epoch) }
                later(Int64(afterMillis)) { [unowned self] in
                    guard let made = world.workers.first(where: { $0.id == worker }) else {
                        return step(.sealed(worker: worker, attempts, .failure(MadeWorker.gone(worker))))
                    }
                    made.seal(request, from: place) { result in
                        self.later {
                            guard let run = self.run, (run.plan.batch, run.epoch) == batchRun! else { return }
                            self.step(.sealed(worker: worker, attempts, result))
                        }
                    }
                }
            case .rest:
                sinkWasSilent = true
                let batchRun = run.map { ($0.plan.batch, $0.epoch) }
                later(200 + world.random.below(200)) { [unowned self] in
                    guard let run = self.run, (run.plan.batch, run.epoch) == batchRun! else { return }
                    self.step(.rested)
                }
            case .lost(let worker, _): lostWorkers.insert(worker)
            case .giveUp:
                guard let request = run?.cancel else { continue }
                for worker in world.workers where run?.usedWorkers.contains(worker.id) ?? false {
                    let incarnation = worker.incarnation
                    world.after(world.network.delay(world)) { if worker.incarnation == incarnation { worker.cancel(request) } }
                }
            case .finished: return over(nil)
            case .failed(let reason): return over(reason)
            case .beforeSeal: later { [unowned self] in step(.maySeal(nil)) }
            case .note, .waitForWorkers, .unreadable, .trouble: break
            }
        }
    }

    private func over(_ reason: Failure?) {
        guard let run else { return }
        self.run = nil
        let finished = BatchRunner.Finished(run: run, runMillis: 1, sealMillis: 1)
        answer(
            .success(
                .ran(
                    RanBatch(
                        result: reason.map { .failure($0) } ?? .success(finished), partsWithRows: run.partsWithRows, homes: run.homes,
                        sinkWasSilent: sinkWasSilent, crashing: run.crashing))), to: incarnation)
    }
}
