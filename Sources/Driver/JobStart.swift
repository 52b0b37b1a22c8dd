// The start of a job: gathers the facts, asks `RecoveryPlan`, and carries its step out. The shell of a decision.
//
// Order matters. First everything is read (catalog, Kafka, sink), then the decision is made, then the sink is claimed,
// which raises the epoch there, and only then something is written to the log. So a start that refuses changes nothing,
// and from the claim on an older driver's tasks can add nothing to the sink (protocol 3).

import Engine
import Foundation
import Wire

struct JobStart {
    let loop: BatchLoop

    struct Begun {
        var positions: [TopicPartition: PartitionPosition]
        var ends: [TopicPartition: Int64]
        var topicIDs: [String: String]
        /// To be finished before another is planned.
        var openPlan: BatchPlan?
        /// Sink parts that hold rows of the open plan already.
        var sealedParts: Set<Int> = []
        /// State and watermark to go on from, where they are not those of the last batch.
        var version: KeptVersion?
        /// When the open plan is DONE, which is not confirmed, the start is made once more.
        var decidesAgain = false
    }

    private var job: RunningJob { loop.job }
    private var catalog: Catalog { loop.catalog }
    private var jobID: JobID { job.record.jobID }

    func begin() throws -> Begun {
        let topic = job.settings.topic
        let partitions = try loop.queries.partitions(of: topic).map { TopicPartition(topic: topic, partition: $0) }
        let ends = try loop.queries.ends(partitions)
        let starts = try loop.queries.starts(partitions)
        var positions: [TopicPartition: PartitionPosition] = [:]
        for position in try catalog.positions(jobID) {
            positions[TopicPartition(topic: position.topic, partition: position.partition)] = position
        }
        let open = try catalog.openPlan(jobID)?.plan
        let (topicIDs, acceptsTopic) = try checkTopic(positions, partitions: partitions, ends: ends)

        let sink = try openSink(job.settings, table: job.graph.sink)
        defer { sink.close() }
        let identity = SinkIdentity(job: job.record.name, jobID: jobID, epoch: loop.epoch, sink: job.graph.sink.name)
        var steps = try RecoveryPlan.decide(
            facts(
                sink: sink, identity: identity, partitions: partitions, positions: positions, open: open, starts: starts))
        let last = try catalog.lastDone(jobID)?.plan.batch ?? 0
        try sink.claim(identity, adopt: loop.options.adopt, after: last)
        loop.fixedParts = sink.fixedParts
        if case .planAgain? = steps.first {
            // Until the claim an older driver's task could still seal a part of the plan that is to be replaced.
            steps = try RecoveryPlan.decide(
                facts(
                    sink: sink, identity: identity, partitions: partitions, positions: positions, open: open,
                    starts: starts))
        }
        try checkParts(partitions)

        var begun = Begun(positions: positions, ends: ends, topicIDs: topicIDs)
        for step in steps {
            switch step {
            case .resume, .confirmAll: break
            case .startFromSetting:
                begun.positions = try startPositions(partitions, starts: starts, ends: ends)
            case .startFromKafka(let committed):
                var initial = committed
                for partition in partitions where initial[partition] == nil { initial[partition] = starts[partition] ?? 0 }
                begun.positions = try begin(at: initial)
            case .jump(let jump):
                try carryOut(jump, &begun)
            case .finish(let plan):
                begun.openPlan = plan
            case .planAgain(let plan):
                let again = loop.planAgain(plan)
                try catalog.replacePlan(again)
                Log.notice(
                    "batch planned again", [("job", job.record.name), ("batch.id", "\(plan.batch)"), ("why", "build or settings changed; no part was sealed")])
                begun.openPlan = again
            case .decideAgain:
                begun.decidesAgain = true
            }
        }
        if acceptsTopic {
            if open == nil {
                try acceptTopic(&begun)
            } else {
                // A jump stands between batches.
                begun.decidesAgain = true
            }
        }
        let sealed = try sink.sealedBatches(identity).filter { $0.value >= open?.batch ?? .max }
        begun.sealedParts = Set(sealed.keys)
        try acceptOrRefuseLoss(&begun, starts: starts, isUnsealed: sealed.isEmpty)
        try addNewPartitions(&begun, partitions, starts: starts)
        try checkTails(begun.positions)
        if steps.contains(.confirmAll) { confirmAll(begun.positions, after: last) }
        return begun
    }

