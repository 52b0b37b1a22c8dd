// What the batch log holds of a batch: the plan, durable before anything runs, and the outcome, written when it is done.
//
// A plan is immutable and complete (protocol 2): with the same build, a plan gives the same rows on any workers at any
// time. So nothing that influences a row may stay outside: ranges, batch time, seed, watermark, task counts, key-group
// ranges, lookups by the digest of their bytes. An outcome holds what came of it, and the manifest of the state it left.
//
// These types are stored as JSON in catalogs of running jobs: add fields as optionals, never rename.

/// Everything that fixes what a batch reads and computes.
public struct BatchPlan: Sendable, Codable, Equatable {
    public var job: String
    public var jobID: JobID
    public var batch: BatchNumber
    /// The epoch under which it was planned; a re-plan over the same ranges carries a higher one.
    public var epoch: Epoch
    /// Milliseconds since 1970 at which the batch was cut: the only "now" that rows may see.
    public var batchTimeMillis: Int64
    public var seed: UInt64
    /// Non-empty ranges, sorted by topic and partition; index = task of stage 0.
    public var ranges: [OffsetRange]
    /// Split points within ranges, by index of the range; empty while no range is split.
    public var splits: [Int: [Int64]]
    /// The watermark that batch N-1 left; nil while none is known.
    public var watermarkBeforeMillis: Int64?
    /// Tasks of each stage. Stage 0 has one per range.
    public var taskCounts: [Int]
    public var keyGroups: Int
    /// Digests of the binary, of the settings that matter, of the compiled plan, and of the schema's text.
    public var buildDigest: String
    public var settingsDigest: String
    public var planDigest: String
    public var schemaDigest: String
    /// Lookup name to digest of its bytes.
    public var lookups: [String: String]
    /// Topic ids where the client can tell them.
    public var topicIDs: [String: String]
    /// The state that the batch starts from: what batch N-1 left.
    public var stateBefore: StateManifest?
    /// What the last stage writes; nil means `changes`.
    public var output: OutputMode?
    /// Why the batch is there; nil means `live`.
    public var kind: BatchKind?
    /// Records of `ranges` that the batch leaves out, because reading them ends the process that does (protocol 3).
    public var excluded: [OffsetRange]?
    /// What each sink part must hold when this batch is sealed: the last seal with rows that the log knows, by part. A part
    /// that is missing here has none yet; nil in plans of earlier builds, which named no predecessors.
    public var predecessors: [SealMark]?
    /// What is known of a range beyond its offsets, by index of the range.
    public var marks: [Int: RangeMark]?
    /// For a batch of kind redrive: of `ranges` only these offsets are looked at; nil for all.
    public var only: [OffsetRange]?
    /// Settings that hold for this batch alone, on top of the job's own; nil for none.
    public var with: [String: String]?
    /// For a batch of kind repair: the first and the last of the batches whose rows it writes again.
    public var repairs: [BatchNumber]?

    /// The sink part that a batch of kind repair writes, whatever parts the rows were of.
    public static let repairPart = 0

    /// What leaves a stateful stage: the keys that this batch changed, nothing (state only), or every key of the state.
    public enum OutputMode: String, Sendable, Codable { case changes, nothing, complete }

    public init(
        job: String, jobID: JobID, batch: BatchNumber, epoch: Epoch, batchTimeMillis: Int64, seed: UInt64,
        ranges: [OffsetRange], splits: [Int: [Int64]] = [:], watermarkBeforeMillis: Int64?, taskCounts: [Int],
        keyGroups: Int, buildDigest: String, settingsDigest: String, planDigest: String, schemaDigest: String,
        lookups: [String: String], topicIDs: [String: String], stateBefore: StateManifest?
    ) {
        self.job = job
        self.jobID = jobID
        self.batch = batch
        self.epoch = epoch
        self.batchTimeMillis = batchTimeMillis
        self.seed = seed
        self.ranges = ranges
        self.splits = splits
        self.watermarkBeforeMillis = watermarkBeforeMillis
        self.taskCounts = taskCounts
        self.keyGroups = keyGroups
        self.buildDigest = buildDigest
        self.settingsDigest = settingsDigest
        self.planDigest = planDigest
        self.schemaDigest = schemaDigest
        self.lookups = lookups
        self.topicIDs = topicIDs
        self.stateBefore = stateBefore
    }

