// The keys of the engine: every setting with its unit, its default and the reason for it.
//
// `conf/sluice.yaml` is made from this file (`sluice settings --yaml`), and a test holds the two together. When adding
// a key: say what happens at its bound, decide whether it can change a row of a planned batch (`kind: .result`), and
// print the file again.

private let oneDay: Int64 = 86_400_000
private let anyCount: ClosedRange<Int64> = 1...Int64.max
private let anySize: ClosedRange<Int64> = 0...Int64.max
private func upTo(days: Int64, from shortestMillis: Int64 = 0) -> ClosedRange<Int64> { shortestMillis...days * oneDay }

extension SettingKey {
    package static let name = SettingKey(
        "name", .job, .text, note: "the job's own name",
        what: "the name under which the job runs",
        why: "Two names are two jobs, each with its own log, state and offsets.")
    package static let topic = SettingKey(
        "topic", .job, .text, note: "the job's own topic", kind: .result,
        what: "the Kafka topic that the job reads",
        why: "All its partitions are read; a new one starts at its earliest offset.")
    package static let format = SettingKey(
        "format", .job, .choice(["avro", "json"]), fallback: "avro", kind: .result,
        what: "how a record's value is written",
        why: "Avro values are expected in the Confluent framing (a zero byte, the schema's id, the record).")
    package static let schema = SettingKey(
        "schema", .job, .schemaFiles, note: "the built-in schema of ad events", kind: .result,
        what: "file with the Avro schema that records are written with, or ID=FILE,ID=FILE for several",
        why:
            "With ids the one in a record's framing picks the schema, and a record with another id is rejected. A single file stands for any one id; a second one in the topic stops the job."
    )
    package static let schemaID = SettingKey(
        "schema_id", .job, .integer(0...Int64(UInt32.max)), note: "any id, but only one", kind: .result,
        what: "the id that records of a single schema carry in their framing",
        why: "Records with another id were written with another schema and are rejected as unknownSchema.")
    package static let ads = SettingKey(
        "ads", .job, .file, note: "the job's own file", kind: .result,
        what: "lookup file of ads, CSV with the header ad_id,campaign_id",
        why: "Its bytes are kept with each plan, so a batch that runs again sees what it saw. Unknown ads are counted.")
    package static let from = SettingKey(
        "from", .job, .startPoint, fallback: "earliest", kind: .result,
        what: "where a job without a log starts",
        why: "earliest, latest, a time (2026-03-01T12:00:00Z) or a time ago (-10m). A job with a log goes on from it.")
    package static let lateness = SettingKey(
        "lateness", .job, .duration(upTo(days: 365)), fallback: "10s", kind: .result,
        what: "how far behind the newest event time of its partition a row may be",
        why:
            "Longer keeps windows in the state for longer; shorter loses more rows. Rows behind it are counted as late."
    )
    package static let maxFuture = SettingKey(
        "max_future", .job, .duration(upTo(days: 36_500)), fallback: "1h", kind: .result,
        what: "how far ahead of the batch an event time may be",
        why: "One wrong clock must not move the watermark. Rows beyond it are rejected.")
    package static let partitionWait = SettingKey(
        "partition_wait", .job, .duration(upTo(days: 1)), fallback: "1m",
        what: "how long an empty partition that was added holds the watermark, in batch time",
        why: "Its first rows are then on time, whatever the other partitions did. Longer holds windows open for partitions that nobody writes to.")

    package static let interval = SettingKey(
        "interval", .batches, .duration(upTo(days: 1)), fallback: "500ms",
        what: "time from one batch to the next",
        why: "0 cuts the next batch as soon as records wait, small ones not within 20 ms of each other. A batch that takes longer is said, and the next one follows at once.")
    package static let poll = SettingKey(
        "poll", .batches, .duration(upTo(days: 1, from: 1)), note: "the interval, or 5ms at interval 0",
        what: "time between two questions for the ends of the partitions",
        why: "Without new records there is no batch and nothing is written.")
    package static let maxBatchRecords = SettingKey(
        "max_batch_records", .batches, .integer(anyCount), fallback: "4000000",
        what: "most offsets in one batch, over all partitions",
        why: "A backlog is read in batches of at most this size, so that a batch to be repeated stays short; 0 for no bound.")
    package static let batchTime = SettingKey(
        "batch_time", .batches, .duration(upTo(days: 1)), fallback: "500ms",
        what: "how long a batch of a backlog shall take, where it holds more than 1,000,000 offsets",
        why: "Between two batches nothing is read: a fast job takes more at once. 0 takes max_batch_records each time.")