    /// Without an exchange part p is partition p of the input: a sink with fewer parts has no place for the last ones.
    private func checkParts(_ partitions: [TopicPartition]) throws {
        guard let parts = loop.fixedParts, !job.isStateful, partitions.count > parts else { return }
        throw Failure(
            .sinkMismatch, "\(job.settings.sink) has \(parts) partitions and \(job.settings.topic) has \(partitions.count)",
            why: "job \(job.record.name) writes what it reads from partition p to partition p",
            now: "give the output topic at least \(partitions.count) partitions, then start the job again")
    }

    /// Once a person has accepted them, the positions are the group's, too: the next start finds nothing moved.
    private func confirmAll(_ positions: [TopicPartition: PartitionPosition], after batch: BatchNumber) {
        do {
            try loop.queries.commit(
                group: job.group, positions: positions.mapValues(\.position),
                mark: OffsetMark(batch: batch, epoch: loop.epoch))
        } catch {
            Log.warning(
                "accepted positions not written to Kafka",
                [("group", job.group), ("why", failure(error).description), ("then", "the next batch sends them")])
        }
    }

    // MARK: facts

    private func facts(
        sink: any Sink, identity: SinkIdentity, partitions: [TopicPartition],
        positions: [TopicPartition: PartitionPosition], open: BatchPlan?, starts: [TopicPartition: Int64]
    ) throws -> RecoveryPlan.Facts {
        var committed: [TopicPartition: RecoveryPlan.Committed] = [:]
        if job.record.kind == .live {
            for (partition, entry) in try loop.queries.committed(group: job.group, partitions) {
                let isRecorded = try positions[partition] != nil
                    && catalog.isRecordedEnd(jobID, partition, offset: entry.offset)
                committed[partition] = .init(offset: entry.offset, metadata: entry.metadata, isRecorded: isRecorded)
            }
        }
        let owner = try sink.owner(job: job.record.name)
        var sealed: [Int: BatchNumber] = [:]
        if open != nil { sealed = try sink.sealedBatches(identity) }
        var facts = RecoveryPlan.Facts(
            job: job.record.name, jobID: jobID, isStateful: job.isStateful, group: job.group, sinkOwner: owner,
            positions: positions.mapValues(\.position), committed: committed, openPlan: open,
            sealed: sealed, buildDigest: loop.buildDigest, settingsDigest: job.settingsDigest,
            planDigest: job.graph.digest, adopt: loop.options.adopt, offsets: loop.options.offsets)
        facts.replacesRows = sinkReplacesRows(address: job.settings.sink, table: job.graph.sink)
        if let target = OffsetJump.needsVersion(facts) {
            let store = try StateStore(address: job.settings.state)
            facts.version = try catalog.version(jobID, atOrBefore: target, starts: starts) { manifest in
                try isKept(manifest, in: store)
            }
        }
        return facts
    }

    /// Whether every file that the manifest names is still there.
    private func isKept(_ manifest: StateManifest, in store: StateStore) throws -> Bool {
        let folder = store.folder(jobID)
        return try manifest.entries.lazy.flatMap(\.files).allSatisfy { file in
            guard file.inline else { return FileManager.default.fileExists(atPath: folder + "/" + file.name) }
            return try catalog.inlineState(jobID, name: file.name) != nil
        }
    }

    /// The topic is still the one that the log knows: by id where the client can tell it, by its end always.
    /// - Returns: its id, and whether it is another one than the log's and accepted all the same.
    private func checkTopic(
        _ positions: [TopicPartition: PartitionPosition], partitions: [TopicPartition], ends: [TopicPartition: Int64]
    ) throws -> ([String: String], Bool) {
        let topic = job.settings.topic
        var ids: [String: String] = [:]
        if let id = try loop.queries.topicID(of: topic) { ids[topic] = id }
        let last = try catalog.lastDone(jobID)
        let accepted = try catalog.jumps(jobID).last { $0.topic == topic && $0.topicID != nil }
        var known = last?.plan.topicIDs[topic]
        if let accepted, accepted.afterBatch >= last?.plan.batch ?? 0 { known = accepted.topicID }
        var isAnother = false
        if let known, let now = ids[topic], known != now {
            guard loop.options.acceptTopic else {
                throw recreated(
                    "topic \(topic) was recreated", "its id is \(now), the log up to batch \(last?.plan.batch ?? 0) read \(known)")
            }
            try TopicAcceptance.check(
                topic: topic, positions: Array(positions.values), ends: ends, tails: try tails(positions))
            isAnother = true
        }
        for (partition, position) in positions {
            guard let end = ends[partition] else {
                throw recreated("\(partition) is not there any more", "the log stands at \(position.position) in it")
            }
            if end < position.position {
                throw recreated(
                    "\(partition) ends at \(end), before the position \(position.position) of the log",
                    "the topic was recreated or truncated")
            }
        }
        return (ids, isAnother)
    }