    /// The batch goes on where its partitions stand, and they stand behind it afterwards.
    public var movesPositions: Bool { (kind ?? .live).movesPositions }

    /// So many ranges of rejected, and of late, offsets its row in the log names.
    package var listedRanges: Int { max(Limits.listedRanges, ranges.count) }

    /// The first key group of each task of the last stage and, last, the number of key groups: part p owns
    /// `bounds[p] ..< bounds[p + 1]`.
    public static func keyGroupBounds(parts: Int, keyGroups: Int) -> [Int] {
        (0...parts).map { $0 * keyGroups / parts }
    }
}

/// Why a batch is in the log. Coverage of the input counts each kind apart: a repair and a redrive read offsets again by
/// right, and a rehash reads none.
public enum BatchKind: String, Sendable, Codable, CaseIterable {
    case live, backfill, repair, redrive, rehash, due

    /// The batch goes on where its partitions stand, and they stand behind it afterwards.
    public var movesPositions: Bool {
        switch self {
        case .live, .backfill, .due: true
        case .repair, .redrive, .rehash: false
        }
    }
}

/// One part's last seal with rows: what the ledger must hold before the next one (protocol 1).
public struct SealMark: Sendable, Codable, Hashable {
    /// Which of the job's sinks; 0 while a job has one.
    public var sink: Int
    public var part: Int
    public var batch: BatchNumber
    public var digest: String

    public init(sink: Int = 0, part: Int, batch: BatchNumber, digest: String) {
        self.sink = sink
        self.part = part
        self.batch = batch
        self.digest = digest
    }

    /// The marks when `batch` has sealed `parts`.
    package static func after(_ marks: [SealMark], batch: BatchNumber, parts: [SealedPart]) -> [SealMark] {
        var byPart = Dictionary(marks.map { ([$0.sink, $0.part], $0) }) { $1 }
        for part in parts where part.rows > 0 {
            let mark = SealMark(sink: part.sink ?? 0, part: part.part, batch: batch, digest: part.digest)
            byPart[[mark.sink, mark.part]] = mark
        }
        return byPart.values.sorted { ($0.sink, $0.part) < ($1.sink, $1.part) }
    }

    /// One line, `SINK PART BATCH DIGEST`: a plan names one for each part.
    package var line: String { "\(sink) \(part) \(batch) \(digest)" }

    public func encode(to encoder: any Encoder) throws {
        var single = encoder.singleValueContainer()
        try single.encode(line)
    }

    public init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        let words = try single.decode(String.self).split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 4, let sink = Int(words[0]), let part = Int(words[1]), let batch = Int64(words[2]) else {
            throw DecodingError.dataCorruptedError(in: single, debugDescription: "no mark of a seal")
        }
        self.init(sink: sink, part: part, batch: batch, digest: String(words[3]))
    }
}

/// What is known of a range beyond topic, partition and offsets.
public struct RangeMark: Sendable, Codable, Hashable {
    /// Which of the job's sources; nil while a job has one.
    public var source: Int?
    /// Which split of a source that is no topic, and where in it the range begins and ends, in that source's own words.
    public var split: String?
    public var from: String?
    public var until: String?
    /// The leader's epoch of the last record batch before the range, where the reader can tell it.
    public var leaderEpoch: Int32?

    public init(
        source: Int? = nil, split: String? = nil, from: String? = nil, until: String? = nil, leaderEpoch: Int32? = nil
    ) {
        self.source = source
        self.split = split
        self.from = from
        self.until = until
        self.leaderEpoch = leaderEpoch
    }
}

/// The state versions that make up what one batch left, per key-group range.
public struct StateManifest: Sendable, Codable, Equatable {
    /// The batch that left this state.
    public var version: BatchNumber
    public var entries: [Entry]
    /// How many key groups the entries' numbers count in; nil in manifests of earlier builds, where the plan beside it says.
    public var keyGroups: Int?

