// Reads exact offset ranges, one after the other, from partitions that it keeps following.
//
// One reader per (job, lane, slot) of a worker. It never joins a group and never commits. Each partition that it follows
// has a bounded queue of its own into which librdkafka prefetches, so that a range at the end of the log finds its
// records already there and a backlog is read at the network's rate, in memory that does not depend on the backlog:
// `FetchBudget` divides it. When there are more partitions than the budget can give a share, they stand in turns.
//
// What is delivered is exactly [from, until) in order; `RangePassage` decides, `PartitionStand` holds the queue. A range
// that fails halfway (the body throws, it is cancelled) leaves its partition to be started anew; the others stay.
// Records are valid during the body's call only and are destroyed once per chunk.
//
// Nothing here survives a crash: positions are the plan's. When changing this file: a reset policy other than `error`,
// or a range that ends by a count, loses records without a word.

import CRdKafka
import CXXHash

/// What came of reading a range.
package struct RangeResult: Sendable {
    package var records: Int64 = 0
    /// Bytes of keys and values.
    package var bytes: Int64 = 0
    /// Offset and content hash of the last record; nil when the range held none.
    package var tail: (offset: Int64, hash: UInt64)?
    /// The leader's epoch of the batch that reaches up to the range's end; nil where the reader cannot tell.
    package var leaderEpoch: Int32?

    package init() {}
}

/// One record by itself, copied.
package struct RecordContent: Sendable, Hashable {
    package var key: [UInt8]?
    package var value: [UInt8]?
    /// The hash that a range whose last record it is would have as its tail.
    package var hash: UInt64
}

