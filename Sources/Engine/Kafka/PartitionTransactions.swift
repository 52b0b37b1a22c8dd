// Writes rows and a group's position into one partition so that both become visible together or never.
//
// The sole owner of a transactional producer. `open` waits until whatever an older producer of the same id left open is
// aborted or committed, and fences that producer: none of its records can become visible any more. Then, as often as
// wanted, one transaction: begin, records, the position, commit.
//
// What an error means is the whole difficulty, so there are two kinds. A `Failure` is final or comes from outside: too
// large a record, a missing right, no broker. `TransactionTrouble` says that this producer is of no use any more and that
// nobody knows whether the transaction was committed: fenced, timed out in the commit, epoch expired. Then the only way
// is a new producer, `open`, and a look at the position; a producer is never used again after an error.
//
// librdkafka does not keep the time limits of these calls: one that adds the position waits for ever for a group
// coordinator that it remembers from before the broker's restart (librdkafka issues 5456 and 5511, open in 2.16). So two
// things. `hasLostConnection` says that another producer is better, which remembers nothing. And every call that waits is
// made on a thread of this object, while the caller waits no longer than the limit and some grace; a call that is
// still under way then keeps the object, its client and buffers, until it returns.
//
// Records are taken without a copy: librdkafka sends from the caller's buffers, which are kept here until its queue is
// empty. They go out in windows of one request: nothing leaves before a window is full or the last one, and the next one
// is handed over when the broker has confirmed it. That is not for elegance. An idempotent client keeps one request of a
// partition under way, and as long as further records wait whose time to linger is over, its thread asks again without a
// pause, under a lock that the rest of the client waits for: four such clients took both cores and a minute for 166,531
// rows that now take 0.3 s.
//
// When changing it: buffers must outlive the client's handle; failed deliveries are looked for before the commit; nothing
// may be called on the handle while an earlier call is under way.

import CRdKafka
import Dispatch
import Glibc

/// This producer must be dropped; whether its last transaction was committed has to be looked up.
struct TransactionTrouble: Error {
    var failure: Failure
}

/// Used by one thread at a time; the thread of `calls` runs only while that one waits.
final class PartitionTransactions: @unchecked Sendable {
    private var client: KafkaClient!
    private let handle: OpaquePointer
    private let partition: TopicPartition
    private var records: UnsafeMutablePointer<rd_kafka_message_t>
    private var sent: Int64 = 0
    private var isOpen = false
    /// Buffers that librdkafka still sends from.
    private var lent: [RecordBuffer] = []
    /// Of the window that is being filled.
    private var windowBytes = 0
    /// What a window holds, with `recordBytes` a record.
    private let mostWindowBytes: Int
    private var free: [RecordBuffer] = []
    private let calls = DispatchQueue(label: "sluice.transaction")
    /// A call did not return in time; what it works on is its own now.
    private var isStuck = false
    /// Connection failures that came with making the connections.
    private var usualFailures = 0
    private var hasCommitted = false

    /// What a call may take beyond its own limit.
    private static let graceMillis = 2_000
    /// Records of one call.
    private static let callRows = 4096
    /// What a record's length, key length, time and offset take in a request, generously.
    private static let recordBytes = 24

    init(_ configuration: KafkaConfiguration, _ partition: TopicPartition, transactionalID: String) throws {
        self.partition = partition
        // The client's limit of a request, less its head and some doubt about the size of a record's.
        mostWindowBytes = (configuration.properties["message.max.bytes"].flatMap { Int($0) } ?? 1_000_000) / 10 * 9
        let client = try KafkaClient(
            configuration, role: .producer,
            properties: [
                // Nothing is sent by itself: see the windows above.
                .init("linger.ms", "30000", .fixed),
                .init("batch.size", "2000000000", .fixed),
                .init("batch.num.messages", "1000000", .fixed),
                // The window holds the memory.
                .init("queue.buffering.max.messages", "1000000", .fixed),
                .init("queue.buffering.max.kbytes", "1048576", .fixed),
                .init("reconnect.backoff.max.ms", "1000"),
                .init("enable.idempotence", "true", .fixed),
                // One report a row is dear; a row without one is stored when the queue is empty.
                .init("delivery.report.only.error", "true", .fixed),
                .init("socket.nagle.disable", "true", .ifKnown),
                .init("transactional.id", transactionalID, .fixed),
            ], countsDeliveries: true)
        guard let handle = rd_kafka_topic_new(client.handle, partition.topic, nil) else {
            throw client.failure(rd_kafka_last_error(), doing: "take records for topic \(partition.topic)")
        }
        self.client = client
        self.handle = handle
        records = .allocate(capacity: Self.callRows)
    }

