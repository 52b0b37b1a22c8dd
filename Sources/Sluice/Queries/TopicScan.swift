// One topic read for a question: which offsets, and its records as chunks of the declared table.
//
// The span is in the times that records were stamped with, which Kafka can look up; a table that keeps the last row of each key is read from
// its beginning all the same, or rows that nobody wrote again since would be missing. Ends are those of the start: what comes meanwhile is
// not read. A record that is no row is left out and counted, as a job would do it.

import Dataflow
import Decoding
import Engine
import SQLBinding
import SQLJobs
import Values

/// Where topics are.
struct QueryKafka {
    let configuration: KafkaConfiguration
    let reader: ReaderKind
}

final class TopicScan {
    let table: String
    let topic: String
    let ranges: [OffsetRange]
    /// Of all partitions.
    private(set) var outcome = DecodeOutcome()
    /// Where the first record that is no row lies.
    private(set) var firstRejected: OffsetRange?

    private let kafka: QueryKafka
    private let decoder: TopicDecoder
    private var records: [SourceRecord] = []

    var offsets: Int64 { ranges.reduce(0) { $0 + $1.count } }

    init(
        _ source: PlanSource, of plan: Plan, job: BoundJob, span: QuerySpan, kafka: QueryKafka, context: EvaluationContext
    ) throws {
        let table = source.table
        self.table = table.name
        self.kafka = kafka
        topic = table.options[.topic] ?? table.name
        let future = job.settings[SettingKey.maxFuture.name] ?? SettingKey.maxFuture.fallback ?? ""
        decoder = try TopicDecoder.of(
            source, in: plan, onError: job.settings["on_error"].flatMap { FaultPolicy(rawValue: $0) } ?? .quarantine,
            maxFutureMicros: parseDuration(future).map { $0 * 1000 }, schemas: try table.writerSchemas(), context: context)
        ranges = try Self.ranges(topic, table.options[.mode] == "upsert", span, kafka)
    }

    private static func ranges(_ topic: String, _ isUpsert: Bool, _ span: QuerySpan, _ kafka: QueryKafka) throws -> [OffsetRange] {
        let queries = try OffsetQueries(kafka.configuration, timeoutMillis: 10_000)
        let partitions = try queries.partitions(of: topic).map { TopicPartition(topic: topic, partition: $0) }
        let (starts, ends) = (try queries.starts(partitions), try queries.ends(partitions))
        let first = try isUpsert ? [:] : span.fromMillis.map { try queries.offsets(atTimeMillis: $0, partitions) } ?? [:]
        let last = try span.untilMillis.map { try queries.offsets(atTimeMillis: $0, partitions) } ?? [:]
        return partitions.compactMap { place in
            let (start, end) = (starts[place] ?? 0, ends[place] ?? 0)
            let until = min(last[place] ?? end, end)
            let range = OffsetRange(topic: topic, partition: place.partition, from: max(start, min(first[place] ?? start, until)), until: until)
            return range.isEmpty ? nil : range
        }
    }

    /// Reads all ranges.
    /// - Parameter body: gets the chunks of some records, how many those were, and how many offsets lie behind.
    func read(_ body: (_ chunks: [Dataflow.Chunk], _ records: Int64, _ offsets: Int64) throws -> Void) throws {
        let reader = kafka.reader.make(kafka.configuration, budgetBytes: 48 << 20)
        defer { reader.close() }
        try reader.follow(ranges)
        let now = wallMillis() * 1000
        for range in ranges {
            var next = range.from
            _ = try reader.read(range, chunkRecords: 4096, timeoutMillis: 30_000) { raw in
                let chunks = try decoded(raw, range.partition, now)
                let behind = (raw.last?.offset ?? next) + 1
                try body(chunks, Int64(raw.count), behind - next)
                next = behind
            }
            if next < range.until { try body([], 0, range.until - next) }
        }
    }

    private func decoded(_ raw: UnsafeBufferPointer<RawRecord>, _ partition: Int32, _ now: Int64) throws -> [Dataflow.Chunk] {
        records.removeAll(keepingCapacity: true)
        for record in raw { records.append(SourceRecord(record)) }
        var chunks: [Dataflow.Chunk] = []
        let met = try records.withUnsafeBufferPointer { records in
            try decoder.decode(SourceRun(topic: topic, partition: partition, records: records), batchTime: now) { chunks.append($0.chunk) }
        }
        outcome.counts.add(met.counts)
        if let first = met.rejected.first(where: { $0.reason != .tombstone }), outcome.rejected.isEmpty {
            outcome.rejected = [first]
            firstRejected = OffsetRange(topic: topic, partition: partition, from: first.offset, until: first.offset + 1)
        }
        return chunks
    }
}
