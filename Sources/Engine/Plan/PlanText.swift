// A plan as text: for people (`explain`) and for comparing (`canonical`, of which the digest is taken).
//
// The canonical text holds what decides rows and nothing else: no job name, no file path, no parallelism. Its form is
// part of every stored plan digest; changing it makes running jobs see "another plan" once.

package enum PlanText {
    /// The stages, their operators, how many tasks each has, and the exchange between them.
    /// - Parameter parallelism: tasks of each stage, as in `BatchPlan.taskCounts`; what is missing is shown as open.
    package static func explain(_ graph: StageGraph, parallelism: [Int] = [], keyGroups: Int = 128) -> String {
        var lines = ["job \(graph.job), plan \(graph.digest)"]
        func line(_ name: String, _ text: String) {
            lines.append("  " + name + String(repeating: " ", count: Swift.max(1, 11 - name.count)) + text)
        }
        func tasks(_ stage: Int) -> String {
            guard stage < parallelism.count else { return "as many tasks as the batch plans" }
            return parallelism[stage] == 1 ? "1 task" : "\(parallelism[stage]) tasks"
        }
        lines.append("stage 0: \(tasks(0)), one for each source range")
        line("read", "kafka topic \(graph.source.topic), \(graph.source.format.rawValue)")
        line("decode", fields(graph.source.neededSchema))
        if let column = graph.source.eventTimeColumn {
            line("watermark", "\(column) - \(formatDuration(graph.source.latenessMillis))")
        }
        for step in graph.steps {
            switch step {
            case .filter(_, let text): line("filter", text)
            case .dropLate(_, let lengthMillis):
                line("drop late", "rows whose window of \(formatDuration(lengthMillis)) the watermark has closed")
            case .join(let lookup, _, _):
                let table = graph.lookups[lookup]
                line(
                    "look up",
                    "\(table.valueColumns.joined(separator: ", ")) in \(table.name) (\(table.path)) by \(table.keyColumn)")
            case .compute(_, _, let text): line("compute", text)
            }
        }
        if let grouping = graph.grouping {
            line("group", "by \(grouping.keys.map(\.text).joined(separator: ", "))")
            line("partly", aggregates(grouping))
            let parts = parallelism.count > 1 ? "\(parallelism[1])" : "the planned number of"
            lines.append(
                "exchange: hash of (\(graph.keySchema.names.joined(separator: ", "))) to \(keyGroups) key groups in "
                    + "\(parts) part\(parts == "1" ? "" : "s")")
            lines.append("stage 1: \(tasks(1)), one for each range of key groups")
            line("merge", aggregates(grouping))
            line(
                "state",
                "by \(graph.keySchema.names.joined(separator: ", "))"
                    + (graph.window.map { ", until the watermark closes the window of \(formatDuration($0.lengthMillis))" }
                        ?? ", kept for good"))
        }
        for step in graph.projection.steps { line("compute", step.text) }
        line("write", sink(graph.sink))
        line("columns", fields(graph.sink.schema))
        return lines.joined(separator: "\n") + "\n"
    }

    static func canonical(
        source: StageGraph.Source, lookups: [LookupSpec], window: StageGraph.Window?, sink: SinkTable,
        steps: [SourceStep], grouping: Grouping?, projection: Projection
    ) -> String {
        var lines = [
            "plan 1", "topic \(source.topic)", "format \(source.format.rawValue)", "decode \(fields(source.neededSchema))",
        ]
        if let column = source.eventTimeColumn { lines.append("watermark \(column) \(source.latenessMillis)") }
        for step in steps {
            switch step {
            case .filter(_, let text): lines.append("filter \(text)")
            case .dropLate(_, let lengthMillis): lines.append("late \(lengthMillis)")
            case .join(let lookup, _, _):
                let table = lookups[lookup]
                lines.append("join \(table.name) \(table.keyColumn) \(table.columns.joined(separator: ","))")
            case .compute(_, let slot, let text): lines.append("compute \(slot) \(text)")
            }
        }
        if let grouping {
            for key in grouping.keys { lines.append("key \(fields(Schema([key.field]))) = \(key.text)") }
            for output in grouping.layout.outputs {
                lines.append("aggregate \(fields(Schema([output.field]))) = \(output.text)")
            }
        }
        if let window { lines.append("window \(window.keyColumn) \(window.lengthMillis)") }
        for step in projection.steps { lines.append("project \(step.slot) \(step.text)") }
        lines.append("output \(projection.texts.joined(separator: "; "))")
        lines.append("sink \(sink.mode.rawValue) \(sink.name) (\(sink.key.joined(separator: ","))) \(fields(sink.schema))")
        return lines.joined(separator: "\n")
    }

    private static func fields(_ schema: Schema) -> String {
        schema.fields.map { "\($0.name) \($0.type.rawValue)\($0.nullable ? " or NULL" : "")" }.joined(separator: ", ")
    }

    private static func aggregates(_ grouping: Grouping) -> String {
        grouping.layout.outputs.map { "\($0.field.name) = \($0.text)" }.joined(separator: ", ")
    }

    private static func sink(_ table: SinkTable) -> String {
        switch table.mode {
        case .keyedUpsert where table.key.isEmpty: "table \(table.name), one row"
        case .keyedUpsert: "table \(table.name), rows replaced by (\(table.key.joined(separator: ", ")))"
        case .append where table.key.isEmpty: "table \(table.name), rows added once"
        case .append: "table \(table.name), rows added once, unique by (\(table.key.joined(separator: ", ")))"
        }
    }
}
