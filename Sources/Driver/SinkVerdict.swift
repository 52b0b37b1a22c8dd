// What follows from what a sink holds, beside what the log says it should hold (protocol 1).
//
//   IF   the sink keeps nothing (console)                         -> go on
//   IF   nothing was ever begun or sealed                         -> begin the table: write it down, then let the claim make it
//   IF   the log has a table as begun, and it is not there        -> refuse: nothing makes it anew
//   IF   the sink does not know the job, and the log has batches  -> refuse: another place, or an older copy
//   IF   the table is another than before, or emptied             -> refuse, unless every part's witness is in it
//   per part, ledger beside log:
//     equal, or the batch that is planned (its re-run compares it)          -> fine
//     beyond the log                                                        -> refuse: the catalog is older than the sink
//     the log's own seal of an older batch M                                -> run M+1 ... N again, if they can be; else refuse
//     that, and another part holds newer batches than the first one missing -> in a keyed table run all again from an empty ledger:
//                                                                              what is missing would cover newer rows of its keys
//     anything else                                                         -> refuse
//
// `--adopt` is a person's word that the sink is as it shall be: nothing of this is refused then, and the claim makes the
// ledger say what the log says. Whose name and whose table it is, is decided in the sink, where it cannot change in between.
//
// It is asked twice: with what is there before the claim, and, after the claim has raised the epoch, again: only then can no
// older driver's task move the ledger any more. And again after each outage of the sink.
//
// Pure values. Checklist when changing it: no path leads from a lost table or a lost row to `goOn`.

import Engine

package enum SinkVerdict: Equatable, Sendable {
    /// Write the table down as begun, then claim with `begins`.
    case begin
    case goOn
    /// These batches are missing in the sink and can run again: the parts that lack each are those with an older ledger row.
    case runAgain(ClosedRange<BatchNumber>)
    /// The same with every part, from an empty ledger: the parts are of different moments, and the newest row of a key must come last.
    case writeAnew(ClosedRange<BatchNumber>)
    case refuse(Failure)

    package struct Facts: Sendable {
        package var job: String
        /// The sink's address without secrets, and the table: what the log calls the place.
        package var place: String
        /// What the log has as begun, and where; its identity is nil until a claim was made and written down.
        package var begun: Catalog.BegunTable?
        /// What the sink holds; nil for one that keeps nothing.
        package var sight: SinkSight?
        /// Each part's last seal with rows, as the log knows it.
        package var seals: [SealMark]
        /// Older seals with rows, of batches that the log still has one by one.
        package var history: [SealMark]
        /// The batch that is planned and not done.
        package var open: BatchNumber?
        /// The last batch that is done; 0 for none.
        package var last: BatchNumber
        /// The first batch from which on every batch can run again up to `last`: plan, state before it, and records are there;
        /// nil for none.
        package var canRunFrom: BatchNumber?
        /// Rows that come again replace the first ones (`sinkReplacesRows`).
        package var replacesRows: Bool
        /// The table keeps one row of a key, so the order of batches counts, whatever parts their rows were of.
        package var keepsNewest = false
        /// Why not from an earlier one, as a part of a sentence.
        package var lacks: String?
        package var adopt: Bool

        package init(
            job: String, place: String, begun: Catalog.BegunTable?, sight: SinkSight?, seals: [SealMark],
            history: [SealMark] = [], open: BatchNumber?, last: BatchNumber, canRunFrom: BatchNumber? = nil,
            replacesRows: Bool, lacks: String? = nil, adopt: Bool = false
        ) {
            self.job = job
            self.place = place
            self.begun = begun
            self.sight = sight
            self.seals = seals
            self.history = history
            self.open = open
            self.last = last
            self.canRunFrom = canRunFrom
            self.replacesRows = replacesRows
            self.lacks = lacks
            self.adopt = adopt
        }
    }

    package static func decide(_ facts: Facts) -> SinkVerdict {
        guard let sight = facts.sight else { return .goOn }
        if facts.adopt { return facts.begun?.place == facts.place && sight.table != nil ? .goOn : .begin }
        if let verdict = facts.table(sight) { return verdict }
        return facts.ledger(sight)
    }

    /// What each part lacks when it is sealed again: by it a batch that runs again leaves out parts that have it.
    package static func lacks(_ batch: BatchNumber, part: Int, in sight: SinkSight?) -> Bool {
        guard let found = sight?.parts[part] else { return true }
        return found.batch < batch
    }
}

