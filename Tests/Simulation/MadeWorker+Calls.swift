// What a made worker is asked: tasks, probes, seals. Every call may be lost on its way or back, and breaks when its worker dies.

import Driver
import Engine
import Wire
import Worker

extension MadeWorker {
    func run(_ request: RunTasks, from driver: Place, _ answer: @escaping (Result<RunTasksReply, Failure>) -> Void) {
        arrive(from: driver, answer) { [unowned self] answer in
            if isFatal(request) { return crash(forMillis: 300) }
            let asked = BatchTry(request)
            do { try decide { try $0.begin(asked, isReplay: false, nowMillis: deskMillis) } } catch { return answer(.failure(Engine.failure(error))) }
            // In that time others may ask.
            whenRunning(afterMillis: world.random.below(30)) { [unowned self] in
                carryOut(request) { [unowned self] reply in
                    decide { $0.end(asked, isWhole: request.onward != nil, nowMillis: deskMillis) }
                    answer(.success(reply))
                }
            }
        }
    }

    /// Carries a call to this worker and does `body` when it gets to run; a call that its worker does not outlive breaks at once.
    private func arrive<Reply>(
        from driver: Place, _ answer: @escaping (Result<Reply, Failure>) -> Void, _ body: @escaping (@escaping (Result<Reply, Failure>) -> Void) -> Void
    ) {
        let (world, lost, born) = (self.world, Self.gone(id), incarnation)
        world.network.call(world, from: driver, to: place, lost: lost, { .success(()) }) { [unowned self] (sent: Result<Void, Failure>) in
            guard case .success = sent, incarnation == born, isUp else { return world.after(5) { answer(.failure(lost)) } }
            var isAnswered = false
            func once(_ result: Result<Reply, Failure>) {
                if !isAnswered { answer(result) }
                isAnswered = true
            }
            watch(born) { once(.failure(lost)) }
            whenRunning(afterMillis: 1 + world.random.below(40)) { [unowned self] in
                body { [unowned self] result in world.network.bringBack(world, from: driver, to: place, lost: lost, result, once) }
            }
        }
    }

    private func watch(_ born: Int, _ died: @escaping () -> Void) {
        world.after(200) { [unowned self] in
            guard incarnation == born else { return died() }
            if !world.isHealed || world.nowMillis < world.scenario.healMillis + 20_000 { watch(born, died) }
        }
    }

    private func isFatal(_ request: RunTasks) -> Bool {
        request.tasks.contains { task in
            guard let range = task.range else { return false }
            return world.kafka.read(range).contains { record in
                record.isFatal && !(task.excluded ?? []).contains { $0.from <= record.offset && record.offset < $0.until }
            }
        }
    }

    /// Dies apart, so that this one lives.
    func probe(_ request: RunTasks, from driver: Place, _ answer: @escaping (Result<ProbeReply, Failure>) -> Void) {
        arrive(from: driver, answer) { [unowned self] answer in
            answer(world.kafka.trouble.map { .failure($0) } ?? .success(ProbeReply(died: isFatal(request) ? "signal 4" : nil)))
        }
    }

    // MARK: seals

    func seal(_ request: SealTasks, from driver: Place, _ answer: @escaping (Result<SealTasksReply, Failure>) -> Void) {
        arrive(from: driver, answer) { [unowned self] answer in
            do { try desk.beginSeal(request.job.jobID, batch: request.batch, epoch: request.epoch, nowMillis: deskMillis) } catch {
                return answer(.failure(Engine.failure(error)))
            }
            guard let topic = world.topic else {
                let born = incarnation
                var results: [SealResult] = []
                for part in request.parts {
                    results.append(seal(part, request))
                    if incarnation != born { return }
                }
                return answer(.success(SealTasksReply(results: results)))
            }
            // Side by side, as their commits wait for the network.
            var results: [SealResult] = []
            for part in request.parts {
                seal(part, request, topic) { result in
                    results.append(result)
                    if results.count == request.parts.count { answer(.success(SealTasksReply(results: results))) }
                }
            }
        }
    }

    /// The rows to be sealed, or why they are not.
    private func held(_ part: SealTasks.Part, _ request: SealTasks) -> Result<MadeRows, Failure> {
        let attempt = world.mutant == .attemptNotCompared ? 0 : part.attempt
        let found = rows.filter {
            let made = $0.key.madeBy
            return made.batch == request.batch && made.epoch == request.epoch && $0.key.part == part.part && $0.key.attempt == attempt
        }.max { $0.key.madeBy.run < $1.key.madeBy.run }
        guard let held = found?.value, held.digest == part.digest else {
            return .failure(Failure(.blockLost, "part \(part.part) is not held", why: "made so", now: "again"))
        }
        return world.nowMillis < troubledUntil ? .failure(MadeSink.away) : .success(held.rows)
    }

    private func seal(_ part: SealTasks.Part, _ request: SealTasks) -> SealResult {
        do {
            let rows = try held(part, request).get()
            guard world.sink.isUp, !world.network.isCut(place, .outside) else { throw MadeSink.away }
            let dies = !world.isHealed && world.random.chance(0.02) && world.scenario.faults[.workerCrash] != nil
            defer { if dies { crash(forMillis: 300) } }
            let sealed = try world.sink.seal(
                part: part.part, batch: request.batch, epoch: request.epoch, digest: part.digest, after: part.predecessor,
                rows: rows, dies: dies)
            if sealed.outcome == .written {
                world.truth.written(rows, part: part.part, digest: part.digest, batch: request.batch, epoch: request.epoch)
            }
            return SealResult(part: part.part, outcome: sealed.outcome, refused: sealed.refused > 0 ? sealed.refused : nil)
        } catch { return SealResult(part: part.part, failure: Engine.failure(error)) }
    }

    private func seal(_ part: SealTasks.Part, _ request: SealTasks, _ topic: MadeTopic, _ answer: @escaping (SealResult) -> Void) {
        switch held(part, request) {
        case .failure(let reason): answer(SealResult(part: part.part, failure: reason))
        case .success(let rows):
            writer(part.part, topic).carryOut(
                .seal(batch: request.batch, digest: part.digest, after: part.predecessor), epoch: request.epoch, rows: rows
            ) { result in
                switch result {
                case .success(let outcome): answer(SealResult(part: part.part, outcome: outcome))
                case .failure(let reason): answer(SealResult(part: part.part, failure: reason))
                }
            }
        }
    }

    /// Its transaction hangs, and may go on when others have taken over.
    private func hang() {
        guard !world.isHealed, world.random.chance(world.scenario.hangs) else { return }
        world.trace.say(world.nowMillis, "w\(number) hangs in a transaction")
        pause(forMillis: 3000 + world.random.below(6000))
    }

    private func writer(_ part: Int, _ topic: MadeTopic) -> MadeTopicWriter {
        if let known = writers[part] { return known }
        let born = incarnation
        let made = MadeTopicWriter(
            part, at: place, in: world, topic: topic, midway: { [unowned self] in if incarnation == born { hang() } },
            whenRunning: { [unowned self] in if incarnation == born { whenRunning(afterMillis: 0, $0) } })
        writers[part] = made
        return made
    }
}
