// `sluice bench latency`: how long an event waits until its row is visible, and what that costs.
//
// Measures and tells; what is measured and how stands in `LatencyBench`. Exits with 1 when a budget is missed.

import Engine
import Foundation

enum LatencyCommand {
    static let command = Command(
        "bench latency", .tools, summary: "measure how long an event waits for its row",
        about: """
            Starts campaign-views of this binary with interval 0 on a topic and in a directory (under TMPDIR) of its \
            own, sends events at a steady rate, and watches the sink: from the moment at which an event was due to be \
            sent until its row is visible, with every fsync, and the processor time of driver and workers meanwhile. \
            Exits with 1 when a budget is missed.
            """,
        options: [
            Option("runs", .integer(1...1000), fallback: "3", help: "how often it is measured"),
            Option("workers", .integer(0...64), fallback: "0", help: "worker processes; 0 is one process for all, as `sluice run` has it"),
            Option("rate", .integer(1...1_000_000), fallback: "10000", help: "events a second"),
            Option("seconds", .integer(1...3600), fallback: "10", help: "length of a measurement, after 8 s of warm-up"),
            Option("into", .text, valueName: "ADDRESS", fallback: "sqlite", help: "sqlite, or the postgres:// address of a database for the rows"),
            .json,
        ],
        settingFlags: .some([.bootstrap, .reader, .kafka]),
        examples: [
            Command.Example("sluice bench latency --bootstrap 127.0.0.1:9092", "10,000 events a second into SQLite"),
            Command.Example("sluice bench latency --runs 1 --seconds 3 --json", "a quick look, for a program"),
        ],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let settings = try parsed.settings()
        // Options with a default are always there.
        let (runs, workers) = (parsed.integer("runs") ?? 1, parsed.integer("workers") ?? 1)
        let into = parsed.text("into") ?? "sqlite"
        let isJSON = parsed.flag("json")
        let stop = BenchStop()
        let signals = Signals { stop.ask() }
        defer { signals.cancel() }
        let place = try BenchPlace(settings, terminal: terminal, stop: stop)
        defer { place.end() }
        try BenchCommand.showMachine(place, runs: runs, terminal, asJSON: isJSON)
        let bench = LatencyBench(
            place: place, runs: runs, workers: workers, perSecond: parsed.integer("rate") ?? 1,
            seconds: parsed.integer("seconds") ?? 1, sink: into == "sqlite" ? nil : into,
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
