// What a job's machine asks of the outside, carried out there: each ask is a call that may be lost on its way or back.

import Driver
import Engine
import Wire

extension MadeDriver {
    func proceed() {
        guard var machine else { return }
        let ask = machine.next(moment, slots: members.reduce(0) { $0 + $1.slots })
        self.machine = machine
        takeNotes()
        guard let ask else { return ended() }
        world.trace.say(world.nowMillis, "d\(number).\(incarnation) asks \("\(ask)".prefix { $0 != "(" })")
        carryOut(ask)
    }

    /// - Parameter born: the incarnation that asked; a later one hears nothing of it.
    func answer(_ result: Result<JobAnswer, Failure>, to born: Int) {
        guard born == incarnation else { return }
        later { [unowned self] in
            machine?.answer(result, moment)
            takeNotes()
            for chore in machine?.chores(moment) ?? [] { carryOutChore(chore) }
            proceed()
        }
    }

    private func takeNotes() {
        for note in machine?.takeNotes() ?? [] {
            switch note {
            case .confirm(let offsets, _, _): confirm(offsets)
            case .waits(let waiting, _): world.trace.say(world.nowMillis, "d\(number) waits: \(waiting.failure.what)")
            case .say(_, let what, let details): world.trace.say(world.nowMillis, "d\(number) says \(what) \(details.map(\.1))")
            case .release(let used, let batch):
                guard let job, let epoch = machine?.epoch else { continue }
                for worker in world.workers where worker.isUp && !used.contains(worker.id) && !world.network.isCut(place, worker.place) {
                    worker.release(ReleaseBatch(jobID: job.record.jobID, batch: batch, epoch: epoch))
                }
            case .done(let record, _, _):
                doneHere.insert(record.plan.batch)
                world.trace.say(world.nowMillis, "d\(number) done batch \(record.plan.batch)")
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

    /// Carries `body` out at the outside, when `trouble` has nothing against it; a failure is the ask's.
    func call<Answer>(
        _ trouble: @escaping () -> Failure?, _ body: @escaping () throws -> Answer, then: @escaping (Answer) -> Void
    ) {
        let born = incarnation
        world.network.call(
            world, from: place, to: .outside, lost: MadeCatalog.away,
            { () -> Result<Answer, Failure> in
                if let away = trouble() { return .failure(away) }
                return Result { try body() }.mapError(Engine.failure)
            }
        ) { [unowned self] result in
            switch result {
            case .success(let found): if born == incarnation { then(found) }
            case .failure(let reason): answer(.failure(reason), to: born)
            }
        }
    }

    private func call(_ trouble: @escaping () -> Failure?, _ body: @escaping () throws -> JobAnswer) {
        let born = incarnation
        call(trouble, body) { [unowned self] (found: JobAnswer) in answer(.success(found), to: born) }
    }

    func catalogTrouble() -> Failure? { world.catalog.isUp ? nil : MadeCatalog.away }
    func sinkTrouble() -> Failure? { world.sink.isUp && world.topic?.isUp ?? true ? nil : MadeSink.away }

    private func carryOut(_ ask: JobAsk) {
        let (world, catalog) = (self.world, self.world.catalog)
        let epoch = machine?.epoch ?? 0
        let catalogUp: () -> Failure? = { catalog.isUp ? nil : MadeCatalog.away }
        let kafkaUp: () -> Failure? = { world.kafka.trouble }
        let sinkUp: () -> Failure? = { [unowned self] in sinkTrouble() }
        let nowWall = Scenario.epochMillis + world.nowMillis
        let born = incarnation
        switch ask {
        case .lease: lease()
        case .load:
            provedMillis = nil
            call(catalogUp) { [unowned self] in
                let job = try world.scenario.job(catalog.record, build: build)
                self.job = job
                return .loaded(job, desired: catalog.desired)
            }
        case .facts:
            guard let job else { return }
            call({ kafkaUp() ?? sinkUp() ?? catalogUp() }) { .facts(Self.facts(world, job)) }
        case .claimSink(let claim, let table): take(claim, table, epoch)
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
        case .checkSource:
            checkSource(reached: [:], isDoubtful: true) { [unowned self] failure in answer(failure.map { .failure($0) } ?? .success(.done), to: born) }
        case .checkState, .renewSink, .housekeep, .lookAtLookups, .lookAtSink, .setState, .expectWorkers: call(catalogUp) { .done }
        case .ends(let known, let discovers):
            call(kafkaUp) {
                guard known.allSatisfy({ world.kafka.ends[$0] != nil }) else { throw MadeKafka.missing }
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
                world.truth.done(batch.plan, epoch: epoch, world.kafka)
                return .done
            }
        case .log: call(catalogUp) { .log(catalog.facts) }
        case .rest(let millis): later(millis) { [unowned self] in answer(.success(.done), to: incarnation) }
        }
    }

    private func carryOutChore(_ chore: JobAsk) {
        switch chore {
        case .housekeep(let last, let state): sweep(last, state)
        case .lookAtSink(let seals, let last): lookAtSink(seals, last)
        default: break
        }
    }

    /// Compares the sink of a job that rests with its log, before anything else is asked.
    private func lookAtSink(_ seals: [SealMark], _ last: BatchNumber) {
        guard let job, sinkTrouble() == nil, !world.network.isCut(place, .outside), world.catalog.isUp else { return }
        var facts = Self.sinkFacts(world, job)
        (facts.seals, facts.open, facts.last) = (seals, nil, last)
        if case .goOn = SinkVerdict.decide(facts) { return }
        world.marks.insert("sink looked at")
        machine?.hear(sinkDiffers: "the sink is not as the log says")
    }

    /// Files that no manifest of the log names are swept: looked up at the catalog, removed when the driver gets to it.
    private func sweep(_ last: BatchNumber, _ state: StateManifest?) {
        let (world, born) = (self.world, incarnation)
        world.network.call(
            world, from: place, to: .outside, lost: MadeCatalog.away,
            { world.catalog.isUp ? .success(Set(world.catalog.namedFiles.keys)) : .failure(MadeCatalog.away) }
        ) { [unowned self] (result: Result<Set<String>, Failure>) in
            guard case .success(let named) = result, incarnation == born else { return }
            later { world.disk.sweep(upTo: last - 1, kept: named.union(state?.fileNames ?? [])) }
        }
    }

    /// What `JobFacts` gathers.
    private static func facts(_ world: World, _ job: RunningJob) -> StartFacts {
        let (kafka, catalog) = (world.kafka, world.catalog)
        let starts = kafka.ends.mapValues { _ in Int64(0) }
        let sight = world.topic?.sight ?? world.sink.sight
        let sealed = world.topic?.sealed ?? world.sink.sealed
        var facts = StartFacts(
            log: catalog.facts, partitions: kafka.partitions, starts: starts, ends: kafka.ends, from: starts,
            committed: Dictionary(
                uniqueKeysWithValues: kafka.committed.map { partition, offset in
                    let mark = OffsetMark(batch: 1, epoch: 1).text
                    let isRecorded = catalog.isRecordedEnd(partition, offset)
                    return (partition, RecoveryPlan.Committed(offset: offset, metadata: mark, isRecorded: isRecorded))
                }), topicIDs: [MadeKafka.topic: kafka.topicID], sinkOwner: sight.owner, sealed: sealed)
        for (partition, position) in catalog.positions {
            guard let offset = position.tailOffset, position.tailHash != nil, kafka.ends[partition] ?? 0 > offset else { continue }
            let range = OffsetRange(topic: partition.topic, partition: partition.partition, from: offset, until: offset + 1)
            facts.tails[partition] = .some(kafka.read(range).first?.hash)
        }
        facts.sink = sinkFacts(world, job)
        return facts
    }

    private static func sinkFacts(_ world: World, _ job: RunningJob) -> SinkVerdict.Facts {
        let catalog = world.catalog
        var facts = SinkVerdict.Facts(
            job: "made", place: "made", begun: catalog.begun, sight: world.topic?.sight ?? world.sink.sight, seals: catalog.seals,
            history: catalog.done.flatMap { done in
                (done.outcome?.parts ?? []).filter { $0.rows > 0 }.map {
                    SealMark(part: $0.part, batch: done.plan.batch, digest: $0.digest)
                }
            }, open: catalog.openPlan?.batch, last: catalog.done.last?.plan.batch ?? 0, canRunFrom: 1,
            replacesRows: sinkReplacesRows(address: job.settings.sink, table: job.graph.sink))
        facts.keepsNewest = world.scenario.isStateful && world.topic == nil
        return facts
    }
}
