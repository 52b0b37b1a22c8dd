// A bound text becomes a job that driver and workers can run: topics, lookup tables beside them, one table that is written.
//
// What is decided here: which table is written, with which key; where the plan is cut; what the job's digest covers. The digest of the
// output's node covers all that decides its rows, tables and their options among it; the table's columns and key come on top.

import Dataflow
import Engine
import SQLBinding
import SQLSyntax
import Values

struct SQLPlan {
    let graph: StageGraph
    /// The tables that are read.
    let sources: [TableDefinition]

    /// - Parameter directory: what relative paths in the text are relative to.
    init(_ job: BoundJob, name: String, directory: String, settings: [String: String]) throws {
        func refused(_ what: String, at place: Place, why: String, now: String) -> SQLError {
            SQLFault("\(what) is not there yet", at: place, why: why, hint: now).error(in: job.text)
        }
        guard let output = job.outputs.first else { preconditionFailure("a job without an output") }
        if job.outputs.count > 1 {
            throw refused("a second output", at: job.outputs[1].place, why: "a job writes one table so far", now: "make two files of it")
        }
        let plan = try Planner.plan(BoundJob(text: job.text, tables: job.tables, outputs: job.outputs, settings: job.settings))
        sources = plan.sources.map(\.table)
        let topics = plan.sources.filter { $0.table.connector == .kafka }
        guard !topics.isEmpty else {
            throw SQLFault(
                "no topic is read", at: output.place, why: "a job runs over the records of a topic", hint: "read a table with connector = 'kafka'"
            ).error(in: job.text)
        }
        for (number, topic) in topics.enumerated() {
            guard let other = topics[..<number].first(where: { $0.topic == topic.topic }) else { continue }
            throw refused(
                "topic \(topic.topic) in two tables", at: topic.table.place, why: "a topic is read once, and \(other.table.name) declares it",
                now: "declare it once, and make views of it")
        }

        let target = try Self.target(output, plan.outputs[0], plan, job, name, settings)
        let columns = target.columns
        var key: [Int]?
        if target.table.mode == .keyedUpsert {
            key = target.table.key.map { name in
                guard case .column(let number)? = columns.first(where: { $0.field.name == name })?.value else { preconditionFailure("a key column without a value") }
                return number
            }
        }
        let cut: StageCut
        // A part of a table that is written without an exchange is a partition, of which several topics have equal numbers.
        do { cut = try StageCut(plan, key: key, needsExchange: topics.count > 1) } catch {
            let table = job.tables.first { $0.name == error.table }
            if error.isBesideChanges {
                throw refused(
                    "lookup table \"\(error.table)\" beside rows that change", at: table?.place ?? output.place,
                    why: "a row that is taken back would have to meet what it met when it came", now: "look it up before the rows are grouped, or read the topic in mode 'append'")
            }
            throw refused(
                "lookup table \"\(error.table)\" on its own", at: table?.place ?? output.place,
                why: "its rows are seen beside a stream's only, which stands on the left of the join",
                now: "write FROM stream JOIN \(error.table)")
        }
        let zone = try job.settings["timezone"].map { try Zone.named($0) } ?? .utc
        let sources = try topics.map { source in
            let lateness = try source.table.options[.lateness].flatMap { durationMicros($0) }.map { $0 / 1000 } ?? Self.lateness(settings)
            return StageGraph.Source(
                topic: source.topic, format: source.table.options[.format] == "avro" ? .avro : .json, neededSchema: Schema([]),
                eventTimeColumn: source.table.options[.eventTime], latenessMillis: lateness)
        }
        let work = SQLWork(
            script: job.text, plan: plan, cut: cut, columns: columns, key: key, table: target.table, topics: topics, context: EvaluationContext(zone: zone),
            onError: job.settings["on_error"].flatMap { FaultPolicy(rawValue: $0) } ?? .quarantine,
            maxFutureMicros: settings["max_future"].flatMap { parseDuration($0) }.map { $0 * 1000 }, directory: directory)
        let lookups = plan.sources.filter { $0.table.connector != .kafka }.map { source in
            LookupSpec(name: source.table.name, place: source.table.options[.url] ?? "") {
                try LookupScan(source, directory: directory, context: EvaluationContext(zone: zone)).bytes()
            }
        }
        let digest = Engine.digest(
            of:
                "query 1\n\(plan.nodes[plan.outputs[0].node].id)\n\(target.text)\n\(sources.map { "lateness of \($0.topic) \($0.latenessMillis)" }.joined(separator: "\n"))\nparts \(cut.mostParts.map { "\($0)" } ?? "any")\n"
        )
        graph = StageGraph(
            job: name, sources: sources,
            lookups: lookups, sink: target.table, sinkAddress: target.address.map { Self.absolute($0, directory) }, digest: digest, closingMillis: plan.closingMillis,
            text: "job \(name), plan \(digest)\n" + plan.text + work.text, query: work)
    }

