// One part of a Kafka sink: its producer from batch to batch, and what its marker says. Carries out what `TopicRound` decides.
//
// While the producer lives, the marker in memory is what stands, unless another worker has had the part since: that has fenced
// us, and a fenced producer cannot commit. So a marker in memory lets a batch be written or recognised, and refuses none. Any
// trouble (fenced, a commit without an answer, a marker that is not there) ends in the same three steps as a start: a new
// producer takes the id, the marker is read, the batch is written or recognised.
//
// Used by one thread at a time, on `thread`.

final class TopicPartWriter: @unchecked Sendable {
    let thread: WorkThread
    private let partition: TopicPartition
    private let queries: OffsetQueries
    private let settings: TopicSinkSettings
    private let encoder: TopicRowEncoder
    private let table: SinkTable
    private var held: (producer: PartitionTransactions, id: JobID, epoch: Epoch, marker: TopicMarker?)?

    init(_ partition: TopicPartition, table: SinkTable, settings: TopicSinkSettings, queries: OffsetQueries) throws {
        self.partition = partition
        self.queries = queries
        self.settings = settings
        self.table = table
        encoder = try TopicRowEncoder(table, settings)
        thread = WorkThread("topic \(partition)")
    }

    private var part: Int { Int(partition.partition) }
    private var place: String { "kafka:\(partition.topic)" }

