// What a sink holds of a job, and what a claim is told: the facts between a sink and the driver's verdict on it.
//
// A sink reports and the driver decides (`SinkVerdict`), because only the log knows what should be there. A claim is told
// what the log knows, so that it makes no table anew that was lost, and lets nobody in who would overwrite another's rows.
// Pure values.

/// What a job finds in its sink.
public struct SinkSight: Sendable, Equatable {
    /// Who has the job's name there.
    public var owner: SinkOwner
    /// By what the database knows the table (PostgreSQL: oid and file; SQLite: a mark that dies with it; Kafka: the
    /// topic's id); nil when there is none.
    public var table: String?
    /// The table is the one that the job claimed last; nil when that claim was of a build that did not ask.
    public var isSameTable: Bool?
    /// The ledger of this job, by part.
    public var parts: [Int: Part]

    /// One part's ledger row.
    public struct Part: Sendable, Hashable {
        public var batch: BatchNumber
        public var digest: String
        public var witness: Witness

        public init(batch: BatchNumber, digest: String, witness: Witness = .unknown) {
            self.batch = batch
            self.digest = digest
            self.witness = witness
        }
    }

    /// Whether the row that a part wrote last is still in the table.
    public enum Witness: String, Sendable, Hashable, CaseIterable {
        /// The ledger names none: it is of an earlier build, or the sink has no rows to look up.
        case unknown
        case found
        /// Its key is there with other values. In a table that was made anew, this is an older copy.
        case changed
        case gone
    }

    public init(owner: SinkOwner, table: String?, isSameTable: Bool? = nil, parts: [Int: Part] = [:]) {
        self.owner = owner
        self.table = table
        self.isSameTable = isSameTable
        self.parts = parts
    }
}

/// What a claim is told of the job and its log.
public struct SinkClaim: Sendable {
    /// Take over what is another id's, and let the ledger say what the log knows.
    public var adopt = false
    /// The log has the table as begun and never confirmed: it may be made where it is missing.
    public var begins = false
    /// The table's rows were lost and are written again from the log: it may be made, and our ledger rows go.
    public var anew = false
    /// The last batch that the log has as done, 0 for a new log: by it a sink that forgets with time knows whether it has
    /// forgotten.
    public var after: BatchNumber = 0
    /// The batch that is planned and not done: parts may hold it.
    public var open: BatchNumber?
    /// Each part's last seal with rows, as the log knows it.
    public var seals: [SealMark] = []
    /// The job that this one is a backfill of.
    public var parent: JobID?
    /// The share of a keyed table's keys that this job declares to be its own; nil for all of them.
    public var keys: String?

    public init(
        adopt: Bool = false, begins: Bool = false, anew: Bool = false, after: BatchNumber = 0, open: BatchNumber? = nil,
        seals: [SealMark] = [], parent: JobID? = nil, keys: String? = nil
    ) {
        self.adopt = adopt
        self.begins = begins
        self.anew = anew
        self.after = after
        self.open = open
        self.seals = seals
        self.parent = parent
        self.keys = keys
    }
}
