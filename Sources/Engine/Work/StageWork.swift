// What computes in a job, as those see it who read records, move blocks, store state and seal rows.
//
//   range work   stage 0: the records of one range go in; a block for each part comes out, or rows for the sink
//   part work    the stage behind the exchange: blocks go in; rows come out, and what changed in the part's state
//
// A worker makes the work of a job once a slot and uses it batch after batch. Nothing that it computes has left the worker when a call
// returns, and nothing of it is believed before its batch is DONE: what a part changed comes out as a delta that is stored, and the work
// that gave it is used again only for the batch that follows (`StateUse`). Both kinds belong to one thread at a time.
//
// When adding a kind of work: what it gives must be a function of the plan, the records, the state and the lookups, and of nothing else.

/// Everything of a job that computes.
package protocol StageWork: Sendable {
    /// There is a stage behind an exchange, whose parts own key groups and may keep state.
    var hasExchange: Bool { get }
    /// More parts than this would not be right; nil for any number.
    var mostParts: Int? { get }
    /// A part may be asked for all rows of its state at once (`BatchPlan.OutputMode.complete`).
    var givesComplete: Bool { get }

    /// So many records a batch of a backlog may hold, however slow it is: what keeps whole rows of a batch in memory says less.
    var alwaysRecords: Int64 { get }
    /// Rows leave when the watermark passes them, so a batch without records may have some.
    var givesWhenClosed: Bool { get }
    /// There is a row before the first record.
    var givesAtStart: Bool { get }

    /// What the records were written with, as one text; nil where that is built in. Read where the job starts, and sent to its workers.
    func schemaText(_ settings: [String: String]) throws -> String?
    /// - Throws: what does not fit in a schema or a declaration.
    func makeRangeWork(schemaText: String?, chunkRecords: Int) throws -> any RangeWork
    func makePartWork(keyGroups: Int, groups: Range<Int>) throws -> any PartWork
    /// The content of one of the job's lookups, for the ranges of every slot.
    func makeLookup(_ spec: LookupSpec, from bytes: [UInt8]) throws -> any LookupContent
    /// Says why what is kept cannot go on under `next`; returns where it can.
    func checkState(goesOnAs next: any StageWork, job: String) throws
}

/// A lookup's content as a process shares it.
package protocol LookupContent: Sendable {}

/// What work is told before its records or its blocks.
package struct WorkTask {
    package var context: TaskContext
    package var keyGroups: Int
    package var parts: Int
    /// By name; all of the job's.
    package var lookups: [String: any LookupContent]

    package init(context: TaskContext, keyGroups: Int, parts: Int, lookups: [String: any LookupContent]) {
        self.context = context
        self.keyGroups = keyGroups
        self.parts = parts
        self.lookups = lookups
    }
}

/// What a range gave.
package struct MadeOfRange {
    /// With an exchange: a block for each part, nil where nothing goes there.
    package var blocks: [[UInt8]?] = []
    /// Without one: rows for the sink, in the order of the records.
    package var output: [Chunk] = []
    package var rowsIn = 0
    package var late = 0
    package var unmatched = 0
    /// Rows that failed in an expression and are left out, or values that are NULL for it.
    package var failed = 0
    package var maxEventTimeMillis: Int64?
    /// Ids in the framings of Avro records, where one schema stands for any.
    package var schemaIDs: [UInt32] = []

    package init() {}
}

package protocol RangeWork: AnyObject {
    typealias Reject = (_ record: RawRecord, _ reason: RejectReason, _ timeMillis: Int64?) -> Void

    /// A range begins; what a call before left half done is forgotten.
    func begin(_ task: WorkTask) throws
    /// Takes some records of the range, in their order; they are valid during the call.
    /// - Parameter reject: called with each record that does not become a row.
    func take(_ records: UnsafeBufferPointer<RawRecord>, reject: Reject) throws
    /// Offsets of late rows since the last call, ascending.
    func takeLateOffsets() -> [Int64]
    /// - Parameter compressing: blocks leave this host.
    func finish(compressing: Bool) throws -> MadeOfRange
}

/// A file of a manifest, and the key groups that its entries name it for.
package struct NamedState {
    package var bytes: [UInt8]
    package var groups: [Range<Int>]

    package init(bytes: [UInt8], groups: [Range<Int>]) {
        self.bytes = bytes
        self.groups = groups
    }
}

/// What a batch changed in a part's state.
package protocol PartDelta {
    var rowCount: Int { get }
    /// As a file.
    func bytes() throws -> [UInt8]
}

package struct MadeOfPart {
    /// Rows for the sink.
    package var output: [Chunk] = []
    package var late = 0
    package var failed = 0
    /// nil where nothing changed.
    package var delta: (any PartDelta)?

    package init() {}
}

package protocol PartWork: AnyObject {
    /// Its state is what the last batch left, delta included, and not what was there before it.
    var changesInPlace: Bool { get }
    var stateRows: Int { get }
    var stateBytes: Int { get }

    /// Takes the state's files, the oldest first; once, before the first batch.
    /// - Parameter keyGroups: what the numbers of the files' groups count in.
    func load(_ files: [NamedState], keyGroups: Int) throws
    /// A batch begins.
    func begin(_ task: WorkTask) throws
    /// Takes a block. Blocks come in the order of their ranges.
    func take(block: [UInt8]) throws
    func finish(output: BatchPlan.OutputMode) throws -> MadeOfPart
    /// The delta's batch is DONE.
    func adopt(_ delta: any PartDelta)
    /// The whole state, the delta counted in, as one file.
    /// - Parameter files: those that the state before the delta is made of.
    func snapshot(with delta: (any PartDelta)?, of files: () throws -> [NamedState]) throws -> (bytes: [UInt8], rows: Int)
}
