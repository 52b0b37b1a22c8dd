// What is sent to be sealed: a part's digest and predecessor, to the worker that holds its rows.
//
// When changing it: a part that may have been sealed is sealed again with the same rows or not at all.

import Engine
import Wire

extension BatchRun {
    func sinkPart(_ attempt: Attempt) -> Int {
        builder.report(stage: attempt.stage, part: attempt.part)?.sinkPart ?? attempt.part
    }

    /// A part that may have been sealed is sealed again with the same rows or not at all: a batch is deterministic, so
    /// others mean that something of its input was lost. The ledger says so too, but of a part without rows it hears nothing.
    mutating func checkSameRows(_ report: TaskReport) throws {
        let digest = report.rowsOut > 0 ? report.digest ?? "" : ""
        let isOther = sealTried[report.sinkPart].map { $0 != digest } ?? (digest.isEmpty && sealedBefore.contains(report.sinkPart))
        guard !isOther else {
            throw Failure(
                .ledgerConflict, "part \(report.sinkPart) of batch \(plan.batch) gave other rows when it was computed again",
                why: "the rows that may stand in the sink and those of this attempt have different digests",
                now: "keep the catalog and the sink as they are and compare with `sluice replay`; the job writes nothing more")
        }
        sealTried[report.sinkPart] = digest
    }

    mutating func seal(
        _ attempts: [Attempt], _ members: [Member], _ actions: inout [Action]
    ) throws -> [StageTracker.Action] {
        let there = Set(members.map(\.id))
        var byWorker: [String: [Attempt]] = [:]
        var events: [StageTracker.Event] = []
        for attempt in attempts {
            guard let report = builder.report(stage: attempt.stage, part: attempt.part) else { continue }
            try checkSameRows(report)
            // A part without rows has nothing to write: its ledger row would only cost a transaction.
            guard report.rowsOut > 0 else {
                events.append(.partSealed(attempt))
                continue
            }
            let holder = tracker.holder(stage: attempt.stage, part: attempt.part)?.worker ?? ""
            byWorker[holder, default: []].append(attempt)
        }
        for (id, attempts) in byWorker.sorted(by: { $0.key < $1.key }) {
            guard there.contains(id) else {
                let reason = Failure(
                    .workerUnreachable, "worker \(id) is gone", why: "it left before its rows were sealed",
                    now: "nothing; its tasks run elsewhere")
                events += attempts.map { .sealFailed($0, reason) } + [.workerLost(id)]
                continue
            }
            for attempt in attempts { assigned[attempt] = id }
            let parts = attempts.map { attempt in
                let report = builder.report(stage: attempt.stage, part: attempt.part)
                let part = report?.sinkPart ?? attempt.part
                return SealTasks.Part(
                    part: part, attempt: attempt.attempt, digest: report?.digest ?? "", predecessor: predecessors.of(part))
            }
            actions.append(
                .seal(
                    worker: id, attempts, SealTasks(job: spec, batch: plan.batch, epoch: epoch, parts: parts), afterMillis: 0))
        }
        return events.isEmpty ? [] : tracker.handle(events)
    }

    static func inOrder(_ left: Attempt, _ right: Attempt) -> Bool {
        (left.stage, left.part, left.attempt) < (right.stage, right.part, right.attempt)
    }
}

/// What each part's ledger row must say before the batch is sealed, by the plan.
struct Predecessors: Sendable {
    let marks: [Int: SealMark]?

    init(_ marks: [SealMark]?) {
        self.marks = marks.map { Dictionary($0.map { ($0.part, $0) }) { $1 } }
    }

    func of(_ part: Int) -> Predecessor { marks.map { Predecessor($0[part]) } ?? .unknown }
}
