// A job as tasks run it: one stage, or two with an exchange between them.
//
//   stage 0, a task per source range:  decode -> filter -> (late rows out) -> look up -> ... -> group, partly
//   ------------- exchange: the key's hash picks a key group, each part owns a range of key groups -------------
//   stage 1, a task per part:          merge -> add the state of the batch before -> project -> sink, state delta
//
// A job that does not group has no exchange: stage 0 projects its rows and writes them.
//
// The graph is a value that driver and workers compute from the same job definition and settings. `digest` covers all
// that decides a row: equal digests mean equal rows from equal ranges. Paths of lookup files are left out, since every
// plan names lookups by the digest of their bytes; so is the job's name.
//
// A job that is written in SQL has the outside of a graph, by which everybody schedules it, and computes with `query`, the work of another
// module; what only the pipelines read is empty then.
//
// When changing this: whatever changes rows must change `PlanText.canonical`, or old and new builds
// will call different plans the same. The build's own digest is checked too, but backfills compare plans across builds.

package struct StageGraph: Sendable {
    package struct Source: Sendable {
        package var topic: String
        package var format: RecordFormat
        /// What the decoder fills: the fields that the job uses, in the order in which it declares them.
        package var neededSchema: Schema
        /// The column of `neededSchema` that holds the event time.
        package var eventTimeColumn: String?
        package var latenessMillis: Int64

        package init(topic: String, format: RecordFormat, neededSchema: Schema, eventTimeColumn: String?, latenessMillis: Int64) {
            self.topic = topic
            self.format = format
            self.neededSchema = neededSchema
            self.eventTimeColumn = eventTimeColumn
            self.latenessMillis = latenessMillis
        }
    }

    package struct Window: Sendable, Hashable {
        /// Index in `keySchema`.
        package var keyColumn: Int
        package var lengthMillis: Int64
    }

    package let job: String
    /// The topic that is read, or the first of several.
    package let source: Source
    package let others: [Source]
    package let lookups: [LookupSpec]
    /// The key columns of a group; empty without an exchange.
    package let keySchema: Schema
    /// Key columns, then accumulators: the schema of blocks, deltas and snapshots.
    package let accumulatorSchema: Schema
    package let window: Window?
    package let sink: SinkTable
    /// Where the table lies, when the job itself says so; nil for the setting `sink`.
    package let sinkAddress: String?
    package let digest: String
    /// The shortest step in which the watermark closes something; nil where it closes nothing.
    package let closingMillis: Int64?
    /// For `explain`, of a job that is written in SQL.
    package let text: String?
    private let query: (any StageWork)?

    package var sources: [Source] { [source] + others }
    package var work: any StageWork { query ?? RowWork(self) }
    package var hasExchange: Bool { query?.hasExchange ?? (grouping != nil) }
    package var stageCount: Int { hasExchange ? 2 : 1 }

    /// The number of parts of a batch that may have so many.
    package func parts(_ parts: Int, keyGroups: Int) -> Int { min(parts, query?.mostParts ?? keyGroups, keyGroups) }

    // What only the pipelines read.
    let slotCount: Int
    let eventTimeSlot: Int?
    /// The slot of each decoder column.
    let decoderSlots: [Int]
    let coordinates: [(coordinate: SourceCoordinate, slot: Int)]
    let steps: [SourceStep]
    let grouping: Grouping?
    let projection: Projection
    /// Slots of key columns in which a row may have NULL or a number that is not finite.
    let doubtfulKeySlots: [Int]

    /// Compiles the definition of `job`, with `settings` over the job's defaults.
    package init(job: any StreamingJob, settings: [String: String]) throws {
        if let compiled = job as? any CompiledJob {
            self = try compiled.graph(settings)
            return
        }
        let merged = job.defaults.merging(settings) { _, given in given }
        let name = merged["name"] ?? job.name
        let context = JobContext(job: name, settings: merged)
        try job.define(in: context)
        guard var plan = context.plan else {
            throw Failure(
                .notPossible, "job \(name) writes nothing", why: "its definition ends without a sink",
                now: "end the stream with .write(to: ...)")
        }
        if let table = merged["sink_table"], !table.isEmpty { plan.sink?.name = Self.sinkTable(table, job: name) }
        self = try PlanCompiler.compile(plan)
    }

    /// The table that `sink_table` names: `{job}` is the job's name, with `_` for what no table's name can have.
    package static func sinkTable(_ setting: String, job: String) -> String {
        let fitting = job.utf8.map { byte in
            let isFitting = (65...90).contains(byte) || (97...122).contains(byte) || (48...57).contains(byte)
            return isFitting ? Character(UnicodeScalar(byte)) : "_"
        }
        return setting.replacing("{job}", with: String(fitting))
    }

    /// A job that computes with `query`.
    package init(
        job: String, sources: [Source], lookups: [LookupSpec], sink: SinkTable, sinkAddress: String?, digest: String, closingMillis: Int64?, text: String,
        query: any StageWork
    ) {
        self.job = job
        source = sources[0]
        others = Array(sources.dropFirst())
        self.lookups = lookups
        self.sink = sink
        self.sinkAddress = sinkAddress
        self.digest = digest
        self.closingMillis = closingMillis
        self.text = text
        self.query = query
        (keySchema, accumulatorSchema, window) = (Schema([]), Schema([]), nil)
        (slotCount, eventTimeSlot, decoderSlots, coordinates, steps, grouping, doubtfulKeySlots) = (0, nil, [], [], [], nil, [])
        projection = Projection(slotCount: 0, steps: [], outputSlots: [], texts: [])
    }

    init(
        plan: LogicalPlan, source: Source, lookups: [LookupSpec], window: Window?, sink: SinkTable, slotCount: Int,
        eventTimeSlot: Int?, decoderSlots: [Int], coordinates: [(coordinate: SourceCoordinate, slot: Int)],
        steps: [SourceStep], grouping: Grouping?, projection: Projection, doubtfulKeySlots: [Int]
    ) {
        job = plan.job
        self.source = source
        others = []
        self.lookups = lookups
        keySchema = Schema(grouping?.keys.map(\.field) ?? [])
        accumulatorSchema = Schema(keySchema.fields + (grouping?.layout.fields ?? []))
        self.window = window
        self.sink = sink
        (sinkAddress, text, query, closingMillis) = (nil, nil, nil, window?.lengthMillis)
        self.slotCount = slotCount
        self.eventTimeSlot = eventTimeSlot
        self.decoderSlots = decoderSlots
        self.coordinates = coordinates
        self.steps = steps
        self.grouping = grouping
        self.projection = projection
        self.doubtfulKeySlots = doubtfulKeySlots
        digest = Engine.digest(
            of: PlanText.canonical(
                source: source, lookups: lookups, window: window, sink: sink, steps: steps, grouping: grouping,
                projection: projection))
    }
}

/// One operator of stage 0.
enum SourceStep: Sendable {
    /// `text` is what the author wrote.
    case filter(BoundExpression, text: String)
    /// Takes out and counts rows whose window was closed when the batch was planned.
    case dropLate(slot: Int, lengthMillis: Int64)
    /// Index in `StageGraph.lookups`; one slot for each value column that is used, with its index among them.
    case join(lookup: Int, keySlot: Int, values: [(column: Int, slot: Int)])
    case compute(BoundExpression, slot: Int, text: String)
}

/// How rows become groups.
struct Grouping: Sendable {
    struct Key: Sendable {
        var field: Field
        var slot: Int
        var text: String
    }
    var keys: [Key]
    var layout: AccumulatorLayout
}

/// The last operators: from slots to the sink's columns. After an exchange the slots are keys, then aggregates.
struct Projection: Sendable {
    struct Step: Sendable {
        var expression: BoundExpression
        var slot: Int
        var text: String
    }
    var slotCount: Int
    var steps: [Step]
    /// One for each column of the sink.
    var outputSlots: [Int]
    /// What the author wrote for each, for `explain`.
    var texts: [String]
}
