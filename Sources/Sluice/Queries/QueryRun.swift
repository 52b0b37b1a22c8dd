// A question answered over what topics hold now, in this process: `sluice query`. Nothing is written anywhere.
//
// Lookup tables are read whole and go first, in a batch of their own; then the topics' records go through the question's plan in the order
// of partitions and offsets, some ten thousand at a time, and a last batch says that no more will come. Until then there is no watermark:
// nothing is late, whatever the order of the records, and what waits for its end gets it in the last batch. So the answer is that of
// PostgreSQL over the same rows; what it costs is that all open windows are kept until the end.

import Dataflow
import Decoding
import Engine
import SQLBinding
import SQLJobs
import Values

/// Which records are read, by the times that they were stamped with.
struct QuerySpan {
    var fromMillis: Int64?
    var untilMillis: Int64?
}

/// How far a question is.
struct QueryProgress {
    /// Offsets: some hold no record.
    var done: Int64 = 0
    var all: Int64 = 0
    var records: Int64 = 0
    var partitions = 0
}

final class QueryRun {
    private let job: BoundJob
    let plan: Plan
    let context: EvaluationContext
    private let run: LocalRun
    private var scans: [TopicScan] = []
    private var waiting: [String: [Dataflow.Chunk]] = [:]
    private var waitingRows = 0
    private(set) var progress = QueryProgress()
    private(set) var counts = OperatorCounts()

    /// Rows that go through the plan at once.
    private static let batchRows = 65_536

    var columns: [OutputColumn] { plan.outputs[0].columns }
    /// Whether what was given may be taken back later.
    var isChanging: Bool { plan.nodes[plan.outputs[0].node].kind == .changes }

    /// - Throws: `SQLError` for what cannot be asked, `Failure` for tables that cannot be decoded.
    init(_ job: BoundJob, span: QuerySpan, kafka: QueryKafka) throws {
        self.job = job
        context = EvaluationContext(zone: try job.settings["timezone"].map { try Zone.named($0) } ?? .utc)
        // Only what is asked: outputs of the text are not looked at.
        plan = try Planner.plan(
            BoundJob(text: job.text, tables: job.tables, outputs: [], question: job.question, order: job.order, settings: job.settings, notes: job.notes))
        run = try LocalRun(plan, context: context)
        for source in plan.sources where source.table.connector == .kafka {
            let scan = try TopicScan(source, of: plan, job: job, span: span, kafka: kafka, context: context)
            progress.all += scan.offsets
            progress.partitions += scan.ranges.count
            scans.append(scan)
        }
    }

    /// What was met in each topic.
    var outcomes: [(topic: String, outcome: DecodeOutcome, first: OffsetRange?)] { scans.map { ($0.topic, $0.outcome, $0.firstRejected) } }

    /// - Parameters:
    ///   - take: gets the chunks of the answer, as they come; with weights where `isChanging`.
    ///   - tell: is told of the progress now and then.
    func answer(take: (Dataflow.Chunk) throws -> Void, tell: (QueryProgress) throws -> Void) throws {
        for source in plan.sources where source.table.connector != .kafka {
            waiting[source.table.name] = try LookupScan(source, context: context).chunks()
        }
        if !waiting.isEmpty { try flush([:], take) }
        for scan in scans {
            try scan.read { chunks, records, offsets in
                if !chunks.isEmpty { waiting[scan.table, default: []] += chunks }
                waitingRows += chunks.reduce(0) { $0 + $1.count }
                progress.records += records
                progress.done += offsets
                if waitingRows >= Self.batchRows { try flush([:], take) }
                try tell(progress)
            }
        }
        if !waiting.isEmpty { try flush([:], take) }
        // In a batch without rows: they would all be late.
        let timed = plan.sources.filter { $0.table.options[.eventTime] != nil }.map { ($0.table.name, Int64.max) }
        try flush(Dictionary(timed) { left, _ in left }, take)
    }

    private func flush(_ watermarks: [String: Int64], _ take: (Dataflow.Chunk) throws -> Void) throws {
        let batch = BatchRows(rows: waiting, watermarks: watermarks, time: wallMillis() * 1000)
        waiting = [:]
        waitingRows = 0
        for chunk in try run.run(batch)[0] { try take(chunk) }
        for counted in run.counts { counts.add(counted) }
    }
}