    public init(version: BatchNumber, entries: [Entry], keyGroups: Int? = nil) {
        self.version = version
        self.entries = entries
        self.keyGroups = keyGroups
    }

    public struct Entry: Sendable, Codable, Equatable {
        public var firstGroup: Int
        public var untilGroup: Int
        /// Files and inline deltas to apply in this order, each filtered to the entry's key groups.
        public var files: [StateFile]
        /// Whose state it is, where a plan has several stateful operators; nil while a job has one.
        public var operatorID: Int?

        public init(firstGroup: Int, untilGroup: Int, files: [StateFile], operatorID: Int? = nil) {
            self.firstGroup = firstGroup
            self.untilGroup = untilGroup
            self.files = files
            self.operatorID = operatorID
        }
    }
}

/// One snapshot or delta: an encoded chunk, either in the catalog (inline) or in the state store under `name`.
public struct StateFile: Sendable, Codable, Hashable {
    public enum Kind: String, Sendable, Codable { case snapshot, delta }
    public var kind: Kind
    /// The version (batch) that it brings the state to.
    public var version: BatchNumber
    public var name: String
    public var inline: Bool
    public var bytes: Int
    public var rows: Int
    /// Of the encoded bytes.
    public var digest: String

    public init(
        kind: Kind, version: BatchNumber, name: String, inline: Bool, bytes: Int, rows: Int, digest: String
    ) {
        self.kind = kind
        self.version = version
        self.name = name
        self.inline = inline
        self.bytes = bytes
        self.rows = rows
        self.digest = digest
    }

    /// One line, `di 12 812 7 DIGEST NAME`: a manifest names up to 64 files a part and stands in every plan, outcome and
    /// task, and as objects they were half of all JSON that a small batch made.
    public func encode(to encoder: any Encoder) throws {
        var single = encoder.singleValueContainer()
        try single.encode(line)
    }

    package var line: String {
        "\(kind == .snapshot ? "s" : "d")\(inline ? "i" : "f") \(version) \(bytes) \(rows) \(digest) \(name)"
    }

    /// Reads the line, and the object that earlier builds wrote into their catalogs.
    public init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        let text: String
        do { text = try single.decode(String.self) } catch DecodingError.typeMismatch {
            self = try Self(object: decoder.container(keyedBy: Key.self))
            return
        }
        let words = text.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: false)
        guard words.count == 6, ["si", "sf", "di", "df"].contains(words[0]), let version = Int64(words[1]),
            let bytes = Int(words[2]), let rows = Int(words[3])
        else { throw DecodingError.dataCorruptedError(in: single, debugDescription: "no state file") }
        self.init(
            kind: words[0].first == "s" ? .snapshot : .delta, version: version, name: String(words[5]),
            inline: words[0].last == "i", bytes: bytes, rows: rows, digest: String(words[4]))
    }

    private enum Key: String, CodingKey { case kind, version, name, inline, bytes, rows, digest }

    private init(object: KeyedDecodingContainer<Key>) throws {
        self.init(
            kind: try object.decode(Kind.self, forKey: .kind), version: try object.decode(Int64.self, forKey: .version),
            name: try object.decode(String.self, forKey: .name), inline: try object.decode(Bool.self, forKey: .inline),
            bytes: try object.decode(Int.self, forKey: .bytes), rows: try object.decode(Int.self, forKey: .rows),
            digest: try object.decode(String.self, forKey: .digest))
    }
}

/// What a task of the last stage wrote, as the ledger and the log know it.
public struct SealedPart: Sendable, Codable, Hashable {
    public var part: Int
    public var rows: Int64
    /// Order-independent digest of the part's computed rows, those that the sink refused included.
    public var digest: String
    /// Which of the job's sinks; nil while a job has one.
    public var sink: Int?
    /// Rows that the sink refused and keeps in `sluice_refused`.
    public var refused: Int64?

    public init(part: Int, rows: Int64, digest: String, sink: Int? = nil, refused: Int64? = nil) {
        self.part = part
        self.rows = rows
        self.digest = digest
        self.sink = sink
        self.refused = refused
    }
}

