// A job's resolved settings as typed values: what the engine reads, in one place.
//
// What the compiled plan says too (topic, lateness, format) is the plan's: a job may have it written down, and then the setting
// feeds nothing. So these are taken from the plan, and from nowhere else.
//
// Layers, defaults and origins are the command line's business; here every key must be present, and a value that does
// not fit is an error that names the key. Units stand in the names.

package struct QuarantineLimits: Sendable, Hashable {
    package var recordsPerPartition: Int
    package var bytesPerRecord: Int
    package var bytesPerBatch: Int

    package init(recordsPerPartition: Int, bytesPerRecord: Int, bytesPerBatch: Int) {
        self.recordsPerPartition = recordsPerPartition
        self.bytesPerRecord = bytesPerRecord
        self.bytesPerBatch = bytesPerBatch
    }
}

package struct EngineSettings: Sendable {
    package let values: [String: String]
    /// The topic that is read, or the first of several.
    package let topic: String
    package let topics: [String]
    /// How the records of the topic are written.
    package let sourceFormat: RecordFormat
    package let kafka: KafkaConfiguration
    package let sink: String
    package let sinkFormat: RecordFormat
    package let sinkSchemaID: Int32
    package let sinkRenewMillis: Int64
    /// How often a job that rests compares its sink with its log.
    package let sinkLookMillis: Int64
    /// The share of a keyed table's keys that the job declares to be its own.
    package let sinkKeys: String?
    /// How often lookup files are looked at to be taken in; 0 for at a start only.
    package let lookupRefreshMillis: Int64
    package let state: String
    package let from: String
    package let intervalMillis: Int64
    package let pollMillis: Int64
    package let latenessMillis: Int64
    /// Of each topic whose rows have an event time.
    package let lateness: [String: Int64]
    package let maxFutureMillis: Int64
    package let partitionWaitMillis: Int64
    package let patienceMillis: Int64
    package let maxBatchRecords: Int64
    /// How long a batch of a backlog shall take; 0 for as long as `maxBatchRecords` take.
    package let batchTimeMillis: Int64
    package let maxRejectedShare: Double
    package let maxRejectedMin: Int64
    /// Batches in a row of which nothing could be read that stop a job.
    package let maxRejectedBatches: Int64
    /// A record that ends the worker's process is left out of its batch; else it stops the job.
    package let excludesCrashing: Bool
    package let readTimeoutMillis: Int
    package let fetchBudgetBytes: Int
    package let reader: ReaderChoice
    package let stateInlineBytes: Int
    package let stateKeepBatches: Int64
    package let stateKeepMillis: Int64
    package let logKeepMillis: Int64
    /// Bytes that single batches may take in the log; beyond them the oldest are folded into hours.
    package let logBytes: Int64
    /// Age up to which raw bytes of bad records are kept.
    package let quarantineKeepMillis: Int64
    package let keyGroups: Int
    package let quarantine: QuarantineLimits
    /// Rows that a source task decodes at a time: big enough to spread per-chunk costs, small enough that a message is
    /// still in the cache when it is decoded and when it is destroyed. Processor time of `campaign-views` on two workers
    /// against the reading loop, medians of seven runs in turn on a noisy machine: 8,192 rows 1.38, 4,096 1.48, 2,048
    /// 1.34, 1,024 1.26; of the best runs 1.50, 1.32, 1.20 and 1.24.
    package let chunkRecords = 2048

    /// How a topic's rows are written. Where nobody says, that follows the setting `format`, and what the job reads is the plan's.
    /// - Returns: nil for a word that is no format.
    package static func sinkFormat(_ values: [String: String], source: StageGraph.Source) -> RecordFormat? {
        guard let written = values["sink_format"], written != values["format"] else { return source.format }
        return RecordFormat(rawValue: written)
    }

    /// Who reads the records. Jobs of earlier builds do not say.
    package static func reader(_ values: [String: String]) throws -> ReaderChoice {
        let wish = values["reader"] ?? ReaderChoice.usual.rawValue
        guard let wish = ReaderChoice.Wish(rawValue: wish) else {
            throw Failure(
                .invalidSetting, "setting reader cannot be `\(wish)`", why: "it takes librdkafka, fetch or auto",
                now: "correct it; `sluice settings` lists every key with its type")
        }
        var properties: [String: String] = [:]
        for (key, value) in values where key.hasPrefix("kafka.") { properties[String(key.dropFirst(6))] = value }
        return try ReaderChoice.of(wish, properties: properties)
    }

    /// - Parameter graph: the job's compiled plan.
    package init(_ values: [String: String], graph: StageGraph) throws {
        let source = graph.source
        self.values = values
        func text(_ key: String) throws -> String {
            guard let value = values[key] else {
                throw Failure(
                    .invalidSetting, "setting \(key) has no value", why: "it is needed and has no default",
                    now: "give it as a flag, as a SLUICE_ variable or in conf/sluice.yaml")
            }
            return value
        }
        func wrong(_ key: String, _ value: String, _ wanted: String) -> Failure {
            Failure(
                .invalidSetting, "setting \(key) cannot be `\(value)`", why: "it takes \(wanted)",
                now: "correct it; `sluice settings` lists every key with its type")
        }
        func duration(_ key: String) throws -> Int64 {
            let value = try text(key)
            guard let millis = parseDuration(value) else { throw wrong(key, value, "a length of time such as 500ms") }
            return millis
        }
        // Jobs of earlier builds have no value for it.
        func duration(_ key: String, orMillis usual: Int64) throws -> Int64 {
            try values[key] == nil ? usual : duration(key)
        }
        func integer(_ key: String) throws -> Int64 {
            let value = try text(key)
            guard let number = parseSize(value) else { throw wrong(key, value, "a whole number") }
            return number
        }
        topic = source.topic
        topics = graph.sources.map(\.topic)
        lateness = Dictionary(graph.sources.filter { $0.eventTimeColumn != nil }.map { ($0.topic, $0.latenessMillis) }) { first, _ in first }
        sourceFormat = source.format
        var properties: [String: String] = [:]
        for (key, value) in values where key.hasPrefix("kafka.") { properties[String(key.dropFirst(6))] = value }
        let isolation = try text("isolation")
        guard let level = IsolationLevel(rawValue: isolation) else {
            throw wrong("isolation", isolation, "read_committed or read_uncommitted")
        }
        kafka = try KafkaConfiguration(
            bootstrap: try text("bootstrap"), properties: KafkaSecrets.resolved(properties)
        ).with(isolation: level)
        sink = try graph.sinkAddress ?? text("sink")
        guard let format = Self.sinkFormat(values, source: source) else {
            throw wrong("sink_format", values["sink_format"] ?? "", "avro or json")
        }
        sinkFormat = format
        sinkSchemaID = Int32(clamping: try integer("sink_schema_id"))
        sinkRenewMillis = try duration("sink_renew")
        sinkLookMillis = try duration("sink_look", orMillis: 60_000)
        sinkKeys = values["sink_keys"].flatMap { $0.isEmpty ? nil : $0 }
        lookupRefreshMillis = try duration("lookup_refresh", orMillis: 0)
        state = try text("state")
        from = try text("from")
        intervalMillis = try duration("interval")
        pollMillis = max(1, try duration("poll"))
        latenessMillis = source.latenessMillis
        maxFutureMillis = try duration("max_future")
        partitionWaitMillis = try duration("partition_wait", orMillis: 60_000)
        patienceMillis = try duration("patience", orMillis: 120_000)
        maxBatchRecords = try integer("max_batch_records")
        batchTimeMillis = try duration("batch_time", orMillis: 0)
        let share = try text("max_rejected_share")
        guard let number = Double(share), number >= 0, number <= 1 else {
            throw wrong("max_rejected_share", share, "a share between 0 and 1")
        }
        maxRejectedShare = number
        maxRejectedMin = try integer("max_rejected_min")
        // Jobs that an earlier build submitted do not have it.
        maxRejectedBatches = try values["max_rejected_batches"] == nil ? 10 : integer("max_rejected_batches")
        let onCrash = values["on_crash"] ?? "exclude"
        guard ["exclude", "stop"].contains(onCrash) else { throw wrong("on_crash", onCrash, "exclude or stop") }
        excludesCrashing = onCrash == "exclude"
        readTimeoutMillis = Int(try duration("read_timeout"))
        fetchBudgetBytes = Int(try integer("fetch_budget"))
        reader = try Self.reader(values)
        stateInlineBytes = Int(try integer("state_inline"))
        stateKeepBatches = try integer("state_keep")
        stateKeepMillis = try duration("state_keep_time")
        logKeepMillis = try duration("log_keep")
        // Jobs of earlier builds have neither.
        logBytes = try values["log_bytes"] == nil ? 256 << 20 : integer("log_bytes")
        quarantineKeepMillis = try duration(values["quarantine_keep"] == nil ? "log_keep" : "quarantine_keep")
        keyGroups = Int(try integer("key_groups"))
        guard (1...32_768).contains(keyGroups) else { throw wrong("key_groups", "\(keyGroups)", "1 to 32768") }
        quarantine = QuarantineLimits(
            recordsPerPartition: Int(try integer("quarantine_records")),
            bytesPerRecord: Int(try integer("quarantine_record_bytes")),
            bytesPerBatch: Int(try integer("quarantine_batch_bytes")))
    }
}
