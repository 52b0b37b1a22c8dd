// What a job's loop does with its sink between batches: takes it, writes recorded batches again, ends entries of refused rows. The sink
// is opened for each: a job that rests holds no connection to it.

import Engine

extension JobLoop {
    func sinkIdentity() throws -> SinkIdentity {
        let job = try job()
        return SinkIdentity(
            job: job.record.name, jobID: job.record.jobID, epoch: machine.epoch, sink: job.graph.sink.name)
    }

    /// - Parameter table: what the log has as begun, or begins; nil where it is not asked.
    func claimSink(_ claim: SinkClaim, _ table: Catalog.BegunTable?) throws -> SinkClaimed {
        let job = try job()
        let sink = try openSink(job.settings, table: job.graph.sink)
        defer { sink.close() }
        let identity = try sinkIdentity()
        // Written down before it is made: from then on a table that is missing was lost.
        if let table, claim.begins { try catalog.begin(table, of: job.record.jobID, epoch: machine.epoch) }
        try sink.claim(identity, claim)
        let sight = try sink.sight(identity)
        if var table, let known = sight?.table, table.identity != known {
            table.identity = known
            try catalog.begin(table, of: job.record.jobID, epoch: machine.epoch)
        }
        return SinkClaimed(fixedParts: sink.fixedParts, sealed: try sink.sealedBatches(identity), sight: sight)
    }

    /// Compares the sink of a job that rests with its log.
    func lookAtSink(_ job: RunningJob, _ seals: [SealMark], _ last: BatchNumber) throws {
        let facts = try withSink { sink in
            var facts = try SinkVerdict.Facts(
                of: job.record, address: job.settings.sink, table: job.graph.sink, seals: seals, open: nil, last: last, sink, catalog)
            if let behind = facts.readsFrom { facts.history = try catalog.seals(job.record.jobID, since: behind, last: last).0 }
            return facts
        }
        switch SinkVerdict.decide(facts) {
        case .goOn: return
        case .refuse(let failure): machine.hear(sinkDiffers: "\(failure.what): \(failure.why)")
        case .begin, .runAgain, .writeAnew: machine.hear(sinkDiffers: "the sink is not as the log says")
        }
    }

    /// Rows that the sink refused once, and that a redrive has just written or refused anew. What stays by accident is
    /// redriven again, and replaces itself.
    func closeRefused(_ batch: FinishedBatch) {
        if batch.closes.isEmpty { return }
        do { try withSink { try $0.closeRefused(sinkIdentity(), batch.closes, before: batch.plan.batch) } } catch {
            Log.warning("refused rows not closed", [("job", name), ("why", failure(error).description), ("then", "the next redrive does")])
        }
    }

    func withSink<Answer>(_ body: (any Sink) throws -> Answer) throws -> Answer {
        let job = try job()
        let sink = try openSink(job.settings, table: job.graph.sink)
        defer { sink.close() }
        return try body(sink)
    }

    func delivery() throws -> SinkDelivery {
        SinkDelivery(
            record: try job().record, catalog: catalog, pool: pool, gate: gate, jobs: jobs, buildDigest: buildDigest, shouldStop: shouldStop)
    }
}
