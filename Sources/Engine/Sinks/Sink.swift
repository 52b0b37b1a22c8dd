// How rows leave the engine: the contract that every sink fulfils and the shared sink tests hold it to.
//
// Two sides. The driver *claims* a sink before it plans anything: tables exist and fit, the row of this job's name
// carries our job id, and the epoch is raised so that an older driver's tasks can add nothing any more (protocol 1, 3).
// Tasks *seal* a part: rows and ledger row in one transaction, whose first statements lock the job's row, compare the
// epoch and swap the ledger's row for this batch, if it is the one that the log knows (`Predecessor`); a part that is
// already at this batch is compared by digest, not written.
//
// Tables in every sink database: `SinkLedger`. What survives a crash: exactly what a committed transaction wrote.
// Checklist for whoever changes a sink: a zombie repeats equal content or is refused, it never adds; sealing twice
// changes nothing; another digest for the same batch is `ledgerConflict`; a lower epoch is `staleEpoch`.

/// Who writes: everything by which a sink recognises a job and its batch.
public struct SinkIdentity: Sendable, Codable, Hashable {
    /// The job's name, for people and for `sluice_jobs`.
    public var job: String
    public var jobID: JobID
    public var epoch: Epoch
    /// The sink's name within the job (its table).
    public var sink: String

    public init(job: String, jobID: JobID, epoch: Epoch, sink: String) {
        self.job = job
        self.jobID = jobID
        self.epoch = epoch
        self.sink = sink
    }
}

public enum SealOutcome: String, Sendable, Codable { case written, alreadySealed }

/// What came of sealing a part.
public struct Sealed: Sendable, Hashable {
    public var outcome: SealOutcome
    /// Rows that the sink refused and keeps in `sluice_refused`; the same number when the part is sealed already.
    public var refused: Int64

    public init(_ outcome: SealOutcome, refused: Int64 = 0) {
        self.outcome = outcome
        self.refused = refused
    }

    public static let written = Sealed(.written)
    public static let alreadySealed = Sealed(.alreadySealed)
}

public enum SinkOwner: Sendable, Equatable {
    /// No job of this name has written here.
    case nobody
    case job(JobID, Epoch)
}

public protocol Sink: AnyObject {
    /// Who owns this job name in the sink, without changing anything. Creates no table.
    func owner(job: String) throws -> SinkOwner
    /// What the sink holds of the job, without changing anything; nil for one that keeps nothing.
    func sight(_ identity: SinkIdentity) throws -> SinkSight?
    /// Makes our own tables where they are missing, and the job's only if the log begins it; checks the columns of the one
    /// that is there (`sinkMismatch`), takes the job's row for `identity` and raises its epoch, and takes the table. Fails
    /// with `sinkOwnedByOther` when the row has another id or a keyed table is another's, with `staleEpoch` when the row's
    /// epoch is higher than ours.
    func claim(_ identity: SinkIdentity, _ claim: SinkClaim) throws
    /// The highest batch sealed by each part of this job's sink.
    func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber]
    /// Writes `rows` and the ledger row of (`part`, `batch`) in one transaction, if the ledger holds `after`; one that holds
    /// anything else is `ledgerConflict`, unless it holds this batch with this digest already.
    func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed
    /// For keyed sinks: the rows now stored under the keys of `rows`, in the order of `rows`; nil where there is none.
    func existing(keysOf rows: Chunk) throws -> [[Value]?]
    /// How many parts the last stage of a job must have for its whole life; nil when any number will do. After `claim`.
    var fixedParts: Int? { get }
    /// Writes again what the sink would forget with time, between two batches of the job that holds the claim.
    func renew(_ identity: SinkIdentity) throws
    /// Records of which rows stand in `sluice_refused`, as far as a row names its record, by the batch that was refused.
    func refusedRecords(_ identity: SinkIdentity) throws -> [(batch: BatchNumber, record: OffsetRange)]
    /// Forgets the refused rows of these records that are of batches before `batch`.
    func closeRefused(_ identity: SinkIdentity, _ records: [OffsetRange], before batch: BatchNumber) throws
    /// Forgets the refused rows of these batches, whose keys were written anew.
    func closeRefused(_ identity: SinkIdentity, batches: ClosedRange<BatchNumber>) throws
    /// Takes out what stands there of a job that never comes back: its claim and ledger, no row of its table.
    func forget(_ identity: SinkIdentity) throws
    func close()
}

extension Sink {
    package func forget(_ identity: SinkIdentity) throws {}
    package func refusedRecords(_ identity: SinkIdentity) throws -> [(batch: BatchNumber, record: OffsetRange)] { [] }
    package func closeRefused(_ identity: SinkIdentity, _ records: [OffsetRange], before batch: BatchNumber) throws {}
    package func closeRefused(_ identity: SinkIdentity, batches: ClosedRange<BatchNumber>) throws {}

    /// As the first start of a job does.
    package func claim(_ identity: SinkIdentity, adopt: Bool, after last: BatchNumber = 0) throws {
        try claim(identity, SinkClaim(adopt: adopt, begins: true, after: last))
    }
    package var fixedParts: Int? { nil }
    package func renew(_ identity: SinkIdentity) throws {}
}

/// A part to seal.
public struct SealPart: Sendable {
    public var part: Int
    public var digest: String
    public var after: Predecessor
    public var rows: [Chunk]

    public init(part: Int, digest: String, after: Predecessor, rows: [Chunk]) {
        self.part = part
        self.digest = digest
        self.after = after
        self.rows = rows
    }
}

/// A sink whose commits wait for the network and not for each other: several parts are sealed side by side.
public protocol ParallelSink: Sink {
    /// The outcome of each of `parts`, in their order.
    func seal(_ identity: SinkIdentity, batch: BatchNumber, parts: [SealPart]) -> [Result<Sealed, any Error>]
}
