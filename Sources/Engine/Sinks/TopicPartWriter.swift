// One part of a Kafka sink: its producer from batch to batch, what its marker says, and the way back after an error.
//
// While the producer lives, the marker in memory is the truth: nobody else can have moved it without fencing us, and a
// fenced producer cannot commit. A batch counts as sealed when its marker has been read back. Any trouble (fenced, a commit
// without an answer, a marker that is not there) ends in the same three steps as a start: a new producer takes the id, the
// marker is read, the batch is written or recognised. Some rounds of that are made here; then the driver decides.
//
// Used by one thread at a time, on `thread`.

final class TopicPartWriter: @unchecked Sendable {
    let thread: WorkThread
    private let partition: TopicPartition
    private let queries: OffsetQueries
    private let settings: TopicSinkSettings
    private let encoder: TopicRowEncoder
    private let sink: String
    private var held: (producer: PartitionTransactions, id: JobID, epoch: Epoch, marker: TopicMarker?)?

    /// Two attempts at one part fence each other in turn for a while.
    private static let mostRounds = 4

    init(_ partition: TopicPartition, table: SinkTable, settings: TopicSinkSettings, queries: OffsetQueries) throws {
        self.partition = partition
        self.queries = queries
        self.settings = settings
        sink = table.name
        encoder = try TopicRowEncoder(table, settings)
        thread = WorkThread("topic \(partition)")
    }

    private var part: Int { Int(partition.partition) }
    private var place: String { "kafka:\(partition.topic)" }

    /// Writes the rows and marker `batch`, unless the marker says that they are there.
    func seal(
        _ identity: SinkIdentity, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed {
        try rounds(identity) { producer, found, round in
            guard let found else { throw missing(identity) }
            switch try found.step(
                identity, part: part, batch: batch, digest: digest, after: after, place: place)
            {
            case .alreadySealed: return (.alreadySealed, found)
            case .write: break
            }
            var marker = found
            marker.batch = batch
            marker.digest = digest
            try transaction(producer, identity, marker, isFirstRound: round == 1) {
                for chunk in rows where chunk.selectedCount > 0 { try encoder.encode(chunk, to: producer) }
            }
            return (.written, marker)
        }
    }

    /// Takes the part over and writes `wanted`, with the batch that is really there by then.
    func claim(_ identity: SinkIdentity, _ wanted: TopicMarker, adopt: Bool) throws {
        try rounds(identity) { producer, found, round in
            var marker = wanted
            if var found {
                if adopt { found.takenBy = nil }
                try found.check(identity, place: place)
                marker.batch = found.batch
                marker.digest = found.digest
            }
            try transaction(producer, identity, marker, isFirstRound: round == 1) {}
            return ((), marker)
        }
        held = nil
    }

    private func transaction(
        _ producer: PartitionTransactions, _ identity: SinkIdentity, _ marker: TopicMarker, isFirstRound: Bool,
        rows: () throws -> Void
    ) throws {
        try producer.begin()
        try rows()
        try producer.stored()
        // Saves the time limit of the next call; in a later round that limit alone decides.
        if isFirstRound && producer.hasLostConnection { throw producer.lostConnection }
        try producer.send(
            KafkaPosition(partition, offset: marker.batch, metadata: marker.metadata), group: TopicMarkerGroup.name(identity))
        Failpoint.reach("topic-written")
        try producer.commit()
        Failpoint.reach("topic-committed")
        try confirm(identity, marker)
    }

    /// Whether the marker is there for everybody. Kafka answers a commit when it has decided it, before the partitions
    /// know; if it loses its way in between (KAFKA-20734), the rows are not there, and nobody may have been told so.
    private func confirm(_ identity: SinkIdentity, _ marker: TopicMarker) throws {
        do {
            let found = try self.marker(identity)
            guard found != marker else { return }
            throw TransactionTrouble(
                failure: Failure(
                    .kafkaTransient, "a transaction on \(partition) was committed and is not there",
                    why: found.map { "the marker says batch \($0.batch), epoch \($0.epoch)" } ?? "there is no marker",
                    now: "nothing; another producer takes over"))
        } catch let failure as Failure where failure.code == .kafkaTransient {
            throw TransactionTrouble(failure: failure)
        }
    }

    /// Runs `body` with the part's producer and marker; after trouble, again with new ones.
    private func rounds<Answer>(
        _ identity: SinkIdentity, _ body: (PartitionTransactions, TopicMarker?, Int) throws -> (Answer, TopicMarker)
    ) throws -> Answer {
        var round = 1
        while true {
            do {
                let (producer, marker) = try opened(identity)
                let (answer, left) = try body(producer, marker, round)
                held = (producer, identity.jobID, identity.epoch, left)
                return answer
            } catch let trouble as TransactionTrouble {
                drop()
                guard round < Self.mostRounds else { throw trouble.failure }
                Log.notice(
                    "transaction in doubt",
                    [("partition", "\(partition)"), ("job", identity.job), ("why", trouble.failure.why), ("then", "its marker is read again")])
                round += 1
            } catch {
                drop()
                throw error
            }
        }
    }

    private func drop() {
        held?.producer.giveUp()
        held = nil
    }

    /// The part's producer and the marker that holds while it lives.
    private func opened(_ identity: SinkIdentity) throws -> (PartitionTransactions, TopicMarker?) {
        if let held, held.id == identity.jobID, held.epoch == identity.epoch, !held.producer.hasLostConnection {
            return (held.producer, held.marker)
        }
        held = nil
        let producer = try PartitionTransactions(
            settings.kafka, partition, transactionalID: "sluice.\(identity.jobID).\(sink).\(part)")
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
        return (producer, found)
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
