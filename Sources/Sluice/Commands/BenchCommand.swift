// `sluice bench overhead`: what Sluice costs on this machine beside the rows, against its budgets.
//
// Measures and tells; what is measured and how stands in `OverheadBench`. Exits with 1 when a budget is missed, so that
// a script can watch over it.

import Engine
import Foundation

enum BenchCommand {
    static let command = Command(
        "bench overhead", .tools, summary: "measure what a run costs beside its rows",
        about: """
            Starts runs of this binary on topics and in a directory (under TMPDIR) of its own, which are removed at \
            the end, and measures the time to the first batch, the work of a batch of one event, and the memory of \
            driver and workers. Without --bootstrap it uses the embedded broker, which holds less and answers faster \
            than a real one: the truth is what it prints with a real Kafka. Exits with 1 when a budget is missed.
            """,
        options: [
            Option("runs", .integer(1...1000), fallback: "5", help: "how often each measurement is made"),
            Option("workers", .integer(1...64), fallback: "2", help: "worker processes, besides the runs without any"),
            Option(
                "backlog", .integer(1...(1 << 32)), fallback: "2000000",
                help: "events of the large backlog; the embedded broker holds less"),
            .json,
        ],
        settingFlags: .some([.bootstrap, .reader, .kafka]),
        examples: [
            Command.Example("sluice bench overhead --bootstrap 127.0.0.1:9092", "all budgets, on a real broker"),
            Command.Example("sluice bench overhead --runs 1 --json", "a quick look, for a program"),
        ],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let settings = try parsed.settings()
        // Options with a default are always there.
        let (runs, workers) = (parsed.integer("runs") ?? 1, parsed.integer("workers") ?? 1)
        let backlog = parsed.integer("backlog") ?? OverheadBench.smallEvents
        let isJSON = parsed.flag("json")
        let stop = BenchStop()
        let signals = Signals { stop.ask() }
        defer { signals.cancel() }
        let place = try BenchPlace(settings, terminal: terminal, stop: stop)
        defer { place.end() }
        try showMachine(place, runs: runs, terminal, asJSON: isJSON)
        let bench = OverheadBench(
            place: place, runs: runs, workers: workers, largeEvents: backlog,
            progress: { text in
                do { try terminal.live([text]) } catch {
                    // The live line alone is lost; the table at the end meets the same reader.
                }
            },
            note: { terminal.note($0) })
        let found: [BenchResult]
        do {
            found = try bench.run()
        } catch {
            try terminal.endLive()
            throw error
        }
        try terminal.endLive()
        return try show(found, terminal, asJSON: isJSON)
    }

    /// What the numbers are measured on, before the first of them.
    static func show(_ machine: BenchMachine, _ terminal: Terminal, asJSON: Bool) throws {
        if asJSON {
            try terminal.json(machine)
        } else {
            for line in machine.lines { try terminal.line(line) }
        }
    }

    static func showMachine(_ place: BenchPlace, runs: Int, _ terminal: Terminal, asJSON: Bool) throws {
        let machine = BenchMachine(
            broker: place.isEmbedded ? "embedded" : place.kafka.bootstrap, directory: place.directory, runs: runs)
        try show(machine, terminal, asJSON: asJSON)
        if place.isEmbedded {
            terminal.note("the embedded broker is in this process, in memory; the truth is what a real Kafka gives")
        }
    }

    static func show(_ found: [BenchResult], _ terminal: Terminal, asJSON: Bool) throws -> Int32 {
        let missed = found.count { $0.verdict == .over }
        if asJSON {
            for measurement in found { try terminal.json(measurement) }
        } else {
            try terminal.line()
            try terminal.table(BenchResult.table(found))
            try terminal.line()
            try terminal.line(
                missed == 0 ? "every budget is kept" : "\(missed) budget\(missed == 1 ? " is" : "s are") missed")
        }
        return missed == 0 ? 0 : 1
    }
}
