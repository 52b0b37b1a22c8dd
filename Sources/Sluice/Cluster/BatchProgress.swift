// What a person sees of a running job: a line a batch, and on a terminal one live line with rates, lag and progress.

import Driver
import Engine
import Foundation
import Synchronization

final class BatchProgress: Sendable {
    private struct State {
        var startMillis = steadyMillis()
        var batches: Int64 = 0
        var records: Int64 = 0
        var rejected: Int64 = 0
        var tombstones: Int64 = 0
        var late: Int64 = 0
        var firstLag: Int64?
        var isBroken = false
    }
    private let state = Mutex(State())
    private let terminal: Terminal
    private let job: String
    private let asJSON: Bool

    init(terminal: Terminal, job: String, asJSON: Bool) {
        self.terminal = terminal
        self.job = job
        self.asJSON = asJSON
    }

    func batchDone(_ record: BatchRecord) {
        guard let outcome = record.outcome else { return }
        state.withLock { state in
            state.batches += 1
            state.records += outcome.rowsIn
            state.rejected += outcome.rejected
            state.tombstones += outcome.tombstones ?? 0
            state.late += outcome.late
        }
        say { terminal in
            if asJSON {
                try terminal.json(BatchView(record))
            } else {
                try terminal.line(Self.line(record, outcome))
            }
        }
    }

    static func line(_ record: BatchRecord, _ outcome: BatchOutcome) -> String {
        let timings = outcome.timings
        var text = "batch \(record.plan.batch)  \(grouped(outcome.rowsIn)) in  \(grouped(outcome.rowsOut)) out"
        if outcome.late > 0 { text += "  \(grouped(outcome.late)) late" }
        if outcome.rejected > 0 { text += "  \(grouped(outcome.rejected)) rejected" }
        if let failed = outcome.failed, failed > 0 { text += "  \(grouped(failed)) failed" }
        if let tombstones = outcome.tombstones, tombstones > 0 { text += "  \(grouped(tombstones)) tombstone\(tombstones == 1 ? "" : "s")" }
        if outcome.unmatched > 0 { text += "  \(grouped(outcome.unmatched)) unmatched" }
        if outcome.retries > 0 { text += "  \(outcome.retries) retried" }
        text += "  run \(millis(timings.runMillis))  seal \(millis(timings.sealMillis))"
        if let commitMillis = timings.commitMillis { text += "  commit \(millis(commitMillis))" }
        return text
    }

    static func millis(_ value: Double) -> String {
        value < 10 ? "\((value * 10).rounded() / 10) ms" : "\(Int(value.rounded())) ms"
    }

    /// Redraws the live line.
    func tick(_ status: JobStatus) {
        guard terminal.isOutputTerminal, !asJSON, status.state == .running else { return }
        let lag = status.lagOffsets
        let line = state.withLock { state in
            if state.firstLag == nil && lag > 0 { state.firstLag = lag + state.records }
            let seconds = max(0.001, Double(steadyMillis() - state.startMillis) / 1000)
            var text = "\(job)  \(grouped(Int64(Double(state.records) / seconds))) rows/s  lag \(grouped(lag))"
            if let total = state.firstLag, total > 0 {
                let share = min(1, Double(state.records) / Double(total))
                let filled = Int(share * 20)
                text += "  [" + String(repeating: "#", count: filled) + String(repeating: ".", count: 20 - filled) + "] \(Int(share * 100)) %"
            }
            return text
        }
        say { try $0.live([line]) }
    }

    func end(_ status: JobStatus, isFailed: Bool = false) throws {
        try terminal.endLive()
        guard !asJSON else { return }
        let (batches, records, seconds, rejected, late, tombstones) = state.withLock { state in
            (
                state.batches, state.records, Double(steadyMillis() - state.startMillis) / 1000, state.rejected, state.late,
                state.tombstones
            )
        }
        // A job that failed before its first batch has only its failure to show.
        if isFailed && batches == 0 { return }
        let deleted = tombstones > 0 ? "\(grouped(tombstones)) tombstone\(tombstones == 1 ? "" : "s"), " : ""
        let rate = seconds > 0 ? Int64(Double(records) / seconds) : 0
        try terminal.line(
            "\(job): \(grouped(batches)) batch\(batches == 1 ? "" : "es"), \(grouped(records)) records in \((seconds * 100).rounded() / 100) s (\(grouped(rate)) rows/s), \(grouped(late)) late, \(grouped(rejected)) rejected, \(deleted)lag \(grouped(status.lagOffsets))"
        )
    }

    /// A reader that has gone away ends the printing, not the job.
    private func say(_ body: (Terminal) throws -> Void) {
        if state.withLock({ $0.isBroken }) { return }
        do { try body(terminal) } catch { state.withLock { $0.isBroken = true } }
    }
}