    package static let patience = SettingKey(
        "patience", .batches, .duration(upTo(days: 7)), fallback: "2m",
        what: "how long --until-caught-up waits for Kafka, catalog, sink or state place while they are away",
        why: "A standing job waits for ever, and says so; a run that is to end must end.")

    package static let maxRejectedShare = SettingKey(
        "max_rejected_share", .badRecords, .share, fallback: "0.5",
        what: "share of bad records in a batch that stops the job",
        why: "Single bad records are kept apart and the stream goes on; more than this is a wrong format or schema.")
    package static let maxRejectedMin = SettingKey(
        "max_rejected_min", .badRecords, .integer(anyCount), fallback: "100",
        what: "bad records in a batch below which the share is not looked at",
        why: "One bad record in a batch of one is not yet a reason to stop; in the first batch of a job it is.")
    package static let maxRejectedBatches = SettingKey(
        "max_rejected_batches", .badRecords, .integer(anyCount), fallback: "10",
        what: "batches in a row of which no record could be read that stop the job",
        why: "Small batches stay below max_rejected_min for ever; a job that reads nothing should not look healthy. Each such batch is said.")
    package static let onCrash = SettingKey(
        "on_crash", .badRecords, .choice(["exclude", "stop"]), fallback: "exclude",
        what: "what to do with a record that ends the worker's process",
        why: "Two workers die of it, then it is found by halves. Left out it is logged first, and counted as rejected.")
    package static let quarantineRecords = SettingKey(
        "quarantine_records", .badRecords, .integer(anySize), fallback: "100",
        what: "bad records kept with their bytes, for each partition and batch",
        why: "Of the others the offset is kept, by which Kafka can show them again.")
    package static let quarantineRecordBytes = SettingKey(
        "quarantine_record_bytes", .badRecords, .size(anySize), fallback: "64KiB",
        what: "most bytes kept of one bad record",
        why: "The rest of a longer record is cut off.")
    package static let quarantineBatchBytes = SettingKey(
        "quarantine_batch_bytes", .badRecords, .size(anySize), fallback: "1MiB",
        what: "most bytes of bad records kept for one batch",
        why: "Over all partitions together. Keeps driver and catalog small when everything is bad; beyond it only offsets are kept.")
    package static let quarantineKeep = SettingKey(
        "quarantine_keep", .badRecords, .duration(upTo(days: 36_500, from: 60_000)), fallback: "30d",
        what: "age up to which the bytes of bad records are kept",
        why: "They may be personal. What was rejected stays counted, with its offsets; `quarantine --forget` erases earlier.")