    /// What lies at the offsets of the last records that the log remembers.
    private func tails(_ positions: [TopicPartition: PartitionPosition]) throws -> [TopicPartition: TopicAcceptance.Tail] {
        var tails: [TopicPartition: TopicAcceptance.Tail] = [:]
        for (partition, position) in positions.sorted(by: { $0.key < $1.key }) {
            guard let offset = position.tailOffset, let hash = position.tailHash else { continue }
            let found = try TailRecord.hash(job.settings.kafka, partition, offset: offset)
            tails[partition] = found.map { hexadecimal($0) == hash ? .equal : .different } ?? .gone
        }
        return tails
    }

    /// Writes down that the log goes on in a topic with another id: a jump to the same offset. Its leaders count anew.
    private func acceptTopic(_ begun: inout Begun) throws {
        guard let id = begun.topicIDs[job.settings.topic],
            let (partition, first) = begun.positions.min(by: { $0.key < $1.key })
        else { return }
        for partition in begun.positions.keys { begun.positions[partition]!.leaderEpoch = nil }
        let jump = Jump(
            jobID: jobID, flag: "--accept-topic", topic: partition.topic, partition: partition.partition,
            oldPosition: first.position, newPosition: first.position, topicID: id)
        let positions = begun.positions.values.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
        try catalog.recordJump([jump], epoch: loop.epoch, newPositions: positions)
        Log.notice("topic accepted", [("job", job.record.name), ("topic", partition.topic), ("id", id)])
    }

    private func recreated(_ what: String, _ why: String) -> Failure {
        Failure(
            .topicRecreated, what, why: why,
            now: "nothing was read; if it is the same topic on another cluster start with --accept-topic, which compares the last records; to read the new one run the job under another --name")
    }

    /// The last record that each partition delivered still has the content that the log remembers (protocol 6).
    private func checkTails(_ positions: [TopicPartition: PartitionPosition]) throws {
        for (partition, position) in positions.sorted(by: { $0.key < $1.key }) {
            guard let offset = position.tailOffset, let hash = position.tailHash else { continue }
            guard let found = try TailRecord.hash(job.settings.kafka, partition, offset: offset) else {
                Log.warning(
                    "tail record is gone",
                    [("job", job.record.name), ("partition", partition.description), ("offset", "\(offset)"), ("means", "retention or compaction took it; nothing is proved")])
                continue
            }
            guard hexadecimal(found) != hash else { continue }
            throw recreated(
                "\(partition) holds another record at \(offset) than the log remembers",
                "the topic was recreated or truncated and written again")
        }
    }

    // MARK: steps

    private func startPositions(
        _ partitions: [TopicPartition], starts: [TopicPartition: Int64], ends: [TopicPartition: Int64]
    ) throws -> [TopicPartition: PartitionPosition] {
        if let given = loop.options.starts { return try begin(at: given) }
        let from = job.settings.from
        switch from {
        case "earliest": return try begin(at: starts)
        case "latest": return try begin(at: ends)
        default:
            let millis: Int64
            if from.hasPrefix("-"), let ago = parseDuration(String(from.dropFirst())) {
                millis = wallMillis() - ago
            } else if let time = parseTime(from) {
                millis = time
            } else {
                throw Failure(
                    .invalidSetting, "setting from cannot be `\(from)`", why: "it is no time",
                    now: "use earliest, latest, a time like 2026-03-01T12:00:00Z or a time ago like -10m")
            }
            var found = try loop.queries.offsets(atTimeMillis: millis, partitions)
            for partition in partitions where found[partition] == nil { found[partition] = ends[partition] ?? 0 }
            return try begin(at: found)
        }
    }

    /// - Parameter foundMillis: the batch time at which partitions were found that the job did not begin with.
    private func begin(
        at offsets: [TopicPartition: Int64], foundMillis: Int64? = nil
    ) throws -> [TopicPartition: PartitionPosition] {
        let positions = offsets.map {
            PartitionPosition(
                topic: $0.key.topic, partition: $0.key.partition, position: $0.value, foundMillis: foundMillis)
        }
        try catalog.startAt(jobID, epoch: loop.epoch, positions: positions)
        return Dictionary(
            uniqueKeysWithValues: positions.map { (TopicPartition(topic: $0.topic, partition: $0.partition), $0) })
    }

