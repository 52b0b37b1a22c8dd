// What `sluice repair` does about a sink, decided from what the sink holds and what the log can still run (protocol 15).
//
//   IF   nothing is missing, and no batches are named             -> nothing
//   IF   the ledger is behind the log                             -> batches M+1 ... N again, as a start does by itself
//   IF   the table was lost, and rows replace themselves          -> our ledger rows go, then all batches again
//   IF   batches A ... B are named, and rows replace themselves   -> a batch of kind repair: of every key that they touched the
//                                                                    row of the newest batch that touched it
//   ELSE                                                          -> refuse, and say what is gone
//
// A lost table is written by the batches themselves, one after the other, each under its own ledger row: a repair that dies
// in the middle is behind the log, and the next start or repair goes on there. Between the removal of ledger rows and the first
// seal the sink lacks everything, and says so.
//
// An appended table without a unique key, and a topic, can only get what lies behind the ledger: whether a row of an older
// batch is there cannot be told.
//
// Pure values. Checklist when changing it: no path writes an older row over a newer one; a mistyped sink is never written.

import Engine

/// What a person asked for.
package struct RepairOrder: Sendable, Equatable {
    /// nil: whatever the sink lacks.
    package var batches: ClosedRange<BatchNumber>?
    package init(batches: ClosedRange<BatchNumber>? = nil) { self.batches = batches }
}

package enum RepairPlan: Equatable, Sendable {
    case nothing
    /// These batches run again, each under its own number.
    case runAgain(ClosedRange<BatchNumber>)
    /// The same from an empty ledger; the table is made where it is missing.
    case writeAnew(ClosedRange<BatchNumber>)
    /// One batch of kind repair writes the newest row of every key that these batches touched.
    case rewrite(ClosedRange<BatchNumber>)

    /// - Parameter isTopic: rows cannot be replaced, whatever the table says.
    package static func decide(
        _ facts: SinkVerdict.Facts, _ order: RepairOrder, isTopic: Bool
    ) throws(Failure) -> RepairPlan {
        guard facts.last > 0, let sight = facts.sight else { return .nothing }
        let verdict = SinkVerdict.decide(facts)
        if facts.isElsewhere {
            if case .refuse(let failure) = verdict { throw failure }
        }
        if facts.isLost(sight) {
            guard facts.replacesRows, !isTopic else { throw facts.cannotReplace(isTopic: isTopic) }
            return .writeAnew(try facts.again(order))
        }
        switch verdict {
        case .begin, .goOn: break
        case .runAgain(let batches):
            if let asked = order.batches, asked.lowerBound > batches.lowerBound || asked.upperBound < batches.upperBound {
                throw facts.isBehind(batches)
            }
            return .runAgain(batches)
        case .writeAnew: return .writeAnew(try facts.again(order))
        case .refuse(let failure):
            // Batches are missing that cannot all run again, and a person says from where on: the ones before are given up. That
            // must be all that is wrong with the sink.
            var whole = facts
            whole.canRunFrom = 1
            guard facts.replacesRows, !isTopic, order.batches != nil else { throw failure }
            switch SinkVerdict.decide(whole) {
            case .runAgain: return .runAgain(try facts.again(order))
            case .writeAnew: return .writeAnew(try facts.again(order))
            case .begin, .goOn, .refuse: throw failure
            }
        }
        guard let asked = order.batches else { return .nothing }
        guard facts.replacesRows, !isTopic else { throw facts.cannotReplace(isTopic: isTopic) }
        let last = min(asked.upperBound, facts.last)
        guard asked.lowerBound <= last else {
            throw Failure(
                .notPossible, "job \(facts.job) has no batch \(asked.lowerBound)", why: "its log ends at batch \(facts.last)",
                now: "`sluice batches \(facts.job)` lists the ones it has")
        }
        // Every later batch counts, too: it may hold a newer row of a key.
        try facts.requireRunnable(from: asked.lowerBound)
        return .rewrite(asked.lowerBound...last)
    }
}

extension SinkVerdict.Facts {
    /// The settings name another place than the log.
    var isElsewhere: Bool { begun.map { $0.place != place } ?? false }

    /// The table is not there, not the job's, or its rows are gone.
    func isLost(_ sight: SinkSight) -> Bool {
        guard sight.table != nil, case .job = sight.owner else { return true }
        if case .refuse? = table(sight) { return true }
        return false
    }

    /// All batches up to the last, or those that a person named because the ones before are gone.
    func again(_ order: RepairOrder) throws(Failure) -> ClosedRange<BatchNumber> {
        let first = order.batches?.lowerBound ?? 1
        if let asked = order.batches, asked.upperBound < last {
            throw Failure(
                .notPossible, "\(place) lacks every batch of job \(job)",
                why: "batches \(asked.lowerBound) to \(asked.upperBound) were named, and later ones would be missing",
                now: "name batches up to \(last): `sluice repair \(job) --batches \(asked.lowerBound)..\(last)`")
        }
        try requireRunnable(from: first)
        return first...max(first, last)
    }

    func requireRunnable(from first: BatchNumber) throws(Failure) {
        guard let start = canRunFrom else {
            throw Failure(
                .notPossible, "no batch of job \(job) can run again", why: lacks ?? "what they need is not kept",
                now: "restore the sink from a backup, or let `sluice backfill` write windows whose records are still there")
        }
        guard start > first else { return }
        throw Failure(
            .notPossible, "batches \(first) to \(start - 1) of job \(job) cannot run again",
            why: lacks ?? "what they need is not kept",
            now: "restore the sink from a backup; or `sluice repair \(job) --batches \(start)..\(last)` writes what can be written "
                + "and leaves out the rows that only the older batches had")
    }

    func cannotReplace(isTopic: Bool) -> Failure {
        Failure(
            .notPossible, "\(place) can only be repaired behind its ledger",
            why: isTopic
                ? "a topic gets records at its end; one that was written before cannot be replaced"
                : "the table has no unique key, so a row that is there already would stand there twice",
            now: "restore it from a backup; or write everything anew into another place: the same job under another --name "
                + "with `--from earliest`")
    }

    func isBehind(_ batches: ClosedRange<BatchNumber>) -> Failure {
        Failure(
            .notPossible, "\(place) lacks batches \(batches.lowerBound) to \(batches.upperBound) of job \(job)",
            why: "they lie behind its ledger and can only be written one after the other",
            now: "`sluice repair \(job)` without --batches first")
    }
}
