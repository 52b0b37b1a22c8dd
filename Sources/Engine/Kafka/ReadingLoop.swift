// The fastest loop that only reads: what a topic's records cost before anybody looks at one. The bench's baseline.
//
// All partitions come out of one queue, up to `batchRecords` messages a call; each message is counted and destroyed, its
// payload is never touched. Nothing keeps positions here: it is the yardstick of the readers that do, never a part of them.
//
// What was tried: two processes on two cores, librdkafka 2.16, 3,000,000 Avro events in 4 partitions, three rounds in
// turn on a noisy machine (differences below a fifth say nothing):
//
//   messages a call   messages queued   fetch answer   M events/s      processor time, ns an event
//   100,000           100,000           1 MiB          2.6  2.8  3.4   538  556  483
//   10,000            100,000           1 MiB          2.8  3.9  3.7   533  396  399
//   2,000             100,000           1 MiB          2.9  3.3  4.0   491  431  321
//   10,000            20,000            1 MiB          3.1  3.1  2.9   464  470  414
//   10,000            20,000            256 KiB        2.3  2.8  3.7   519  414  311
//   2,000             50,000            512 KiB        3.4  3.9  4.1   422  312  280
//
// Fewer messages at a time keep less memory in use, and it is used again while it is in the cache. Beside these, in
// another two rounds with 100,000 a call (3.0 and 3.5): fetch answers of 8 MiB 3.8 and 2.8, `check.crcs` 3.3 and 3.3,
// a queue of 1,000,000 messages 3.0 and 2.9, messages by callback 3.5 and 2.9.
//
// One consumer, made before the clock starts; the clock runs from the first assignment to the last record, so finding
// the leaders and opening connections is in it, as it is in a job's first batch.

import CRdKafka

package struct ReadingLoop {
    /// How messages are taken out of the client, or that none is used: `FetchingLoop`.
    package enum Way: String, Sendable, CaseIterable { case batch, callback, fetch }

    package struct Result: Sendable, Codable {
        package var records: Int64
        /// By the machine's monotonic clock, which all its processes share.
        package var beganNanos: Int64
        package var endedNanos: Int64
        /// What the whole process used until then, its start included.
        package var cpuNanos: Int64
    }

    package static let usualBatchRecords = 2_000

    /// What was best with two processes on two cores; a property of the configuration goes before it.
    private static let properties: [KafkaClient.Property] = [
        .init("enable.partition.eof", "false", .fixed),
        .init("auto.offset.reset", "error", .fixed),
        .init("enable.auto.commit", "false", .fixed),
        .init("enable.auto.offset.store", "false", .fixed),
        .init("queued.min.messages", "50000"),
        // As the reader that it is compared with.
        .init("fetch.message.max.bytes", "1048576"),
        .init("check.crcs", "true"),
        .init("fetch.queue.backoff.ms", "2", .ifKnown),
    ]

    /// Reads the ranges to their ends. They must have no holes: the records are counted.
    package static func run(
        _ configuration: KafkaConfiguration, _ ranges: [OffsetRange], way: Way = .batch,
        batchRecords: Int = usualBatchRecords, timeoutMillis: Int = 60_000
    ) throws -> Result {
        if way == .fetch { return try FetchingLoop().run(configuration, ranges, timeoutMillis: timeoutMillis) }
        return try run(configuration, ranges, way: way, batchRecords: batchRecords, timeoutMillis: timeoutMillis, each: nil)
    }

    typealias Messages = UnsafeBufferPointer<UnsafeMutablePointer<rd_kafka_message_t>?>

    static func run(
        _ configuration: KafkaConfiguration, _ ranges: [OffsetRange], each: @escaping (Messages) throws -> Void
    ) throws -> Result {
        try run(configuration, ranges, way: .batch, batchRecords: usualBatchRecords, timeoutMillis: 60_000, each: each)
    }

    /// - Parameter each: shown the messages of a call before they are destroyed; none of them is an error.
    private static func run(
        _ configuration: KafkaConfiguration, _ ranges: [OffsetRange], way: Way, batchRecords: Int, timeoutMillis: Int,
        each: ((Messages) throws -> Void)?
    ) throws -> Result {
        let client = try KafkaClient(configuration, role: .consumer, properties: properties)
        let queue = rd_kafka_queue_new(client.handle)!
        defer { rd_kafka_queue_destroy(queue) }
        var topics: [String: OpaquePointer] = [:]
        defer { for topic in topics.values { rd_kafka_topic_destroy(topic) } }
        let wanted = ranges.reduce(0) { $0 + $1.count }
        let began = ProcessClocks.steadyNanos()
        for range in ranges {
            if topics[range.topic] == nil {
                guard let topic = rd_kafka_topic_new(client.handle, range.topic, nil) else {
                    throw client.failure(rd_kafka_last_error(), doing: "read topic \(range.topic)")
                }
                topics[range.topic] = topic
            }
            guard rd_kafka_consume_start_queue(topics[range.topic]!, range.partition, range.from, queue) == 0 else {
                throw client.failure(rd_kafka_last_error(), doing: "start reading \(range)")
            }
        }
        defer { for range in ranges { rd_kafka_consume_stop(topics[range.topic]!, range.partition) } }

        let counter = Counter()
        var deadline = began + Int64(timeoutMillis) * 1_000_000
        let messages = UnsafeMutablePointer<UnsafeMutablePointer<rd_kafka_message_t>?>.allocate(capacity: batchRecords)
        defer { messages.deallocate() }
        while counter.records < wanted {
            let before = counter.records
            switch way {
            case .batch:
                // A call that asks for more than is left waits for its whole time.
                let limit = min(batchRecords, Int(wanted - counter.records))
                let taken = max(0, rd_kafka_consume_batch_queue(queue, 100, messages, limit))
                if let each {
                    for index in 0..<taken { counter.count(messages[index]!) }
                    defer { for index in 0..<taken { rd_kafka_message_destroy(messages[index]) } }
                    if counter.error == RD_KAFKA_RESP_ERR_NO_ERROR { try each(Messages(start: messages, count: taken)) }
                    break
                }
                for index in 0..<taken {
                    counter.count(messages[index]!)
                    rd_kafka_message_destroy(messages[index])
                }
            case .fetch: preconditionFailure("FetchingLoop reads this way")
            case .callback:
                rd_kafka_consume_callback_queue(
                    queue, 100,
                    { message, context in
                        guard let message, let context else { return }
                        Unmanaged<Counter>.fromOpaque(context).takeUnretainedValue().count(message)
                    }, Unmanaged.passUnretained(counter).toOpaque())
            }
            if counter.error != RD_KAFKA_RESP_ERR_NO_ERROR { throw client.failure(counter.error, doing: "read") }
            if counter.records > before {
                deadline = ProcessClocks.steadyNanos() + Int64(timeoutMillis) * 1_000_000
            } else if ProcessClocks.steadyNanos() > deadline {
                throw client.failure(
                    RD_KAFKA_RESP_ERR__TIMED_OUT, doing: "read the last \(wanted - counter.records) of \(wanted) records")
            }
        }
        let ended = ProcessClocks.steadyNanos()
        return Result(
            records: counter.records, beganNanos: began, endedNanos: ended, cpuNanos: ProcessClocks.usedNanos())
    }

    private final class Counter {
        var records: Int64 = 0
        var error = RD_KAFKA_RESP_ERR_NO_ERROR

        @inline(__always)
        func count(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
            if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR { records += 1 } else { error = message.pointee.err }
        }
    }
}
