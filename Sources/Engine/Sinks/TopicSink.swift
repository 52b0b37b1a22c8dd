// Rows into a Kafka topic, each exactly once for readers with `read_committed` (protocol 10).
//
// Part p of every batch goes to partition p of the topic, in one transaction with the part's marker (`TopicMarker`). What
// locks and epochs are to a SQL sink, transactional ids are here: `sluice.<job id>.<sink>.<p>` belongs to one producer at
// a time, and who takes it over ends what the one before left open. So the order is always: take the id, read the
// marker, then write or skip. A claim does that for every part and writes the higher epoch into each marker; a driver
// or worker that was forgotten finds itself fenced, looks, sees the epoch, and stops. It can add nothing.
//
//   seal(part, batch N)                    what is there after a crash
//     take the id, read the marker         nothing of N; an older open transaction was aborted
//     begin, rows, marker N                an open transaction: the next one who takes the id aborts it
//     commit                               sent, not answered: the next one finds marker N-1 or N, and decides by it
//
// Producers stay open from batch to batch, because the first transaction of a producer is the dear one; parts are sealed
// side by side. What readers must do: read with `isolation.level=read_committed`; a reader without it sees the rows
// of aborted attempts too.
//
// When changing it: no path leads from an error to a producer that is used again; the marker is read after the id is
// taken, never before; nothing is begun before the driver says seal.

import Dispatch
import Synchronization

/// What a Kafka sink needs besides its address.
package struct TopicSinkSettings: Sendable {
    package var kafka: KafkaConfiguration
    package var format: RecordFormat
    /// Stands before each Avro value, as a registry gave it.
    package var schemaID: Int32

    package init(kafka: KafkaConfiguration, format: RecordFormat, schemaID: Int32 = 1) {
        // A marker inside an open transaction is none yet, however the job reads its own input.
        self.kafka = kafka.with(isolation: .readCommitted)
        self.format = format
        self.schemaID = schemaID
    }
}