package final class RangeReader: RecordReader {
    private let configuration: KafkaConfiguration
    private let isolation: IsolationLevel
    private let budget: FetchBudget
    private let bell: ArrivalBell?
    // One consumer at a time, made by the first use; topics and stands go before it.
    private var client: KafkaClient?
    private var division: FetchBudget.Division?
    private var topics: [String: OpaquePointer] = [:]
    private var stands: [TopicPartition: PartitionStand] = [:]
    private var rangesRead = 0
    private var followings = 0
    /// How many times `follow` may leave a partition out before it is let go.
    private static let followingsKept = 64
    private var slots = UnsafeMutableBufferPointer<PartitionStand.Message?>(start: nil, count: 0)
    private var raws = UnsafeMutableBufferPointer<RawRecord>(start: nil, count: 0)
    /// How often a partition was started at an offset; a reader that follows starts each once.
    package private(set) var startCount = 0

    /// How long a reader with a bell lets a fetch at the end of the log gather what comes, and the bytes that end it sooner.
    /// A fetch costs 0.3 ms of processor time, and without this every append of a producer ends one.
    package static let gatheringMillis = 16
    package static let gatheringBytes = 64 << 10

    /// - Parameter bell: rung when records come; they come gathered then, see `arrived`.
    package init(
        _ configuration: KafkaConfiguration, budgetBytes: Int, isolation: IsolationLevel? = nil, bell: ArrivalBell? = nil
    ) {
        self.configuration = configuration
        self.bell = bell
        self.isolation = isolation ?? configuration.isolation
        budget = FetchBudget(bytes: budgetBytes)
    }

    deinit {
        close()
        slots.deallocate()
        raws.deallocate()
    }

    // MARK: Following

    /// Says which partitions the next ranges come from and where each begins: `from` counts. Starts to prefetch where
    /// the reader does not stand already.
    ///
    /// A partition that is not named keeps its place for a while, because a partition without new records is in no
    /// batch; it goes when others need its room, or when it was not named for long (it is read elsewhere now).
    /// - Parameter epochs: not looked at: the library keeps its own.
    package func follow(_ positions: [OffsetRange], epochs: [TopicPartition: Int32] = [:]) throws {
        followings += 1
        // Of a range that was split only the first piece says where to begin.
        var named: Set<TopicPartition> = []
        let positions = positions.filter { named.insert($0.topicPartition).inserted }
        for position in positions { stands[position.topicPartition]?.lastNamed = followings }
        letGo { self.followings - $0.lastNamed >= Self.followingsKept }
        let new = positions.count { stands[$0.topicPartition] == nil }
        if stands.count + new > budget.mostStanding {
            letGo { $0.lastNamed < self.followings }
        }
        try divide(partitions: stands.count + positions.count { stands[$0.topicPartition] == nil })
        for position in positions {
            if let stand = stands[position.topicPartition] {
                if stand.next != position.from { try start(stand, at: position.from) }
            } else if stands.count < budget.mostStanding {
                try start(try stand(position.topicPartition), at: position.from)
            }
        }
    }

    private func letGo(_ condition: (PartitionStand) -> Bool) {
        for (partition, stand) in stands where condition(stand) {
            stand.stop()
            stands[partition] = nil
        }
    }

    /// Lets go of all partitions and of the connections.
    package func close() {
        for stand in stands.values { stand.stop() }
        stands.removeAll()
        for topic in topics.values { rd_kafka_topic_destroy(topic) }
        topics.removeAll()
        client = nil
        division = nil
    }

    /// Makes the consumer fit this number of partitions; a new one starts from nothing.
    private func divide(partitions: Int) throws {
        let wanted = budget.division(partitions: partitions, current: division)
        if wanted != division { try open(wanted) }
    }

    private func open(_ wanted: FetchBudget.Division) throws {
        close()
        client = try KafkaClient(
            configuration, role: .consumer,
            properties: [
                .init("enable.partition.eof", "true", .fixed),
                .init("auto.offset.reset", "error", .fixed),
                .init("enable.auto.commit", "false", .fixed),
                .init("enable.auto.offset.store", "false", .fixed),
                .init("isolation.level", isolation.rawValue, .fixed),
                .init("check.crcs", "true"),
                .init("queued.min.messages", String(wanted.queuedMessages)),
                .init("queued.max.messages.kbytes", String(wanted.queuedKilobytes)),
                .init("fetch.message.max.bytes", String(wanted.fetchBytes)),
                // Bounds what a compressed batch may unpack to, too (not for every codec: see `FetchBudget`).
                .init("receive.message.max.bytes", String(Limits.fetchAnswerBytes)),
                // A queue that was full is looked at again soon, not after a second, and not all the time.
                .init("fetch.queue.backoff.ms", "2", .ifKnown),
                // How long a fetch at the end of the log waits, and so how long a new start there may have to.
                .init("fetch.wait.max.ms", bell == nil ? "10" : String(Self.gatheringMillis)),
                .init("fetch.min.bytes", bell == nil ? "1" : String(Self.gatheringBytes)),
                .init("fetch.error.backoff.ms", "50"),
                .init("reconnect.backoff.max.ms", "1000"),
            ])
        division = wanted
    }

    private func stand(_ partition: TopicPartition) throws -> PartitionStand {
        if let stand = stands[partition] { return stand }
        guard let client else { throw closedFailure }
        if topics[partition.topic] == nil {
            guard let topic = rd_kafka_topic_new(client.handle, partition.topic, nil) else {
                throw client.failure(rd_kafka_last_error(), doing: "read topic \(partition.topic)")
            }
            topics[partition.topic] = topic
        }
        let stand = PartitionStand(partition, topic: topics[partition.topic]!, client: client.handle, bell: bell)
        stand.lastNamed = followings
        stands[partition] = stand
        return stand
    }

    private var closedFailure: Failure {
        Failure(.internal, "A closed reader was used", why: "it has no consumer", now: "report this defect")
    }

    private func start(_ stand: PartitionStand, at offset: Int64) throws {
        startCount += 1
        let code = stand.start(at: offset)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw client?.failure(code, doing: "start reading \(stand.partition) at \(offset)") ?? closedFailure
        }
    }

    /// The stand of a range, at its beginning.
    private func stand(for range: OffsetRange) throws -> PartitionStand {
        let partition = range.topicPartition
        if stands[partition] == nil {
            try divide(partitions: stands.count + 1)
            // In turns: the one read last is needed again last.
            while stands.count >= budget.mostStanding,
                let latest = stands.values.max(by: { $0.lastRead < $1.lastRead })
            {
                latest.stop()
                stands[latest.partition] = nil
            }
        }
        let stand = try stand(partition)
        stand.lastNamed = followings
        if stand.next != range.from { try start(stand, at: range.from) }
        rangesRead += 1
        stand.lastRead = rangesRead
        return stand
    }

    /// Where each partition ends as far as its records are here, in the order of the positions: an end that needs no
    /// question to the broker and a range up to it no fetch.
    /// - Parameters:
    ///   - positions: of each partition what the next range begins with; `from` counts.
    ///   - most: messages that may wait in a partition.
    /// - Returns: nil when the partitions do not all stand there, or one has more than that: then the broker knows better.
    package func arrived(_ positions: [OffsetRange], most: Int) throws -> [Int64]? {
        if positions.contains(where: { stands[$0.topicPartition]?.next != $0.from }) { try follow(positions) }
        client?.poll()
        reserve(most)
        var ends: [Int64] = []
        ends.reserveCapacity(positions.count)
        for position in positions {
            guard let stand = stands[position.topicPartition], stand.next == position.from,
                let end = stand.gather(.init(rebasing: slots[..<most]), mostBytes: budget.bytes / 4 / positions.count)
            else { return nil }
            ends.append(end)
        }
        return ends
    }

    /// The library fetches on threads of its own.
    package func prefetch(waitMillis: Int) -> Bool { false }

    // MARK: Reading

    /// Delivers the records of the range in order, in chunks of at most `chunkRecords`.
    /// - Parameters:
    ///   - timeoutMillis: how long the range may stand still.
    ///   - cancelled: asked between chunks and while waiting.
    /// - Throws: `offsetsGone`, `topicRecreated`, `readTimeout`, `taskCancelled`, or what `body` throws.
    package func read(
        _ range: OffsetRange, chunkRecords: Int, timeoutMillis: Int, cancelled: () -> Bool = { false },
        _ body: (UnsafeBufferPointer<RawRecord>) throws -> Void
    ) throws -> RangeResult {
        var result = RangeResult()
        var passage = RangePassage(from: range.from, until: range.until)
        if passage.isComplete { return result }
        let stand = try stand(for: range)
        guard let client else { throw closedFailure }
        client.poll()
        reserve(chunkRecords)
        // Until the range is complete the stand's position is unknown to the next one.
        stand.next = nil
        if !stand.hasKept { passage.reachedEnd(at: stand.endSeen) }

        var limit = Standstill(millis: timeoutMillis)
        var lastError = RD_KAFKA_RESP_ERR_NO_ERROR
        while !passage.isComplete {
            if cancelled() {
                throw Failure(
                    .taskCancelled, "Reading \(range) was cancelled", why: "its attempt is no longer wanted",
                    now: "nothing")
            }
            let most = min(chunkRecords, Int(clamping: range.until - passage.next))
            let taken = stand.take(.init(rebasing: slots[..<most]), waitMillis: 20, lingerMillis: 2)
            if taken == 0 {
                client.poll()
                let now = ContinuousClock.now
                if limit.isOver(now) {
                    throw Standstill.failure(
                        range, at: passage.next, millis: timeoutMillis, connection: client.lastTransportError,
                        partition: lastError == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : String(cString: rd_kafka_err2str(lastError)))
                }
                if limit.mayAsk(now, pauseMillis: 5_000) { try checkExists(client, stand.partition) }
                continue
            }
            // Messages from here on are not destroyed with the chunk.
            var keepFrom = taken
            defer { for index in 0..<keepFrom { rd_kafka_message_destroy(slots[index]) } }
            let before = passage.next
            var delivered = 0
            var last: PartitionStand.Message?
            scan: for index in 0..<taken {
                let message = slots[index]!
                let code = message.pointee.err
                if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                    switch passage.record(at: message.pointee.offset) {
                    case .deliver:
                        raws[delivered] = RawRecord(
                            payload: message.pointee.payload.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) },
                            length: message.pointee.len, offset: message.pointee.offset,
                            key: message.pointee.key.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) }, keyLength: message.pointee.key_len,
                            timeMillis: Self.time(message))
                        delivered += 1
                        result.bytes += Int64(message.pointee.len + message.pointee.key_len)
                        last = message
                    case .beyond:
                        stand.keep(.init(rebasing: slots[index..<taken]))
                        keepFrom = index
                        break scan
                    case .disorder:
                        throw Failure(
                            .kafkaFatal, "The Kafka client delivered \(stand.partition) out of order",
                            why: "offset \(message.pointee.offset) came where \(passage.next) or a later one was due",
                            now: "check which client library is loaded (sluice doctor); the attempt was stopped")
                    }
                } else if code == RD_KAFKA_RESP_ERR__PARTITION_EOF {
                    stand.endSeen = message.pointee.offset
                    passage.reachedEnd(at: message.pointee.offset)
                } else {
                    lastError = code
                    try judge(client, code, range)
                }
            }
            if delivered > 0 {
                try body(UnsafeBufferPointer(rebasing: raws[..<delivered]))
                result.records += Int64(delivered)
                if let last { result.tail = (last.pointee.offset, Self.hash(last)) }
            }
            if passage.next > before { limit.moved() }
        }
        stand.next = range.until
        return result
    }

    /// The record at exactly this offset; nil where there is none any longer (retention, compaction) or never was
    /// (a marker, an aborted row, behind the end).
    package func readOne(_ partition: TopicPartition, offset: Int64, timeoutMillis: Int = 10_000) throws -> RecordContent? {
        guard offset >= 0 else { return nil }
        let stand = try stand(
            for: OffsetRange(topic: partition.topic, partition: partition.partition, from: offset, until: offset + 1))
        guard let client else { throw closedFailure }
        // One record is wanted, not what follows it.
        defer {
            stand.stop()
            stands[partition] = nil
        }
        reserve(1)
        let deadline = ContinuousClock.now + .milliseconds(timeoutMillis)
        while true {
            guard stand.take(.init(rebasing: slots[..<1]), waitMillis: 20, lingerMillis: 0) == 1, let message = slots[0] else {
                if ContinuousClock.now > deadline {
                    throw client.failure(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: "read \(partition) at offset \(offset)")
                }
                client.poll()
                continue
            }
            defer { rd_kafka_message_destroy(message) }
            switch message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                guard message.pointee.offset == offset else { return nil }
                return RecordContent(
                    key: Self.bytes(message.pointee.key, message.pointee.key_len),
                    value: Self.bytes(message.pointee.payload, message.pointee.len), hash: Self.hash(message))
            case RD_KAFKA_RESP_ERR__PARTITION_EOF, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
                RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
                return nil
            default:
                try judge(
                    client, message.pointee.err,
                    OffsetRange(topic: partition.topic, partition: partition.partition, from: offset, until: offset + 1))
            }
        }
    }

    private func reserve(_ count: Int) {
        guard slots.count < count else { return }
        slots.deallocate()
        raws.deallocate()
        slots = .allocate(capacity: count)
        raws = .allocate(capacity: count)
    }

    /// Decides what an error in the partition's queue means: returns when it may pass by itself.
    private func judge(_ client: KafkaClient, _ code: rd_kafka_resp_err_t, _ range: OffsetRange) throws {
        switch code {
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            throw gone(client, range)
        default:
            let failure = client.failure(code, doing: "let us read \(range)")
            switch failure.code {
            case .brokerUnreachable, .kafkaTransient: return
            default: throw failure
            }
        }
    }

    /// A partition that is not there is silent in the queue for half a minute: so a reader that stands still asks.
    private func checkExists(_ client: KafkaClient, _ partition: TopicPartition) throws {
        do {
            if try client.partitions(of: partition.topic, timeoutMillis: 2_000).contains(partition.partition) { return }
        } catch let failure as Failure where failure.code != .topicMissing && failure.code != .notAllowed {
            return
        }
        throw Failure(
            .topicMissing, "There is no partition \(partition)", why: "the brokers do not list it",
            now: "check whether the topic was deleted or recreated with fewer partitions")
    }

    private func gone(_ client: KafkaClient, _ range: OffsetRange) -> Failure {
        var low: Int64 = -1
        var high: Int64 = -1
        let code = rd_kafka_query_watermark_offsets(client.handle, range.topic, range.partition, &low, &high, 5_000)
        return GoneOffsets.failure(range, held: code == RD_KAFKA_RESP_ERR_NO_ERROR && low <= high ? low..<high : nil)
    }

    private static func bytes(_ pointer: UnsafeMutableRawPointer?, _ count: Int) -> [UInt8]? {
        pointer.map { [UInt8](UnsafeRawBufferPointer(start: $0, count: count)) }
    }

    private static func time(_ message: PartitionStand.Message) -> Int64 {
        let millis = rd_kafka_message_timestamp(message, nil)
        return millis < 0 ? RawRecord.noTime : millis
    }

    /// XXH64 over value, seeded with that of the key: equal only for equal key and value.
    private static func hash(_ message: PartitionStand.Message) -> UInt64 {
        let key = message.pointee.key.map { XXH64($0, message.pointee.key_len, 0) } ?? 0
        guard let value = message.pointee.payload else { return key }
        return XXH64(value, message.pointee.len, key)
    }
}
