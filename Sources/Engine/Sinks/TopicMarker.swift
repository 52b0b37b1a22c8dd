// How far each part of a Kafka sink has come: what a SQL sink keeps in `sluice_jobs` and `sluice_ledger`, as positions of
// a consumer group (protocol 10). Pure values; `TopicSink` reads and writes them.
//
// The group is named `sluice.<job>.<job id>.<sink>`. Its position in partition p of the output topic is the number of the
// last batch that part p has sealed, and the position's metadata says under which epoch, with which digest, how many
// parts the sink has, and whether another job id has taken it over. A marker is only ever written in a transaction of
// part p's producer, together with the rows: so it is there exactly if they are.
//
// A claim makes the markers of all parts (batch 0), the marker of part 0 last. From then on a marker that is missing was
// lost: expired (`offsets.retention.minutes`) or removed. Nobody can tell then what is in the topic, and the job stops.
//
// When changing it: the metadata of running jobs must stay readable; no path leads from "missing" to "write".

/// The marker of one part.
package struct TopicMarker: Sendable, Hashable {
    /// The last sealed batch; 0 before the first.
    package var batch: BatchNumber
    package var epoch: Epoch
    /// Of the sink's rows in that batch; empty before the first.
    package var digest: String
    /// How many parts the sink has, for its whole life.
    package var parts: Int
    package var takenBy: JobID?

    package init(batch: BatchNumber, epoch: Epoch, digest: String, parts: Int, takenBy: JobID? = nil) {
        self.batch = batch
        self.epoch = epoch
        self.digest = digest
        self.parts = parts
        self.takenBy = takenBy
    }

    package var metadata: String {
        var text = "epoch=\(epoch) parts=\(parts)"
        if !digest.isEmpty { text += " digest=\(digest)" }
        if let takenBy { text += " taken=\(takenBy)" }
        return text
    }

    /// Reads what `metadata` wrote; nil when it is not ours.
    package init?(batch: BatchNumber, metadata: String?) {
        var pairs: [Substring: Substring] = [:]
        for pair in (metadata ?? "").split(separator: " ") {
            let sides = pair.split(separator: "=", maxSplits: 1)
            if sides.count == 2 { pairs[sides[0]] = sides[1] }
        }
        guard batch >= 0, let epoch = pairs["epoch"].flatMap({ Epoch($0) }), let parts = pairs["parts"].flatMap({ Int($0) })
        else { return nil }
        self.init(
            batch: batch, epoch: epoch, digest: pairs["digest"].map(String.init) ?? "", parts: parts,
            takenBy: pairs["taken"].map { JobID(text: String($0)) })
    }

    package enum Step: Sendable, Hashable { case write, alreadySealed }

    /// What to do with a batch, once the producer of the part has fenced all others.
    package func step(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, place: String
    ) throws(Failure) -> Step {
        try check(identity, place: place)
        if epoch < identity.epoch { throw SinkRefusal.stale(identity, found: epoch, place: place) }
        // A marker without a digest was made by a claim: nothing is sealed under it, and it stands where it was put.
        let isSealed = !self.digest.isEmpty
        let after = isSealed ? after : .unknown
        switch after.step((self.batch, self.digest), batch: batch, digest: digest) {
        case .write: return .write
        case .alreadySealed: return .alreadySealed
        case .conflict:
            throw SinkRefusal.conflict(
                identity, part: part, batch: batch, after: after, found: (self.batch, self.digest), place: place)
        }
    }

    /// Whether `identity` may take this part or keep it.
    package func check(_ identity: SinkIdentity, place: String) throws(Failure) {
        if let takenBy { throw SinkRefusal.ownedByOther(identity, found: takenBy, place: place) }
        if epoch > identity.epoch { throw SinkRefusal.stale(identity, found: epoch, place: place) }
    }

    /// The markers of every part that a claim writes, out of those that are there.
    /// - Parameters:
    ///   - partitions: how many the topic has now.
    ///   - after: the last batch that the job's log has as done; 0 for a new log.
    ///   - open: the batch that is planned: behind a claim, so markers were there, and parts may hold it.
    ///   - seals: each part's last seal as the log knows it: what the marker of an adopted part says.
    ///   - isFixed: rows are spread over the parts by their key, so their number may not grow.
    package static func claimed(
        _ found: [Int: TopicMarker], partitions: Int, after: BatchNumber, open: BatchNumber? = nil, seals: [SealMark] = [],
        isFixed: Bool, adopt: Bool, epoch: Epoch, place: String
    ) throws(Failure) -> [Int: TopicMarker] {
        let isUnused = after == 0 && open == nil && found.values.allSatisfy { $0.batch == 0 }
        let known = found[0]?.parts ?? 0
        if known > partitions {
            throw Failure(
                .sinkMismatch, "\(place) has \(partitions) partitions and the job writes \(known) parts",
                why: "the topic was recreated with fewer partitions", now: "restore the topic, or name another one and --adopt")
        }
        let parts = isFixed && known > 0 ? known : partitions
        var markers: [Int: TopicMarker] = [:]
        for part in 0..<parts {
            var marker = found[part]
            if marker == nil && !isUnused && !adopt && (known == 0 || part < known) {
                throw Failure(
                    .sinkMismatch, "\(place) has no marker of part \(part)",
                    why: "the log is at batch \(after), and the position in Kafka that says what is in the topic is gone: "
                        + "it expired (offsets.retention.minutes), was removed, or the topic is another than before",
                    now: "if the last batch of `sluice batches` is DONE, --adopt makes the markers again; "
                        + "if it is PLANNED, its rows may be in the topic already")
            }
            if marker == nil, let mark = seals.first(where: { $0.part == part }) {
                marker = TopicMarker(batch: mark.batch, epoch: epoch, digest: mark.digest, parts: parts)
            }
            marker = marker ?? TopicMarker(batch: after, epoch: epoch, digest: "", parts: parts)
            marker!.parts = parts
            marker!.epoch = epoch
            marker!.takenBy = nil
            markers[part] = marker
        }
        return markers
    }
}

/// The name of the group that holds the markers.
package enum TopicMarkerGroup {
    package static func name(_ identity: SinkIdentity) -> String {
        "sluice.\(identity.job).\(identity.jobID).\(identity.sink)"
    }

    package static func prefix(job: String) -> String { "\(anyPrefix)\(job)." }

    package static let anyPrefix = "sluice."

    /// Whose markers of a sink of this name a group holds: the job's name, which may have dots, and its id.
    package static func owner(of group: String, sink: String) -> (job: String, id: JobID)? {
        let parts = group.dropLast(sink.utf8.count + 1)
        guard group.hasPrefix(anyPrefix), group.hasSuffix("." + sink), parts.utf8.count > anyPrefix.utf8.count + 33 else {
            return nil
        }
        let job = String(parts.dropFirst(anyPrefix.count).dropLast(33))
        return jobID(in: group, job: job, sink: sink).map { (job, $0) }
    }

    /// The job id in the name of a group of this job and sink; nil when the group is another's.
    package static func jobID(in group: String, job: String, sink: String) -> JobID? {
        let (start, end) = (prefix(job: job), "." + sink)
        guard group.hasPrefix(start), group.hasSuffix(end), group.utf8.count == start.utf8.count + 32 + end.utf8.count else {
            return nil
        }
        let id = group.dropFirst(start.count).dropLast(end.count)
        return id.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) } ? JobID(text: String(id)) : nil
    }
}
