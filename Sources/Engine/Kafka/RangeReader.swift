// Reads exactly one offset range after another, on one long-lived consumer a worker slot.
//
// It never subscribes and belongs to no group. `follow` says which partitions the slot reads: each is assigned at an
// absolute offset (a logical one costs 500 ms) and gets a queue of its own, so that ranges can be read one by one while
// the others are fetched ahead into bounded queues. A partition that stands where the next range begins is just read on;
// only a range elsewhere seeks.
//
// A range ends by position, never by a count (protocol 6): at the first record at or past `until`, which is kept for the
// next range, or at an end-of-partition at or past `until`. Transaction markers, aborted records and compaction leave
// holes that nothing else shows. Every offset delivered is checked to lie in the range and behind the one before.
//
// Memory: `budgetBytes` are divided over the assigned partitions; `queued.max.messages.kbytes` bounds payload bytes of a
// partition's queue, `queued.min.messages` bounds their number, because each record costs a few hundred bytes beside its
// payload. With more partitions than the budget has room for, they are assigned in turns.
//
// Cost: the library's own (kafka-client measurements), plus one copy of (payload pointer, length, offset) a record.
//
// When changing this file: messages of a chunk are destroyed once, after `body` returned or threw; a queue reference is
// destroyed with the consumer; after a throw the reader must be closed, its position is not trusted any more.

import CRdKafka
import CXXHash
import Glibc

package struct RangeResult: Sendable, Equatable {
    package var records: Int64 = 0
    /// Payload and key bytes of the records delivered.
    package var bytes: Int64 = 0
    /// Offset and content hash of the last record delivered; nil when the range held none.
    package var tail: (offset: Int64, hash: UInt64)?

    package static func == (left: RangeResult, right: RangeResult) -> Bool {
        left.records == right.records && left.bytes == right.bytes && left.tail?.offset == right.tail?.offset
            && left.tail?.hash == right.tail?.hash
    }
}