    /// Writes the jump down and stands behind it.
    private func carryOut(_ jump: OffsetJump, _ begun: inout Begun) throws {
        let after = jump.after(begun.positions.values.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) },
            latenessMillis: job.settings.latenessMillis)
        for position in after {
            begun.positions[TopicPartition(topic: position.topic, partition: position.partition)] = position
        }
        begun.version = jump.version
        for line in jump.says { Log.warning("offsets of Kafka taken", [("job", job.record.name), ("what", line)]) }
        if jump.moves.isEmpty { return }
        try record(jump.moves.map { ($0.partition, $0.from, $0.to) }, flag: "--offsets kafka", positions: after)
    }

    private func record(
        _ moves: [(TopicPartition, Int64, Int64)], flag: String, positions: [PartitionPosition],
        replacing plan: BatchPlan? = nil
    ) throws {
        let jumps = moves.map { partition, old, new in
            Jump(
                jobID: jobID, flag: flag, topic: partition.topic, partition: partition.partition, oldPosition: old,
                newPosition: new)
        }
        try catalog.recordJump(jumps, epoch: loop.epoch, newPositions: positions, replacing: plan)
        for jump in jumps {
            Log.notice(
                "position moved",
                [("job", job.record.name), ("partition", "\(jump.topic)/\(jump.partition)"), ("from", "\(jump.oldPosition)"), ("to", "\(jump.newPosition)"), ("flag", flag)])
        }
    }

    /// Records that retention deleted before they were read: refused by name and number, or accepted with a jump row.
    private func acceptOrRefuseLoss(
        _ begun: inout Begun, starts: [TopicPartition: Int64], isUnsealed: Bool
    ) throws {
        let lost = begun.positions.values.compactMap { position -> (TopicPartition, Int64, Int64)? in
            let partition = TopicPartition(topic: position.topic, partition: position.partition)
            guard let start = starts[partition], start > position.position else { return nil }
            return (partition, position.position, start)
        }.sorted { $0.0 < $1.0 }
        guard !lost.isEmpty else { return }
        guard loop.options.acceptLoss else {
            let count = lost.reduce(0) { $0 + $1.2 - $1.1 }
            throw Failure(
                .offsetsGone, "\(count) offsets that job \(job.record.name) has not read are deleted",
                why: lost.map { "\($0.0) [\($0.1), \($0.2))" }.joined(separator: ", ")
                    + " went by retention or by hand; the log stands before them",
                now: "--accept-loss goes on behind them and writes the loss down as a jump that `sluice audit` lists")
        }
        var after: [PartitionPosition] = []
        for (partition, _, start) in lost {
            begun.positions[partition]!.position = start
            after.append(begun.positions[partition]!)
        }
        guard let open = begun.openPlan else {
            try record(lost, flag: "--accept-loss", positions: after)
            return
        }
        // Rows of the open batch that are already in the sink came from records that cannot be read again.
        guard isUnsealed else {
            throw Failure(
                .notPossible, "batch \(open.batch) of job \(job.record.name) cannot be finished any more",
                why: "some of its parts are in the sink and records of its ranges are deleted, so it cannot be computed again",
                now: "run the job under another --name from where the topic starts now")
        }
        var plan = loop.planAgain(open)
        plan.ranges = plan.ranges.compactMap { range in
            var range = range
            range.from = max(range.from, starts[range.topicPartition] ?? range.from)
            return range.isEmpty ? nil : range
        }
        plan.taskCounts[0] = plan.ranges.count
        try record(lost, flag: "--accept-loss", positions: after, replacing: plan)
        begun.openPlan = plan
    }

    /// Partitions that the log does not know start at their earliest offset, through the log.
    private func addNewPartitions(_ begun: inout Begun, _ partitions: [TopicPartition], starts: [TopicPartition: Int64]) throws {
        guard job.record.kind == .live else { return }
        let new = partitions.filter { begun.positions[$0] == nil }
        guard !new.isEmpty else { return }
        let added = Dictionary(uniqueKeysWithValues: new.map { ($0, starts[$0] ?? 0) })
        begun.positions.merge(try begin(at: added, foundMillis: wallMillis())) { $1 }
    }
}
