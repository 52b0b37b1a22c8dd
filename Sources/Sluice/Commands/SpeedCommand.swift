// `sluice bench`: how fast rows go, each case against the best that could be done without Sluice, in the same run.
//
// Words in, a table out; what is measured and how stands in `SpeedCase` and `SpeedPlace`. It needs a real Kafka: the
// embedded broker keeps 5 MB a partition and answers faster than any broker. Exits with 1 when a demand is missed.

import Engine
import Foundation

enum SpeedCommand {
    private static let usualEvents = 10_000_000
    private static let shortEvents = 1_000_000
    private static let shortRuns = 3

    static let command = Command(
        "bench", .tools, summary: "measure how fast rows go, against the best without Sluice",
        about: """
            Sends events to topics of its own, runs each case and its baseline in turn on them, and prints the medians \
            with their spread and the ratio that is demanded. A CASE is one of those that --list \
            names, or their common first words; without one all are run. It needs a real Kafka: --bootstrap, or --kafka with a directory whose launcher it \
            starts one from. Topics and files are removed at the end. Exits with 1 when a demand is missed; --short \
            takes few events and judges only whether half of the expected ratio is reached. `sluice bench overhead` \
            measures what a run costs beside its rows.
            """,
        positionals: [Positional("CASE", isRequired: false, isRepeated: true, help: "the cases to run")],
        options: [
            Option("events", .integer(1...(1 << 32)), help: "of a full topic (10000000, short 1000000)"),
            Option("runs", .integer(1...1000), help: "of each side (5, short 3)"),
            Option(
                "batch", .integer(1...(1 << 32)), help: "max_batch_records of the jobs; without it what the settings say"),
            Option("kafka", .file, valueName: "HOME", help: "start a Kafka from here (or from $\(BenchKafka.variable))"),
            Option("postgres", .address(["postgres", "postgresql"]), help: "a database for the case postgres; else a server is started"),
            Option("json", .file, help: "write the machine and all results to this file, as JSON"),
            Option(flag: "short", help: "few events and runs, judged with a wide margin"),
            Option(flag: "list", help: "name the cases and do nothing"),
        ],
        settingFlags: .some([.bootstrap, .reader, .kafka]),
        examples: [
            Command.Example("sluice bench --bootstrap 127.0.0.1:9092 --json bench.json", "all cases, also as JSON"),
            Command.Example("sluice bench campaign-views-avro --kafka ~/kafka --runs 9", "one case, on a Kafka of its own"),
        ],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let cases = try SpeedCase.named(parsed.positionals("CASE"))
        if parsed.flag("list") { return try list(cases, terminal) }
        let settings = try parsed.settings()
        let isShort = parsed.flag("short")
        let runs = parsed.integer("runs") ?? (isShort ? shortRuns : 5)
        let home = parsed.text("kafka") ?? ProcessInfo.processInfo.environment[BenchKafka.variable]
        guard settings.optionalText(.bootstrap) != nil || home != nil else {
            throw Failure(
                .wrongUsage, "the bench needs a real Kafka",
                why: "neither --bootstrap nor --kafka (or $\(BenchKafka.variable)) is given, and the embedded broker holds too little",
                now: "give --bootstrap HOST:PORT, or --kafka with a directory that has a launcher `kafka`")
        }
        let stop = BenchStop()
        let signals = Signals { stop.ask() }
        defer { signals.cancel() }
        let place = try BenchPlace(settings, terminal: terminal, stop: stop, kafkaHome: home, answerBytes: AnswerSize.nearBytes)
        defer { place.end() }
        let machine = BenchMachine(
            broker: place.brokerText, directory: place.directory, runs: runs)
        for line in machine.lines { try terminal.line(line) }
        let fetched = FetchSettings(place.kafka)
        try terminal.line(
            "reading  jobs by reader = \(place.reader); an answer brings up to \(fetched.mostPartitionBytes >> 10) KiB a partition, "
                + "checksums are \(fetched.checksCRC ? "" : "not ")compared, by all three readers alike")

        var results: [SpeedResult] = []
        let speeds = SpeedPlace(
            place, events: parsed.integer("events") ?? (isShort ? shortEvents : usualEvents),
            maxBatchRecords: parsed.integer("batch"), postgresAddress: parsed.text("postgres"))
        defer { speeds.end() }
        let bench = SpeedBench(
            place: speeds, cases: cases, runs: runs,
            progress: { text in
                do { try terminal.live([text]) } catch {
                    // The live line alone is lost; the table at the end meets the same reader.
                }
            },
            found: { result in
                results.append(result)
            })
        let ended = Result { try bench.run() }
        try terminal.endLive()
        // What was found before something went wrong is true all the same.
        if !results.isEmpty {
            if let path = parsed.text("json") { try write(machine, results, to: path) }
            try terminal.line()
            try terminal.table(SpeedResult.table(results))
            try terminal.line()
        }
        try ended.get()
        let missed = results.filter { isShort ? !$0.isNearExpectation : $0.verdict == .missed }
        let asked = isShort ? "half of the expected ratio" : "demand"
        try terminal.line(
            missed.isEmpty ? "every \(asked) is met" : "\(asked) missed: \(missed.map(\.name).joined(separator: "; "))")
        return missed.isEmpty ? 0 : 1
    }

    private static func list(_ cases: [SpeedCase], _ terminal: Terminal) throws -> Int32 {
        var table = Table([.text("case"), .text("against"), .text("demanded"), .text("what")])
        for one in cases {
            table.add([
                one.name, one.baselineName, SpeedResult.Demand.atLeast(one.target.atLeast).text, one.what,
            ])
        }
        try terminal.table(table)
        return 0
    }

    private struct Report: Encodable {
        var machine: BenchMachine
        var results: [SpeedResult]
    }

    private static func write(_ machine: BenchMachine, _ results: [SpeedResult], to path: String) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try writeFile([UInt8](encoder.encode(Report(machine: machine, results: results))), to: path)
    }
}
