// Where the partitions of a job end, as its next cut may take it: asked of Kafka, or told by the worker that reads them.
//
// A worker that does a small job's batches whole follows all partitions, and what has come there is as good as Kafka's
// answer: it is committed, it is in memory, and it costs no question (see the decision note "cut as records arrive"). But it
// knows only what was fetched. So Kafka is asked as well once a second, because an end before a position is how a
// topic shows that it was recreated, and always while a partition has told no event time, because records that lie there
// unread hold the watermark (protocol 7). Survives nothing: a restart asks Kafka.

import Engine
import Wire

struct SourceEnds {
    let queries: OffsetQueries
    let jobName: String
    let jobID: JobID
    /// The job has a watermark.
    let followsEventTime: Bool
    private var askedMillis: Int64 = 0
    private static let askAgainMillis: Int64 = 1000

    init(queries: OffsetQueries, job: RunningJob) {
        self.queries = queries
        jobName = job.record.name
        jobID = job.record.jobID
        followsEventTime = job.graph.source.eventTimeColumn != nil
    }

    /// - Parameter arrived: what the worker has told, to be cut of that; nil to be cut of Kafka's answer. Of a partition that
    ///   was added since only Kafka knows, and what lies there unread must hold the watermark.
    mutating func ends(
        of positions: [TopicPartition: PartitionPosition], arrived: [TopicPartition: Int64]?
    ) throws -> [TopicPartition: Int64] {
        let now = steadyMillis()
        if let arrived, arrived.count == positions.count, now - askedMillis < Self.askAgainMillis { return arrived }
        let asked = try queries.ends(positions.keys.sorted())
        askedMillis = now
        // An end before what has arrived, and so before a position perhaps, is what must be seen.
        return arrived.map { asked.merging($0, uniquingKeysWith: min) } ?? asked
    }

    /// Waits until something has come at the worker, and the pace is kept.
    /// - Returns: nil when Kafka has to be asked.
    func arrived(
        at worker: WorkerPool.Worker, behind positions: [TopicPartition: PartitionPosition], restMillis: Int64,
        paceMillis: Int64
    ) -> [TopicPartition: Int64]? {
        guard !followsEventTime || positions.values.allSatisfy({ $0.maxEventTimeMillis != nil }) else { return nil }
        let standing = positions.values.map {
            OffsetRange(topic: $0.topic, partition: $0.partition, from: $0.position, until: $0.position)
        }
        do {
            let request = AwaitRecords(
                jobID: jobID, positions: standing, restMillis: Int(restMillis), patienceMillis: Int(restMillis + paceMillis))
            guard let ends = try worker.link.arrived(request).ends, ends.count == standing.count else { return nil }
            return Dictionary(uniqueKeysWithValues: zip(standing.map(\.topicPartition), ends))
        } catch {
            Log.debug(
                "records not waited for", [("job", jobName), ("worker.id", worker.id), ("why", failure(error).why)])
            return nil
        }
    }
}
