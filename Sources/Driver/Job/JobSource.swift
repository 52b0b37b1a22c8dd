// A job's side of Kafka: questions to the topic, what has arrived at the worker that reads it, offsets confirmed behind it.

import Engine
import Wire

struct JobSource {
    let job: RunningJob
    let queries: OffsetQueries
    let confirmer: OffsetConfirmer
    let watch: SourceWatch

    init(_ job: RunningJob, control: JobControl) throws {
        self.job = job
        queries = try OffsetQueries(job.settings.kafka)
        confirmer = OffsetConfirmer(queries: queries, group: job.group)
        watch = SourceWatch(queries: queries, job: job.record.name, topics: job.settings.topics, control: control)
    }

    func drain() { confirmer.drain() }

    func partitions() throws -> [TopicPartition] {
        try job.settings.topics.flatMap { topic in try queries.partitions(of: topic).map { TopicPartition(topic: topic, partition: $0) } }
    }

    /// Partitions that were added, and where each begins.
    func others(than known: [TopicPartition]) throws -> [TopicPartition: Int64] {
        let known = Set(known)
        let new = try partitions().filter { !known.contains($0) }
        guard !new.isEmpty else { return [:] }
        let starts = try queries.starts(new)
        return Dictionary(uniqueKeysWithValues: new.map { ($0, starts[$0] ?? 0) })
    }

    /// What has come behind the batch that ends now, told by the worker that read it: its fetches gather as long as the pace,
    /// so records are waited for where they arrive and cut when they are there.
    /// - Returns: nil when Kafka has to be asked.
    func arrived(
        at worker: WorkerPool.Worker?, behind positions: [PartitionPosition], restMillis: Int64, paceMillis: Int64
    ) -> [TopicPartition: Int64]? {
        guard let worker else { return nil }
        let standing = positions.map {
            OffsetRange(topic: $0.topic, partition: $0.partition, from: $0.position, until: $0.position)
        }
        do {
            let request = AwaitRecords(
                jobID: job.record.jobID, positions: standing, restMillis: Int(restMillis),
                patienceMillis: Int(restMillis + paceMillis))
            guard let ends = try worker.link.arrived(request).ends, ends.count == standing.count else { return nil }
            return Dictionary(uniqueKeysWithValues: zip(standing.map(\.topicPartition), ends))
        } catch {
            Log.debug(
                "records not waited for", [("job", job.record.name), ("worker.id", worker.id), ("why", failure(error).why)])
            return nil
        }
    }

    /// Where the setting `from` points.
    func begin(
        _ partitions: [TopicPartition], starts: [TopicPartition: Int64], ends: [TopicPartition: Int64]
    ) throws -> [TopicPartition: Int64] {
        let from = job.settings.from
        switch from {
        case "earliest": return starts
        case "latest": return ends
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
            var found = try queries.offsets(atTimeMillis: millis, partitions)
            for partition in partitions where found[partition] == nil { found[partition] = ends[partition] ?? 0 }
            return found
        }
    }
}
