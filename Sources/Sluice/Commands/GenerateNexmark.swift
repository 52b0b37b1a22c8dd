// `sluice generate nexmark`: the words of the command that are for it, and what it tells at the end.
//
// The options that shape ad events mean nothing to it: who gives one is told so, instead of getting other traffic than asked
// for. The traffic itself is in `Generator`.

import Engine

extension GenerateCommand {
    /// Options and settings of ad events alone.
    private static let optionsOfAdEvents = [
        "disorder", "late-share", "unknown-share", "bad-share", "campaigns", "ads-per-campaign", "schema-id", "expected",
    ]
    private static let settingsOfAdEvents = ["ads", "format"]

    static func nexmarkRequest(_ parsed: ParsedArguments, _ settings: Settings, nowMillis: Int64) throws -> NexmarkRequest {
        let options = optionsOfAdEvents.filter { parsed.values[$0] != nil }
        let flags = settingsOfAdEvents.filter { name in parsed.settingFlags.contains { $0.name == name } }
        if let option = (options + flags).first {
            throw Failure(
                .wrongUsage, "nexmark does not take --\(option)", why: "it is for ad-events; the events of nexmark are the benchmark's, in JSON",
                now: "leave it out")
        }
        let (events, rate, span, start) = try times(parsed, nowMillis: nowMillis)
        let traffic = NexmarkTraffic(events: events, seed: UInt64(parsed.integer("seed") ?? 0), startMillis: start, spanMillis: span)
        return NexmarkRequest(
            kafka: try KafkaConfiguration(bootstrap: settings.required(.bootstrap), properties: SettingsSource.kafkaProperties(settings)),
            topic: try settings.required(.topic), partitions: parsed.integer("partitions"), traffic: try traffic.checked(),
            eventsPerSecond: rate)
    }

    static func nexmarkLines(_ summary: NexmarkSummary) -> [String] {
        func count(_ value: Int) -> String { grouped(Int64(value)) }
        var lines = [
            "\(summary.topic): \(count(summary.events)) events of nexmark, \(megabytes(summary.bytes)), in \(tenths(summary.seconds)) s: "
                + "\(count(Int(summary.eventsPerSecond))) events/s",
            "  event time  \(summary.start) to \(summary.until), seed \(summary.seed)",
            "  partitions  \(partitions(summary.partitionEvents))" + (summary.madeTopic ? "; the topic was made" : ""),
            "  people      \(count(summary.people))",
            "  auctions    \(count(summary.auctions))",
            "  bids        \(count(summary.bids))",
        ]
        if summary.recordsBefore > 0 {
            lines.append("  note        the topic held \(grouped(summary.recordsBefore)) records before; not counted above")
        }
        return lines
    }
}
