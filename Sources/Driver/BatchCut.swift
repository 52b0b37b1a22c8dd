// What the next batch reads, and the plan made of it: the pure half of planning.
//
// `JobMachine` asks the topic for its ends and hands them over with the log's positions; what comes back is the batch's
// ranges, what stays behind them, and the partitions that hold the watermark. An end before a position is a doubt about the
// topic, no proof: a leader that was cut off answers so for a moment. `SourceIdentity` asks again and decides.
//
// With 10,000 partitions this is the driver's time, so every look-up goes through a dictionary made once, and nothing
// looks at all partitions for each partition. `sluice bench scale` shows what it costs.

import Engine

struct BatchCut {
    /// Sorted by partition; none when nothing waits.
    var ranges: [OffsetRange]
    /// Partitions that hold records behind this batch's ranges and have told no event time yet.
    var unread: Set<TopicPartition> = []
    /// The bound on a batch's records left some behind: the next batch needs no tick.
    var hasBacklog: Bool
    /// Some partition ends before its position: nothing may be planned before the topic is known to be ours.
    var isShortened: Bool

    /// - Parameters:
    ///   - targets: for a run that catches up, where it ends.
    ///   - maxRecords: most offsets of the batch; 0 for no bound.
    init(
        positions: [TopicPartition: PartitionPosition], ends: [TopicPartition: Int64],
        targets: [TopicPartition: Int64]?, maxRecords: Int64
    ) {
        isShortened = positions.contains { partition, position in ends[partition].map { $0 < position.position } ?? false }
        let bounded = targets.map { targets in ends.merging(targets) { min($0, $1) } } ?? ends
        ranges = OffsetPlanner(maxRecords: maxRecords == 0 ? nil : maxRecords).ranges(
            positions: positions.mapValues(\.position), ends: bounded)
        hasBacklog = ranges.contains { $0.until < bounded[$0.topicPartition] ?? $0.until }
        let silent = positions.filter { $0.value.maxEventTimeMillis == nil }
        guard !silent.isEmpty else { return }
        let cut = Dictionary(uniqueKeysWithValues: ranges.map { ($0.topicPartition, $0.until) })
        for (partition, position) in silent {
            if let end = ends[partition], end > cut[partition] ?? position.position { unread.insert(partition) }
        }
    }

    var recordCount: Int64 { ranges.reduce(0) { $0.plus($1.count) } }

    /// Where each partition stands when the batch is done, by what the batch reads.
    func reaches(_ targets: [TopicPartition: Int64], from positions: [TopicPartition: PartitionPosition]) -> Bool {
        let cut = Dictionary(uniqueKeysWithValues: ranges.map { ($0.topicPartition, $0.until) })
        return targets.allSatisfy { (cut[$0.key] ?? positions[$0.key]?.position ?? 0) >= $0.value }
    }
}

/// Everything of a plan that the ranges do not say.
struct PlanFrame {
    var job: RunningJob
    var epoch: Epoch
    var batch: BatchNumber
    var watermarkBeforeMillis: Int64?
    var topicIDs: [String: String]
    var stateBefore: StateManifest?
    /// Tasks of the stage after the exchange.
    var parts: Int

    func plan(_ ranges: [OffsetRange], batchTimeMillis: Int64, seed: UInt64) -> BatchPlan {
        BatchPlan(
            job: job.record.name, jobID: job.record.jobID, batch: batch, epoch: epoch, batchTimeMillis: batchTimeMillis,
            seed: seed, ranges: ranges, watermarkBeforeMillis: watermarkBeforeMillis,
            taskCounts: job.graph.hasExchange ? [ranges.count, job.graph.parts(parts, keyGroups: job.settings.keyGroups)] : [ranges.count],
            keyGroups: job.settings.keyGroups, buildDigest: job.buildDigest, settingsDigest: job.settingsDigest,
            planDigest: job.graph.digest, schemaDigest: job.schemaDigest, lookups: job.lookups, topicIDs: topicIDs,
            stateBefore: stateBefore)
    }
}
