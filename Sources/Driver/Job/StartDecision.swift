// How a job starts, decided from facts alone: where it reads on, which plan it finishes first, and what is written down.
//
// Asked twice. Before the sink is claimed it only has to refuse what must be refused, so that a start that refuses changes
// nothing; behind the claim, which fences every older driver's tasks, it decides again with what the sink holds by then.
// `RecoveryPlan` has the table of the first step; this adds losses by retention, partitions that are new, and the tails.
//
// When changing it: nothing is written that the facts do not ask for; every refusal says what to do now; a write that was
// made and not answered is found in the facts of the next try, and is not made again.

import Engine

/// What a start comes to.
package struct StartDecision: Sendable {
    package var positions: [TopicPartition: PartitionPosition]
    /// To be finished before another is planned.
    package var openPlan: BatchPlan?
    /// Sink parts that hold rows of the open plan already.
    package var sealedParts: Set<Int> = []
    package var writes: [StartWrite] = []
    package var notes: [JobNote] = []
    /// The open plan is finished without being confirmed, then the start is decided once more.
    package var decidesAgain = false
    /// A flag that accepted positions has acted.
    package var usesUpFlags = false
    /// Recorded batches that the sink lacks, to be written before anything else is run.
    package var writesAgain: ClosedRange<BatchNumber>?
    /// The sink is claimed with an empty ledger, because its rows were lost.
    package var claimsAnew = false
    /// What a batch of kind repair shall write; one that only records what was written again has no rows.
    package var repair: (batches: ClosedRange<BatchNumber>, writes: Bool)?
    /// The state to go on from, where a jump led back.
    package var version: KeptVersion?

    private let job: RunningJob
    private let epoch: Epoch
    private let facts: StartFacts
    private let options: LoopOptions
    private var name: String { job.record.name }

    package static func decide(
        _ facts: StartFacts, of job: RunningJob, epoch: Epoch, options: LoopOptions
    ) throws(Failure) -> StartDecision {
        var decision = StartDecision(
            positions: facts.log.positions, job: job, epoch: epoch, facts: facts, options: options)
        try decision.decide()
        return decision
    }

    private init(
        positions: [TopicPartition: PartitionPosition], job: RunningJob, epoch: Epoch, facts: StartFacts, options: LoopOptions
    ) {
        self.positions = positions
        self.job = job
        self.epoch = epoch
        self.facts = facts
        self.options = options
    }

    private mutating func decide() throws(Failure) {
        let otherTopics = try checkTopics()
        let steps = try RecoveryPlan.decide(facts.recovery(of: job, options: options))
        try decideSink()
        try checkParts()
        try checkKeyGroups()
        for step in steps { carryOut(step) }
        if !otherTopics.isEmpty {
            // A jump stands between batches.
            if openPlan == nil { for topic in otherTopics.sorted() { accept(topic) } } else { decidesAgain = true }
        }
        if let open = facts.log.openPlan { sealedParts = Set(facts.sealed.filter { $0.value >= open.batch }.keys) }
        try leaveOutCrashing()
        try acceptOrRefuseLoss()
        if options.resetTime, openPlan != nil { decidesAgain = true }
        recordTimeReset()
        addNewPartitions()
        try checkTails()
        if steps.contains(.confirmAll) {
            writes.append(.confirmAll(positions.mapValues(\.position), after: facts.log.lastDone?.plan.batch ?? 0))
            usesUpFlags = true
        }
    }

    private mutating func carryOut(_ step: RecoveryPlan.Step) {
        switch step {
        case .resume, .confirmAll: break
        case .startFromSetting: begin(at: options.starts ?? facts.from)
        case .startFromKafka(let committed):
            var initial = committed
            for partition in facts.partitions where initial[partition] == nil {
                initial[partition] = facts.starts[partition] ?? 0
            }
            begin(at: initial)
        case .jump(let jump): carryOut(jump)
        case .finish(let plan): openPlan = plan
        case .planAgain(let plan):
            var again = job.again(plan, epoch: epoch, fixedParts: facts.fixedParts, seals: facts.log.seals)
            again.with = options.once
            writes.append(.replacePlan(again))
            openPlan = again
            say(
                .notice, "batch planned again",
                [("batch.id", "\(plan.batch)"), ("why", "build or settings changed; no part was sealed")])
        case .decideAgain: decidesAgain = true
        }
    }

    // MARK: checks

    /// The topic is still the one that the log knows: by id where the client can tell it, by its end always.
    /// - Returns: the topics whose id is another one than the log's and accepted all the same.
    private func checkTopics() throws(Failure) -> Set<String> {
        var others: Set<String> = []
        for topic in job.settings.topics where try checkTopic(topic) { others.insert(topic) }
        for (partition, position) in positions.sorted(by: { $0.key < $1.key }) {
            guard let end = facts.ends[partition] else {
                throw recreated("\(partition) is not there any more", "the log stands at \(position.position) in it")
            }
            if end < position.position {
                throw recreated(
                    "\(partition) ends at \(end), before the position \(position.position) of the log",
                    "the topic was recreated or truncated")
            }
        }
        return others
    }

    private func checkTopic(_ topic: String) throws(Failure) -> Bool {
        let last = facts.log.lastDone?.plan
        let accepted = facts.log.jumps.last { $0.topic == topic && $0.topicID != nil }
        // Before the first batch is done, the one that is planned is all that knows.
        var known = last?.topicIDs[topic] ?? facts.log.openPlan?.topicIDs[topic]
        if let accepted, accepted.afterBatch >= last?.batch ?? 0 { known = accepted.topicID }
        var isAnother = false
        if let known, let now = facts.topicIDs[topic], known != now {
            guard options.acceptTopic else {
                throw recreated(
                    "topic \(topic) was recreated",
                    "its id is \(now), the log up to batch \(last?.batch ?? facts.log.openPlan?.batch ?? 0) knows \(known)")
            }
            try TopicAcceptance.check(
                topic: topic, positions: positions.values.filter { $0.topic == topic }.sorted { $0.topicPartition < $1.topicPartition }, ends: facts.ends,
                tails: comparedTails)
            isAnother = true
        }
        return isAnother
    }

    /// What lies at the offsets of the last records that the log remembers.
    private var comparedTails: [TopicPartition: TopicAcceptance.Tail] {
        var tails: [TopicPartition: TopicAcceptance.Tail] = [:]
        for (partition, position) in facts.log.positions {
            guard let hash = position.tailHash, let found = facts.tails[partition] else { continue }
            tails[partition] = found.map { $0 == hash ? .equal : .different } ?? .gone
        }
        return tails
    }

    /// Writes down that the log goes on in a topic with another id: a jump to the same offset. Its leaders count anew.
    private mutating func accept(_ topic: String) {
        let own = positions.filter { $0.key.topic == topic }
        guard let id = facts.topicIDs[topic], let (partition, first) = own.min(by: { $0.key < $1.key }) else { return }
        for partition in own.keys { positions[partition]?.leaderEpoch = nil }
        let jump = Jump(
            jobID: job.record.jobID, flag: "--accept-topic", topic: partition.topic, partition: partition.partition,
            oldPosition: first.position, newPosition: first.position, topicID: id)
        writes.append(.jump([jump], positions.values.sorted { $0.topicPartition < $1.topicPartition }, replacing: nil))
        say(.notice, "topic accepted", [("topic", partition.topic), ("id", id)])
    }

    /// The last record that each partition delivered still has the content that the log remembers (protocol 6).
    private mutating func checkTails() throws(Failure) {
        for (partition, position) in facts.log.positions.sorted(by: { $0.key < $1.key }) {
            guard let offset = position.tailOffset, let hash = position.tailHash, let found = facts.tails[partition],
                positions[partition]?.tailOffset == offset
            else { continue }
            guard let found else {
                say(
                    .warning, "tail record is gone",
                    [
                        ("partition", partition.description), ("offset", "\(offset)"),
                        ("means", "retention or compaction took it; nothing is proved"),
                    ])
                continue
            }
            guard found != hash else { continue }
            throw recreated(
                "\(partition) holds another record at \(offset) than the log remembers",
                "the topic was recreated or truncated and written again")
        }
    }

    /// Who sealed had an equal answer that was no older than a second: no other batch can have read another topic.
    private func recreated(_ what: String, _ why: String) -> Failure {
        let suspects = facts.log.lastDone.map { "; batch \($0.plan.batch), and what was DONE within a second before it, may have read it: compare them" } ?? ""
        return Failure(
            .topicRecreated, what, why: why,
            now:
                "nothing was read now\(suspects); if it is the same topic on another cluster start with --accept-topic, which compares the last records; to read the new one run the job under another --name"
        )
    }

    /// What the sink lacks is written again by the batches themselves, where they can still run; else it is refused (protocol 1).
    private mutating func decideSink() throws(Failure) {
        guard let sink = facts.sink else { return }
        guard let order = options.repair else {
            if let refusal = sink.refusal { throw refusal }
            switch SinkVerdict.decide(sink) {
            case .runAgain(let batches): writesAgain = batches
            case .writeAnew(let batches):
                claimsAnew = true
                writesAgain = batches
            case .begin, .goOn, .refuse: break
            }
            return
        }
        switch try RepairPlan.decide(sink, order, isTopic: sinkTopic(job.settings.sink) != nil) {
        case .nothing: break
        case .runAgain(let batches):
            writesAgain = batches
            repair = (batches, false)
        case .writeAnew(let batches):
            claimsAnew = true
            writesAgain = batches
            repair = (batches, false)
        case .rewrite(let batches): repair = (batches, true)
        }
    }

    /// Without an exchange part p is partition p of the input: a sink with fewer parts has no place for the last ones.
    private func checkParts() throws(Failure) {
        guard let parts = facts.fixedParts, !job.isStateful, facts.partitions.count > parts else { return }
        throw Failure(
            .sinkMismatch, "\(job.settings.sink) has \(parts) partitions and \(job.settings.topic) has \(facts.partitions.count)",
            why: "job \(name) writes what it reads from partition p to partition p",
            now: "give the output topic at least \(facts.partitions.count) partitions, then start the job again")
    }

    /// State that is kept in another number of key groups is rehashed by the first batch, unless the sink has keys where those
    /// groups put them: readers of the topic would find one key in two partitions.
    private func checkKeyGroups() throws(Failure) {
        guard job.isStateful, sinkTopic(job.settings.sink) != nil else { return }
        let state = facts.log.lastDone?.outcome?.state
        let kept = (facts.log.openPlan ?? facts.log.lastDone?.plan).map { state?.keyGroups ?? $0.keyGroups }
        guard let kept, kept != job.settings.keyGroups else { return }
        throw Failure(
            .sinkMismatch, "job \(name) has its state in \(kept) key groups and is to have \(job.settings.keyGroups)",
            why: "the partitions of \(maskedAddress(job.settings.sink)) follow the key groups: a key would go on in another partition than before",
            now: "start it with --set key_groups=\(kept), or under another --name with another topic")
    }

    // MARK: steps

    /// - Parameter foundMillis: the batch time at which partitions were found that the job did not begin with.
    private mutating func begin(at offsets: [TopicPartition: Int64], foundMillis: Int64? = nil) {
        let begun = offsets.sorted { $0.key < $1.key }.map {
            PartitionPosition(
                topic: $0.key.topic, partition: $0.key.partition, position: $0.value, foundMillis: foundMillis)
        }
        guard !begun.isEmpty else { return }
        writes.append(.startAt(begun))
        for position in begun { positions[position.topicPartition] = position }
    }

    /// Writes the jump down and stands behind it.
    private mutating func carryOut(_ jump: OffsetJump) {
        let after = jump.after(
            positions.values.sorted { $0.topicPartition < $1.topicPartition }, latenessMillis: job.settings.latenessMillis)
        for position in after { positions[position.topicPartition] = position }
        version = jump.version
        for line in jump.says { say(.warning, "offsets of Kafka taken", [("what", line)]) }
        if !jump.moves.isEmpty {
            record(jump.moves.map { ($0.partition, $0.from, $0.to) }, flag: "--offsets kafka", positions: after)
        }
    }

    private mutating func record(
        _ moves: [(TopicPartition, Int64, Int64)], flag: String, positions: [PartitionPosition],
        replacing plan: BatchPlan? = nil
    ) {
        let jumps = moves.map { partition, old, new in
            Jump(
                jobID: job.record.jobID, flag: flag, topic: partition.topic, partition: partition.partition, oldPosition: old,
                newPosition: new)
        }
        writes.append(.jump(jumps, positions, replacing: plan))
        for jump in jumps {
            say(
                .notice, "position moved",
                [
                    ("partition", "\(jump.topic)/\(jump.partition)"), ("from", "\(jump.oldPosition)"),
                    ("to", "\(jump.newPosition)"), ("flag", flag),
                ])
        }
    }

    /// Records that retention deleted before they were read: refused by name and number, or accepted with a jump row.
    private mutating func acceptOrRefuseLoss() throws(Failure) {
        let lost = positions.values.compactMap { position -> (TopicPartition, Int64, Int64)? in
            let partition = position.topicPartition
            guard let start = facts.starts[partition], start > position.position else { return nil }
            return (partition, position.position, start)
        }.sorted { $0.0 < $1.0 }
        guard !lost.isEmpty else { return }
        guard options.acceptLoss else {
            let count = lost.reduce(0) { $0 + $1.2 - $1.1 }
            throw Failure(
                .offsetsGone, "\(count) offsets that job \(name) has not read are deleted",
                why: lost.map { "\($0.0) [\($0.1), \($0.2))" }.joined(separator: ", ")
                    + " went by retention or by hand; the log stands before them",
                now: "--accept-loss goes on behind them and writes the loss down as a jump that `sluice audit` lists")
        }
        var after: [PartitionPosition] = []
        for (partition, _, start) in lost {
            positions[partition]?.position = start
            if let position = positions[partition] { after.append(position) }
        }
        guard let open = openPlan else {
            record(lost, flag: "--accept-loss", positions: after)
            return
        }
        // Rows of the open batch that are already in the sink came from records that cannot be read again.
        guard sealedParts.isEmpty else {
            throw Failure(
                .notPossible, "batch \(open.batch) of job \(name) cannot be finished any more",
                why: "some of its parts are in the sink and records of its ranges are deleted, so it cannot be computed again",
                now: "run the job under another --name from where the topic starts now")
        }
        var plan = job.again(open, epoch: epoch, fixedParts: facts.fixedParts, seals: facts.log.seals)
        plan.ranges = plan.ranges.compactMap { range in
            var range = range
            range.from = max(range.from, facts.starts[range.topicPartition] ?? range.from)
            return range.isEmpty ? nil : range
        }
        plan.taskCounts[0] = plan.ranges.count
        // The plan that was only planned again is replaced once, by this one.
        writes.removeAll { if case .replacePlan = $0 { true } else { false } }
        record(lost, flag: "--accept-loss", positions: after, replacing: plan)
        openPlan = plan
    }

    /// The open batch without the records that end whoever reads them: written down before it runs so (protocol 3).
    private mutating func leaveOutCrashing() throws(Failure) {
        guard let open = openPlan else { return }
        let known = open.excluded ?? []
        let crashing = options.excluded.filter { range in
            !known.contains(range) && open.ranges.contains { $0.topicPartition == range.topicPartition && $0.from <= range.from && range.until <= $0.until }
        }
        guard !crashing.isEmpty else { return }
        // Rows of it that are in the sink were computed with these records, by whatever build that could.
        guard sealedParts.isEmpty else {
            throw Failure(
                .recordCrash, "batch \(open.batch) of job \(name) cannot go on without \(crashing.count) of its records",
                why: "some of its parts are in the sink already, computed with them, and they end every worker that reads them now",
                now: "start the build that sealed those parts once (`sluice run ... --until-caught-up`)")
        }
        var plan = job.again(open, epoch: epoch, fixedParts: facts.fixedParts, seals: facts.log.seals)
        plan.excluded = (known + crashing).sorted { ($0.topicPartition, $0.from) < ($1.topicPartition, $1.from) }
        // The plan that was only planned again is replaced once, by this one.
        writes.removeAll { if case .replacePlan = $0 { true } else { false } }
        writes.append(.replacePlan(plan))
        openPlan = plan
    }

    /// A batch time that goes back is a jump that moves no position.
    private mutating func recordTimeReset() {
        guard options.resetTime, openPlan == nil, facts.log.lastDone != nil else { return }
        let standing = positions.filter { facts.log.positions[$0.key] != nil }.sorted { $0.key < $1.key }
        record(standing.map { ($0.key, $0.value.position, $0.value.position) }, flag: "--reset-time", positions: standing.map(\.value))
    }

    /// Partitions that the log does not know start at their earliest offset, through the log.
    private mutating func addNewPartitions() {
        guard job.record.kind == .live else { return }
        let new = facts.partitions.filter { positions[$0] == nil }
        begin(
            at: Dictionary(uniqueKeysWithValues: new.map { ($0, facts.starts[$0] ?? 0) }),
            foundMillis: positions.isEmpty ? nil : facts.wallMillis)
    }

    private mutating func say(_ level: Log.Level, _ what: StaticString, _ details: [(String, String)]) {
        notes.append(.say(level, what, [("job", name)] + details))
    }
}