    /// Writes the rows and marker `batch`, unless the marker says that they are there.
    func seal(
        _ identity: SinkIdentity, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed {
        if rows.contains(where: \.isDelete) { throw SinkRefusal.deletes(table, place) }
        return Sealed(try carryOut(.seal(batch: batch, digest: digest, after: after), identity, rows: rows))
    }

    /// Takes the part over and writes `wanted`, with the batch that is really there by then.
    func claim(_ identity: SinkIdentity, _ wanted: TopicMarker, adopt: Bool) throws {
        _ = try carryOut(.claim(wanted, adopt: adopt), identity, rows: [])
        held = nil
    }

    private func carryOut(_ order: TopicRound.Order, _ identity: SinkIdentity, rows: [Chunk]) throws -> SealOutcome {
        var round = TopicRound(order, identity, part: part, place: place)
        var step = TopicRound.Step.open
        do {
            while true {
                do {
                    switch step {
                    case .open:
                        let (marker, isRemembered) = try opened(identity)
                        step = round.opened(marker, isRemembered: isRemembered)
                        if case .open = step { inDoubt(identity, "the marker is not the one that this worker wrote last") }
                    case .write(let marker):
                        try write(rows, marker, identity, isFirstRound: round.number == 1)
                        step = round.written()
                    case .look:
                        step = round.looked(try lookBack(identity))
                        if case .open = step { inDoubt(identity, "a commit was answered and its marker is not there") }
                    case .done(let outcome, let marker):
                        held?.marker = marker
                        return outcome
                    case .missing: throw missing(identity)
                    case .fail(let reason): throw reason
                    }
                } catch let trouble as TransactionTrouble {
                    step = round.troubled(trouble.failure)
                    if case .open = step { inDoubt(identity, trouble.failure.why) }
                }
            }
        } catch {
            drop()
            throw error
        }
    }

    private func write(_ rows: [Chunk], _ marker: TopicMarker, _ identity: SinkIdentity, isFirstRound: Bool) throws {
        guard let producer = held?.producer else { preconditionFailure("a transaction is begun before its id is taken") }
        try producer.begin()
        for chunk in rows where chunk.selectedCount > 0 { try encoder.encode(chunk, to: producer) }
        try producer.stored()
        // Saves the time limit of the next call; in a later round that limit alone decides.
        if isFirstRound && producer.hasLostConnection { throw producer.lostConnection }
        try producer.send(
            KafkaPosition(partition, offset: marker.batch, metadata: marker.metadata), group: TopicMarkerGroup.name(identity))
        Failpoint.reach("topic-written")
        try producer.commit()
        Failpoint.reach("topic-committed")
    }

    /// The marker behind a commit. A coordinator that does not tell it leaves the commit in doubt.
    private func lookBack(_ identity: SinkIdentity) throws -> TopicMarker? {
        do {
            return try marker(identity)
        } catch let failure as Failure where failure.code == .kafkaTransient { throw TransactionTrouble(failure: failure) }
    }

    private func inDoubt(_ identity: SinkIdentity, _ why: String) {
        drop()
        Log.notice(
            "transaction in doubt",
            [("partition", "\(partition)"), ("job", identity.job), ("why", why), ("then", "its marker is read again")])
    }

    private func drop() {
        held?.producer.giveUp()
        held = nil
    }

    /// Holds the part's producer, and tells the marker that stands while it lives.
    private func opened(_ identity: SinkIdentity) throws -> (marker: TopicMarker?, isRemembered: Bool) {
        if let held, held.id == identity.jobID, held.epoch == identity.epoch, !held.producer.hasLostConnection {
            return (held.marker, true)
        }
        held = nil
        let producer = try PartitionTransactions(
            settings.kafka, partition, transactionalID: "sluice.\(identity.jobID).\(table.name).\(part)")
        try producer.open()
        // A coordinator that is only not ready must not look like one with something undecided: this waits for it, or fails.
        _ = try marker(identity, stable: false)
        let found: TopicMarker?
        do {
            found = try marker(identity, patienceMillis: Self.settledMillis)
        } catch let failure as Failure where failure.code == .kafkaTransient {
            // Nothing of it was reported as sealed.
            Log.warning(
                "undecided rows taken back",
                [("partition", "\(partition)"), ("job", identity.job), ("why", failure.why)])
            try producer.takeBack(
                KafkaPosition(partition, offset: 0, metadata: "taken back"), group: TopicMarkerGroup.name(identity))
            found = try marker(identity)
        }
        held = (producer, identity.jobID, identity.epoch, found)
        return (found, false)
    }

    /// What an open transaction of this id comes to is known at once, or Kafka has forgotten it.
    private static let settledMillis: Int32 = 3_000

    /// What everybody may see. Only after a commit or by whoever has just taken the id: an open transaction that a killed
    /// process left would hold us for as long as the broker keeps it.
    private func marker(_ identity: SinkIdentity, stable: Bool = true, patienceMillis: Int32? = nil) throws -> TopicMarker? {
        try Self.markers(
            queries, group: TopicMarkerGroup.name(identity), topic: partition.topic, parts: part..<part + 1, place: place,
            stable: stable, patienceMillis: patienceMillis)[part]
    }

    private func missing(_ identity: SinkIdentity) -> Failure {
        do {
            let partitions = try queries.partitions(of: partition.topic).count
            if part >= partitions {
                return Failure(
                    .sinkMismatch, "\(place) has \(partitions) partitions, and the job has a part \(part)",
                    why: "part p of a job goes to partition p of its output topic",
                    now: "give the topic more partitions (at least \(part + 1)), then start the job again")
            }
        } catch { return failure(error) }
        return Failure(
            .sinkMismatch, "\(place) has no marker of part \(part)",
            why: "the position of group \(TopicMarkerGroup.name(identity)) is gone: it expired, or somebody removed it, "
                + "or the partition is newer than the job's start",
            now: "start the job again: it says what it finds, or makes the marker of a new partition")
    }

    /// The markers of a group; a position that no sink of ours wrote is an error.
    /// - Parameter stable: wait for what open transactions of others come to. Whoever has taken the id has ended them; before
    ///   that, one that a killed process left open would hold us for as long as the broker keeps it.
    static func markers(
        _ queries: OffsetQueries, group: String, topic: String, parts: Range<Int>, place: String, stable: Bool,
        patienceMillis: Int32? = nil
    ) throws -> [Int: TopicMarker] {
        let partitions = parts.map { TopicPartition(topic: topic, partition: Int32($0)) }
        var markers: [Int: TopicMarker] = [:]
        for (partition, position) in try queries.committed(
            group: group, partitions, stable: stable, patienceMillis: patienceMillis)
        {
            guard let marker = TopicMarker(batch: position.offset, metadata: position.metadata) else {
                throw Failure(
                    .sinkMismatch, "cannot read the marker of \(place), part \(partition.partition)",
                    why: "the position of group \(group) was written by somebody else",
                    now: "do not set positions of this group by hand; delete the group if its job is given up")
            }
            markers[Int(partition.partition)] = marker
        }
        return markers
    }
}
