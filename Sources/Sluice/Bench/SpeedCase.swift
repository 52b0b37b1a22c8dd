// The cases of `sluice bench`: two sides that are measured in turn, ours and the baseline that it is divided by.
//
// A case is data: a name, what its sides are, and one call for each. The calls do one whole run and return what it did;
// `SpeedBench` decides how often and in which order. A new case is a value in `all` and a line in `SpeedTarget.all`.

import Engine
import Wording

struct SpeedCase: Sendable {
    var name: String
    var what: String
    var baselineName: String
    var unit = SpeedResult.Unit.eventsPerSecond
    /// Topics that it reads; made before the first run and kept while a later case wants them.
    var topics: [BenchTopic]
    var baseline: @Sendable (SpeedPlace) throws -> SpeedSample
    var ours: @Sendable (SpeedPlace) throws -> SpeedSample
    /// A second baseline, the bare loop of `FetchingLoop`: what is left when nothing is checked and nothing computed.
    var bare: (@Sendable (SpeedPlace) throws -> SpeedSample)?

    static let all: [SpeedCase] = [
        campaignViews(.avro), campaignViews(.json), campaignViews(.avro, .zstd), campaignViews(.avro, .lz4),
        campaignViews(.json, .zstd), campaignViews(.json, .lz4), wide(.avro), wide(.json), keys, topicToTopic, postgres,
    ]

    static func named(_ words: [String]) throws -> [SpeedCase] {
        let names = try SpeedCaseNames.selected(by: words, of: all.map(\.name))
        return all.filter { names.contains($0.name) }
    }

    var target: SpeedTarget {
        guard let target = SpeedTarget.all[name] else { preconditionFailure("no target is written for case \(name)") }
        return target
    }

    private static func campaignViews(
        _ format: RecordFormat, _ compression: BenchTopic.Compression = .none
    ) -> SpeedCase {
        let topic = BenchTopic(format: format, compression: compression)
        let packed = compression == .none ? "" : "-\(compression.rawValue)"
        var bare: (@Sendable (SpeedPlace) throws -> SpeedSample)?
        // It unpacks nothing.
        if compression == .none { bare = { try $0.read(topic, ["--way", ReadingLoop.Way.fetch.rawValue]) } }
        return SpeedCase(
            name: "campaign-views-\(format.rawValue)\(packed)",
            what: "the job campaign-views, driver and 2 workers, from the first plan to the last DONE",
            baselineName: "reading, 2 processes", topics: [topic], baseline: { try $0.read(topic) },
            ours: { place in
                let made = try place.topic(topic)
                let run = try place.job("campaign-views", topic, ["--ads", made.filePath])
                try place.check("SELECT sum(views) FROM campaign_views", gives: made.answer, in: run)
                return run.sample
            },
            bare: bare)
    }

    private static func wide(_ format: RecordFormat) -> SpeedCase {
        let topic = BenchTopic(content: .wide, format: format)
        return SpeedCase(
            name: "wide-\(format.rawValue)", what: "records of 20 fields, 4 of them used, half as many events",
            baselineName: "reading, 2 processes", topics: [topic], baseline: { try $0.read(topic) },
            ours: { place in
                let made = try place.topic(topic)
                let run = try place.job(WideJob.known, topic, format == .avro ? ["--schema", made.filePath] : [])
                try place.check("SELECT sum(books) FROM bench_wide", gives: made.answer, in: run)
                return run.sample
            })
    }

    private static var keys: SpeedCase {
        let (few, many) = (
            BenchTopic(format: .avro, campaigns: 100, adsPerCampaign: 1),
            BenchTopic(format: .avro, campaigns: 1_000_000, adsPerCampaign: 1)
        )
        // The rows are thrown away: what is compared is the grouping, its exchange and its state.
        let extra = ["--sink", "discard:"]
        return SpeedCase(
            name: "keys", what: "grouping by 1,000,000 keys, one batch, rows discarded", baselineName: "100 keys",
            topics: [few, many], baseline: { try $0.job(KeysJob.known, few, maxBatchRecords: $0.events, extra).sample },
            ours: { try $0.job(KeysJob.known, many, maxBatchRecords: $0.events, extra).sample })
    }

    private static var topicToTopic: SpeedCase {
        let topic = BenchTopic(format: .avro)
        return SpeedCase(
            name: "kafka-to-kafka", what: "the job purchases into a topic, in transactions, driver and 2 workers",
            baselineName: "copying, 2 processes", topics: [topic], baseline: { try TopicCase.byHand($0, topic) },
            ours: { try TopicCase.throughSink($0, topic) })
    }

    private static var postgres: SpeedCase {
        SpeedCase(
            name: "postgres", what: "rows replaced by key, 10,000 a batch, ledger included",
            baselineName: "COPY and INSERT by hand", unit: .rowsPerSecond, topics: [],
            baseline: { try UpsertCase.byHand($0.database()) }, ours: { try UpsertCase.throughSink($0.database()) })
    }
}

/// Which cases some words mean.
package enum SpeedCaseNames {
    /// A word means the case of that name or, where there is none, all whose names begin with it and a dash. Without
    /// words all are meant.
    package static func selected(by words: [String], of names: [String]) throws -> [String] {
        if words.isEmpty { return names }
        var selected: Set<String> = []
        for word in words {
            let meant = names.contains(word) ? [word] : names.filter { $0.hasPrefix(word + "-") }
            guard !meant.isEmpty else {
                throw Failure(
                    .wrongUsage, "there is no bench case \(word)", why: "the cases are \(names.joined(separator: ", "))",
                    now: nearestNames(to: word, among: names).first.map { "did you mean \($0)?" }
                        ?? "`sluice bench --list` explains them")
            }
            selected.formUnion(meant)
        }
        return names.filter { selected.contains($0) }
    }
}