package final class TopicSink: ParallelSink {
    private let topic: String
    private let table: SinkTable
    private let settings: TopicSinkSettings
    private let queries: OffsetQueries
    private var writers: [Int: TopicPartWriter] = [:]
    private var claimedParts: Int?

    package init(topic: String, table: SinkTable, settings: TopicSinkSettings) throws {
        _ = try TopicRowEncoder(table, settings)
        self.topic = topic
        self.table = table
        self.settings = settings
        queries = try OffsetQueries(settings.kafka)
    }

    private var place: String { "kafka:\(topic)" }

    // MARK: the driver's side

    package func owner(job: String) throws -> SinkOwner {
        try refuseEmbedded()
        guard let first = try owners(job: job).first else { return .nobody }
        return .job(first.id, first.markers.values.map(\.epoch).max() ?? 0)
    }

    package func sight(_ identity: SinkIdentity) throws -> SinkSight? {
        try refuseEmbedded()
        let markers = try markers(identity, partitions: partitionCount())
        var sight = SinkSight(owner: try owner(job: identity.job), table: try queries.topicID(of: topic) ?? "")
        // A marker without a batch was made by a claim.
        for (part, marker) in markers where marker.batch > 0 {
            sight.parts[part] = SinkSight.Part(batch: marker.batch, digest: marker.digest)
        }
        return sight
    }

    package func claim(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        let adopt = claim.adopt
        try refuseEmbedded()
        let others = try owners(job: identity.job).filter { $0.id != identity.jobID }
        if let other = others.first, !adopt {
            throw SinkRefusal.ownedByOther(identity, found: other.id, place: place)
        }
        try refuseShared(identity, claim)
        let partitions = try partitionCount()
        let found = try markers(identity, partitions: partitions)
        for var marker in found.values.sorted(by: { $0.epoch > $1.epoch }) {
            if adopt { marker.takenBy = nil }
            try marker.check(identity, place: place)
        }
        let wanted = try TopicMarker.claimed(
            found, partitions: partitions, after: claim.after, open: claim.open, seals: claim.seals,
            isFixed: table.mode == .keyedUpsert, adopt: adopt, epoch: identity.epoch, place: place)
        for other in others { try take(other, from: identity) }
        try write(wanted, identity, adopt: adopt)
        claimedParts = wanted.count
        // Two first claims at once both end here, and both are refused: better than two that both go on. What the other has
        // just committed may not be applied yet, so this question waits for it.
        if found.isEmpty, let other = try owners(job: identity.job, stable: true).first(where: { $0.id != identity.jobID }) {
            throw SinkRefusal.ownedByOther(identity, found: other.id, place: place)
        }
    }

    /// Rows are spread by key over as many partitions as the topic had at the first claim, so that all rows of a key are
    /// in one partition, in order.
    package var fixedParts: Int? { claimedParts }

    package func renew(_ identity: SinkIdentity) throws {
        let found = try markers(identity, partitions: partitionCount())
        try write(
            found.mapValues { marker in
                var marker = marker
                marker.epoch = identity.epoch
                return marker
            }, identity, adopt: false)
    }

    package func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] {
        try markers(identity, partitions: partitionCount()).mapValues(\.batch).filter { $0.value > 0 }
    }

    package func existing(keysOf rows: Chunk) throws -> [[Value]?] {
        throw Failure(
            .notPossible, "rows cannot be looked up by key in \(place)", why: "a topic keeps rows by offset, not by key",
            now: "name another --sink for the backfill")
    }

    // MARK: the worker's side

    package func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed {
        try writer(part, identity).seal(identity, batch: batch, digest: digest, after: after, rows: rows)
    }

    package func seal(_ identity: SinkIdentity, batch: BatchNumber, parts: [SealPart]) -> [Result<Sealed, any Error>] {
        let made = parts.map { part in Result { try writer(part.part, identity) } }
        let results = Mutex<[Result<Sealed, any Error>?]>(Array(repeating: nil, count: parts.count))
        let group = DispatchGroup()
        for (index, part) in parts.enumerated() {
            switch made[index] {
            case .failure(let error): results.withLock { $0[index] = .failure(error) }
            case .success(let writer):
                group.enter()
                writer.thread.put {
                    defer { group.leave() }
                    let result = Result {
                        try writer.seal(
                            identity, batch: batch, digest: part.digest, after: part.after, rows: part.rows)
                    }.mapError { failure($0) as any Error }
                    results.withLock { $0[index] = result }
                }
            }
        }
        group.wait()
        return results.withLock { $0.map { $0! } }
    }

    package func close() { writers = [:] }

    // MARK: inside

    private func writer(_ part: Int, _ identity: SinkIdentity) throws -> TopicPartWriter {
        if let known = writers[part] { return known }
        let made = try TopicPartWriter(
            TopicPartition(topic: topic, partition: Int32(part)), table: table, settings: settings, queries: queries)
        writers[part] = made
        return made
    }

    private func refuseEmbedded() throws {
        guard try queries.isEmbeddedBroker() else { return }
        throw Failure(
            .notPossible, "cannot write to \(place)", why: "the embedded broker keeps no position inside a transaction",
            now: "use a real Kafka, or write to sqlite:FILE")
    }

    /// Rows of a key are found by their key alone, so two jobs that write one topic by key would undo each other.
    private func refuseShared(_ identity: SinkIdentity, _ claim: SinkClaim) throws {
        guard table.mode == .keyedUpsert, !claim.adopt, claim.keys == nil else { return }
        let partitions = try partitionCount()
        for group in try queries.groups(prefix: TopicMarkerGroup.anyPrefix) {
            guard let (job, id) = TopicMarkerGroup.owner(of: group, sink: table.name), job != identity.job,
                id != claim.parent
            else { continue }
            let markers = try TopicPartWriter.markers(
                queries, group: group, topic: topic, parts: 0..<partitions, place: place, stable: false)
            if markers.values.contains(where: { $0.takenBy == nil && $0.batch > 0 }) {
                throw SinkRefusal.shared(identity, with: job, id: id, place: place)
            }
        }
    }

    private func partitionCount() throws -> Int {
        do {
            return try queries.partitions(of: topic).count
        } catch let missing as Failure where missing.code == .topicMissing {
            throw Failure(
                .topicMissing, "there is no topic \(topic) to write to", why: missing.why,
                now: "create it with as many partitions as the job has parts; a job never makes a topic")
        }
    }

    private func markers(_ identity: SinkIdentity, partitions: Int) throws -> [Int: TopicMarker] {
        try TopicPartWriter.markers(
            queries, group: TopicMarkerGroup.name(identity), topic: topic, parts: 0..<partitions, place: place, stable: false)
    }

    /// The job ids of this name that write here and were not taken over.
    private func owners(job: String, stable: Bool = false) throws -> [(id: JobID, markers: [Int: TopicMarker])] {
        var found: [(id: JobID, markers: [Int: TopicMarker])] = []
        let partitions = try partitionCount()
        for group in try queries.groups(prefix: TopicMarkerGroup.prefix(job: job)) {
            guard let id = TopicMarkerGroup.jobID(in: group, job: job, sink: table.name) else { continue }
            let markers = try TopicPartWriter.markers(
                queries, group: group, topic: topic, parts: 0..<partitions, place: place, stable: stable)
            if markers.values.contains(where: { $0.takenBy == nil }) { found.append((id, markers)) }
        }
        return found
    }

    /// Fences the producers of another job id and says in its markers who has the sink now.
    private func take(_ other: (id: JobID, markers: [Int: TopicMarker]), from identity: SinkIdentity) throws {
        var old = identity
        old.jobID = other.id
        old.epoch = .max
        try write(
            other.markers.mapValues { marker in
                var marker = marker
                marker.takenBy = identity.jobID
                return marker
            }, old, adopt: true)
    }

    /// Takes every part over and writes its marker: some at a time, part 0 last, because it says how many there are.
    private func write(_ wanted: [Int: TopicMarker], _ identity: SinkIdentity, adopt: Bool) throws {
        writers = [:]
        let rest = wanted.keys.filter { $0 != 0 }.sorted()
        for start in stride(from: 0, to: rest.count, by: Self.claimedAtOnce) {
            try write(rest[start..<min(start + Self.claimedAtOnce, rest.count)], wanted, identity, adopt)
        }
        try write(wanted.keys.filter { $0 == 0 }[...], wanted, identity, adopt)
    }

    /// Each has a client with threads of its own.
    private static let claimedAtOnce = 16

    private func write(
        _ parts: ArraySlice<Int>, _ wanted: [Int: TopicMarker], _ identity: SinkIdentity, _ adopt: Bool
    ) throws {
        let first = Mutex<(any Error)?>(nil)
        let group = DispatchGroup()
        for part in parts {
            let writer = try TopicPartWriter(
                TopicPartition(topic: topic, partition: Int32(part)), table: table, settings: settings, queries: queries)
            let marker = wanted[part]!
            group.enter()
            writer.thread.put {
                defer { group.leave() }
                do {
                    try writer.claim(identity, marker, adopt: adopt)
                } catch {
                    first.withLock { $0 = $0 ?? error }
                }
            }
        }
        group.wait()
        if let error = first.withLock({ $0 }) { throw error }
    }
}