    deinit {
        // The client first: its threads read from the buffers.
        rd_kafka_topic_destroy(handle)
        client = nil
        records.deallocate()
    }

    /// Once, before the first transaction: ends what an older producer of this id left open, and fences it.
    func open(timeoutMillis: Int32 = 30_000) throws {
        // Without a connection by now, librdkafka looks for the coordinator only at its next timer, half a second later.
        _ = try client.partitions(of: partition.topic, timeoutMillis: timeoutMillis)
        do {
            try call("begin transactions", withinMillis: timeoutMillis) { rd_kafka_init_transactions($0, $1) }
        } catch let trouble as TransactionTrouble where trouble.failure.code == .brokerUnreachable {
            // Nothing is under way yet, and another producer would not find the broker either.
            throw trouble.failure
        }
        usualFailures = client.connectionFailures
    }

    /// Whether a connection broke since this producer had all that it needs.
    var hasLostConnection: Bool { client.connectionFailures > usualFailures }

    /// What that means in the middle of a transaction.
    var lostConnection: TransactionTrouble {
        TransactionTrouble(
            failure: Failure(
                .kafkaTransient, "the connection to Kafka broke in a transaction on \(partition)",
                why: client.lastTransportError ?? "no reason was given", now: "nothing; another producer takes over"))
    }

    func begin() throws {
        if let error = rd_kafka_begin_transaction(client.handle) { throw reason(error, "begin a transaction") }
        isOpen = true
    }

    /// An empty buffer to fill and to hand over with `send`.
    func buffer() -> RecordBuffer {
        guard let used = free.popLast() else { return RecordBuffer(capacity: 1 << 20) }
        used.removeAll()
        return used
    }

    /// Hands all records of `values` over, and the buffers with them until they are stored. `keys` has one record for
    /// each of them.
    func send(_ values: RecordBuffer, keys: RecordBuffer?) throws {
        precondition(keys == nil || keys!.count == values.count)
        lent.append(values)
        var first = 0
        while first < values.count {
            var count = 0
            while count < min(Self.callRows, values.count - first) && windowBytes < mostWindowBytes {
                let index = count
                let value = values.record(first + index)
                windowBytes += value.count + Self.recordBytes
                var record = rd_kafka_message_t()
                record.payload = UnsafeMutableRawPointer(mutating: value.baseAddress)
                record.len = value.count
                if let keys {
                    let key = keys.record(first + index)
                    record.key = UnsafeMutableRawPointer(mutating: key.baseAddress)
                    record.key_len = key.count
                    windowBytes += key.count
                }
                records[index] = record
                count += 1
            }
            // Neither copied nor freed by the library; keys are always copied.
            let taken = rd_kafka_produce_batch(handle, partition.partition, 0, records, Int32(count))
            sent += Int64(taken)
            if Int(taken) != count {
                let code = (0..<count).lazy.map { self.records[$0].err }.first { $0 != RD_KAFKA_RESP_ERR_NO_ERROR }
                throw reason(code ?? RD_KAFKA_RESP_ERR__FAIL, "take rows for \(partition)")
            }
            first += count
            if windowBytes >= mostWindowBytes { try sendWindow() }
        }
        if let keys { free.append(keys) }
    }

    /// Adds the group's position to the transaction.
    func send(_ position: KafkaPosition, group: String, timeoutMillis: Int32 = 10_000) throws {
        try call("take the position of group \(group)", withinMillis: timeoutMillis) { handle, leftMillis in
            let list = TopicPartitionList([position])
            let member = rd_kafka_consumer_group_metadata_new(group)
            defer { rd_kafka_consumer_group_metadata_destroy(member) }
            return rd_kafka_send_offsets_to_transaction(handle, list.pointer, member, leftMillis)
        }
    }

    /// Waits for the broker's word that the transaction is committed. Only when all records are `stored`.
    func commit(timeoutMillis: Int32 = 60_000) throws {
        precondition(lent.isEmpty, "a transaction is committed before its records are stored")
        try call("commit a transaction", withinMillis: timeoutMillis) { rd_kafka_commit_transaction($0, $1) }
        isOpen = false
        client.forgetDeliveries()
        sent = 0
        // The first one makes the last connections: to the leader and to the group's coordinator.
        if !hasCommitted { usualFailures = client.connectionFailures }
        hasCommitted = true
    }