extension RunningJob {
    /// The same ranges under this build, these settings and this epoch.
    func again(_ plan: BatchPlan, epoch: Epoch, fixedParts: Int?, seals: [SealMark]) -> BatchPlan {
        var again = plan
        again.epoch = epoch
        again.buildDigest = buildDigest
        again.settingsDigest = settingsDigest
        again.planDigest = graph.digest
        again.schemaDigest = schemaDigest
        again.lookups = lookups
        // The number of key groups stays the plan's, whatever the settings say by now: it is that of the state before it.
        let parts = graph.parts(fixedParts ?? plan.taskCounts.last ?? 1, keyGroups: plan.kind == .rehash ? settings.keyGroups : plan.keyGroups)
        if plan.kind == .rehash { again.keyGroups = settings.keyGroups }
        again.taskCounts = graph.hasExchange ? [plan.ranges.count, parts] : [plan.ranges.count]
        again.predecessors = predecessors(of: again, seals)
        return again
    }

    /// What the ledger must hold of each part that the plan may seal.
    func predecessors(of plan: BatchPlan, _ seals: [SealMark]) -> [SealMark] {
        guard !seals.isEmpty else { return [] }
        if plan.kind == .repair { return seals.filter { $0.part == BatchPlan.repairPart } }
        let parts =
            graph.hasExchange
            ? Set(0..<(plan.taskCounts.last ?? 0)) : Set(plan.ranges.map { Int($0.partition) })
        return seals.filter { parts.contains($0.part) }
    }
}

extension StartFacts {
    /// The part that `RecoveryPlan` decides by.
    package func recovery(of job: RunningJob, options: LoopOptions) -> RecoveryPlan.Facts {
        var recovery = RecoveryPlan.Facts(
            job: job.record.name, jobID: job.record.jobID, isStateful: job.isStateful, group: job.group, sinkOwner: sinkOwner,
            positions: log.positions.mapValues(\.position), committed: committed, openPlan: log.openPlan, sealed: sealed,
            buildDigest: job.buildDigest, settingsDigest: job.settingsDigest, planDigest: job.graph.digest,
            adopt: options.adopt, offsets: options.offsets)
        recovery.replacesRows = sinkReplacesRows(address: job.settings.sink, table: job.graph.sink)
        recovery.version = version
        return recovery
    }
}