    private static func lateness(_ settings: [String: String]) throws -> Int64 {
        let text = settings["lateness"] ?? ""
        guard let millis = parseDuration(text) else {
            throw Failure(
                .invalidSetting, "setting lateness cannot be `\(text)`", why: "it takes a length of time such as 500ms",
                now: "correct it; `sluice settings` lists every key with its type")
        }
        return millis
    }

    /// An address with a path, from the root.
    static func absolute(_ address: String, _ directory: String) -> String {
        guard let path = sqlitePath(address), !path.hasPrefix("/"), !directory.isEmpty else { return address }
        return "sqlite:\(directory)/\(path)"
    }

    // MARK: the table that is written

    private struct Target {
        var table: SinkTable
        /// nil: the setting `sink`.
        var address: String?
        var columns: [SinkColumn]

        /// For the digest: equal texts write equal tables.
        var text: String {
            let fields = columns.map { column in
                let constant = if case .constant(let value) = column.value { " = \(value)" } else { "" }
                return "\(column.field.name) \(column.field.sqlType ?? column.field.type.rawValue)\(column.field.nullable ? " or NULL" : "")\(constant)"
            }
            return "sink \(table.mode.rawValue) \(table.name) (\(table.key.joined(separator: ","))) \(fields.joined(separator: ", "))"
        }
    }

    private static func target(
        _ output: JobOutput, _ planned: PlanOutput, _ plan: Plan, _ job: BoundJob, _ name: String, _ settings: [String: String]
    ) throws -> Target {
        let isChanging = plan.nodes[planned.node].kind == .changes
        func field(_ name: String, _ type: SQLType, _ modifier: TypeModifier, isNullable: Bool) -> Field {
            Field(name, type.sinkType, nullable: isNullable, sqlType: type.postgresName(modifier))
        }
        switch output.target {
        case .view(let view):
            let columns = planned.columns.enumerated().map { number, column in
                SinkColumn(field: field(column.name, column.type, .none, isNullable: column.isNullable), type: column.type, value: .column(number))
            }
            // Hidden columns are not given; a key of a view has none.
            let shown = output.relation.columns.indices.filter { !output.relation.columns[$0].isHidden }
            let key = isChanging ? (output.relation.shortestKey(within: Set(shown)) ?? []).map { shown.firstIndex(of: $0)! } : []
            let setting = settings["sink_table"] ?? ""
            return Target(
                table: SinkTable(
                    name: setting.isEmpty ? view : StageGraph.sinkTable(setting, job: name), schema: Schema(columns.map(\.field)), key: key.map { planned.columns[$0].name },
                    mode: isChanging ? .keyedUpsert : .append),
                address: nil, columns: columns)
        case .table(let target, let numbers):
            guard let table = job.tables.first(where: { $0.name == target }) else { preconditionFailure("an output into no table") }
            if table.connector == .kafka {
                throw SQLFault(
                    "INSERT INTO a topic is not there yet", at: output.place, why: "a job written in SQL writes tables so far",
                    hint: "insert into a table of postgres or sqlite, or write the job in Swift"
                ).error(in: job.text)
            }
            if let column = table.columns.first(where: { $0.generated != nil }) {
                throw SQLFault(
                    "column \"\(column.name)\" is generated, which is not there yet for a table that is written", at: output.place, why: "its value would not be computed",
                    hint: "select its value, and declare it plainly"
                ).error(in: job.text)
            }
            let context = EvaluationContext(zone: try job.settings["timezone"].map { try Zone.named($0) } ?? .utc)
            let columns = try table.columns.enumerated().map { index, column in
                let given = numbers.firstIndex(of: index)
                let isKey = table.key.contains(index)
                let isNullable = given.map { planned.columns[$0].isNullable } ?? true
                let value: SinkColumn.Value = try given.map { .column($0) } ?? .constant(constant(column, context, output, job))
                return SinkColumn(
                    field: field(column.name, column.type, column.modifier, isNullable: isKey ? isNullable : !column.isNotNull), type: column.type, value: value)
            }
            let isShown = table.connector == .console || table.connector == .discard
            let key = table.key.isEmpty && isShown && isChanging ? Array(table.columns.indices) : table.key
            return Target(
                table: SinkTable(
                    name: table.options[.table] ?? table.name, schema: Schema(columns.map(\.field)), key: key.map { table.columns[$0].name },
                    mode: isChanging ? .keyedUpsert : .append),
                address: isShown ? "\(table.connector.rawValue):" : table.options[.url], columns: columns)
        }
    }

    /// What a column gets that the query does not give.
    private static func constant(_ column: TableColumn, _ context: EvaluationContext, _ output: JobOutput, _ job: BoundJob) throws -> Datum {
        guard let expression = column.defaultValue else { return .null }
        let errors = RowErrors()
        var results: [Vector] = []
        Program([expression], context: context, pool: BufferPool()).run([], count: 1, .all(1), into: &results, errors: errors)
        if let error = errors.list.first {
            throw SQLFault("the default of column \"\(column.name)\" has no value", at: output.place, why: error.fault.message, hint: "give it another default").error(in: job.text)
        }
        return results[0].datum(0)
    }
}

extension PlanSource {
    /// Of a table of kafka.
    var topic: String { table.options[.topic] ?? table.name }
}
