// A batch that workers die of: when the record that does it is looked for, and what comes of it (protocol 3).
//
// Two deaths over one task begin a hunt (`CrashHunt`). While it goes on no task is launched: nobody else is to die of
// it, and what runs elsewhere runs on. Probes are made one at a time, each by a worker in a process of its own, so that a hunt costs
// no worker, and no other job anything. What was found is left out of the next probes, until the rest passes. Then the
// batch ends with `recordCrash` and `crashing`: the job plans it again without them, or stops (`on_crash`). Where nothing is found
// the workers died of something else, and the batch goes on.
//
// A probe of a job with an exchange also merges what it has read, into the state from before: a value may be fatal only there. So
// deaths over a task of the second stage suspect all ranges. Where driver and worker are one process, nobody is left to count
// deaths: there two starts that left the same plan open count for them (`suspectAll`).

import Engine
import Wire

extension BatchRun {
    struct Hunt: Sendable {
        let suspects: [CrashHunt.Piece]
        var search: CrashHunt
        /// Of the last probe, and who makes it while it is made.
        var number = 0
        var worker: String?

        init(_ suspects: [CrashHunt.Piece], hasState: Bool) {
            self.suspects = suspects
            search = CrashHunt(suspects, hasControl: hasState)
        }
    }

    /// One that dies slowly, because it writes a trace or a core, falls silent before its calls break.
    mutating func countDeath(_ attempt: Attempt) {
        // Who dies while it seals died of no record that a probe would read.
        if sealTried.isEmpty, tracker.isCurrent(attempt) { deaths[Place(stage: attempt.stage, part: attempt.part), default: 0] += 1 }
    }

    /// Two processes did not outlive this plan, by all that is known.
    package mutating func suspectAll() {
        for part in plan.ranges.indices { deaths[Place(stage: 0, part: part)] = DriverLimits.deathsBeforeHunt }
    }

    mutating func beginHunt() {
        guard hunt == nil, !mode.isReplay else { return }
        let fatal = deaths.filter { $0.value >= DriverLimits.deathsBeforeHunt }.keys
        let parts = fatal.contains { $0.stage > 0 } ? Array(plan.ranges.indices) : fatal.map(\.part).sorted()
        let suspects = parts.filter { !plan.ranges[$0].isEmpty }
        guard !suspects.isEmpty else { return }
        hunt = Hunt(
            suspects.map { CrashHunt.Piece(part: $0, range: plan.ranges[$0]) }, hasState: !(plan.stateBefore?.entries.isEmpty ?? true))
    }

    mutating func probed(_ number: Int, _ result: Result<ProbeReply, Failure>, _ members: [Member]) -> [Action] {
        guard let known = hunt, known.number == number, let worker = known.worker else { return [] }
        var actions: [Action] = []
        hunt?.worker = nil
        switch result {
        case .success(let reply): hunt?.search.probed(reply.died == nil ? .passed : .died)
        case .failure(let reason):
            hunt?.search.probed(.unknown(reason))
            if reason.code == .workerUnreachable { actions.append(.lost(worker: worker, reason)) }
        }
        let members = members.without(worker, after: result)
        actions += probe(members)
        return actions + place(members)
    }

    /// The hunt's next step: one probe at a time, on one worker.
    mutating func probe(_ members: [Member]) -> [Action] {
        while !isOver, let known = hunt, known.worker == nil {
            switch known.search.step {
            case .probe(let pieces):
                let there = members.map(\.id).sorted()
                guard !there.isEmpty else { return [.waitForWorkers] }
                let worker = there[known.number % there.count]
                hunt?.number += 1
                hunt?.worker = worker
                var request = RunTasks(
                    job: spec, context: context, stage: 0, tasks: pieces.map { source($0.part, 1, $0.range) }, replay: true)
                if plan.taskCounts.count > 1 {
                    let parts = Array(0..<plan.taskCounts[1])
                    let state = stateEntries(parts: parts)
                    request.merges = parts.map { TaskSpec(part: $0, attempt: 1, sources: PartRuns(), state: state[$0] ?? []) }
                }
                return [.probe(worker: worker, number: known.number + 1, request, afterMillis: known.search.pauseMillis)]
            case .found(let range):
                guard !(plan.excluded ?? []).contains(range), crashing.count < DriverLimits.mostExcluded else {
                    return end(tooFatal(range))
                }
                crashing.append(range)
                // There may be more of them; whatever was found is left out of the next probes.
                hunt?.search = CrashHunt(known.suspects)
            case .nothing(let reason):
                hunt = nil
                deaths = [:]
                if !crashing.isEmpty { return end(fatal) }
                if let reason { Log.warning("no record found that ends workers", [("job", spec.name), ("why", reason.why)]) }
            }
        }
        return []
    }

    private var fatal: Failure {
        let list = crashing.prefix(5).map { "\($0.topicPartition) offset \($0.from)" }.joined(separator: ", ")
        return Failure(
            .recordCrash, "\(crashing.count == 1 ? "a record ends" : "\(crashing.count) records end") the worker that reads \(crashing.count == 1 ? "it" : "them"): \(list)",
            why: "workers died of batch \(plan.batch), and a process that read nothing else died as well",
            now: "mend the build that cannot read it, or leave such records out with --set on_crash=exclude; nothing of the batch was written")
    }

    private func tooFatal(_ range: OffsetRange) -> Failure {
        Failure(
            .recordCrash, "workers go on dying of batch \(plan.batch)",
            why: (plan.excluded ?? []).contains(range)
                ? "\(range.topicPartition) offset \(range.from) ends the process that fetches it, whether or not it is decoded"
                : "more than \(DriverLimits.mostExcluded) of its records end the process that reads them",
            now: "mend the build, or start the one before; nothing of the batch was written")
    }
}
