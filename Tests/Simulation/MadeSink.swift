// A made sink in SQL: rows, refused rows, ledger and the job's row in one place, committed together or (for mutants) not. It can be
// away, and be put back to an older copy of itself. What it refuses can change, as a constraint does that somebody adds or drops.
//
// A keyed table keeps a total per key, an appended one counts how often each row came, so that a doubled row shows.

import Engine

final class MadeSink {
    struct Ledger: Equatable {
        var batch: BatchNumber
        var digest: String
        var refused: Int64 = 0
        /// Of the stored rows alone; what a mutant compares.
        var storedDigest = ""
    }
    struct Total: Equatable {
        var total: Int64
        var batch: BatchNumber
    }
    struct Refused: Hashable {
        var part: Int
        var batch: BatchNumber
    }
    struct Content {
        var epoch: Epoch = 0
        var ledger: [Int: Ledger] = [:]
        var totals: [Int64: Total] = [:]
        var rows: [String: Int] = [:]
        var refused: [Refused: MadeRows] = [:]
    }

    private(set) var content = Content()
    private var older: [Content] = []
    /// Somebody put an older copy in place: from then on a refusal is the right answer.
    private(set) var wasRestored = false
    var isUp = true
    /// Rows of which the sum of the text is this, modulo 5, are refused; nil for none.
    var refuses: Int?
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
        guard content.epoch > 0 else { return SinkSight(owner: .nobody, table: nil) }
        return SinkSight(
            owner: .job(JobID(text: "made"), content.epoch), table: "made", isSameTable: true,
            parts: content.ledger.mapValues { SinkSight.Part(batch: $0.batch, digest: $0.digest, witness: .found) })
    }

    /// - Parameter anew: the ledger goes, the rows stay.
    func claim(_ epoch: Epoch, anew: Bool) throws(Failure) {
        guard epoch >= content.epoch else { throw stale(epoch) }
        content.epoch = epoch
        if anew { content.ledger = [:] }
    }

    func closeRefused(_ batch: BatchNumber) { content.refused = content.refused.filter { $0.key.batch != batch } }

    var sealed: [Int: BatchNumber] { content.ledger.mapValues(\.batch) }

    /// - Parameter dies: the worker dies inside; what a transaction holds is gone with it.
    func seal(
        part: Int, batch: BatchNumber, epoch: Epoch, digest: String, after predecessor: Predecessor, rows: MadeRows, dies: Bool
    ) throws(Failure) -> Sealed {
        guard mutant == .epochNotCompared || epoch == content.epoch else { throw stale(epoch) }
        let (stored, refused) = split(rows)
        if mutant != .noLedger, let found = content.ledger[part] {
            if found.batch == batch {
                let isSame = mutant == .digestOfStored ? found.storedDigest == stored.digest(build: "") : found.digest == digest
                guard isSame else { throw conflict(part, batch, found) }
                return Sealed(.alreadySealed, refused: found.refused)
            }
            if found.batch > batch { throw conflict(part, batch, found) }
        }
        if mutant != .sealWithoutPredecessor, mutant != .noLedger {
            let found = content.ledger[part].map { (batch: $0.batch, digest: $0.digest) }
            guard predecessor.step(found, batch: batch, digest: digest) == .write else { throw conflict(part, batch, content.ledger[part]) }
        }
        if dies {
            // Two transactions instead of one: the rows stay.
            if mutant == .ledgerApart { write(stored, batch) }
            throw Self.away
        }
        older.append(content)
        if older.count > 6 { older.removeFirst() }
        write(stored, batch)
        if refused.count > 0 { content.refused[Refused(part: part, batch: batch)] = refused }
        content.ledger[part] = Ledger(batch: batch, digest: digest, refused: refused.count, storedDigest: stored.digest(build: ""))
        return Sealed(.written, refused: refused.count)
    }

    private func split(_ rows: MadeRows) -> (stored: MadeRows, refused: MadeRows) {
        guard let refuses else { return (rows, MadeRows()) }
        var (stored, refused) = (rows, MadeRows())
        stored.totals = rows.totals.filter { $0.key % 5 != refuses }
        stored.appended = rows.appended.filter { $0.utf8.reduce(0) { $0 + Int($1) } % 5 != refuses }
        refused.totals = rows.totals.filter { $0.key % 5 == refuses }
        refused.appended = rows.appended.filter { $0.utf8.reduce(0) { $0 + Int($1) } % 5 == refuses }
        return (stored, refused)
    }

    private func write(_ rows: MadeRows, _ batch: BatchNumber) {
        for (key, total) in rows.totals { content.totals[key] = Total(total: total, batch: batch) }
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

extension MadeSink.Content {
    /// Stored and refused together: of each key the newest total, and how often each row came.
    var allTotals: [Int64: Int64] {
        var newest = totals
        for (place, rows) in refused {
            for (key, total) in rows.totals where newest[key]?.batch ?? 0 < place.batch {
                newest[key] = MadeSink.Total(total: total, batch: place.batch)
            }
        }
        return newest.mapValues(\.total)
    }

    var allRows: [String: Int] { refused.values.reduce(into: rows) { all, refused in for row in refused.appended { all[row, default: 0] += 1 } } }
}

/// What a part writes.
struct MadeRows: Equatable {
    var totals: [Int64: Int64] = [:]
    var appended: [String] = []
    /// What each partition held when it was read, below the range and up to its end; no part of what is written.
    var readings: [TopicPartition: MadeReading] = [:]

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

/// By `MadeKafka.prefix`.
struct MadeReading: Equatable {
    var before: String
    var until: String
}
