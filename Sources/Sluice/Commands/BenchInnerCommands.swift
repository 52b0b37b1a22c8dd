// The commands that a bench calls in processes of its own: no help lists them, nobody else needs them.
//
// `bench-run` is `run` that also finds the bench's jobs; `bench-reader` is one process of the reading baseline.

import Engine

enum BenchInnerCommands {
    static func all(_ jobs: JobDefinitions) -> [Command] {
        var run = RunCommand.command(jobs)
        run.name = "bench-run"
        run.positionals = [Positional("JOB", help: "the job to run, also one of the bench's own")]
        return [run, BenchReaderCommand.command]
    }
}

enum BenchReaderCommand {
    static let name = "bench-reader"

    static let command = Command(
        name, .tools, summary: "read a topic and do nothing",
        about: "Reads every partition whose place is PART modulo PARTS and prints what it took.",
        options: [
            Option("part", .integer(0...1000), fallback: "0", help: "which part of the partitions"),
            Option("parts", .integer(1...1000), fallback: "1", help: "how many parts there are"),
            Option("way", .choice(ReadingLoop.Way.allCases.map(\.rawValue)), fallback: "batch", help: "how messages are taken"),
            Option(
                "batch-records", .integer(1...1_000_000), fallback: "\(ReadingLoop.usualBatchRecords)",
                help: "messages a call"),
            Option("copy-to", .text, valueName: "TOPIC", help: "also write some of the records there, in transactions"),
            Option("copy-every", .integer(1...1_000_000), fallback: "1", help: "one record of so many"),
            Option("copy-bytes", .integer(1...1_000_000), fallback: "1000000", help: "so many bytes of it"),
            Option("copy-transaction", .integer(1...(1 << 32)), fallback: "1000000", help: "records read in a transaction"),
        ],
        settingFlags: .some([.bootstrap, .topic, .kafka]),
        settingDefaults: { _ in ["topic": "ad-events"] },
        examples: [Command.Example("sluice bench-reader --bootstrap 127.0.0.1:9092 --topic T", "reads all of T")],
        run: { parsed, terminal in
            let settings = try parsed.settings()
            let kafka = try KafkaConfiguration(
                bootstrap: settings.required(.bootstrap), properties: SettingsSource.kafkaProperties(settings))
            let topic = try settings.required(.topic)
            let queries = try OffsetQueries(kafka)
            let (part, parts) = (parsed.integer("part") ?? 0, parsed.integer("parts") ?? 1)
            let own = try queries.partitions(of: topic).enumerated().filter { $0.offset % parts == part }
                .map { TopicPartition(topic: topic, partition: $0.element) }
            let (starts, ends) = (try queries.starts(own), try queries.ends(own))
            let ranges = own.map {
                OffsetRange(topic: topic, partition: $0.partition, from: starts[$0] ?? 0, until: ends[$0] ?? 0)
            }
            if let output = parsed.text("copy-to") {
                let copy = CopyingLoop(
                    topic: output, transactionalID: "\(output).\(part)", every: parsed.integer("copy-every") ?? 1,
                    valueBytes: parsed.integer("copy-bytes") ?? 1_000_000,
                    transactionRecords: parsed.integer("copy-transaction") ?? 1_000_000)
                try terminal.json(copy.run(kafka, ranges))
                return 0
            }
            let result = try ReadingLoop.run(
                kafka, ranges, way: ReadingLoop.Way(rawValue: parsed.textOrDefault("way")) ?? .batch,
                batchRecords: parsed.integer("batch-records") ?? ReadingLoop.usualBatchRecords)
            try terminal.json(result)
            return 0
        })
}
