import Driver
import Engine
import Testing

/// Single lives of a job, asked and answered by hand.
struct JobMachineTests {
    private static let partition = TopicPartition(topic: "t", partition: 0)
    private static let away = Failure(.databaseUnreachable, "the catalog does not answer", why: "made so", now: "wait")

    /// A machine with what its outside is, as far as these tests change it.
    private struct Life {
        var machine: JobMachine
        let job: RunningJob
        var log: LogStand
        var starts: [TopicPartition: Int64] = [partition: 0]
        var epoch: Epoch = 0
        var now: Int64 = 1_000_000
        var appended: [BatchPlan] = []
        var writes: [StartWrite] = []
        var sink: SinkVerdict.Facts?
        /// Of the input, and of a sink with parts that are fixed.
        var partitions = [partition]
        var fixedParts: Int?
        var topicIDs: [String: String] = [:]
        /// Appends that are made are not answered, and not kept.
        var losesAppends = false

        /// - Parameter output: the sink of its settings.
        init(position: Int64, last: BatchNumber = 0, output: String = "discard:", _ change: (inout LoopOptions) -> Void = { _ in }) throws {
            job = try MadeJob.purchases(sink: output)
            var done: BatchRecord?
            if last > 0 {
                let plan = MadeJob.plan(job, batch: last)
                done = BatchRecord(plan: plan, state: .done, outcome: BatchOutcome(), plannedAtMillis: 1, doneAtMillis: 1)
            }
            log = LogStand(
                positions: [partition: PartitionPosition(topic: "t", partition: 0, position: position)], openPlan: nil, lastDone: done,
                seals: [])
            var options = LoopOptions()
            change(&options)
            machine = JobMachine(name: "made", options: options)
        }

        /// Asks and answers until the machine asks for what `stop` knows, or is over.
        mutating func live(until stop: (JobAsk) -> Bool = { _ in false }) -> JobAsk? {
            for _ in 0..<1000 {
                now += 10
                guard let ask = machine.next(moment, slots: 2) else { return nil }
                if stop(ask) { return ask }
                machine.answer(answer(ask), moment)
            }
            return nil
        }

        var moment: Moment { Moment(steadyNanos: now * 1_000_000, wallMillis: 1_772_366_400_000 + now, random: 7) }

        private mutating func answer(_ ask: JobAsk) -> Result<JobAnswer, Failure> {
            switch ask {
            case .lease:
                epoch += 1
                return .success(.lease(.acquired(epoch)))
            case .load: return .success(.loaded(job, desired: .run))
            case .facts:
                var facts = StartFacts(
                    log: log, partitions: partitions, starts: starts, ends: Dictionary(uniqueKeysWithValues: partitions.map { ($0, 100) }))
                facts.sink = sink
                facts.topicIDs = topicIDs
                return .success(.facts(facts))
            case .claimSink: return .success(.claimed(SinkClaimed(fixedParts: fixedParts, sealed: [:], sight: sink?.sight)))
            case .write(let made):
                writes += made
                for case .jump(_, let positions, _) in made {
                    for position in positions { log.positions[partition] = position }
                }
                return .success(.done)
            case .append(let plan):
                appended.append(plan)
                if losesAppends { return .failure(JobMachineTests.away) }
                log.openPlan = plan
                return .success(.done)
            case .ends(let known, let discovers):
                let found = discovers ? partitions.filter { !known.contains($0) } : []
                return .success(
                    .ends(
                        Dictionary(uniqueKeysWithValues: known.map { ($0, 100) }),
                        found: Dictionary(uniqueKeysWithValues: found.map { ($0, 0) })))
            case .startAt(let positions):
                for position in positions { log.positions[position.topicPartition] = position }
                return .success(.done)
            case .finish(let batch, _):
                log.openPlan = nil
                log.lastDone = BatchRecord(plan: batch.plan, state: .done, outcome: batch.outcome, plannedAtMillis: 1, doneAtMillis: 1)
                return .success(.done)
            case .log: return .success(.log(log))
            case .run, .repair, .writeAgain, .arrived: return .failure(Failure(.internal, "not played", why: "", now: ""))
            case .checkState, .expectWorkers, .checkSource, .rest, .renewSink, .housekeep, .lookAtLookups, .lookAtSink, .setState: return .success(.done)
            }
        }

