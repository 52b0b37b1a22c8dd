// A made sink: rows, ledger and the job's row in one place, committed together or (for mutants) not. It can be away, and be
// put back to an older copy of itself.
//
// A keyed table keeps a total per key, an appended one counts how often each row came, so that a doubled row shows.

import Engine

final class MadeSink {
    struct Ledger: Equatable {
        var batch: BatchNumber
        var digest: String
    }
    struct Content {
        var epoch: Epoch = 0
        var ledger: [Int: Ledger] = [:]
        var totals: [Int64: Int64] = [:]
        var rows: [String: Int] = [:]
    }

    private(set) var content = Content()
    private var older: [Content] = []
    /// Somebody put an older copy in place: from then on a refusal is the right answer.
    private(set) var wasRestored = false
    var isUp = true
    private let mutant: Mutant?

    init(mutant: Mutant?) { self.mutant = mutant }

    static let away = Failure(.databaseUnreachable, "the sink does not answer", why: "made so", now: "wait")

    func fall(_ world: World, _ millis: Int64) {
        isUp = false
        world.after(millis) { self.isUp = true }
    }

    func restoreOlder(_ random: inout Draws) {
        guard !older.isEmpty else { return }
        let epoch = content.epoch
        content = older[Int(random.below(Int64(older.count)))]
        content.epoch = epoch
        wasRestored = true
    }

    /// As a start sees it: for who decides what is missing.
    var sight: SinkSight {
        SinkSight(
            owner: .job(JobID(text: "made"), content.epoch), table: "made", isSameTable: true,
            parts: content.ledger.mapValues { SinkSight.Part(batch: $0.batch, digest: $0.digest, witness: .found) })
    }

    func claim(_ epoch: Epoch) throws(Failure) {
        guard epoch >= content.epoch else { throw stale(epoch) }
        content.epoch = epoch
    }

    var sealed: [Int: BatchNumber] { content.ledger.mapValues(\.batch) }

    /// - Parameter dies: the worker dies inside; what a transaction holds is gone with it.
    func seal(
        part: Int, batch: BatchNumber, epoch: Epoch, digest: String, after predecessor: Predecessor, rows: MadeRows, dies: Bool
    ) throws(Failure) -> SealOutcome {
        guard mutant == .epochNotCompared || epoch == content.epoch else { throw stale(epoch) }
        if mutant != .noLedger, let found = content.ledger[part] {
            if found.batch == batch {
                guard found.digest == digest else { throw conflict(part, batch, found) }
                return .alreadySealed
            }
            if found.batch > batch { throw conflict(part, batch, found) }
        }
        if mutant != .sealWithoutPredecessor, mutant != .noLedger {
            let found = content.ledger[part].map { (batch: $0.batch, digest: $0.digest) }
            guard predecessor.step(found, batch: batch, digest: digest) == .write else { throw conflict(part, batch, content.ledger[part]) }
        }
        if dies {
            // Two transactions instead of one: the rows stay.
            if mutant == .ledgerApart { write(rows) }
            throw Self.away
        }
        older.append(content)
        if older.count > 6 { older.removeFirst() }
        write(rows)
        content.ledger[part] = Ledger(batch: batch, digest: digest)
        return .written
    }

    private func write(_ rows: MadeRows) {
        for (key, total) in rows.totals { content.totals[key] = total }
        for row in rows.appended { content.rows[row, default: 0] += 1 }
    }

    private func stale(_ epoch: Epoch) -> Failure {
        Failure(.staleEpoch, "epoch \(epoch) is not the sink's", why: "epoch \(content.epoch) claimed it", now: "nothing")
    }

    private func conflict(_ part: Int, _ batch: BatchNumber, _ found: Ledger?) -> Failure {
        Failure(
            .ledgerConflict, "part \(part) of batch \(batch) meets another ledger row",
            why: "there is batch \(found?.batch ?? 0)", now: "compare")
    }
}

/// What a part writes.
struct MadeRows: Equatable {
    var totals: [Int64: Int64] = [:]
    var appended: [String] = []

    var count: Int64 { Int64(totals.count + appended.count) }

    /// In the digest's text form; `build` is part of every row.
    func digest(build: String) -> String {
        var sum: UInt64 = 0
        for (key, total) in totals { sum &+= Self.hash("\(build) \(key) \(total)") }
        for row in appended { sum &+= Self.hash("\(build) \(row)") }
        return hexadecimal(sum) + hexadecimal(UInt64(count))
    }

    private static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }
}
