// What a start is decided by, as values: the log, the topic, the group and the sink as they were when `JobFacts` looked.

import Engine

/// What a start is decided by: the log, the topic, the group and the sink as they are.
package struct StartFacts: Sendable {
    package var log: LogStand
    package var partitions: [TopicPartition]
    package var starts: [TopicPartition: Int64]
    package var ends: [TopicPartition: Int64]
    /// Where the setting `from` points, for a job without a log.
    package var from: [TopicPartition: Int64]
    package var committed: [TopicPartition: RecoveryPlan.Committed]
    package var topicIDs: [String: String]
    /// When they were gathered, since 1970.
    package var wallMillis: Int64 = 0
    /// What stands now at each remembered tail: a hash, or nil where no record is any longer.
    package var tails: [TopicPartition: String?]
    package var sinkOwner: SinkOwner
    /// What the sink holds beside what the log says; nil where nothing is to be compared.
    package var sink: SinkVerdict.Facts?
    /// The highest batch that each sink part has sealed; asked while a plan is open.
    package var sealed: [Int: BatchNumber]
    /// Parts of the last stage that the sink prescribes; known behind the claim.
    package var fixedParts: Int?
    /// For a jump back of a stateful job: the kept version to go on from.
    package var version: KeptVersion?

    package init(
        log: LogStand, partitions: [TopicPartition], starts: [TopicPartition: Int64], ends: [TopicPartition: Int64],
        from: [TopicPartition: Int64] = [:], committed: [TopicPartition: RecoveryPlan.Committed] = [:], topicIDs: [String: String] = [:], tails: [TopicPartition: String?] = [:],
        sinkOwner: SinkOwner = .nobody, sealed: [Int: BatchNumber] = [:], fixedParts: Int? = nil,
        version: KeptVersion? = nil
    ) {
        self.log = log
        self.partitions = partitions
        self.starts = starts
        self.ends = ends
        self.from = from
        self.committed = committed
        self.topicIDs = topicIDs
        self.tails = tails
        self.sinkOwner = sinkOwner
        self.sealed = sealed
        self.fixedParts = fixedParts
        self.version = version
    }
}

/// What the log holds of a job at this moment.
package struct LogStand: Sendable {
    package var positions: [TopicPartition: PartitionPosition]
    package var openPlan: BatchPlan?
    package var lastDone: BatchRecord?
    package var seals: [SealMark]
    /// What the state is since a jump back that no batch followed.
    package var restored: KeptVersion?
    package var jumps: [Jump]

    package init(
        positions: [TopicPartition: PartitionPosition], openPlan: BatchPlan?, lastDone: BatchRecord?, seals: [SealMark],
        restored: KeptVersion? = nil, jumps: [Jump] = []
    ) {
        self.jumps = jumps
        self.positions = positions
        self.openPlan = openPlan
        self.lastDone = lastDone
        self.seals = seals
        self.restored = restored
    }
}
