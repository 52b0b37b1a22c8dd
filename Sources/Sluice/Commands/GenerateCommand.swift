// `sluice generate`: traffic for a try, a test or a bench.
//
// Turns words into a `GenerateRequest` (ad events, with the answer that a job must give to them) or a `NexmarkRequest`
// (`GenerateNexmark`), shows how far it is, and tells at the end what was sent. The traffic itself is in `Generator`; a run
// with the same words and `--start` gives the same bytes.

import Engine
import Glibc

package enum GenerateCommand {
    package static let command = Command(
        "generate", .tools, summary: "make test traffic",
        about: """
            Sends ad events to a Kafka topic, which it makes if it is missing, and writes the list of ads that the \
            shipped jobs look up. With --expected it also writes the exact answer of the job campaign-views, counted \
            while generating; `scripts/oracle compare` holds a sink against it. `nexmark` sends the people, auctions and \
            bids of the Nexmark benchmark, as JSON, all in one topic.
            """,
        positionals: [Positional("WHAT", choices: ["ad-events", "nexmark"], help: "the kind of traffic")],
        options: [
            Option("events", .integer(1...(1 << 40)), fallback: "100000", help: "how many"),
            Option("partitions", .integer(1...100_000), help: "of a topic that is made (4)"),
            Option(
                "seed", .integer(0...Int64.max), fallback: "1", help: "the same seed and options give the same bytes"),
            Option(
                "rate", .integer(1...1_000_000_000), valueName: "N",
                help: "events a second; as fast as possible without it"),
            Option(
                "start", .text, valueName: "WHEN",
                help: "first event time, or how long ago (-10m); so that all ends now without it. A topic made for events older than an hour keeps them for ever"),
            Option(
                "span", .duration(1...Int64.max),
                help: "event time from first to last; 10,000 events a second (or --rate) without it"),
            Option(
                "disorder", .duration(0...Int64.max), fallback: "0ms", help: "how far event times may be out of order"),
            Option("late-share", .share, fallback: "0", help: "share of events an hour or more before the start"),
            Option("unknown-share", .share, fallback: "0", help: "share of events of ads that are in no list"),
            Option("bad-share", .share, fallback: "0", help: "share of records that cannot be decoded"),
            Option("campaigns", .integer(1...1_000_000), fallback: "100", help: "how many campaigns there are"),
            Option("ads-per-campaign", .integer(1...1_000_000), fallback: "10", help: "how many ads each has"),
            Option("schema-id", .integer(0...Int64(Int32.max)), fallback: "1", help: "the id before each Avro value"),
            Option("expected", .file, help: "write the exact answer of campaign-views to this file, as CSV"),
            .json,
        ],
        settingFlags: .some([.bootstrap, .topic, .format, .ads, .kafka]),
        settingDefaults: { ["topic": $0.positional("WHAT") ?? "ad-events", "ads": "ads.csv"] },
        examples: [
            Command.Example(
                "sluice generate ad-events --bootstrap localhost:9092 --events 1000000 --expected expected.csv",
                "a million events into the topic ad-events, and what must come of them"),
            Command.Example(
                "sluice generate ad-events --bootstrap localhost:9092 --events 600000 --rate 10000 --disorder 500ms",
                "a minute of live traffic"),
            Command.Example(
                "sluice generate nexmark --bootstrap localhost:9092 --events 1000000",
                "a million events of Nexmark into the topic nexmark"),
        ],
        run: { try run($0, $1, nowMillis: currentMillis()) })

    static func run(_ parsed: ParsedArguments, _ terminal: Terminal, nowMillis: Int64) throws -> Int32 {
        let settings = try parsed.settings()
        if parsed.required("WHAT") == "nexmark" {
            let request = try nexmarkRequest(parsed, settings, nowMillis: nowMillis)
            return try tell(parsed, terminal, request.run, nexmarkLines)
        }
        let request = try request(parsed, settings, nowMillis: nowMillis)
        return try tell(parsed, terminal, { try TrafficRun.run(request, progress: $0) }) { lines($0, request.traffic) }
    }

    /// Runs it, shows how far it is, and tells what was sent.
    private static func tell<Summary: Encodable>(
        _ parsed: ParsedArguments, _ terminal: Terminal, _ run: ((GenerateProgress) throws -> Void) throws -> Summary,
        _ lines: (Summary) -> [String]
    ) throws -> Int32 {
        let isJSON = parsed.flag("json")
        var said = 0.0
        let summary = try run { progress in
            if isJSON || progress.events == progress.eventsInAll { return }
            if terminal.isOutputTerminal {
                try terminal.live([text(progress)])
            } else if progress.seconds - said >= 5 {
                said = progress.seconds
                try terminal.line(text(progress))
            }
        }
        if isJSON {
            try terminal.json(summary)
        } else {
            try terminal.endLive()
            for line in lines(summary) { try terminal.line(line) }
        }
        return 0
    }

    static func request(
        _ parsed: ParsedArguments, _ settings: Settings, nowMillis: Int64
    ) throws -> GenerateRequest {
        let (events, rate, span, start) = try times(parsed, nowMillis: nowMillis)
        var traffic = AdTraffic(
            format: AdEventFormat(rawValue: settings.text(.format)) ?? .avro, events: events,
            seed: UInt64(parsed.integer("seed") ?? 0), startMillis: start, spanMillis: span)
        traffic.disorderMillis = parsed.millis("disorder") ?? 0
        traffic.lateShare = parsed.share("late-share") ?? 0
        traffic.unknownShare = parsed.share("unknown-share") ?? 0
        traffic.badShare = parsed.share("bad-share") ?? 0
        traffic.campaigns = parsed.integer("campaigns") ?? 0
        traffic.adsPerCampaign = parsed.integer("ads-per-campaign") ?? 0
        traffic.schemaID = Int32(parsed.integer("schema-id") ?? 0)
        return GenerateRequest(
            kafka: try KafkaConfiguration(
                bootstrap: settings.required(.bootstrap), properties: SettingsSource.kafkaProperties(settings)),
            topic: try settings.required(.topic), partitions: parsed.integer("partitions"),
            traffic: try traffic.checked(), eventsPerSecond: rate, adsPath: try settings.required(.ads),
            expectedPath: parsed.text("expected"))
    }

    /// How many events there are and when; every option has a default or is allowed to be missing.
    static func times(_ parsed: ParsedArguments, nowMillis: Int64) throws -> (events: Int, rate: Double?, spanMillis: Int64, startMillis: Int64) {
        let events = parsed.integer("events") ?? 0
        let rate = parsed.integer("rate").map(Double.init)
        let span = parsed.millis("span") ?? AdTraffic.usualSpanMillis(events: events, perSecond: rate ?? 10_000)
        // A paced run happens now; another one has happened already.
        let start =
            try parsed.text("start").map { try moment($0, nowMillis: nowMillis) }
            ?? (rate == nil ? AdTraffic.usualStartMillis(nowMillis: nowMillis, spanMillis: span) : nowMillis)
        return (events, rate, span, start)
    }

    private static func moment(_ text: String, nowMillis: Int64) throws -> Int64 {
        if let time = parseTime(text) { return time }
        if text.hasPrefix("-"), let ago = parseDuration(String(text.dropFirst())) { return nowMillis - ago }
        throw Failure(
            .wrongUsage, "--start cannot be '\(text)'", why: "it is neither a time nor a length of time ago",
            now: "write it as 2026-03-01T12:00:00Z or -10m")
    }

    private static func text(_ progress: GenerateProgress) -> String {
        let percent = 100 * progress.events / progress.eventsInAll
        return "\(grouped(Int64(progress.events))) of \(grouped(Int64(progress.eventsInAll))) events (\(percent) %), "
            + "\(megabytes(progress.bytes)), \(grouped(Int64(progress.eventsPerSecond))) events/s"
    }

    private static func lines(_ summary: GenerateSummary, _ traffic: AdTraffic) -> [String] {
        let counts = summary.counts
        func count(_ value: Int) -> String { grouped(Int64(value)) }
        var lines = [
            "\(summary.topic): \(count(counts.events)) \(summary.format.rawValue) events, "
                + "\(megabytes(counts.bytes)), in \(tenths(summary.seconds)) s: "
                + "\(count(Int(summary.eventsPerSecond))) events/s",
            "  event time  \(summary.start) to \(summary.until), seed \(summary.seed)",
            "  partitions  \(partitions(summary.partitionEvents))" + (summary.madeTopic ? "; the topic was made" : ""),
            "  views       \(count(counts.views)) that campaign-views must count",
        ]
        if counts.late > 0 {
            lines.append("  late        \(count(counts.late)), of them \(count(counts.lateViews)) views; not counted")
        }
        if counts.unknown > 0 {
            lines.append(
                "  unknown ads \(count(counts.unknown)), of them \(count(counts.unknownViews)) views; not counted")
        }
        if counts.bad > 0 { lines.append("  undecodable \(count(counts.bad))") }
        lines.append(
            "  ads         \(summary.adsFile): \(count(traffic.ads)) ads of \(count(traffic.campaigns)) campaigns")
        if let file = summary.expectedFile, let rows = summary.expectedRows {
            lines.append("  expected    \(file): \(count(rows)) rows")
        }
        if summary.recordsBefore > 0 {
            lines.append(
                "  note        the topic held \(grouped(summary.recordsBefore)) records before; not counted above")
        }
        return lines
    }

    /// Each one while they fit in a line, else their bounds.
    static func partitions(_ events: [Int]) -> String {
        let texts = events.map { grouped(Int64($0)) }
        if events.count <= 8 { return texts.joined(separator: " ") }
        return "\(events.count), each \(grouped(Int64(events.min() ?? 0))) to \(grouped(Int64(events.max() ?? 0)))"
    }

    static func megabytes(_ bytes: Int) -> String { tenths(Double(bytes) / 1_000_000) + " MB" }

    static func tenths(_ value: Double) -> String {
        let tenths = Int64((value * 10).rounded())
        return "\(grouped(tenths / 10)).\(tenths % 10)"
    }

    private static func currentMillis() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }
}
