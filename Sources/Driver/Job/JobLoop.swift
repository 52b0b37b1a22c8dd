// Carries out what a job's `JobMachine` asks for, one ask after the other, on the job's own thread: catalog, Kafka, sink,
// workers. The shell of the decisions; it decides nothing itself.
//
// Wishes come in from other threads through `JobControl` and are handed to the machine between asks; an ask that rests is cut
// short by them. What survives a crash: whatever the catalog holds; nothing here needs to.

import Engine
import Foundation
import Wire

package final class JobLoop {
    let catalog: Catalog
    let pool: WorkerPool
    let jobs: JobDefinitions
    let buildDigest: String
    let name: String
    private let options: LoopOptions
    private let holder: LeaseHolder
    private let control: JobControl
    private let onBatch: @Sendable (BatchRecord) -> Void
    var machine: JobMachine
    private var keeper: LeaseKeeper?
    private var source: JobSource?
    var gate: StateGate?
    private var heard = JobWish.run
    private var lookupFiles: LookupFiles?
    /// When the catalog was told last that plans may still name them; putting them told it first.
    private var lookupsKeptMillis = steadyMillis()
    private var bytesPerOffset: Double?

    package init(
        name: String, catalog: Catalog, pool: WorkerPool, jobs: JobDefinitions, buildDigest: String, address: String,
        options: LoopOptions, control: JobControl, onBatch: @escaping @Sendable (BatchRecord) -> Void
    ) {
        self.name = name
        self.catalog = catalog
        self.pool = pool
        self.jobs = jobs
        self.buildDigest = buildDigest
        self.options = options
        self.control = control
        self.onBatch = onBatch
        holder = LeaseHolder.thisProcess(id: UUID().uuidString, address: address)
        machine = JobMachine(name: name, options: options)
    }

    /// Runs the job until it is stopped, caught up or failed. Throws the failure that stopped it, after writing it down.
    package func run() throws {
        defer { letGo() }
        while true {
            hearWishes()
            let slots = (gate?.admitted ?? pool.available).reduce(0) { $1.isAvoided ? $0 : $0 + $1.slots }
            guard let ask = machine.next(.now, slots: slots) else { break }
            let answer = Result { try carryOut(ask) }.mapError(failure)
            // A wish that came meanwhile counts for what follows.
            hearWishes()
            machine.answer(answer, .now)
            for note in machine.takeNotes() { take(note) }
            for chore in machine.chores(.now) { carryOutChore(chore) }
        }
        for note in machine.takeNotes() { take(note) }
        if let failure = machine.failure { throw failure }
    }

    private func hearWishes() {
        let wish = control.wish
        if wish != heard {
            heard = wish
            machine.hear(wish)
        }
        if let clock = control.catalogClock { machine.hear(clock) }
        if let reason = control.silence {
            // Told once: the machine takes the lease again, and a keeper of that lease watches from then on.
            control.fellSilent(nil)
            machine.leaseFellSilent(reason)
        }
    }

    private func letGo() {
        source?.drain()
        keeper?.stop()
        guard machine.epoch > 0 else { return }
        // However it ended: what workers keep for the job under this epoch is nobody's now.
        if let jobID = source?.job.record.jobID { pool.release(.all(of: jobID, epoch: machine.epoch)) }
        do {
            try catalog.releaseLease(name, holderID: holder.id, epoch: machine.epoch)
        } catch {
            Log.warning("lease not released", [("job", name), ("why", failure(error).why), ("then", "it runs out by itself")])
        }
    }

    // MARK: asks

    private func carryOut(_ ask: JobAsk) throws -> JobAnswer {
        switch ask {
        case .lease: return .lease(try takeLease())
        case .load: return try load()
        case .facts:
            let facts = try JobFacts(catalog: catalog, source: required(source), options: options).gather()
            bytesPerOffset = facts.log.lastDone.flatMap { [$0].bytesPerOffset } ?? bytesPerOffset
            return .facts(facts)
        case .claimSink(let claim, let table): return .claimed(try claimSink(claim, table))
        case .write(let writes):
            for write in writes { try carryOut(write) }
            try catalog.setJobState(job().record.jobID, epoch: machine.epoch, state: .running)
            return .done
        case .checkState:
            let gate = StateGate(job: try job(), pool: pool)
            try gate.open(kept: catalog.lastDone(job().record.jobID)?.outcome?.state)
            self.gate = gate
            return .done
        case .expectWorkers(let count, let millis):
            let until = steadyMillis() + millis
            // Registrations come in on other threads; there is no event to wait for here.
            while pool.available.count < count, steadyMillis() < until, control.wish == .run { usleep(1000) }
            gate?.ask()
            return .done
        case .ends(let partitions, let discovers):
            let source = try required(source)
            return .ends(try source.queries.ends(partitions), found: discovers ? try source.others(than: partitions) : [:])
        case .checkSource:
            try checkSource(reached: [:], isDoubtful: true)
            return .done
        case .arrived(let worker, let positions, let restMillis, let paceMillis):
            let ends = try required(source).arrived(
                at: pool.available.first { $0.id == worker }, behind: positions, restMillis: restMillis, paceMillis: paceMillis)
            if ends != nil { Log.debug("records have arrived", [("job", name), ("worker.id", worker)]) }
            return .arrived(ends)
        case .startAt(let positions):
            try catalog.startAt(job().record.jobID, epoch: machine.epoch, positions: positions)
            return .done
        case .append(let plan):
            try catalog.appendPlan(plan)
            try Failpoint.loseAnswer("plan-unanswered")
            return .done
        case .run(let run): return .ran(runBatch(run))
        case .writeAgain(let batch):
            try withSink {
                try delivery().again(batch, sinkIdentity(), table: job().graph.sink, in: $0, leavesGaps: options.repair != nil)
            }
            return .done
        case .repair(let plan):
            return .repaired(try withSink { try delivery().repair(plan, sinkIdentity(), table: job().graph.sink, in: $0) })
        case .finish(let batch, let next):
            try catalog.finishBatch(
                job().record.jobID, batch: batch.plan.batch, epoch: machine.epoch, outcome: batch.outcome,
                positions: batch.positions, quarantine: batch.quarantine, inlineState: batch.inlineState, closes: batch.closes, next: next)
            closeRefused(batch)
            try Failpoint.loseAnswer("commit-unanswered")
            Failpoint.reach("done")
            return .done
        case .log: return .log(try JobFacts.log(catalog, job()))
        case .rest(let millis):
            rest(millis)
            return .done
        case .renewSink, .housekeep, .lookAtLookups, .lookAtSink:
            carryOutChore(ask)
            return .done
        case .setState(let state, let reason):
            source?.drain()
            // First what lies outside: behind the word in the catalog nobody looks for it.
            endBackfill()
            try catalog.setJobState(job().record.jobID, epoch: machine.epoch, state: state, reason: reason)
            return .done
        }
    }

    /// A backfill is not gone on with: whatever comes next is another one, with state and claim of its own.
    private func endBackfill() {
        guard let job = machine.running, job.record.kind == .backfill else { return }
        do {
            if job.isStateful { try StateStore(address: job.settings.state).removeState(job.record.jobID) }
            try withSink { try $0.forget(sinkIdentity()) }
        } catch {
            Log.warning("a backfill left something behind", [("job", name), ("what", failure(error).what), ("why", failure(error).why)])
        }
    }

    private func required(_ source: JobSource?) throws -> JobSource {
        if let source { return source }
        throw Failure(.internal, "job \(name) has no source yet", why: "it is not loaded", now: "report this defect")
    }

    func job() throws -> RunningJob {
        if let job = machine.running ?? source?.job { return job }
        throw Failure(.internal, "job \(name) is not loaded", why: "its row was not read", now: "report this defect")
    }

    private func takeLease() throws -> LeaseAnswer {
        let answer = try catalog.acquireLease(name, holder: holder)
        if case .acquired(let epoch) = answer {
            keeper?.stop()
            control.fellSilent(nil)
            control.hearCatalogClock(try catalog.clockMillis())
            let keeper = LeaseKeeper(catalog: catalog, job: name, holder: holder, epoch: epoch, control: control)
            keeper.start()
            self.keeper = keeper
        }
        return answer
    }

    /// The job's row, compiled with the settings that this start brings.
    private func load() throws -> JobAnswer {
        guard var record = try catalog.job(named: name) else {
            throw Failure(
                .unknownJob, "there is no job named \(name)", why: "the catalog has no such row",
                now: "`sluice jobs` lists the ones there are")
        }
        let desired = record.desired
        var isChanged = false
        if let settings = options.settings {
            isChanged =
                record.settings != settings.values || record.settingsDigest != settings.digest
                || record.buildDigest != buildDigest
            if isChanged, try catalog.lastDone(record.jobID) != nil {
                let next = try jobs.graph(definition: record.definition, settings: settings.values)
                try jobs.graph(definition: record.definition, settings: record.settings).work.checkState(goesOnAs: next.work, job: name)
            }
            record.settings = settings.values
            record.settingsDigest = settings.digest
        }
        try catalog.completeSeals(record.jobID, epoch: machine.epoch)
        let files =
            try lookupFiles
            ?? LookupFiles(jobs.graph(definition: record.definition, settings: record.settings).lookups, job: name) {
                try catalog.putLookup(digest: $0, bytes: $1)
            }
        lookupFiles = files
        var job = try RunningJob(
            record: record, jobs: jobs, buildDigest: buildDigest, catalog: catalog, backfill: options.backfill, kept: files.digests,
            earlier: source?.job)
        job.isChanged = isChanged
        source?.drain()
        source = try JobSource(job, control: control)
        control.show { $0.jobID = record.jobID }
        return .loaded(job, desired: desired)
    }

    private func carryOut(_ write: StartWrite) throws {
        let jobID = try job().record.jobID
        switch write {
        case .settings(let values, let digest):
            try catalog.replaceJobSettings(
                jobID, epoch: machine.epoch, settings: values, buildDigest: buildDigest, settingsDigest: digest)
        case .startAt(let positions): try catalog.startAt(jobID, epoch: machine.epoch, positions: positions)
        case .jump(let jumps, let positions, let plan):
            try catalog.recordJump(jumps, epoch: machine.epoch, newPositions: positions, replacing: plan)
        case .replacePlan(let plan): try catalog.replacePlan(plan)
        case .confirmAll(let positions, let batch):
            do {
                try required(source).queries.commit(
                    group: job().group, positions: positions, mark: OffsetMark(batch: batch, epoch: machine.epoch))
            } catch {
                Log.warning(
                    "accepted positions not written to Kafka",
                    [("job", name), ("why", failure(error).description), ("then", "the next batch sends them")])
            }
        }
    }

    private func runBatch(_ run: BatchRun) -> RanBatch {
        Failpoint.reach("planned")
        var run = run
        // In one process nobody outlives a fatal record to count who died of it.
        if machine.isTriedOften, pool.isLocal { run.suspectAll() }
        let runner = BatchRunner(
            run, pool: pool, gate: gate, checkRows: options.checkRows,
            beforeSeal: { [unowned self] in
                try checkSource(
                    reached: Dictionary(uniqueKeysWithValues: run.plan.ranges.map { ($0.topicPartition, $0.until) }),
                    isDoubtful: false)
            },
            patience: machine.freshPatience, isDraining: { [control] in control.wish != .run },
            waits: { [unowned self] wait in
                switch wait {
                case .begun(let waiting, let says): take(.waits(waiting, says: says))
                case .isBack(let millis): take(.isBack(afterMillis: millis))
                }
            },
            shouldStop: shouldStop)
        let result = Result { try runner.finish() }.mapError(failure)
        return RanBatch(
            result: result, partsWithRows: runner.run.partsWithRows, homes: runner.run.homes, sinkWasSilent: runner.sinkWasSilent,
            crashing: runner.run.crashing, isOutwaited: runner.isOutwaited)
    }

    /// A reason to give up what runs, as the machine will see it when it hears of it.
    var shouldStop: () -> Failure? {
        { [control, name, wish = machine.wish, silence = machine.silence] in
            let asked = control.wish
            return JobMachine.stopReason(of: name, asked.rank > wish.rank ? asked : wish, silence: control.silence ?? silence)
        }
    }

    /// Returns when the topic is known to be the one that was read (protocol 6).
    /// - Parameter reached: the ends of what was read and is not sealed.
    private func checkSource(reached: [TopicPartition: Int64], isDoubtful: Bool) throws {
        let source = try required(source)
        var step = machine.beginSourceCheck(reached: reached, isDoubtful: isDoubtful, nowMillis: steadyMillis())
        while true {
            switch step {
            case .pass: return
            case .stop(let failure): throw failure
            case .ask:
                let answer = try source.queries.identity(of: source.job.settings.topics, machine.positions.keys.sorted())
                step = machine.sourceAnswered(answer, nowMillis: steadyMillis())
            case .readTail(let partition, let offset):
                let hash = try TailRecord.hash(source.job.settings.kafka, partition, offset: offset)
                step = machine.tailRead(hash.map(hexadecimal))
            case .rest(let millis):
                // Whoever drains waits for the answer; only who must stop does not.
                let until = steadyMillis() + millis
                while steadyMillis() < until {
                    if let reason = shouldStop() { throw reason }
                    usleep(20_000)
                }
                step = .ask
            }
        }
    }

    /// Sleeps in small steps, so that a wish is heard within 20 ms.
    private func rest(_ millis: Int64) {
        let until = steadyMillis() + millis
        while true {
            let left = until - steadyMillis()
            if left <= 0 || control.wish != heard || control.silence != nil { return }
            usleep(UInt32(min(left, 20) * 1000))
        }
    }

    // MARK: chores and notes

    /// A failure costs space or is made good later, not correctness: it is said, and that is all.
    private func carryOutChore(_ ask: JobAsk) {
        do {
            let job = try job()
            switch ask {
            case .renewSink:
                try withSink { try $0.renew(sinkIdentity()) }
                Log.info("sink renewed", [("job", name), ("sink", job.settings.sink)])
            case .lookAtLookups: try lookAtLookups(job)
            case .lookAtSink(let seals, let last): try lookAtSink(job, seals, last)
            case .housekeep(let last, let state):
                let report = try catalog.fold(
                    job.record.jobID, epoch: machine.epoch,
                    LogRetention(job.settings))
                for finding in report.findings { Log.error("log not folded", [("job", name), ("finding", "\(finding)")]) }
                let store = try StateStore(address: job.settings.state)
                store.sweepOffsets(job.record.jobID, upTo: report.foldedUntil)
                guard job.isStateful else { return }
                let kept = report.namedFiles.union(state?.fileNames ?? [])
                store.sweep(job.record.jobID, upTo: last - 1, kept: kept)
            default: break
            }
        } catch {
            Log.warning("chore not done", [("job", name), ("chore", "\(ask.name)"), ("why", failure(error).description)])
        }
    }

    private func lookAtLookups(_ job: RunningJob) throws {
        guard var files = lookupFiles else { return }
        let changes = try files.look(takesIn: job.settings.lookupRefreshMillis > 0, wallMillis: wallMillis()) {
            try catalog.putLookup(digest: $0, bytes: $1)
        }
        lookupFiles = files
        if steadyMillis() - lookupsKeptMillis > 3_600_000 {
            try catalog.keepLookups(files.digests.values.sorted())
            lookupsKeptMillis = steadyMillis()
        }
        for change in changes {
            switch change {
            case .taken(let lookup, let digest):
                Log.notice("lookup taken in", [("job", name), ("lookup", lookup), ("digest", digest), ("from batch", "\(machine.lastBatch + 1) or the one after")])
            case .waits(let lookup, let path):
                Log.warning(
                    "lookup file changed",
                    [("job", name), ("lookup", lookup), ("file", path), ("then", "it takes effect at the next start; with lookup_refresh while the job runs")])
            case .unreadable(let lookup, let reason):
                Log.warning(
                    "lookup file not taken in",
                    [("job", name), ("lookup", lookup), ("what", reason.what), ("why", reason.why), ("then", "the job goes on with what it has")])
            }
        }
        machine.hear(lookups: files.digests)
    }

    private func take(_ note: JobNote) {
        switch note {
        case .state(let state, let reason):
            control.show {
                $0.state = state
                // A job that starts anew or ends waits for nothing.
                $0.waitsFor = nil
                if let reason { $0.reason = reason }
            }
        case .epoch(let epoch): control.show { $0.epoch = epoch }
        case .positions(let positions): control.show { $0.positions = positions }
        case .ends(let ends, let areArrived):
            control.show { $0.ends.merge(ends) { areArrived ? max($0, $1) : $1 } }
            source?.watch.tick(machine.positions.mapValues(\.position), bytesPerOffset: bytesPerOffset)
        case .done(let record, let tookMillis, let isOverrun): report(record, tookMillis, isOverrun)
        case .confirm(let offsets, let batch, let epoch): source?.confirmer.confirm(offsets, batch: batch, epoch: epoch)
        case .release(let used, let batch): release(workersBut: used, upTo: batch)
        case .waits(let waiting, let says):
            let reason = waiting.failure
            if says {
                Log.error(
                    "waits for the outside",
                    [("job", name), ("what", reason.what), ("why", reason.why), ("tries", "\(waiting.tries)")])
            }
            control.show {
                $0.retries += 1
                $0.waitsFor = reason
            }
        case .isBack(let millis):
            Log.notice("the outside is back", [("job", name), ("after_ms", "\(millis)")])
            control.show { $0.waitsFor = nil }
        case .say(let level, let what, let details):
            switch level {
            case .error: Log.error(what, details)
            case .warning: Log.warning(what, details)
            case .notice: Log.notice(what, details)
            default: Log.info(what, details)
            }
        }
    }

    private func report(_ record: BatchRecord, _ tookMillis: Int64, _ isOverrun: Bool) {
        control.show { status in
            status.lastBatch = record
            status.waitsFor = nil
            status.batchesDone += 1
            guard let outcome = record.outcome else { return }
            status.recordsDone += outcome.rowsIn
            status.rejectedDone += outcome.rejected
            status.tombstonesDone += outcome.tombstones ?? 0
            status.retries += Int64(outcome.retries)
        }
        if let outcome = record.outcome, outcome.rejectedUnlisted != nil || outcome.lateUnlisted != nil {
            Log.warning(
                "offsets not listed",
                [
                    ("job", name), ("batch.id", "\(record.plan.batch)"), ("rejected_unlisted", "\(outcome.rejectedUnlisted ?? 0)"),
                    ("late_unlisted", "\(outcome.lateUnlisted ?? 0)"),
                    ("why", "a row of the log names at most \(record.plan.listedRanges) ranges, and the file for the others could not be written or is full"),
                ])
        }
        if isOverrun {
            Log.warning(
                "batch outlasted its interval",
                [
                    ("job", name), ("batch.id", "\(record.plan.batch)"), ("took_ms", "\(tookMillis)"),
                    ("then", "the ticks that passed are skipped"),
                ])
        }
        bytesPerOffset = [record].bytesPerOffset ?? bytesPerOffset
        onBatch(record)
    }

    /// Small batches go to one worker from here on: the others would go on fetching what they do not read.
    private func release(workersBut used: Set<String>, upTo batch: BatchNumber) {
        guard let jobID = machine.running?.record.jobID else { return }
        pool.release(ReleaseBatch(jobID: jobID, batch: batch, epoch: machine.epoch), but: used)
    }
}

extension JobAsk {
    fileprivate var name: String {
        switch self {
        case .renewSink: "renew the sink"
        case .lookAtLookups: "look at the lookup files"
        case .lookAtSink: "look at the sink"
        default: "fold and sweep"
        }
    }
}
