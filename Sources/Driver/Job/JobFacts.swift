// Gathers what a start is decided by: catalog, topic, group and sink are read, nothing is changed.

import Engine
import Foundation

struct JobFacts {
    let catalog: Catalog
    let source: JobSource
    let options: LoopOptions

    private var job: RunningJob { source.job }
    private var jobID: JobID { job.record.jobID }

    func gather() throws -> StartFacts {
        let partitions = try source.partitions()
        let ends = try source.queries.ends(partitions)
        let starts = try source.queries.starts(partitions)
        var facts = StartFacts(log: try Self.log(catalog, job), partitions: partitions, starts: starts, ends: ends)
        let positions = facts.log.positions
        for topic in job.settings.topics { facts.topicIDs[topic] = try source.queries.topicID(of: topic) }
        if positions.isEmpty && options.starts == nil { facts.from = try source.begin(partitions, starts: starts, ends: ends) }
        facts.wallMillis = wallMillis()
        if job.record.kind == .live {
            for (partition, entry) in try source.queries.committed(group: job.group, partitions) {
                let isRecorded =
                    try positions[partition] != nil
                    && catalog.isRecordedEnd(jobID, partition, offset: entry.offset)
                facts.committed[partition] = .init(offset: entry.offset, metadata: entry.metadata, isRecorded: isRecorded)
            }
        }
        for (partition, position) in positions {
            // Behind the end or before the start there is nothing to compare; the decision names both by themselves.
            guard let offset = position.tailOffset, position.tailHash != nil, let end = ends[partition], end > offset else {
                continue
            }
            facts.tails[partition] = .some(
                try TailRecord.hash(job.settings.kafka, partition, offset: offset).map(hexadecimal))
        }
        let sink = try openSink(job.settings, table: job.graph.sink)
        defer { sink.close() }
        facts.sinkOwner = try sink.owner(job: job.record.name)
        facts.sink = try self.sink(sink, log: facts.log, starts: starts)
        if facts.log.openPlan != nil {
            facts.sealed = try sink.sealedBatches(
                SinkIdentity(job: job.record.name, jobID: jobID, epoch: 0, sink: job.graph.sink.name))
        }
        if let target = OffsetJump.needsVersion(facts.recovery(of: job, options: options)) {
            let store = try StateStore(address: job.settings.state)
            facts.version = try catalog.version(jobID, atOrBefore: target, starts: starts) { try isKept($0, in: store) }
        }
        return facts
    }

    /// What the verdict on the sink is decided by; what could run again is looked up only where a part is behind.
    private func sink(_ sink: any Sink, log: LogStand, starts: [TopicPartition: Int64]) throws -> SinkVerdict.Facts {
        var facts = try SinkVerdict.Facts(
            of: job.record, address: job.settings.sink, table: job.graph.sink, seals: log.seals, open: log.openPlan?.batch,
            last: log.lastDone?.plan.batch ?? 0, sink, catalog)
        facts.adopt = options.adopt
        guard let behind = options.repair == nil ? facts.readsFrom : 1 else { return facts }
        let (history, plans) = try catalog.seals(jobID, since: behind, last: facts.last)
        let store = try StateStore(address: job.settings.state)
        // One batch's files are the next one's, but for a few.
        var known: [StateFile: Bool] = [:]
        let rerun = try SinkRerun(plans: plans, last: facts.last, starts: starts) { manifest in
            try manifest.entries.lazy.flatMap(\.files).allSatisfy { file in
                if let isKept = known[file] { return isKept }
                let found = try isKept(file, in: store)
                known[file] = found
                return found
            }
        }
        facts.history = history
        facts.canRunFrom = rerun.from
        facts.lacks = rerun.lacks
        return facts
    }

    /// Whether every file that the manifest names is still there.
    private func isKept(_ manifest: StateManifest, in store: StateStore) throws -> Bool {
        try manifest.entries.lazy.flatMap(\.files).allSatisfy { try isKept($0, in: store) }
    }

    private func isKept(_ file: StateFile, in store: StateStore) throws -> Bool {
        guard file.inline else { return FileManager.default.fileExists(atPath: store.folder(jobID) + "/" + file.name) }
        return try catalog.inlineState(jobID, name: file.name) != nil
    }

    static func log(_ catalog: Catalog, _ job: RunningJob) throws -> LogStand {
        let jobID = job.record.jobID
        let positions = Dictionary(
            uniqueKeysWithValues: try catalog.positions(jobID).map { ($0.topicPartition, $0) })
        let open = try catalog.openPlan(jobID)?.plan
        let last = try catalog.lastDone(jobID)
        var log = LogStand(positions: positions, openPlan: open, lastDone: last, seals: try catalog.seals(jobID))
        log.jumps = try catalog.jumps(jobID)
        if job.isStateful, open == nil,
            let target = OffsetJump.restored(
                log.jumps, after: last?.plan.batch ?? 0, positions: positions.mapValues(\.position))
        {
            log.restored = try catalog.version(jobID, atOrBefore: target, starts: [:]) { _ in true }
        }
        return log
    }
}

extension SinkVerdict.Facts {
    /// What sink and log say as they are; what could run again is not looked up.
    package init(
        of record: JobRecord, address: String, table: SinkTable, seals: [SealMark], open: BatchNumber?, last: BatchNumber, _ sink: any Sink,
        _ catalog: Catalog
    ) throws {
        let identity = SinkIdentity(job: record.name, jobID: record.jobID, epoch: 0, sink: table.name)
        self.init(
            job: record.name, place: "\(maskedAddress(address)) \(table.name)", begun: try catalog.begunTables(record.jobID).first,
            sight: try sink.sight(identity), seals: seals, open: open, last: last,
            replacesRows: sinkReplacesRows(address: address, table: table))
        keepsNewest = table.mode == .keyedUpsert && sinkTopic(address) == nil
    }
}
