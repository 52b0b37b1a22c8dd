// `sluice bench scale`: what very many partitions and workers cost the driver.
//
// Measures and tells; what is measured and how stands in `ScaleBench`. Exits with 1 when the budget is missed.

import Engine
import Foundation

enum ScaleCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "bench scale", .tools, summary: "measure planning and scheduling of a very large batch",
            about: """
                Plans, schedules and commits batches of campaign-views over many partitions on simulated workers inside \
                this process, with a real catalog in a SQLite file (under TMPDIR), and prints the driver's processor time \
                step by step. It needs no Kafka. Exits with 1 when the budget is missed.
                """,
            options: [
                Option("batches", .integer(1...1000), fallback: "5", help: "batches that are measured"),
                Option("partitions", .integer(1...100_000), fallback: "10000", help: "partitions that each batch reads"),
                Option("workers", .integer(1...10_000), fallback: "1000", help: "simulated workers"),
                .json,
            ],
            settingFlags: .none,
            examples: [
                Command.Example("sluice bench scale", "10,000 partitions on 1,000 workers"),
                Command.Example("sluice bench scale --partitions 100 --workers 10 --json", "a small one, for a program"),
            ],
            run: { try run($0, $1, jobs) })
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let settings = try Settings.resolve(jobDefaults: try jobs.job("campaign-views").defaults)
        let isJSON = parsed.flag("json")
        let batches = parsed.integer("batches") ?? 1
        let stop = BenchStop()
        let signals = Signals { stop.ask() }
        defer { signals.cancel() }
        let directory = try BenchPlace.makeDirectory(BenchPlace.newSuffix())
        defer { BenchPlace.removeDirectory(directory, terminal) }
        try BenchCommand.show(
            BenchMachine(broker: "none", directory: directory, runs: batches), terminal, asJSON: isJSON)
        let bench = ScaleBench(
            directory: directory, batches: batches, partitions: parsed.integer("partitions") ?? 1,
            workers: parsed.integer("workers") ?? 1, settings: settings, jobs: jobs, stop: stop,
            progress: { text in
                do { try terminal.live([text]) } catch {
                    // The live line alone is lost; the table at the end meets the same reader.
                }
            })
        let found: [BenchResult]
        do {
            found = try bench.run()
        } catch {
            try terminal.endLive()
            throw error
        }
        try terminal.endLive()
        return try BenchCommand.show(found, terminal, asJSON: isJSON)
    }
}