/// Where one partition stands after a batch: what the next plan and the next restart start from.
public struct PartitionPosition: Sendable, Codable, Equatable {
    public var topic: String
    public var partition: Int32
    /// The next offset to read.
    public var position: Int64
    /// Offset and content hash of the last record delivered; carried over empty ranges.
    public var tailOffset: Int64?
    public var tailHash: String?
    /// The largest event time seen, in milliseconds since 1970.
    public var maxEventTimeMillis: Int64?
    /// The leader's epoch of the last record batch that was read, where the reader can tell it.
    public var leaderEpoch: Int32?
    /// The batch time at which a running job found the partition: until its first record it holds the watermark for a while.
    public var foundMillis: Int64?

    public init(
        topic: String, partition: Int32, position: Int64, tailOffset: Int64? = nil, tailHash: String? = nil,
        maxEventTimeMillis: Int64? = nil, leaderEpoch: Int32? = nil, foundMillis: Int64? = nil
    ) {
        self.leaderEpoch = leaderEpoch
        self.foundMillis = foundMillis
        self.topic = topic
        self.partition = partition
        self.position = position
        self.tailOffset = tailOffset
        self.tailHash = tailHash
        self.maxEventTimeMillis = maxEventTimeMillis
    }
}

/// Milliseconds that the steps of a batch took, wall clock.
public struct BatchTimings: Sendable, Codable, Equatable {
    public var planMillis: Double = 0
    public var runMillis: Double = 0
    public var sealMillis: Double = 0
    /// The transaction that made the batch DONE. It cannot stand in what it commits: nil in a stored outcome.
    public var commitMillis: Double?
    /// That of the batch before, when the same driver ran it: how the log comes to know commit times.
    public var previousCommitMillis: Double?
    public init() {}
}

/// What came of a batch; stored with DONE.
public struct BatchOutcome: Sendable, Codable, Equatable {
    public var rowsIn: Int64 = 0
    public var rowsOut: Int64 = 0
    public var late: Int64 = 0
    public var rejected: Int64 = 0
    public var unmatched: Int64 = 0
    public var bytesIn: Int64 = 0
    /// Over all parts; equal rows give an equal digest on any number of parts.
    public var digest: String = ""
    public var parts: [SealedPart] = []
    public var watermarkAfterMillis: Int64?
    public var state: StateManifest?
    /// The greatest event time of any record read up to this batch, in milliseconds since 1970; nil where none was told.
    public var newestEventMillis: Int64?
    /// Offsets of rejected and of late records as ranges.
    public var rejectedRanges: [OffsetRange] = []
    public var lateRanges: [OffsetRange] = []
    /// Files with the ranges that a row of the log does not hold; nil for none.
    public var offsetFiles: [OffsetFile]?
    /// Offsets that are in no range and no file; nil for none.
    public var rejectedUnlisted: Int64?
    public var lateUnlisted: Int64?
    /// Attempts beyond the first.
    public var retries: Int = 0
    public var workers: Int = 0
    public var timings = BatchTimings()
    /// Records without a value, which append sources pass over; nil for none.
    public var tombstones: Int64?
    /// Rows that sinks refused and keep in `sluice_refused`; nil for none.
    public var refused: Int64?
    /// Rows that failed in an expression and are left out, or values that are NULL for it, without a record to name; nil for none.
    public var failed: Int64?
    /// Event time at which something falls due without a record, in milliseconds since 1970; nil for nothing.
    public var nextDueMillis: Int64?
    public init() {}
}

/// A rejected record as kept in quarantine; `raw` may be cut (protocol 11).
public struct QuarantinedRecord: Sendable, Codable, Equatable {
    public var topic: String
    public var partition: Int32
    public var offset: Int64
    public var reason: RejectReason
    public var raw: [UInt8]

    public init(topic: String, partition: Int32, offset: Int64, reason: RejectReason, raw: [UInt8]) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.reason = reason
        self.raw = raw
    }
}

extension PartitionPosition {
    package var topicPartition: TopicPartition { TopicPartition(topic: topic, partition: partition) }
}