extension SinkVerdict.Facts {
    /// Why the job must not start on this sink; nil when it may.
    package var refusal: Failure? {
        switch SinkVerdict.decide(self) {
        case .begin, .goOn, .runAgain, .writeAnew: nil
        case .refuse(let failure): failure
        }
    }

    /// The table as the log shall have it: as begun, or to be begun here.
    package var table: Catalog.BegunTable? {
        guard sight != nil else { return nil }
        if let begun, begun.place == place { return begun }
        return Catalog.BegunTable(place: place)
    }

    /// Behind the claim, with what the sink holds then.
    package mutating func claimed(_ sight: SinkSight?) {
        begun = table
        begun?.identity = sight?.table
        self.sight = sight
    }

    /// The first batch that some part may lack; nil when none is behind the log.
    package var behind: BatchNumber? {
        guard let sight else { return nil }
        let found = seals.compactMap { mark -> BatchNumber? in
            guard let part = sight.parts[mark.part] else { return 1 }
            return part.batch < mark.batch ? part.batch : nil
        }
        return found.min()
    }

    /// From where on the log has to be read for the verdict; nil where no part is behind it. Parts of a table that keeps the newest
    /// row of each key and that are of different moments are written anew from the very first batch.
    package var readsFrom: BatchNumber? {
        guard let behind, keepsNewest, let newest = sight?.parts.values.map(\.batch).max(), newest > behind else { return behind }
        return 1
    }

    /// A claim was made and written down, so the table was there once.
    private var hasBegun: Bool { begun?.identity != nil || last > 0 || !seals.isEmpty }

    // MARK: the table

    /// nil where the table is the one that the log knows.
    func table(_ sight: SinkSight) -> SinkVerdict? {
        guard hasBegun else { return begun != nil && sight.table != nil ? nil : .begin }
        let isElsewhere = begun.map { $0.place != place } ?? false
        guard sight.table != nil else {
            return .refuse(lost(isElsewhere ? elsewhere : "the table is not there any more"))
        }
        guard case .job = sight.owner else {
            return .refuse(lost(isElsewhere ? elsewhere : "the sink does not know the job"))
        }
        let isOther = isOther(sight)
        if isOther && !sight.parts.isEmpty && sight.parts.values.allSatisfy({ $0.witness == .unknown }) {
            return .refuse(lost("the table was made anew, and nothing says that its rows came along"))
        }
        for (part, found) in sight.parts.sorted(by: { $0.key < $1.key }) {
            switch found.witness {
            case .found, .unknown: break
            case .changed where !isOther: break
            case .changed: return .refuse(lost("the table is another than before, and holds older rows of part \(part)"))
            case .gone:
                return .refuse(
                    lost(
                        isOther
                            ? "the table was made anew or emptied: the rows that part \(part) wrote last are not in it"
                            : "the rows that part \(part) wrote last are gone"))
            }
        }
        // Copied with its ledger to another place: the ledger decides as anywhere, and if it fits, the log learns the place.
        guard begun == nil || isElsewhere else { return nil }
        let verdict = ledger(sight)
        if case .goOn = verdict { return .begin }
        if isElsewhere, case .refuse(let failure) = verdict {
            var failure = failure
            failure.why = "\(elsewhere); \(failure.why)"
            return .refuse(failure)
        }
        return verdict
    }

    /// The table is not the one that was claimed. The sink's own word counts first: a table that was rewritten with all its
    /// rows is told there. What the log wrote down counts where the sink has no word for it; an empty one is unknown.
    private func isOther(_ sight: SinkSight) -> Bool {
        if let isSameTable = sight.isSameTable { return !isSameTable }
        guard let known = begun?.identity, let now = sight.table, !known.isEmpty, !now.isEmpty else { return false }
        return known != now
    }