    package static let sink = SettingKey(
        "sink", .places, .address(["sqlite", "postgres", "postgresql", "kafka", "console", "discard"]),
        fallback: "sqlite:.sluice/sink.db",
        kind: .result,
        what: "where results go: sqlite:FILE, postgres://HOST/DATABASE, kafka:TOPIC, console: or discard:",
        why: "A password comes from PGPASSFILE, PGPASSWORD or the variable, never from the command line.")
    package static let sinkTable = SettingKey(
        "sink_table", .places, .text, note: "the table that the job's code names", kind: .result,
        what: "the table that the job writes; {job} stands for the job's name",
        why: "A keyed table belongs to one job: two names of one job need a table each, or a sink each.")
    package static let sinkKeys = SettingKey(
        "sink_keys", .places, .text, note: "all of them",
        what: "a word for the share of a keyed table's keys that only this job writes",
        why: "Jobs with different words may write one keyed table. Nobody checks that their keys differ.")
    package static let sinkFormat = SettingKey(
        "sink_format", .places, .choice(["avro", "json"]), note: "the format of the input", kind: .result,
        what: "how a Kafka sink writes a row",
        why: "Avro values have the Confluent framing and a schema made from the sink's columns; times are milliseconds.")
    package static let sinkSchemaID = SettingKey(
        "sink_schema_id", .places, .integer(0...Int64(Int32.max)), fallback: "1", kind: .result,
        what: "the schema's id before each Avro value of a Kafka sink",
        why: "Whoever registers the schema knows it; `sluice explain` shows the schema.")
    package static let sinkRenew = SettingKey(
        "sink_renew", .places, .duration(upTo(days: 365, from: 1000)), fallback: "1h",
        what: "time after which a Kafka sink's markers are written again",
        why: "Kafka forgets them after offsets.retention.minutes, and a job without its markers stops.")
    package static let catalog = SettingKey(
        "catalog", .places, .address(["sqlite", "postgres", "postgresql"]), fallback: "sqlite:.sluice/catalog.db",
        what: "where the batch log is kept: sqlite:FILE or postgres://HOST/DATABASE",
        why: "It is the truth about what has been read; losing it stops a job rather than repeating its rows.")
    package static let state = SettingKey(
        "state", .places, .address(["file"]), note: "the directory state beside the catalog",
        what: "where windows are kept between batches: file:DIRECTORY",
        why: "Workers on several hosts must all reach it; that is checked before the first batch.")
    package static let stateInline = SettingKey(
        "state_inline", .places, .size(0...16 << 20), fallback: "64KiB",
        what: "largest change of state that is kept in the catalog itself",
        why: "A small job then pays for one disk write a batch. Larger changes become files.")
    package static let stateKeep = SettingKey(
        "state_keep", .places, .integer(anyCount), fallback: "1000",
        what: "batches whose state is kept, so that they can run again at once",
        why: "This or state_keep_time, whichever is reached first; the state in use is always kept.")
    package static let stateKeepTime = SettingKey(
        "state_keep_time", .places, .duration(upTo(days: 3650)), fallback: "24h",
        what: "age up to which the state of old batches is kept",
        why: "This or state_keep, whichever is reached first; the state in use is always kept.")
    package static let sinkLook = SettingKey(
        "sink_look", .places, .duration(upTo(days: 365, from: 1000)), fallback: "1m",
        what: "how often a job without new records compares its sink with its log",
        why: "A sink that was lost or put back to an older copy is then found at rest, too.")
    package static let lookupRefresh = SettingKey(
        "lookup_refresh", .places, .duration(upTo(days: 365)), fallback: "0ms",
        what: "how often lookup files are looked at while a job runs; 0 is at its start only",
        why: "A changed file is then joined with from the next plan on, which names its digest.")
    package static let logKeep = SettingKey(
        "log_keep", .places, .duration(upTo(days: 36_500, from: 60_000)), fallback: "30d",
        what: "age up to which single batches are kept in the log",
        why: "Older ones are folded into one row, from which an audit starts.")
    package static let logBytes = SettingKey(
        "log_bytes", .places, .size(1 << 20...Int64.max), fallback: "256MiB",
        what: "most bytes of single batches in the log of a job",
        why: "A batch takes about 1 KiB. The oldest beyond it become a row an hour, which an audit still proves from.")

    package static let bootstrap = SettingKey(
        "bootstrap", .kafka, .hostPort(many: true),
        what: "addresses of Kafka brokers to begin with",
        why: "One that answers is enough; the others are found through it.")
    package static let isolation = SettingKey(
        "isolation", .kafka, .choice(["read_committed", "read_uncommitted"]), fallback: "read_committed", kind: .result,
        what: "whether rows of open and aborted transactions are read",
        why: "With read_uncommitted a batch that runs again may see other rows.")
    package static let readTimeout = SettingKey(
        "read_timeout", .kafka, .duration(upTo(days: 1, from: 100)), fallback: "30s",
        what: "how long the reading of a range may stand still",
        why: "Then the attempt fails and is made again, on another worker if there is one.")
    package static let fetchBudget = SettingKey(
        "fetch_budget", .kafka, .size(1 << 20...Int64.max), fallback: "14MiB",
        what: "memory of a worker for records fetched ahead",
        why: "Divided over the partitions that it reads; with too many of them they take turns.")
    package static let reader = SettingKey(
        "reader", .kafka, .choice(["librdkafka", "fetch", "auto"]), fallback: "auto",
        what: "who reads the records: the library librdkafka, or fetch, which speaks Kafka's protocol itself",
        why: "fetch takes a fraction of the processor time. auto takes it unless a kafka.* property is for librdkafka only, and `sluice explain` says which one it took."
    )
    package static let consumerIdle = SettingKey(
        "consumer_idle", .kafka, .duration(upTo(days: 1, from: 1000)), fallback: "60s",
        what: "how long an unused connection for reading stays open",
        why: "The next batch needs it at once; a job that has ended should not hold memory.")
    package static let kafka = SettingKey(
        "kafka.*", .kafka, .text, note: "what librdkafka has",
        what: "any property of librdkafka, handed to it as it is",
        why:
            "As kafka.fetch.min.bytes, --kafka.fetch.min.bytes or SLUICE_KAFKA__FETCH_MIN_BYTES. Secrets may be file:PATH."
    )

