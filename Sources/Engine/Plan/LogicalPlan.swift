// What a job means, before anybody decides how to run it: a source, operators in the order in which they were written,
// and where the rows go. A value, made by `JobContext`, turned into a `StageGraph` by `PlanCompiler`.

/// A topic as a stream of rows.
public struct StreamSource: Sendable {
    var topic: String
    var format: RecordFormat
    var schema: Schema

    /// The records of a Kafka topic. `schema` names the fields that the job may use; only those it does use are decoded.
    public static func kafka(_ topic: String, format: RecordFormat, schema: [Field]) -> StreamSource {
        StreamSource(topic: topic, format: format, schema: Schema(schema))
    }
}

/// Where a lookup table comes from.
public struct TableSource: Sendable {
    var path: String

    /// A CSV file with a header. Its bytes are part of the plan: each batch names the content that it saw.
    public static func file(_ path: String) -> TableSource { TableSource(path: path) }
}

/// Where rows go, and what makes writing them twice harmless.
public struct SinkTarget: Sendable {
    var name: String
    var key: [String]
    var mode: SinkMode

    /// A table whose rows are replaced by key. The job must group by exactly these columns.
    public static func table(_ name: String, key: [String]) -> SinkTarget {
        SinkTarget(name: name, key: key, mode: .keyedUpsert)
    }

    /// A table to which every row is added once. `uniqueKey` names source coordinates, so that going back is safe too.
    public static func append(_ name: String, uniqueKey: [String] = []) -> SinkTarget {
        SinkTarget(name: name, key: uniqueKey, mode: .append)
    }
}

/// The columns that say where a row came from; they cost nothing unless they are used.
public enum SourceCoordinate: String, Sendable, CaseIterable {
    case topic = "source_topic"
    case partition = "source_partition"
    case offset = "source_offset"

    var type: ValueType {
        switch self {
        case .topic: .text
        case .partition, .offset: .int64
        }
    }
}

/// A number kept per group.
public struct Aggregate: Sendable {
    enum Function: String, Sendable { case count, sum, min, max, avg }
    var function: Function
    /// nil: rows are counted.
    var input: Expression?
    var condition: Expression?
    var name: String?

    /// Names the column.
    public func `as`(_ name: String) -> Aggregate {
        var named = self
        named.name = name
        return named
    }

    var text: String {
        if let condition { return "\(function.rawValue)(where: \(condition))" }
        return "\(function.rawValue)(\(input.map(\.description) ?? ""))"
    }
}

/// The number of rows.
public func count() -> Aggregate { Aggregate(function: .count) }
/// The number of rows for which `condition` is true.
public func count(where condition: Expression) -> Aggregate { Aggregate(function: .count, condition: condition) }
/// The sum of the values that are not NULL; NULL where there are none.
public func sum(_ expression: Expression) -> Aggregate { Aggregate(function: .sum, input: expression) }
public func min(_ expression: Expression) -> Aggregate { Aggregate(function: .min, input: expression) }
public func max(_ expression: Expression) -> Aggregate { Aggregate(function: .max, input: expression) }
/// The mean of the values that are not NULL, as float64; NULL where there are none.
public func avg(_ expression: Expression) -> Aggregate { Aggregate(function: .avg, input: expression) }

enum LogicalOperator: Sendable {
    case filter(Expression)
    case join(LookupSpec, on: String)
    case select([Expression])
    case aggregate(keys: [Expression], [Aggregate])
}

/// A lookup table as the plan knows it.
package struct LookupSpec: Sendable {
    package var name: String
    /// The file, or for people the place of what `read` reads.
    package var path: String
    /// For a table that is no file: all of its content, in an order of its own.
    package var read: (@Sendable () throws -> [UInt8])?
    /// The column that rows are looked up by.
    package var keyColumn: String
    /// All columns, in the order in which the job declares them.
    package var columns: [String]
    /// The columns that a match adds to the row.
    package var valueColumns: [String] { columns.filter { $0 != keyColumn } }

    package init(name: String, path: String, keyColumn: String, columns: [String]) {
        self.name = name
        self.path = path
        self.keyColumn = keyColumn
        self.columns = columns
    }

    /// One that is no file.
    package init(name: String, place: String, read: @escaping @Sendable () throws -> [UInt8]) {
        self.init(name: name, path: place, keyColumn: "", columns: [])
        self.read = read
    }
}

struct LogicalPlan: Sendable {
    var job: String
    var source: StreamSource
    var eventTimeColumn: String?
    var latenessMillis: Int64 = 0
    var operators: [LogicalOperator] = []
    var sink: SinkTarget?
}
