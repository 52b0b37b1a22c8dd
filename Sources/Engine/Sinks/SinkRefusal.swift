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

    static func conflict(_ identity: SinkIdentity, part: Int, batch: BatchNumber, found: BatchNumber, place: String) -> Failure {
        Failure(
            .ledgerConflict, "\(place) holds something else than batch \(batch), part \(part) of \(identity.sink)",
            why: found == batch
                ? "the batch is sealed there with another digest: the same plan gave other rows"
                : "batch \(found) is sealed there already: the catalog is older than the sink",
            now: found == batch
                ? "do not delete anything; compare with `sluice replay \(identity.job) --batch \(batch)`"
                : "restore the catalog that belongs to this sink, or take the sink over with `--adopt`")
    }
}
