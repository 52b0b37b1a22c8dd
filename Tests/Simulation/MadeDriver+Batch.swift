// One batch in a made driver: the real `BatchRun`, its calls carried to made workers.

import Driver
import Engine
import Wire

extension MadeDriver {
    func begin(_ run: BatchRun) {
        if world.mutant == .offsetFirst {
            world.kafka.commit(Dictionary(uniqueKeysWithValues: run.plan.ranges.map { ($0.topicPartition, $0.until) }))
        }
        self.run = run
        runs += 1
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

    func step(_ event: BatchRun.Event) {
        guard run != nil else { return }
        let members = members
        let actions = run?.handle(event, members) ?? []
        carryOut(actions)
    }

    /// Hands an answer to the run that asked, when that is still under way.
    private func hear() -> (BatchRun.Event) -> Void {
        let asked = runs
        return { [unowned self] event in later { [unowned self] in if runs == asked { step(event) } } }
    }

    private func call(_ id: String, afterMillis: Int, gone: @escaping (Failure) -> BatchRun.Event, _ body: @escaping (MadeWorker, @escaping (BatchRun.Event) -> Void) -> Void) {
        let hear = hear()
        later(Int64(afterMillis)) { [unowned self] in
            guard let worker = world.workers.first(where: { $0.id == id }) else { return step(gone(MadeWorker.gone(id))) }
            body(worker, hear)
        }
    }

    private func carryOut(_ actions: [BatchRun.Action]) {
        for action in actions {
            switch action {
            case .run(let worker, let attempts, let request, let afterMillis):
                call(worker, afterMillis: afterMillis, gone: { .ran(worker: worker, attempts, .failure($0)) }) { [place] made, hear in
                    made.run(request, from: place) { hear(.ran(worker: worker, attempts, $0)) }
                }
            case .probe(let worker, let number, let request, let afterMillis):
                call(worker, afterMillis: afterMillis, gone: { .probed(number: number, .failure($0)) }) { [place] made, hear in
                    made.probe(request, from: place) { hear(.probed(number: number, $0)) }
                }
            case .seal(let worker, let attempts, let request, let afterMillis):
                call(worker, afterMillis: afterMillis, gone: { .sealed(worker: worker, attempts, .failure($0)) }) { [place] made, hear in
                    made.seal(request, from: place) { hear(.sealed(worker: worker, attempts, $0)) }
                }
            case .rest:
                sinkWasSilent = true
                let hear = hear()
                later(200 + world.random.below(200)) { hear(.rested) }
            case .lost(let worker, _): lostWorkers.insert(worker)
            case .giveUp:
                guard let request = run?.cancel else { continue }
                for worker in world.workers where run?.usedWorkers.contains(worker.id) ?? false {
                    let incarnation = worker.incarnation
                    world.after(world.network.delay(world)) { if worker.incarnation == incarnation { worker.cancel(request) } }
                }
            case .finished: return over(nil)
            case .failed(let reason): return over(reason)
            case .beforeSeal: beforeSeal()
            case .note, .waitForWorkers, .unreadable, .trouble: break
            }
        }
    }

    private func beforeSeal() {
        guard let run else { return }
        let hear = hear()
        let reached = Dictionary(uniqueKeysWithValues: run.plan.ranges.map { ($0.topicPartition, $0.until) })
        checkSource(reached: reached, isDoubtful: false) { [unowned self] failure in
            if failure == nil {
                let slack = provedMillis.map { world.nowMillis - $0 } ?? .max
                world.truth.letGo(
                    run.plan.batch, run.epoch, slackMillis: slack, world.workers.flatMap { $0.held(run.plan.batch, run.epoch) })
            }
            hear(.maySeal(failure))
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
