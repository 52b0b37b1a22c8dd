// `sluice offsets NAME`: where a job stands, per partition: in its log, in Kafka's group, and behind the end.
//
// The log is the truth and is always shown; what Kafka holds is advice (protocol 4) and may be missing. Lag is counted
// from the log. The Kafka that is asked is the job's own; properties that are secrets are in no catalog and come from
// this command's variables and flags.

import Driver
import Engine

enum OffsetsCommand {
    private static let timeoutMillis: Int32 = 5_000

    static let command = Command(
        "offsets", .batches, summary: "show where a job stands",
        about: """
            Shows for each partition the job's position in its log, the position committed in Kafka under the group \
            sluice.NAME, the end of the partition, and how many offsets are still to be read. The log decides where the job goes \
            on. When Kafka does not answer, the positions of the log are shown and the exit status is 1.
            """,
        positionals: [OneJob.positional],
        options: [.json],
        settingFlags: .some([.catalog, .bootstrap, .kafka]),
        examples: [
            Command.Example("sluice offsets campaign-views", "positions, committed offsets, ends and lag"),
            Command.Example(
                "sluice offsets campaign-views --bootstrap 127.0.0.1:9092", "asks another address than the job uses"),
        ],
        run: run)

    /// One partition, as `--json` shows it.
    struct Standing: Encodable {
        var job: String
        var topic: String
        var partition: Int32
        /// Where the next batch begins; nil for a partition that is in no batch yet.
        var position: Int64?
        var committed: Int64?
        /// Who committed, as the group's metadata says it.
        var committedBy: String?
        /// Behind the last record that a reader of committed records is shown.
        var end: Int64?
        var lag: Int64?
        /// Behind the last record that is stored.
        var highWatermark: Int64?
        /// Stored offsets that open transactions hide, and when the first of them was stamped.
        var invisible: Int64?
        var invisibleSince: String?
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        try OneJob.look(parsed, terminal) { catalog, record, settings in
            var standings = try catalog.positions(record.jobID).map {
                Standing(job: record.name, topic: $0.topic, partition: $0.partition, position: $0.position)
            }
            var silence: Failure?
            do {
                try ask(record, settings, &standings)
            } catch {
                silence = failure(error)
            }
            if parsed.flag("json") {
                for standing in standings { try terminal.json(standing) }
            } else if standings.isEmpty {
                try terminal.line("job \(record.name) has no position in the log yet")
            } else {
                try terminal.table(table(standings))
                if silence == nil {
                    let lag = standings.reduce(0) { $0 + ($1.lag ?? 0) }
                    try terminal.line("\(record.name): lag \(grouped(lag))")
                    let hidden = standings.reduce(0) { $0 + ($1.invisible ?? 0) }
                    let since = standings.compactMap(\.invisibleSince).min().flatMap(parseTime)
                    if let text = SourceHealth.invisibleText(hidden, since: since) {
                        try terminal.line("\(record.name): \(text)")
                    }
                }
            }
            guard let silence else { return 0 }
            terminal.note("sluice: Kafka did not tell what it holds; shown is the job's log alone")
            terminal.note("  why: \(silence.what): \(silence.why)\n  now: \(silence.now)")
            return 1
        }
    }

