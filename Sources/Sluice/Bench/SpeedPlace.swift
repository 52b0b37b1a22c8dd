// One run of one side of a case: two processes that only read, or a whole `sluice` job, each started anew.
//
// Rates hold what they say and nothing else. A reading: from the first assignment to the last record, over both
// processes by the machine's one clock. A job: from the first batch's plan to the last batch's DONE, as its own log has
// them; starting processes is in neither. Processor time is that of whole processes, their start included, of all of
// them: the readers report their own, the kernel adds up those of a job's driver and workers when they are gone.
//
// A job's answer is compared with what was sent before its speed counts.

import Driver
import Engine
import Foundation

final class SpeedPlace {
    let place: BenchPlace
    let kafka: KafkaConfiguration
    /// Of a full topic; cases with heavy records take fewer.
    let events: Int
    /// nil: what the settings say, as everybody's jobs.
    let maxBatchRecords: Int?
    let workers = 2
    private let postgresAddress: String?
    private var postgres: BenchPostgres?
    private var topics: [BenchTopic: BenchTopic.Made] = [:]
    private var outputs = 0

    /// - Parameter postgresAddress: a server to use; without one it is started by the first case that needs it.
    init(_ place: BenchPlace, events: Int, maxBatchRecords: Int?, postgresAddress: String? = nil) {
        self.postgresAddress = postgresAddress
        self.place = place
        self.events = events
        self.maxBatchRecords = maxBatchRecords
        kafka = place.kafka
    }

    func end() { postgres?.end() }

    /// The address of a PostgreSQL database.
    func database() throws -> String {
        if let postgres { return postgres.address }
        let made = try BenchPostgres(address: postgresAddress, directory: place.directory + "-postgres")
        postgres = made
        return made.address
    }

    // MARK: topics

    /// Heavy records take half as many, so that a topic stays in the page cache.
    func events(of topic: BenchTopic) -> Int { topic.content == .wide ? max(1, events / 2) : events }

    func topic(_ wanted: BenchTopic) throws -> BenchTopic.Made {
        if let made = topics[wanted] { return made }
        let made = try wanted.content == .wide ? sendOrders(wanted) : sendAds(wanted)
        topics[wanted] = made
        return made
    }

    private func sendAds(_ wanted: BenchTopic) throws -> BenchTopic.Made {
        var traffic = BenchPlace.traffic(events: events(of: wanted))
        traffic.format = wanted.format == .avro ? .avro : .json
        traffic.campaigns = wanted.campaigns
        traffic.adsPerCampaign = wanted.adsPerCampaign
        let sent = try place.send(traffic, to: wanted.name, compression: wanted.compression.rawValue)
        return BenchTopic.Made(
            name: sent.topic, events: traffic.events, answer: sent.counts.views, filePath: sent.adsFile)
    }

    private func sendOrders(_ wanted: BenchTopic) throws -> BenchTopic.Made {
        let topic = try place.newTopic(wanted.name)
        try TopicAdmin(kafka).createTopic(topic, partitions: BenchPlace.partitions)
        let traffic = BenchPlace.traffic(events: events(of: wanted))
        let answer = try WideRecords(format: wanted.format).send(
            KafkaProducer(kafka), topic: topic, partitions: BenchPlace.partitions, events: traffic.events,
            startMillis: traffic.startMillis, spanMillis: traffic.spanMillis, check: { try place.stop.check() })
        let path = "\(place.directory)/\(wanted.name).avsc"
        try writeFile(Array(WideRecords.schemaText.utf8), to: path)
        return BenchTopic.Made(name: topic, events: traffic.events, answer: answer, filePath: path)
    }

    func drop(_ topic: BenchTopic) throws {
        guard let made = topics.removeValue(forKey: topic) else { return }
        place.drop(topic: made.name)
    }

    /// A new topic to write to.
    func outputTopic() throws -> String {
        outputs += 1
        let topic = try place.newTopic("out-\(outputs)")
        try TopicAdmin(kafka).createTopic(topic, partitions: BenchPlace.partitions)
        return topic
    }

    func drop(output: String) { place.drop(topic: output) }

