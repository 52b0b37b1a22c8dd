// Where a reader stands in one partition: started at an offset, prefetching, with the messages that the last range left.
//
// The queue of the partition is the client's own and is bounded by it. `next` is the offset from which nothing has been
// handed to a range yet; a range that begins there is read on without a word to the broker. Anything else is a new
// start: stop waits until the client has let go of the queue, so no message of the old position can come after it.
//
// Messages belong to librdkafka and are destroyed here, once. Reader and stand live on one thread.

import CRdKafka

final class PartitionStand {
    typealias Message = UnsafeMutablePointer<rd_kafka_message_t>

    let partition: TopicPartition
    /// nil after a range ended halfway: the queue holds an unknown rest.
    var next: Int64?
    /// The highest position at which the client reported the partition's end.
    var endSeen: Int64 = -1
    /// The reader's count of ranges when this partition was read last.
    var lastRead = 0
    /// The reader's count of followings when this partition was named last.
    var lastNamed = 0
    private let topic: OpaquePointer
    private let client: OpaquePointer
    private let bell: ArrivalBell?
    /// The partition's queue, while it may ring the bell.
    private var queue: OpaquePointer?
    private var isStarted = false
    private var kept: [Message] = []

    /// - Parameters:
    ///   - topic: borrowed, as is the client; the reader keeps both as long as the stand.
    ///   - bell: rung when something comes.
    init(_ partition: TopicPartition, topic: OpaquePointer, client: OpaquePointer, bell: ArrivalBell?) {
        self.partition = partition
        self.topic = topic
        self.client = client
        self.bell = bell
    }

    deinit { stop() }

    /// Begins to prefetch from this offset; always an absolute one, which needs no question to the broker.
    func start(at offset: Int64) -> rd_kafka_resp_err_t {
        stop()
        guard rd_kafka_consume_start(topic, partition.partition, offset) == 0 else { return rd_kafka_last_error() }
        isStarted = true
        next = offset
        if let bell, let queue = rd_kafka_queue_get_partition(client, partition.topic, partition.partition) {
            self.queue = queue
            bell.listen(to: queue)
        }
        return RD_KAFKA_RESP_ERR_NO_ERROR
    }

    func stop() {
        for message in kept { rd_kafka_message_destroy(message) }
        kept.removeAll()
        next = nil
        endSeen = -1
        if let queue {
            ArrivalBell.silence(queue)
            rd_kafka_queue_destroy(queue)
        }
        queue = nil
        guard isStarted else { return }
        isStarted = false
        rd_kafka_consume_stop(topic, partition.partition)
    }

    var hasKept: Bool { !kept.isEmpty }

    /// Keeps messages that belong to a later range.
    func keep(_ messages: UnsafeMutableBufferPointer<Message?>) {
        kept.insert(contentsOf: messages.lazy.compactMap { $0 }, at: 0)
    }

    /// Takes over what has come, without waiting, and says up to which offset.
    /// - Parameters:
    ///   - slots: room for as many messages as may be held.
    ///   - mostBytes: of them; nil when more has come than either.
    func gather(_ slots: UnsafeMutableBufferPointer<Message?>, mostBytes: Int) -> Int64? {
        var bytes = kept.reduce(0) { $0 + $1.pointee.len }
        while kept.count < slots.count && bytes < mostBytes {
            let taken = rd_kafka_consume_batch(
                topic, partition.partition, 0, slots.baseAddress!, min(64, slots.count - kept.count))
            guard taken > 0 else { break }
            for index in 0..<taken {
                bytes += slots[index]!.pointee.len
                kept.append(slots[index]!)
            }
        }
        guard kept.count < slots.count && bytes < mostBytes else { return nil }
        // Behind the last record, or an end that stands behind it: what a transaction left there is to be passed, too.
        let reached = kept.reversed().lazy.compactMap { message -> Int64? in
            switch message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR: message.pointee.offset + 1
            case RD_KAFKA_RESP_ERR__PARTITION_EOF: message.pointee.offset
            default: nil
            }
        }.first
        return max(reached ?? 0, next ?? 0)
    }

    /// Takes up to `slots.count` messages, errors and ends among them; waits for the first one only.
    ///
    /// A call for many returns when all are there or its whole time is over, so it is never asked to wait. A queue
    /// that runs dry early is given `lingerMillis` once, so that a reader as fast as the network does not work in
    /// crumbs.
    func take(_ slots: UnsafeMutableBufferPointer<Message?>, waitMillis: Int32, lingerMillis: Int32) -> Int {
        var count = min(kept.count, slots.count)
        if count > 0 {
            for index in 0..<count { slots[index] = kept[index] }
            kept.removeFirst(count)
        }
        var mayLinger = true
        while count < slots.count {
            let taken = rd_kafka_consume_batch(
                topic, partition.partition, 0, slots.baseAddress! + count, slots.count - count)
            if taken > 0 {
                count += taken
                // The end of the partition: nothing is to be waited for.
                if slots[count - 1]!.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR { break }
                continue
            }
            if count > 0 && (!mayLinger || count * 4 >= slots.count) { break }
            let wait = count == 0 ? waitMillis : lingerMillis
            if count > 0 { mayLinger = false }
            guard let one = rd_kafka_consume(topic, partition.partition, wait) else { break }
            slots[count] = one
            count += 1
            if one.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR { break }
        }
        return count
    }
}