    /// Ends an open transaction without its rows, so that readers need not wait for the broker to do it. Afterwards this
    /// producer is to be dropped.
    func giveUp() {
        guard isOpen, !isStuck else { return }
        isOpen = false
        // Where the broker is away nobody can abort now; whoever takes the id next does.
        if hasLostConnection { return }
        do {
            try call("abort a transaction", withinMillis: 10_000) { rd_kafka_abort_transaction($0, $1) }
        } catch {
            Log.debug("transaction not aborted", [("partition", "\(partition)"), ("why", "\(error)")])
        }
    }

    /// Sends what was handed over and waits for the broker's word that all of it is stored.
    func stored() throws {
        try sendWindow()
        free += lent
        lent = []
    }

    /// Waits until the client's queue is empty: then every record is stored or reported as failed.
    private func sendWindow(timeoutMillis: Int = 60_000) throws {
        windowBytes = 0
        // Without reports of what is stored the call looks at its queue only every 10 ms, unless it has less time.
        let deadline = ContinuousClock.now + .milliseconds(timeoutMillis)
        var code = rd_kafka_flush(client.handle, 1)
        while code == RD_KAFKA_RESP_ERR__TIMED_OUT && ContinuousClock.now < deadline { code = rd_kafka_flush(client.handle, 1) }
        let reports = client.deliveries
        if reports.failed > 0 {
            throw reason(rd_kafka_resp_err_t(reports.firstError), "store \(reports.failed) of \(sent) rows in \(partition)")
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw reason(RD_KAFKA_RESP_ERR__TIMED_OUT, "confirm \(rd_kafka_outq_len(client.handle)) of \(sent) rows in \(partition)")
        }
        // The last one may have rows that are not handed over yet.
        if lent.count > 1 {
            free += lent.dropLast()
            lent = [lent.last!]
        }
    }

    /// Repeats a call that says it may be repeated, until the time is over.
    private func call(
        _ doing: String, withinMillis: Int32, _ body: @escaping @Sendable (OpaquePointer, Int32) -> OpaquePointer?
    ) throws {
        let deadline = ContinuousClock.now + .milliseconds(Int(withinMillis))
        while true {
            let leftMillis = max(1, Int32(clamping: Int((deadline - ContinuousClock.now) / .milliseconds(1))))
            guard let error = try returned(doing, withinMillis: leftMillis, body) else { return }
            if rd_kafka_error_is_retriable(error) != 0 && ContinuousClock.now < deadline {
                rd_kafka_error_destroy(error)
                usleep(20_000)
                continue
            }
            throw reason(error, doing)
        }
    }

    /// What the call returned, made on `calls`.
    private func returned(
        _ doing: String, withinMillis: Int32, _ body: @escaping @Sendable (OpaquePointer, Int32) -> OpaquePointer?
    ) throws -> OpaquePointer? {
        let answer = CallAnswer()
        calls.async { [self] in answer.give(body(client.handle, withinMillis)) }
        if answer.isThere(withinMillis: Int(withinMillis) + Self.graceMillis) { return answer.take() }
        isStuck = true
        throw reason(RD_KAFKA_RESP_ERR__TIMED_OUT, doing, text: "the client did not come back within its time limit")
    }

    private func reason(_ error: OpaquePointer, _ doing: String) -> any Error {
        defer { rd_kafka_error_destroy(error) }
        return reason(rd_kafka_error_code(error), doing, text: String(cString: rd_kafka_error_string(error)))
    }

    private func reason(_ code: rd_kafka_resp_err_t, _ doing: String, text: String? = nil) -> any Error {
        var failure = client.failure(code, doing: doing)
        if code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE {
            return Failure(
                .limitExceeded, "a row is too large for \(partition)",
                why: "Kafka did not \(doing): \(text ?? failure.why)",
                now: "nothing of the batch was written; raise the topic's max.message.bytes and kafka.message.max.bytes")
        }
        if let text { failure.why = text }
        // A fenced producer is a dead producer, not yet a reason to stop: who fenced it is read from the marker.
        if failure.remedy == .stopJob && failure.code != .kafkaFatal { return failure }
        failure.code = failure.code == .kafkaFatal ? .kafkaTransient : failure.code
        return TransactionTrouble(failure: failure)
    }
}

/// The answer of a call on another thread: an error of librdkafka's, which is the taker's, or none.
private final class CallAnswer: @unchecked Sendable {
    private var error: OpaquePointer?
    private let given = DispatchSemaphore(value: 0)

    deinit { if let error { rd_kafka_error_destroy(error) } }

    func give(_ error: OpaquePointer?) {
        self.error = error
        given.signal()
    }

    func isThere(withinMillis: Int) -> Bool { given.wait(timeout: .now() + .milliseconds(withinMillis)) == .success }

    func take() -> OpaquePointer? {
        defer { error = nil }
        return error
    }
}