    private static func ask(_ record: JobRecord, _ settings: Settings, _ standings: inout [Standing]) throws {
        let configuration = try JobKafka.configuration(of: record, settings)
        let queries = try OffsetQueries(configuration, timeoutMillis: timeoutMillis)
        var places = Set(standings.map { TopicPartition(topic: $0.topic, partition: $0.partition) })
        // Partitions that were added since the last batch are read from their start.
        var added: [TopicPartition] = []
        // A job may have its topic written down: the log knows it; before its first batch the setting is all there is.
        let topics = Set(standings.map(\.topic))
        for topic in topics.isEmpty ? [record.settings["topic"]].compactMap(\.self) : topics.sorted() {
            for partition in try queries.partitions(of: topic) {
                let place = TopicPartition(topic: topic, partition: partition)
                if places.insert(place).inserted { added.append(place) }
            }
        }
        standings += added.sorted().map { Standing(job: record.name, topic: $0.topic, partition: $0.partition) }
        let all = standings.map { TopicPartition(topic: $0.topic, partition: $0.partition) }
        let ends = try queries.ends(all)
        let starts = try queries.starts(added)
        let committed = try queries.committed(group: "sluice.\(record.name)", all)
        let stored = try queries.highWatermarks(all)
        let hidden = ends.filter { stored[$0.key] ?? 0 > $0.value }
        let since = try hidden.isEmpty || queries.isEmbeddedBroker() ? [:] : queries.times(at: hidden, nowMillis: wallMillis())
        for (index, place) in all.enumerated() {
            standings[index].end = ends[place]
            standings[index].highWatermark = stored[place]
            standings[index].invisible = stored[place].map { Swift.max(0, $0 - (ends[place] ?? $0)) }
            standings[index].invisibleSince = since[place].map(formatTime)
            standings[index].committed = committed[place]?.offset
            standings[index].committedBy = committed[place]?.metadata
            guard let end = ends[place], let from = standings[index].position ?? starts[place] else { continue }
            standings[index].lag = Swift.max(0, end - from)
        }
    }

    private static func table(_ standings: [Standing]) -> Table {
        let isHidden = standings.contains { $0.invisible ?? 0 > 0 }
        var columns: [Table.Column] = [
            .text("partition"), .number("position"), .number("committed"), .number("end"), .number("lag"),
        ]
        if isHidden { columns += [.number("stored to"), .number("invisible")] }
        var table = Table(columns + [.text("committed by")])
        func number(_ value: Int64?) -> String { value.map { "\($0)" } ?? "-" }
        for standing in standings {
            var cells = [
                "\(standing.topic)/\(standing.partition)", standing.position.map { "\($0)" } ?? "new",
                number(standing.committed), number(standing.end), number(standing.lag),
            ]
            if isHidden { cells += [number(standing.highWatermark), number(standing.invisible)] }
            // A position without a mark of ours was moved by somebody.
            let isMoved = standing.committed != nil && OffsetMark(standing.committedBy) == nil
            table.add(cells + [standing.committedBy ?? (isMoved ? "somebody else" : "-")])
        }
        return table
    }
}

/// How to reach the Kafka of a job that the catalog knows.
enum JobKafka {
    /// The job's own settings; over them what this command line names, and secrets from wherever they come now.
    static func configuration(of record: JobRecord, _ settings: Settings) throws -> KafkaConfiguration {
        var values = record.settings
        for entry in settings.all {
            let isFlag = if case .flag = entry.origin { true } else { false }
            let isKafka = entry.key.name == SettingKey.bootstrap.name || entry.key.name.hasPrefix("kafka.")
            if isKafka && (isFlag || entry.key.isSecret) { values[entry.key.name] = entry.text }
        }
        guard let bootstrap = values["bootstrap"] else {
            throw Failure(
                .invalidSetting, "the job has no Kafka address", why: "its settings in the catalog name none",
                now: "give --bootstrap HOST:PORT")
        }
        let given = try Settings.resolve(
            flags: values.filter { $0.key.hasPrefix("kafka.") && settings[$0.key]?.key.isSecret != true }.map {
                Settings.Flag(name: $0.key, text: $0.value, spelled: $0.key)
            })
        var properties = try SettingsSource.kafkaProperties(given)
        properties.merge(
            try SettingsSource.kafkaProperties(settings).filter {
                settings["kafka.\($0.key)"]?.key.isSecret == true
            }
        ) { $1 }
        return try KafkaConfiguration(bootstrap: bootstrap, properties: properties)
            .with(isolation: IsolationLevel(rawValue: values["isolation"] ?? "") ?? .readCommitted)
    }
}
