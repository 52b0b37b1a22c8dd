// How much of the past a job's log keeps: the decision of a fold, as a value.
//
//   batches, one row each ──older than log_keep, or beyond log_bytes──▶ hours, one row each ──older than log_keep──▶ checkpoint
//                                                                         └ with the state at its end
//
// Decides up to which batch single rows become hours, which hours become the checkpoint, and which versions of the state
// stay: the newest ones (protocol 5 `state_keep`), and the last one of each hour for `log_keep`, so that a repair, a diff or a
// replay of yesterday has a start. Does not look whether the batches may be folded: that is the audit's answer, which the
// shell (`Catalog+Fold`) asks slice by slice.
//
// Never folded: the open plan, the last DONE batch, batches whose state is kept as one of the newest.
//
// Checklist when changing it: a larger bound keeps at least as much; time that goes back keeps more, never less.

import Engine

/// How much of the past is kept.
package struct LogRetention: Sendable, Equatable {
    /// Batches, and hours, older than this are folded.
    package var logKeepMillis: Int64 = 30 * 86_400_000
    /// Bytes that single batches may take; the oldest beyond it become hours.
    package var logBytes: Int64 = 256 << 20
    /// A version of the state is kept while it is among this many newest ones and not older than this.
    package var stateKeepBatches: Int64 = 1000
    package var stateKeepMillis: Int64 = 86_400_000
    /// Raw bytes of bad records older than this are erased.
    package var quarantineKeepMillis: Int64 = 30 * 86_400_000

    package init() {}
    package init(
        logKeepMillis: Int64, logBytes: Int64 = 256 << 20, stateKeepBatches: Int64, stateKeepMillis: Int64,
        quarantineKeepMillis: Int64 = 30 * 86_400_000
    ) {
        self.logKeepMillis = logKeepMillis
        self.logBytes = logBytes
        self.stateKeepBatches = stateKeepBatches
        self.stateKeepMillis = stateKeepMillis
        self.quarantineKeepMillis = quarantineKeepMillis
    }

    /// What the job's settings say.
    package init(_ settings: EngineSettings) {
        self.init(
            logKeepMillis: settings.logKeepMillis, logBytes: settings.logBytes, stateKeepBatches: settings.stateKeepBatches,
            stateKeepMillis: settings.stateKeepMillis, quarantineKeepMillis: settings.quarantineKeepMillis)
    }
}

package enum LogHours {
    package static let lengthMillis: Int64 = 3_600_000
    /// The start of the hour that holds `millis`.
    package static func hour(of millis: Int64) -> Int64 {
        let rest = millis % lengthMillis
        return millis - (rest < 0 ? rest + lengthMillis : rest)
    }
}

/// What the log holds, as far as keeping it is concerned. Times are the database's.
package struct LogFacts: Sendable, Equatable {
    package var nowMillis: Int64
    /// Oldest and newest DONE batch that has a row of its own.
    package var first, last: BatchNumber
    /// The first of them that was done within `log_keep`, and within `state_keep_time`; nil when none was.
    package var firstYoungInLog, firstYoungState: BatchNumber?
    /// Bytes of a single batch's row, about.
    package var batchBytes: Int64
    /// The last batch of each hour among the single rows, ascending.
    package var lastOfHours: [HourEnd]
    /// The state at the end of each hour that is folded, ascending.
    package var foldedHours: [HourEnd]

    package struct HourEnd: Sendable, Hashable {
        package var hourMillis: Int64
        package var batch: BatchNumber

        package init(hourMillis: Int64, batch: BatchNumber) {
            self.hourMillis = hourMillis
            self.batch = batch
        }
    }

    package init(
        nowMillis: Int64, first: BatchNumber, last: BatchNumber, firstYoungInLog: BatchNumber?,
        firstYoungState: BatchNumber?, batchBytes: Int64, lastOfHours: [HourEnd], foldedHours: [HourEnd]
    ) {
        self.nowMillis = nowMillis
        self.first = first
        self.last = last
        self.firstYoungInLog = firstYoungInLog
        self.firstYoungState = firstYoungState
        self.batchBytes = batchBytes
        self.lastOfHours = lastOfHours
        self.foldedHours = foldedHours
    }
}

package struct LogKeeping: Sendable, Equatable {
    /// The oldest batch whose state is kept as one of the newest.
    package var stateKeptFrom: BatchNumber
    /// Single batches whose state is kept because they end an hour, all before `stateKeptFrom`.
    package var hourEnds: [BatchNumber]
    /// States of folded hours that are kept, by the hour.
    package var keptHours: [Int64]
    /// Single batches up to here become hours.
    package var foldUntil: BatchNumber
    /// Hours before this one become the checkpoint.
    package var dropHoursBefore: Int64

    package init(_ facts: LogFacts, _ retention: LogRetention) {
        let youngState = facts.firstYoungState ?? facts.last
        let kept = min(facts.last, max(youngState, facts.last - max(retention.stateKeepBatches, 1) + 1))
        stateKeptFrom = kept
        // The batch that is not old is the first to stay; the one that fits in last is the first to stay.
        let young = facts.firstYoungInLog ?? facts.last
        let fitting = facts.last - max(retention.logBytes / max(facts.batchBytes, 1), 1) + 1
        foldUntil = min(max(young, fitting), kept) - 1
        // The hour in which the bound lies stays whole.
        let oldest = LogHours.hour(of: facts.nowMillis - retention.logKeepMillis)
        dropHoursBefore = oldest
        hourEnds = facts.lastOfHours.filter { $0.hourMillis >= oldest && $0.batch < kept }.map(\.batch)
        keptHours = facts.foldedHours.map(\.hourMillis).filter { $0 >= oldest }
    }
}