    /// How many records a reader with read_committed gets from a topic.
    func committedRecords(of topic: String) throws -> Int {
        let committed = kafka.with(isolation: .readCommitted)
        let partitions = (0..<BenchPlace.partitions).map { TopicPartition(topic: topic, partition: Int32($0)) }
        let reader = RangeReader(committed, budgetBytes: 16 << 20, isolation: .readCommitted)
        defer { reader.close() }
        var count = 0
        for (partition, end) in try OffsetQueries(committed).ends(partitions) where end > 0 {
            _ = try reader.read(
                OffsetRange(topic: topic, partition: partition.partition, from: 0, until: end), chunkRecords: 8192,
                timeoutMillis: 20_000
            ) { count += $0.count }
        }
        return count
    }

    // MARK: reading

    /// The baseline: two processes that read half of the partitions each and look at nothing.
    /// - Parameter extra: what each of them does besides.
    func read(_ wanted: BenchTopic, _ extra: [String] = []) throws -> SpeedSample {
        let made = try topic(wanted)
        let readers = try (0..<workers).map { part in
            try ReaderProcess(
                topic: made.name, part: part, of: workers, environment: place.environment, directory: place.directory,
                extra: extra)
        }
        let results = try readers.map { try $0.result() }
        let records = results.reduce(0) { $0 + $1.records }
        guard records == made.events, let began = results.map(\.beganNanos).min(),
            let ended = results.map(\.endedNanos).max(), ended > began
        else {
            throw Failure(
                .internal, "the reading loop read \(records) of \(made.events) records", why: "topic \(made.name)",
                now: "report this")
        }
        let cpu = results.reduce(0) { $0 + $1.cpuNanos }
        return SpeedSample(
            perSecond: Double(records) / (Double(ended - began) / 1e9), cpuNanosPerEvent: Double(cpu) / Double(records))
    }

    // MARK: a job

    struct JobRun {
        var sample: SpeedSample
        var rowsOut: Int
        var sink: String
    }

    /// Runs a job over the topic to its end.
    func job(_ job: String, _ wanted: BenchTopic, maxBatchRecords: Int? = nil, _ extra: [String]) throws -> JobRun {
        let made = try topic(wanted)
        let before = Self.childrenCPUNanos()
        let watch = CoreWatch()
        defer { watch.end() }
        let size = (maxBatchRecords ?? self.maxBatchRecords).map { ["--max-batch-records", "\($0)", "--set", "batch_time=0"] }
        let (run, folder) = try place.start(
            ["bench-run", job], topic: made.name, workers: workers,
            ["--format", wanted.format.rawValue, "--until-caught-up", "--interval", "0"] + (size ?? []) + extra)
        defer { run.end() }
        let batches = try run.all().map(\.batch)
        run.end()
        let cpu = Self.childrenCPUNanos() - before
        let records = batches.reduce(0) { $0 + ($1.rowsIn ?? 0) + ($1.rejected ?? 0) }
        guard records == made.events, let first = batches.first, let planned = parseTime(first.plannedAt),
            let done = batches.last?.doneAt.flatMap({ parseTime($0) }), done > planned
        else {
            throw Failure(
                .internal, "job \(job) took \(records) of \(made.events) records", why: "in \(batches.count) batches",
                now: "report this")
        }
        return JobRun(
            sample: SpeedSample(
                perSecond: Double(records) / (Double(done - planned) / 1000),
                cpuNanosPerEvent: Double(cpu) / Double(records),
                coresInUse: watch.share(fromMillis: planned, untilMillis: done)),
            rowsOut: Int(batches.reduce(0) { $0 + ($1.rowsOut ?? 0) }), sink: folder + "/sink.db")
    }

    /// A fast job with a wrong answer is no result.
    func check(_ query: String, gives wanted: Int, in run: JobRun) throws {
        let database = try openDatabase("sqlite:" + run.sink)
        defer { database.close() }
        guard case .int(let found)?? = try database.execute(query).first?.first, found == wanted else {
            throw Failure(
                .internal, "a job of the bench gave a wrong answer", why: "\(query) is not \(wanted)", now: "report this")
        }
    }

    /// Of all processes that were started here and are gone, and of theirs.
    private static func childrenCPUNanos() -> Int64 {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        func nanos(_ time: timeval) -> Int64 { Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_usec) * 1000 }
        return nanos(usage.ru_utime) + nanos(usage.ru_stime)
    }
}