        mutating func holdsWhatTheLogSays() {
            let last = log.lastDone?.plan.batch ?? 0
            log.seals = [SealMark(part: 0, batch: last, digest: "d")]
            sink = SinkVerdict.Facts(
                job: "made", place: "p", begun: Catalog.BegunTable(place: "p", identity: "m"),
                sight: SinkSight(
                    owner: .job(job.record.jobID, 1), table: "m", isSameTable: true,
                    parts: [0: SinkSight.Part(batch: last, digest: "d", witness: .found)]),
                seals: log.seals, open: nil, last: last, canRunFrom: 1, replacesRows: true)
        }

        var jumps: Int { writes.count { if case .jump = $0 { true } else { false } } }
    }

    private func isRun(_ ask: JobAsk) -> Bool { if case .run = ask { true } else { false } }

    @Test func `a loss that was accepted once is not accepted again when the lease was lost for a while`() throws {
        var life = try Life(position: 5) { $0.acceptLoss = true }
        life.starts = [Self.partition: 10]
        let started = life.live(until: isRun)
        #expect(started != nil && life.jumps == 1)
        // The catalog falls silent, and meanwhile Kafka deletes more.
        life.machine.leaseFellSilent(Self.away)
        life.starts = [Self.partition: 30]
        life.log.openPlan = nil
        let ended = life.live()
        #expect(ended == nil && life.epoch == 2)
        #expect(life.machine.failure?.code == .offsetsGone && life.jumps == 1)
    }

    private let bad = [OffsetRange(topic: "t", partition: 0, from: 3, until: 5)]

    @Test func `a redrive whose log went on since it was looked up processes nothing`() throws {
        let starts = [Self.partition: Int64(0)]
        var stale = try Life(position: 100, last: 5) { [bad] in $0.redrive = RedrivePlan(open: bad, starts: starts, basis: 4) }
        let refused = stale.live()
        #expect(refused == nil && stale.machine.failure?.code == .notPossible && stale.appended.isEmpty)
        var fresh = try Life(position: 100, last: 5) { [bad] in $0.redrive = RedrivePlan(open: bad, starts: starts, basis: 5) }
        let planned = fresh.live(until: isRun)
        #expect(planned != nil)
        #expect(fresh.appended.map(\.kind) == [.redrive] && fresh.appended.map(\.batch) == [6] && fresh.appended.map(\.only) == [bad])
    }

    @Test(arguments: [true, false]) func `a repair or redrive whose plan was not written is planned again`(isRepair: Bool) throws {
        let starts = [Self.partition: Int64(0)]
        var life = try Life(position: 100, last: 5) { [bad] options in
            if isRepair {
                options.repair = RepairOrder(batches: 2...3)
            } else {
                options.redrive = RedrivePlan(open: bad, starts: starts, basis: 5)
            }
        }
        if isRepair { life.holdsWhatTheLogSays() }
        life.losesAppends = true
        let lost = life.live { ask in if case .log = ask { true } else { false } }
        #expect(lost != nil)
        life.losesAppends = false
        let carriedOut = life.live { ask in if case .repair = ask { true } else { isRun(ask) } }
        #expect(carriedOut != nil)
        let kind: BatchKind = isRepair ? .repair : .redrive
        #expect(life.appended.map(\.kind) == [kind, kind] && Set(life.appended.map(\.batch)).count == 1)
    }

    /// What the machine does when its batch has waited for the sink as long as it may.
    private func endAfterWaiting(_ wish: JobWish) throws -> (state: JobState, reason: Failure?)? {
        var life = try Life(position: 0) { $0.untilCaughtUp = true }
        _ = life.live(until: isRun)
        life.machine.hear(wish)
        life.machine.answer(
            .success(.ran(RanBatch(result: .failure(Self.away), partsWithRows: [], homes: TaskPlacement(), sinkWasSilent: true, isOutwaited: true))),
            life.moment)
        guard case .setState(let state, let reason)? = life.live(until: { if case .setState = $0 { true } else { isRun($0) } }) else { return nil }
        return (state, reason)
    }

