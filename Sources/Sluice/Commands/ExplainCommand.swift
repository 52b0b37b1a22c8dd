// `sluice explain JOB`: what a job will do under these settings, without running it.
//
// The stages come from the same compilation that a driver makes. The number of source tasks is the number of partitions
// that have records; it is known only when a broker is named and answers, and is left open otherwise.

import Driver
import Engine

enum ExplainCommand {
    private static let timeoutMillis: Int32 = 3_000

    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "explain", .jobs, summary: "show what a job will do",
            about: """
                Shows the stages of a job under the given settings: their operators, how many tasks they have, and the exchange \
                between them. With --bootstrap the number of partitions is asked; nothing is run or written.
                """,
            positionals: [Positional(JobArgument.positional, choices: jobs.names, orFile: JobArgument.isFile, help: JobArgument.help)],
            options: [JobArgument.value, .json], settingFlags: .all, settingDefaults: jobs.settingDefaults,
            examples: [
                Command.Example("sluice explain campaign-views", "its stages and operators"),
                Command.Example(
                    "sluice explain campaign-views --workers 2 --bootstrap 127.0.0.1:9092", "with its numbers of tasks"),
            ],
            run: { try run($0, $1, jobs) })
    }

    private struct Line: Encodable {
        var job: String
        var plan: String
        var topic: String
        var stages: Int
        /// Tasks of each stage, as far as they are known.
        var tasks: [Int]
        var keyGroups: Int
        var sink: String
        /// Who reads the records, and why not another.
        var reader: String
        var text: String
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let definition = JobArgument.definition(parsed)
        let settings = try parsed.settings()
        let graph = try jobs.graph(definition: definition, settings: settings.jobValues)
        let keyGroups = settings.integer(.keyGroups)
        let slots = slots(settings)
        var tasks: [Int] = []
        if settings.optionalText(.bootstrap) != nil {
            do {
                tasks = [try graph.sources.reduce(0) { $0 + (try partitions(of: $1.topic, settings)) }]
                if graph.hasExchange {
                    let parts = try sinkTopic(settings.text(.sink)).map { try partitions(of: $0, settings) } ?? slots
                    tasks.append(graph.parts(parts, keyGroups: keyGroups))
                }
            } catch {
                let failure = failure(error)
                terminal.note("sluice: the partitions were not asked: \(failure.what): \(failure.why)")
            }
        }
        let reader = try EngineSettings.reader(settings.jobValues).text
        let text = graph.text ?? PlanText.explain(graph, parallelism: tasks, keyGroups: keyGroups)
        if parsed.flag("json") {
            try terminal.json(
                Line(
                    job: definition, plan: graph.digest, topic: graph.sources.map(\.topic).joined(separator: ", "), stages: graph.stageCount, tasks: tasks,
                    keyGroups: keyGroups, sink: AddressPassword.masked(graph.sinkAddress ?? settings.text(.sink)), reader: reader, text: text))
            return 0
        }
        try terminal.text(text)
        let workers = settings.integer(.workers)
        try terminal.line(
            (workers == 0 ? "in this process" : "\(workers) worker process\(workers == 1 ? "" : "es")")
                + ", up to \(slots) task\(slots == 1 ? "" : "s") at a time; sink \(AddressPassword.masked(graph.sinkAddress ?? settings.text(.sink))); read by \(reader)")
        if sinkTopic(settings.text(.sink)) != nil, EngineSettings.sinkFormat(settings.jobValues, source: graph.source) == .avro {
            try terminal.line("schema of its values \(AvroSchema.text(name: graph.sink.name, columns: graph.sink.schema))")
        }
        return 0
    }

    /// Tasks that can run at a time: workers times slots, as `run` counts them.
    private static func slots(_ settings: Settings) -> Int {
        let workers = settings.integer(.workers)
        if workers == 0 { return settings.integer(.slots) }
        return workers * (settings.origin(of: .slots) == .engine ? 1 : settings.integer(.slots))
    }

    private static func partitions(of topic: String, _ settings: Settings) throws -> Int {
        let configuration = try KafkaConfiguration(
            bootstrap: settings.required(.bootstrap), properties: SettingsSource.kafkaProperties(settings))
        return try OffsetQueries(configuration, timeoutMillis: timeoutMillis).partitions(of: topic).count
    }
}