package final class RangeReader {
    /// No partition's queue gets less than this; more partitions than fit are taken in turns.
    private static let minPartitionBytes = 1 << 20
    /// What a queued record costs beside its payload, roughly: the library's operation object and its allocation.
    private static let recordOverheadBytes = 420
    /// A poll that waits this long is asked again; short, because a full batch is not always coming.
    private static let pollMillis: Int32 = 20

    private typealias Message = UnsafeMutablePointer<rd_kafka_message_t>

    /// One assigned partition.
    private final class Lane {
        let partition: TopicPartition
        let queue: OpaquePointer
        /// The offset up to which everything was delivered.
        var position: Int64
        /// Records at or past the last range's end, in order.
        var kept: [Message] = []
        /// The last end-of-partition offset seen.
        var endSeen: Int64 = -1

        init(_ partition: TopicPartition, queue: OpaquePointer, position: Int64) {
            self.partition = partition
            self.queue = queue
            self.position = position
        }

        func dropKept() {
            for message in kept { rd_kafka_message_destroy(message) }
            kept.removeAll()
        }
    }

    private let configuration: KafkaConfiguration
    private let budgetBytes: Int
    private var client: KafkaClient?
    private var lanes: [TopicPartition: Lane] = [:]
    private var laneBytes = 0

    package init(_ configuration: KafkaConfiguration, budgetBytes: Int) throws {
        self.configuration = configuration
        self.budgetBytes = budgetBytes
    }

    deinit { close() }

    /// Partitions that fit into the budget at the same time.
    private var maxLanes: Int { max(1, budgetBytes / Self.minPartitionBytes) }

    /// Announces the ranges that will be read next, so that all of them are fetched while the first is read.
    package func follow(_ ranges: [OffsetRange]) throws {
        let wanted = ranges.prefix(maxLanes)
        let missing = wanted.filter { lanes[$0.topicPartition] == nil }
        guard !missing.isEmpty else { return }
        let count = min(maxLanes, Set(lanes.keys).union(wanted.map(\.topicPartition)).count)
        let bytes = max(Self.minPartitionBytes, budgetBytes / count)
        // Bounds are fixed when a consumer is made: one that would overshoot the budget, or that has more partitions
        // than fit, is made again.
        if client == nil || bytes < laneBytes || lanes.count + missing.count > maxLanes {
            close()
            try open(laneBytes: bytes)
            try assign(Array(wanted))
        } else {
            try assign(missing)
        }
    }

    private func open(laneBytes: Int) throws {
        self.laneBytes = laneBytes
        let kilobytes = max(1, laneBytes / 1024)
        let fetchBytes = min(1 << 20, laneBytes)
        client = try KafkaClient(
            configuration, role: .consumer,
            properties: [
                // Needed for `assign`; the group is never joined and nothing is committed to it.
                .init("group.id", "sluice-reader", .fixed),
                .init("isolation.level", configuration.isolation.rawValue, .fixed),
                .init("enable.auto.commit", "false", .fixed),
                .init("enable.auto.offset.store", "false", .fixed),
                .init("auto.offset.reset", "error", .fixed),
                .init("enable.partition.eof", "true", .fixed),
                .init("check.crcs", "true"),
                .init("fetch.wait.max.ms", "10"),
                .init("fetch.error.backoff.ms", "50"),
                .init("fetch.queue.backoff.ms", "0", .ifKnown),
                .init("fetch.message.max.bytes", "\(fetchBytes)"),
                .init("queued.max.messages.kbytes", "\(kilobytes)"),
                .init("queued.min.messages", "\(max(1000, laneBytes / Self.recordOverheadBytes))"),
                .init("socket.nagle.disable", "true", .ifKnown),
                .init("reconnect.backoff.max.ms", "1000"),
            ])
    }

    private func assign(_ ranges: [OffsetRange]) throws {
        guard let client else { return }
        let list = rd_kafka_topic_partition_list_new(Int32(ranges.count))!
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for range in ranges where lanes[range.topicPartition] == nil {
            guard let queue = rd_kafka_queue_get_partition(client.handle, range.topic, range.partition) else {
                throw client.failure(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, doing: "open \(range.topicPartition)")
            }
            // Before the assignment, so that not one record goes to the common queue.
            rd_kafka_queue_forward(queue, nil)
            rd_kafka_topic_partition_list_add(list, range.topic, range.partition)!.pointee.offset = range.from
            lanes[range.topicPartition] = Lane(range.topicPartition, queue: queue, position: range.from)
        }
        if let error = rd_kafka_incremental_assign(client.handle, list) {
            let code = rd_kafka_error_code(error)
            rd_kafka_error_destroy(error)
            throw client.failure(code, doing: "assign partitions")
        }
    }

    package func close() {
        for lane in lanes.values {
            lane.dropKept()
            rd_kafka_queue_destroy(lane.queue)
        }
        lanes.removeAll()
        client = nil
    }

    // MARK: reading

    /// Delivers exactly the records of `range`, in order, to `body`, at most `chunkRecords` at a time. The records are
    /// valid during the call of `body` only.
    /// - Parameter timeoutMillis: how long the range may stand still.
    package func read(
        _ range: OffsetRange, chunkRecords: Int, timeoutMillis: Int, cancelled: () -> Bool,
        _ body: (UnsafeBufferPointer<RawRecord>) throws -> Void
    ) throws -> RangeResult {
        if lanes[range.topicPartition] == nil { try follow([range]) }
        guard let lane = lanes[range.topicPartition], let client else {
            preconditionFailure("\(range.topicPartition) is not assigned")
        }
        if lane.position != range.from { try seek(lane, to: range.from, client) }

        var result = RangeResult()
        let messages = UnsafeMutablePointer<Message?>.allocate(capacity: chunkRecords)
        let records = UnsafeMutablePointer<RawRecord>.allocate(capacity: chunkRecords)
        defer {
            messages.deallocate()
            records.deallocate()
        }
        var movedAt = ContinuousClock.now
        while lane.position < range.until {
            if cancelled() {
                throw Failure(
                    .taskCancelled, "reading \(range) was given up", why: "the driver cancelled it", now: "nothing")
            }
            if lane.kept.isEmpty && lane.endSeen >= range.until {
                lane.position = range.until
                break
            }
            let count = take(lane, into: messages, chunkRecords, range)
            var used = 0
            defer { for index in 0..<count where index >= 0 { if let message = messages[index] { rd_kafka_message_destroy(message) } } }
            for index in 0..<count {
                let message = messages[index]!
                let offset = message.pointee.offset
                guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    if try ended(message, lane, range, client) { movedAt = .now }
                    continue
                }
                if offset >= range.until {
                    lane.kept.append(message)
                    messages[index] = nil
                    continue
                }
                // Left over from before a seek, or repeated by a broker's change of leader: not ours.
                guard offset >= lane.position else { continue }
                records[used] = RawRecord(
                    payload: message.pointee.payload?.assumingMemoryBound(to: UInt8.self), length: message.pointee.len,
                    offset: offset)
                result.bytes += Int64(message.pointee.len + message.pointee.key_len)
                lane.position = offset + 1
                used += 1
                result.tail = (offset, 0)
                if used > 0 { lastMessage = message }
            }
            if used > 0 {
                movedAt = .now
                result.records += Int64(used)
                if let last = lastMessage { result.tail = (last.pointee.offset, Self.hash(last)) }
                lastMessage = nil
                try body(UnsafeBufferPointer(start: records, count: used))
            }
            if !lane.kept.isEmpty { lane.position = range.until }
            if used == 0 && ContinuousClock.now - movedAt > .milliseconds(timeoutMillis) {
                throw Failure(
                    .readTimeout, "\(range) stood still at \(lane.position) for \(timeoutMillis) ms",
                    why: client.lastTransportError ?? "no record and no end of partition came",
                    now: "check the brokers; the task is tried again")
            }
        }
        return result
    }

    private var lastMessage: Message?

    /// Up to `capacity` messages: those kept from the last range first, then the queue's.
    private func take(
        _ lane: Lane, into messages: UnsafeMutablePointer<Message?>, _ capacity: Int, _ range: OffsetRange
    ) -> Int {
        if !lane.kept.isEmpty {
            let count = min(capacity, lane.kept.count)
            for index in 0..<count { messages[index] = lane.kept[index] }
            lane.kept.removeFirst(count)
            return count
        }
        // Never more than the range still has: a batch that cannot fill up waits for its whole time-out.
        let wanted = min(Int64(capacity), range.until - lane.position)
        let got = rd_kafka_consume_batch_queue(lane.queue, Self.pollMillis, messages, Int(wanted))
        return max(0, got)
    }

    /// Handles a message that carries an error. True when the range moved.
    private func ended(_ message: Message, _ lane: Lane, _ range: OffsetRange, _ client: KafkaClient) throws -> Bool {
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            lane.endSeen = max(lane.endSeen, message.pointee.offset)
            if message.pointee.offset >= range.until {
                lane.position = range.until
                return true
            }
            return false
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            throw Failure(
                .offsetsGone, "\(range.topicPartition) no longer holds offset \(lane.position)",
                why: "the range is \(range), and Kafka says that its beginning is deleted or was never there",
                now: "start the job with --accept-loss to go on behind what is gone; `sluice audit` will list it")
        default:
            throw client.failure(message.pointee.err, doing: "deliver \(range)")
        }
    }

    private func seek(_ lane: Lane, to offset: Int64, _ client: KafkaClient) throws {
        // What was fetched may still be what is wanted: a range that begins at a kept record needs no seek.
        if lane.kept.first?.pointee.offset == offset {
            lane.position = offset
            return
        }
        lane.dropKept()
        lane.endSeen = -1
        let list = rd_kafka_topic_partition_list_new(1)!
        defer { rd_kafka_topic_partition_list_destroy(list) }
        rd_kafka_topic_partition_list_add(list, lane.partition.topic, lane.partition.partition)!.pointee.offset = offset
        if let error = rd_kafka_seek_partitions(client.handle, list, 10_000) {
            let code = rd_kafka_error_code(error)
            rd_kafka_error_destroy(error)
            throw client.failure(code, doing: "seek \(lane.partition) to \(offset)")
        }
        guard list.pointee.elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw client.failure(list.pointee.elems[0].err, doing: "seek \(lane.partition) to \(offset)")
        }
        lane.position = offset
    }

    private static func hash(_ message: Message) -> UInt64 {
        let key = XXH3_64bits(message.pointee.key, message.pointee.key_len)
        return XXH3_64bits_withSeed(message.pointee.payload, message.pointee.len, key)
    }
}