    @Test func `a sink that was waited for as long as the job waits is not waited for again`() throws {
        let end = try #require(try endAfterWaiting(.run))
        #expect(end.state == .failed && end.reason?.code == .databaseUnreachable)
    }

    @Test(arguments: [JobState.running, .paused, .stopped])
    func `a job that is drained while the outside is away ends as what it was asked to be`(state: JobState) throws {
        let end = try #require(try endAfterWaiting(.drain(state)))
        #expect(end.state == state && end.reason?.code == .databaseUnreachable)
    }

    // MARK: the topic

    private func ran(_ reason: Failure) -> JobAnswer {
        .ran(RanBatch(result: .failure(reason), partsWithRows: [], homes: TaskPlacement()))
    }

    @Test func `a topic that was made again before the first batch was done is refused by name`() throws {
        var life = try Life(position: 0)
        let range = OffsetRange(topic: "t", partition: 0, from: 0, until: 10)
        life.log.openPlan = MadeJob.plan(life.job, batch: 1, ranges: [range], taskCounts: [1], topicIDs: ["t": "old"])
        life.topicIDs = ["t": "new"]
        let refused = life.live(until: isRun)
        #expect(refused == nil && life.machine.failure?.code == .topicRecreated)
        life.topicIDs = ["t": "old"]
        life.machine = JobMachine(name: "made", options: LoopOptions())
        let goesOn = life.live(until: isRun)
        #expect(goesOn != nil)
    }

    @Test func `a batch of which reading stands still asks for its topic before it runs again`() throws {
        var life = try Life(position: 0)
        let first = life.live(until: isRun)
        #expect(first != nil)
        life.machine.answer(.success(ran(Failure(.readTimeout, "reading stands still", why: "made so", now: "wait"))), life.moment)
        func isCheck(_ ask: JobAsk) -> Bool { if case .checkSource = ask { true } else { false } }
        let next = life.live { isRun($0) || isCheck($0) }
        #expect(next.map(isCheck) == true)
        life.machine.answer(.success(.done), life.moment)
        let again = life.live { isRun($0) || isCheck($0) }
        #expect(again.map(isRun) == true)
    }

