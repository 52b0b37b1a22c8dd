// The refusals that every sink with a ledger shares, in the same words (protocol 1 and 3).

enum SinkRefusal {
    static func ownedByOther(_ identity: SinkIdentity, found: JobID, place: String) -> Failure {
        Failure(
            .sinkOwnedByOther, "\(place) belongs to another job named \(identity.job)",
            why: "its id there is \(found), ours is \(identity.jobID): "
                + "our catalog is new (the old one was lost), or another directory runs the same job",
            now: "use the catalog that belongs to this sink, or another `--name`, or take the sink over with `--adopt`")
    }

    static func stale(_ identity: SinkIdentity, found: Epoch, place: String) -> Failure {
        let older = found > identity.epoch
        return Failure(
            .staleEpoch, "\(place) does not take epoch \(identity.epoch) of job \(identity.job)",
            why: older
                ? "another driver took the job over with epoch \(found)"
                : "it knows epoch \(found) only: the sink was put back to an older copy, or was not claimed",
            now: older
                ? "nothing: the other driver goes on; `sluice jobs` shows it"
                : "restore the sink together with its catalog, then start the job again")
    }

    /// - Parameter what: a sentence without its end.
    static func lost(_ identity: SinkIdentity, _ what: String, place: String) -> Failure {
        Failure(
            .sinkMismatch, "\(place) has lost rows of \(identity.sink), job \(identity.job)",
            why: "\(what): it was dropped, emptied, put back from an older copy, or this is another database",
            now: "restore it, or `sluice repair \(identity.job) --plan` shows what it lacks; "
                + "if the rows were removed on purpose, start once with --adopt, which takes the table as it is")
    }

    static func swallowed(_ table: String, sent: Int, stored: Int, acting: [String], place: String) -> Failure {
        Failure(
            .sinkMismatch, "\(place) was given \(sent) rows for \(table) and stored \(stored)",
            why: acting.isEmpty
                ? "it refused none of them: something in the database swallows rows"
                : "it refused none of them; what acts on the table: \(acting.joined(separator: ", "))",
            now: "remove what swallows or redirects rows, or write to another table (`sink_table`); nothing of this part was stored")
    }

    static func severalRows(_ text: SinkTableText, place: String) -> Failure {
        Failure(
            .sinkMismatch, "the table \(text.table.name) in \(place) has several rows",
            why: "what the job writes has no key, so it is one row, and writing it deletes all others",
            now: "remove its rows if nobody needs them, or name another table or database")
    }

    static func deletes(_ table: SinkTable, _ place: String) -> Failure {
        Failure(
            .notPossible, "rows of \(table.name) cannot go from \(place)",
            why: table.mode == .append ? "rows are only added to it, and the job takes rows back" : "a sink of this kind takes no deleted keys yet",
            now: "write into a table with a key in PostgreSQL or SQLite, or let the query take nothing back")
    }

    static func wrongKey(_ table: SinkTable, _ found: [String]) -> Failure {
        Failure(
            .internal, "deleted keys of \(table.name) have other columns than its key",
            why: "they have (\(found.joined(separator: ", "))), and the key is (\(table.key.joined(separator: ", ")))",
            now: "report this with the job's definition")
    }

    static func kept(_ table: String, sent: Int, kept: Int, acting: [String], place: String) -> Failure {
        Failure(
            .sinkMismatch, "\(place) was given \(sent) deleted keys of \(table) and kept the rows of \(kept)",
            why: acting.isEmpty
                ? "it refused none of them: something in the database keeps rows"
                : "it refused none of them; what acts on the table: \(acting.joined(separator: ", "))",
            now: "remove what keeps or brings back rows, or write to another table (`sink_table`); nothing of this part was stored")
    }

    static func taken(_ identity: SinkIdentity, by heir: JobID, place: String) -> Failure {
        Failure(
            .sinkOwnedByOther, "\(identity.sink) in \(place) was taken over from job \(identity.job)",
            why: "job id \(heir) has it since somebody started that one with --adopt",
            now: "let that job go on, or write to another table (`sink_table`), or take it back with --adopt")
    }

    static func shared(_ identity: SinkIdentity, with job: String, id: JobID, place: String) -> Failure {
        Failure(
            .sinkOwnedByOther, "the table \(identity.sink) in \(place) belongs to job \(job)",
            why: "its rows are kept by key, and job \(identity.job) would overwrite those of job id \(id)",
            now: "name a table of its own (`--set sink_table={job}`) or another `--sink`; jobs that never share a key say so "
                + "with different `sink_keys`; `--adopt` takes the table over")
    }

    /// - Parameter found: what the part's ledger holds; nil for nothing.
    static func conflict(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, after: Predecessor,
        found: (batch: BatchNumber, digest: String)?, place: String
    ) -> Failure {
        let what = "\(place) holds something else than what batch \(batch), part \(part) of \(identity.sink) follows"
        if let found, found.batch == batch {
            return Failure(
                .ledgerConflict, what, why: "the batch is sealed there with another digest: the same plan gave other rows",
                now: "do not delete anything; compare with `sluice replay \(identity.job) --batch \(batch)`")
        }
        let there = found.map { "batch \($0.batch) (digest \($0.digest))" } ?? "nothing of this part"
        let known =
            switch after {
            case .unknown: "does not say which batch went before"
            case .nothing: "knows of no rows that this part has sealed"
            case .seal(let last, let digest): "knows batch \(last) (digest \(digest)) as the part's last one"
            }
        let isAhead: Bool =
            switch (after, found) {
            case (.seal(let last, _), let found?): found.batch > last
            case (.nothing, _?): true
            case (.unknown, let found?): found.batch > batch
            default: false
            }
        return Failure(
            .ledgerConflict, what,
            why: "its ledger holds \(there), and the log \(known): "
                + (isAhead
                    ? "the catalog is older than the sink, or another log writes here"
                    : "the sink was put back to an older copy, or rows were removed"),
            now: isAhead
                ? "restore the catalog that belongs to this sink, or take the sink over with `--adopt`"
                : "`sluice repair \(identity.job) --plan` shows what the sink lacks, `sluice repair \(identity.job)` writes it")
    }
}