    package static let workers = SettingKey(
        "workers", .workers, .integer(0...1024), fallback: "0",
        what: "worker processes that `sluice run` starts",
        why: "0 runs the same tasks in the process itself.")
    package static let slots = SettingKey(
        "slots", .workers, .integer(1...1024), fallback: "2",
        what: "tasks that a worker runs at the same time",
        why: "More than the cores of its host wait for each other.")
    package static let blockMemory = SettingKey(
        "block_memory", .workers, .size(anySize), fallback: "64MiB",
        what: "memory of a worker for rows that wait for the next stage or for the sink",
        why: "What does not fit goes to a file under TMPDIR (else /var/tmp) until the batch is done.")
    package static let keyGroups = SettingKey(
        "key_groups", .workers, .integer(1...32_768), fallback: "128", kind: .result,
        what: "groups into which keys are divided, the finest split of the state",
        why: "Bounds how many tasks share a job's state. A start with another number writes it anew; a Kafka sink refuses that.")
    package static let driver = SettingKey(
        "driver", .workers, .address(["http", "https"]), fallback: "http://127.0.0.1:7070",
        what: "where the driver of a cluster listens",
        why: "Workers and commands that speak to a cluster use it.")
    package static let workerTimeout = SettingKey(
        "worker_timeout", .workers, .duration(upTo(days: 1, from: 500)), fallback: "5s",
        what: "silence after which the driver takes a worker for lost",
        why: "Its tasks then run on others. Shorter repeats work for a mere hiccup.")
    package static let driverTimeout = SettingKey(
        "driver_timeout", .workers, .duration(upTo(days: 1, from: 500)), fallback: "60s",
        what: "how long a worker looks for a driver that does not answer, before it exits",
        why: "Long enough for a driver to be started again, short enough to leave nothing behind.")

    package static let listen = SettingKey(
        "listen", .access, .hostPort(many: false), fallback: "127.0.0.1:7070",
        what: "address on which the driver listens; port 0 takes a free one",
        why: "Beyond loopback it needs secret_file or TLS files.")
    package static let workerListen = SettingKey(
        "worker_listen", .access, .hostPort(many: false), fallback: "127.0.0.1:0",
        what: "address on which a worker serves tasks and blocks; port 0 takes a free one",
        why: "Driver and other workers must reach it. Beyond loopback it needs secret_file or TLS files.")
    package static let secretFile = SettingKey(
        "secret_file", .access, .file, note: "a file made beside the catalog",
        what: "file with the secret that driver, workers and commands share",
        why: "Only its owner should be able to read it (mode 0600).")
    package static let tlsCert = SettingKey(
        "tls_cert", .access, .file,
        what: "file with the certificate of this host, PEM",
        why: "With tls_key a driver or worker speaks HTTPS, and a command shows it to a driver that asks for one.")
    package static let tlsKey = SettingKey(
        "tls_key", .access, .file,
        what: "file with the certificate's key, PEM",
        why: "Refused when every user of the host can read it; mode 0600 is best.")
    package static let tlsCA = SettingKey(
        "tls_ca", .access, .file, note: "the system's authorities",
        what: "file with the authorities whose certificates are trusted, PEM",
        why:
            "A client believes only these. A driver or worker with tls_cert admits their holders without the secret, so name an authority of your own."
    )

    package static let logFormat = SettingKey(
        "log_format", .logs, .choice(["text", "json"]), fallback: "text",
        what: "how log lines are written on stderr",
        why: "One event a line either way; json is for collectors.")
    package static let logLevel = SettingKey(
        "log_level", .logs, .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
        fallback: "info",
        what: "the least important log lines that are written",
        why: "info is one line a batch; error is what a person must act on.")
}

extension SettingTable {
    static let engineKeys: [SettingKey] = [
        .name, .topic, .format, .schema, .schemaID, .ads, .from, .lateness, .maxFuture, .partitionWait,
        .interval, .poll, .maxBatchRecords, .batchTime, .patience,
        .maxRejectedShare, .maxRejectedMin, .maxRejectedBatches, .onCrash, .quarantineRecords, .quarantineRecordBytes, .quarantineBatchBytes,
        .quarantineKeep,
        .sink, .sinkTable, .sinkKeys, .sinkFormat, .sinkSchemaID, .sinkRenew, .sinkLook, .catalog, .state, .stateInline, .stateKeep, .lookupRefresh,
        .stateKeepTime, .logKeep, .logBytes,
        .bootstrap, .isolation, .readTimeout, .fetchBudget, .reader, .consumerIdle, .kafka,
        .workers, .slots, .blockMemory, .keyGroups, .driver, .workerTimeout, .driverTimeout,
        .listen, .workerListen, .secretFile, .tlsCert, .tlsKey, .tlsCA,
        .logFormat, .logLevel,
    ]
}