    @Test func `whoever finds another topic names the batches that were done since it was known to be ours`() throws {
        var life = try Life(position: 0)
        life.topicIDs = ["t": "old"]
        guard case .run(let run)? = life.live(until: isRun) else { return #expect(Bool(false), "nothing was run") }
        let asked = life.machine.beginSourceCheck(reached: [:], isDoubtful: false, nowMillis: life.now)
        let answered = life.machine.sourceAnswered(SourceAnswer(topicID: "old", ends: [Self.partition: 100]), nowMillis: life.now)
        #expect(asked == .ask && answered == .pass)
        let finished = BatchRunner.Finished(run: run, runMillis: 1, sealMillis: 1)
        life.machine.answer(.success(.ran(RanBatch(result: .success(finished), partsWithRows: [], homes: TaskPlacement()))), life.moment)
        let second = life.live(until: isRun)
        #expect(second != nil && life.log.lastDone?.plan.batch == 1)
        // A reader is told by its leader.
        life.machine.answer(.success(ran(Failure(.topicRecreated, "t/0 was truncated", why: "made so", now: "look"))), life.moment)
        let ended = life.live()
        #expect(ended == nil && life.machine.failure?.now.contains("batch 1 was DONE since") == true)
    }

    @Test func `a partition that is added to both topics gets its part in a Kafka sink by another claim`() throws {
        var life = try Life(position: 100, output: "kafka:out")
        life.fixedParts = 1
        func isRest(_ ask: JobAsk) -> Bool { if case .rest = ask { true } else { false } }
        let resting = life.live(until: isRest)
        #expect(resting != nil && life.epoch == 1)
        life.machine.answer(.success(.done), life.moment)
        life.now += 10_000
        life.partitions.append(TopicPartition(topic: "t", partition: 1))
        life.fixedParts = 2
        let planned = life.live(until: isRun)
        #expect(planned != nil && life.epoch == 2)
        #expect(life.appended.last?.ranges.map(\.partition) == [1])
    }

    // MARK: the end

    @Test func `a job that lost its lease while it waited ends for that reason`() throws {
        var life = try Life(position: 0)
        func isEnds(_ ask: JobAsk) -> Bool { if case .ends = ask { true } else { false } }
        let first = life.live(until: isEnds)
        life.machine.answer(.failure(Self.away), life.moment)
        let second = life.live(until: isEnds)
        #expect(first != nil && second != nil)
        // Whoever is asked to stop waits for ten seconds at most; who lost the lease has nothing to wait for.
        life.now += 20_000
        life.machine.hear(.lost(Failure(.leaseLost, "the lease is lost", why: "made so", now: "nothing")))
        life.machine.answer(.failure(Self.away), life.moment)
        let ended = life.live()
        #expect(ended == nil && life.machine.failure?.code == .leaseLost)
    }

    @Test func `settings are stored only when the state place that they name was reached`() throws {
        var life = try Life(position: 0) { $0.settings = (["state": "file:mistyped"], "s2") }
        var asks: [String] = []
        _ = life.live {
            switch $0 {
            case .checkState: asks.append("state")
            case .write(let writes) where writes.contains { if case .settings = $0 { true } else { false } }: asks.append("settings")
            default: break
            }
            return isRun($0)
        }
        #expect(asks == ["state", "settings"])
    }

    @Test func `a job looks at its sink while it rests, and at no other time`() throws {
        var life = try Life(position: 0) { _ in }
        // Its first batch is under way.
        _ = life.live(until: isRun)
        life.now += 600_000
        func looks() -> Bool { life.machine.chores(life.moment).contains { if case .lookAtSink = $0 { true } else { false } } }
        #expect(!looks())
        life.machine.hear(sinkDiffers: "made so")
        #expect(life.epoch == 1)
        // It waits for the outside, its batch still open.
        life.machine.answer(.failure(Self.away), life.moment)
        #expect(life.live { if case .rest = $0 { true } else { isRun($0) } }.map(isRun) == false)
        life.now += 600_000
        #expect(!looks())

        // What the sink lacks is being written again.
        var behind = try Life(position: 100, last: 5)
        behind.holdsWhatTheLogSays()
        behind.sink?.sight?.parts[0] = SinkSight.Part(batch: 4, digest: "c", witness: .found)
        behind.sink?.history = [SealMark(part: 0, batch: 4, digest: "c"), SealMark(part: 0, batch: 5, digest: "d")]
        let again = behind.live { if case .writeAgain = $0 { true } else { false } }
        #expect(again != nil)
        behind.now += 600_000
        #expect(!behind.machine.chores(behind.moment).contains { if case .lookAtSink = $0 { true } else { false } })

        // It rests.
        var resting = try Life(position: 100, last: 5)
        resting.holdsWhatTheLogSays()
        _ = resting.live { if case .rest = $0 { true } else { isRun($0) } }
        resting.now += 600_000
        #expect(resting.machine.chores(resting.moment).contains { if case .lookAtSink = $0 { true } else { false } })
        resting.machine.hear(sinkDiffers: "made so")
        _ = resting.live { if case .rest = $0 { true } else { isRun($0) } }
        #expect(resting.epoch == 2)

        // It has ended: nothing brings it back.
        var ended = try Life(position: 100, last: 5) { $0.untilCaughtUp = true }
        ended.holdsWhatTheLogSays()
        #expect(ended.live() == nil)
        ended.machine.hear(sinkDiffers: "made so")
        #expect(ended.machine.next(ended.moment, slots: 1) == nil)
    }
}
