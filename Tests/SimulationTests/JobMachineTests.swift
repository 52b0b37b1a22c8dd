import Driver
import Engine
import Jobs
import Sluice
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
        /// Appends that are made are not answered, and not kept.
        var losesAppends = false

        init(position: Int64, last: BatchNumber = 0, _ change: (inout LoopOptions) -> Void = { _ in }) throws {
            let jobs = JobDefinitions([Purchases()])
            var values = try Settings.resolve(jobDefaults: try jobs.job("purchases").defaults).jobValues
            values.merge(["bootstrap": "made:1", "topic": "t", "sink": "discard:"]) { $1 }
            let record = JobRecord(
                jobID: JobID(text: "made"), name: "made", definition: "purchases", settings: values, buildDigest: "b",
                settingsDigest: "s")
            let graph = try jobs.graph(definition: "purchases", settings: values)
            job = RunningJob(record: record, graph: graph, settings: try EngineSettings(values, source: graph.source), buildDigest: "b")
            var done: BatchRecord?
            if last > 0 {
                let plan = BatchPlan(
                    job: "made", jobID: record.jobID, batch: last, epoch: 1, batchTimeMillis: 1, seed: 0, ranges: [],
                    watermarkBeforeMillis: nil, taskCounts: [0], keyGroups: 128, buildDigest: "b", settingsDigest: "s", planDigest: "",
                    schemaDigest: "", lookups: [:], topicIDs: [:], stateBefore: nil)
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
                var facts = StartFacts(log: log, partitions: [partition], starts: starts, ends: [partition: 100])
                facts.sink = sink
                return .success(.facts(facts))
            case .claimSink: return .success(.claimed(SinkClaimed(fixedParts: nil, sealed: [:], sight: sink?.sight)))
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
            case .ends: return .success(.ends([partition: 100], found: [:]))
            case .log: return .success(.log(log))
            case .run, .repair, .finish, .writeAgain, .startAt, .arrived: return .failure(Failure(.internal, "not played", why: "", now: ""))
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
}