    private var elsewhere: String {
        "the job began its table in \(begun?.place ?? "another place"), and the settings name \(place)"
    }

    private func lost(_ what: String) -> Failure {
        Failure(
            .sinkMismatch, "\(place) lacks what job \(job) has written",
            why: "\(what), and the log is at batch \(last)",
            now: "correct `--sink` or restore the sink; `sluice repair \(job) --plan` shows what it lacks. "
                + "If its rows were removed on purpose, start once with --adopt, which takes the sink as it is")
    }

    // MARK: the ledger

    func ledger(_ sight: SinkSight) -> SinkVerdict {
        let known = Dictionary(seals.map { ($0.part, $0) }) { $1 }
        var missingFrom: BatchNumber?
        // The first batch of which a part really lacks rows.
        var lacked = BatchNumber.max
        for part in Set(known.keys).union(sight.parts.keys).sorted() {
            let mark = known[part]
            guard let found = sight.parts[part] else {
                // Only a part that has sealed can lack its row.
                guard let mark else { continue }
                // Its rows may be there and only the ledger be gone.
                guard replacesRows else {
                    return .refuse(lost("the ledger of part \(part) is gone, which sealed batch \(mark.batch)"))
                }
                let first = history.filter { $0.part == part }.map(\.batch).min() ?? mark.batch
                // Whether it sealed before the log's first single batch nobody can tell: so from the very first.
                missingFrom = min(missingFrom ?? .max, canRunFrom == 1 ? first : 1)
                lacked = min(lacked, first)
                continue
            }
            if found.batch == open { continue }
            if let mark, found.batch == mark.batch {
                // A marker that a claim made has no digest, and stands for all before it.
                if found.digest == mark.digest || found.digest.isEmpty { continue }
                return .refuse(other(part, found, "as the log knows another digest of that batch"))
            }
            if found.digest.isEmpty && found.batch <= last { continue }
            guard found.batch <= last else { return .refuse(ahead(part, found)) }
            guard let mark, found.batch < mark.batch else {
                return .refuse(other(part, found, "and the log knows no rows of that batch"))
            }
            guard history.contains(where: { $0.part == part && $0.batch == found.batch && $0.digest == found.digest }) else {
                return .refuse(other(part, found, "and the log, at batch \(mark.batch), does not know that one any more"))
            }
            missingFrom = min(missingFrom ?? .max, found.batch + 1)
            lacked = min(lacked, history.filter { $0.part == part && $0.batch > found.batch }.map(\.batch).min() ?? mark.batch)
        }
        guard var first = missingFrom else { return .goOn }
        if keepsNewest, let newest = sight.parts.values.map(\.batch).max(), lacked < newest {
            if canRunFrom == 1 { return .writeAnew(1...last) }
            first = 1
        }
        if let start = canRunFrom, start <= first { return .runAgain(first...last) }
        return .refuse(
            Failure(
                .ledgerConflict, "\(place) lacks batches \(first) to \(last) of job \(job)",
                why: "it was put back to an older copy, or rows and ledger were removed; they cannot simply run again: "
                    + (lacks ?? "what they need is not kept"),
                now: "`sluice repair \(job) --plan` shows what can be written again; or restore the sink; "
                    + "--adopt goes on without those rows"))
    }

    private func ahead(_ part: Int, _ found: SinkSight.Part) -> Failure {
        Failure(
            .ledgerConflict, "\(place) is ahead of the log of job \(job)",
            why: "part \(part) has sealed batch \(found.batch), and the log ends at \(open.map { "the planned batch \($0)" } ?? "batch \(last)"): "
                + "the catalog was put back to an older copy, or another log writes here",
            now: "restore the catalog that belongs to this sink; --adopt goes on from the log's positions and writes later rows again")
    }

    private func other(_ part: Int, _ found: SinkSight.Part, _ what: String) -> Failure {
        Failure(
            .ledgerConflict, "\(place) holds something else than the log of job \(job)",
            why: "part \(part) has sealed batch \(found.batch) with digest \(found.digest), \(what)",
            now: "do not delete anything; compare with `sluice replay \(job)`, or restore sink and catalog of one moment")
    }
}
