// What a job author writes against: `job.stream(...)`, then operators, then `.write(to:)`.
//
// `define` runs when a plan is made, in the driver and again in every worker, and must give the same plan from the same
// settings: it reads no file and asks no clock. The rows never come here. Each operator returns the stream with one
// operator more; names and types are checked when the plan is compiled, right after `define`, before anything runs.

/// A job: a name, a sentence about it, the settings that it reads, and its definition.
public protocol StreamingJob: Sendable {
    var name: String { get }
    var summary: String { get }
    /// The settings that the job reads, with their values when nobody sets them.
    var defaults: [String: String] { get }
    func define(in job: JobContext) throws
}

/// A job whose plan is made elsewhere than by `define`.
package protocol CompiledJob: StreamingJob {
    func graph(_ settings: [String: String]) throws -> StageGraph
}

extension CompiledJob {
    package func define(in job: JobContext) throws { preconditionFailure("\(name) is compiled elsewhere") }
}

extension StreamingJob {
    public var defaults: [String: String] { [:] }
}

/// One run of a job's `define`.
public final class JobContext {
    private let settings: [String: String]
    private let job: String
    private(set) var plan: LogicalPlan?

    init(job: String, settings: [String: String]) {
        self.job = job
        self.settings = settings
    }

    /// The value of a setting; the job's `defaults` say which there are.
    public func setting(_ key: String) throws -> String {
        if let value = settings[key] { return value }
        throw Failure(
            .unknownSetting, "job \(job) asks for the setting \(key)", why: "nobody sets it and it has no default",
            now: "set it with --set \(key)=..., or give it a default in the job's `defaults`")
    }

    /// A setting that is a length of time: `10s`, `500ms`.
    public func duration(_ key: String) throws -> Duration {
        let text = try setting(key)
        if let millis = parseDuration(text) { return .milliseconds(millis) }
        throw Failure(
            .invalidSetting, "the setting \(key) is \(text)", why: "that is not a length of time",
            now: "write it as 250ms, 10s, 5m, 2h or 7d")
    }

    /// A setting that names a record format.
    public func format(_ key: String) throws -> RecordFormat {
        let text = try setting(key)
        if let format = RecordFormat(rawValue: text) { return format }
        throw Failure(
            .invalidSetting, "the setting \(key) is \(text)", why: "that is not a record format",
            now: "use one of: \(RecordFormat.allCases.map(\.rawValue).joined(separator: ", "))")
    }

    /// A lookup table with the columns that its file must have, all text.
    public func table(_ source: TableSource, name: String, columns: [String]) -> LookupTableSource {
        LookupTableSource(name: name, path: source.path, columns: columns)
    }

    /// The rows of a topic.
    public func stream(_ source: StreamSource) -> RowStream {
        RowStream(context: self, plan: LogicalPlan(job: job, source: source))
    }

    fileprivate func finish(_ plan: LogicalPlan) throws {
        guard self.plan == nil else {
            throw Failure(
                .notPossible, "job \(job) writes to two places", why: "a job has one stream and one sink",
                now: "make two jobs")
        }
        self.plan = plan
    }
}

/// A lookup table, to be joined.
public struct LookupTableSource: Sendable {
    var name: String
    var path: String
    var columns: [String]
}

/// Rows under way.
public struct RowStream {
    let context: JobContext
    var plan: LogicalPlan

    /// Names the column that holds the event time, and how far behind the newest row a row may still come.
    public func withWatermark(_ column: String, delay: Duration) -> RowStream {
        var next = self
        next.plan.eventTimeColumn = column
        next.plan.latenessMillis = delay.millis
        return next
    }

    /// Keeps the rows for which `condition` is true.
    public func filter(_ condition: Expression) -> RowStream { adding(.filter(condition)) }

    /// Adds the other columns of the table's row with the same `column`; rows without one are dropped and counted.
    public func join(_ table: LookupTableSource, on column: String) -> RowStream {
        adding(
            .join(
                LookupSpec(name: table.name, path: table.path, keyColumn: column, columns: table.columns), on: column))
    }

    /// Goes on with these columns and no others.
    public func select(_ columns: Expression...) -> RowStream { adding(.select(columns)) }

    public func groupBy(_ keys: Expression...) -> GroupedRows { GroupedRows(stream: self, keys: keys) }

    /// Where the rows go; ends the definition.
    public func write(to target: SinkTarget) throws {
        var finished = plan
        finished.sink = target
        try context.finish(finished)
    }

    fileprivate func adding(_ step: LogicalOperator) -> RowStream {
        var next = self
        next.plan.operators.append(step)
        return next
    }
}

/// Rows by group, waiting for what shall be kept of each group.
public struct GroupedRows {
    let stream: RowStream
    let keys: [Expression]

    /// One row a group: the keys, then these numbers.
    public func agg(_ aggregates: Aggregate...) -> RowStream { stream.adding(.aggregate(keys: keys, aggregates)) }
}
