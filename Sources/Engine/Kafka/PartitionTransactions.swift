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
// Records are taken without a copy: librdkafka sends from the caller's buffers, which are kept here until they are stored.
// They are handed over in windows of a request's size: one is on its way, the next one waits behind it, and the call
// waits before a third one. What does not fill a request goes out with `stored`. Nothing goes out because time passes, and
// that matters: an idempotent client keeps one request of a partition under way, and while records wait behind it whose
// time to linger is over, its thread asks again without a pause, under a lock that the rest of the client waits for. Four
// such clients took both cores and a minute for 166,531 rows that now take 0.3 s.
//
// How long a transaction may take is the broker's to bound (`transaction.max.timeout.ms`), so a person may have to set
// `kafka.transaction.timeout.ms`, and everything here that has to be over before is derived from it: `TransactionTimes`.
//
// When changing it: buffers must outlive the client's handle; failed deliveries are looked for before the commit; nothing
// may be called on the handle while an earlier call is under way.

import CRdKafka
import Glibc

/// This producer must be dropped; whether its last transaction was committed has to be looked up.
struct TransactionTrouble: Error {
    var failure: Failure
}

/// What follows from the time that a transaction may take.
struct TransactionTimes: Equatable {
    let transactionMillis: Int
    /// For ever, as far as a transaction is concerned; a client refuses to linger as long as a message may take.
    var lingerMillis: Int { max(1, min(30_000, transactionMillis / 2)) }
    /// For the broker's word that what was sent is stored, and that it is committed: later it is aborted anyway.
    var storedMillis: Int { min(60_000, transactionMillis) }

    /// What the client takes by itself.
    private static let usualMillis = 60_000

    init(_ properties: [String: String]) {
        transactionMillis = properties["transaction.timeout.ms"].flatMap { Int($0) } ?? Self.usualMillis
    }
}

/// Used by one thread at a time; the thread of `calls` runs only while that one waits.
final class PartitionTransactions: @unchecked Sendable {
    private var client: KafkaClient!
    private let handle: OpaquePointer
    private let partition: TopicPartition
    private var records: UnsafeMutablePointer<rd_kafka_message_t>
    private var sent: Int64 = 0
    private var isOpen = false
    /// Buffers that librdkafka still sends from, each with how many records were handed over with it and before it.
    private var lent: [(buffer: RecordBuffer, upTo: Int64)] = []
    private var window = Window()
    /// Keys and values handed over in this transaction.
    private var sentBytes = 0
    private var free: [RecordBuffer] = []
    private let calls = WorkThread("transaction")
    private let times: TransactionTimes
    /// A call did not return in time; what it works on is its own now.
    private var isStuck = false
    /// Connection failures that came with making the connections.
    private var usualFailures = 0
    private var hasCommitted = false

    /// What a call may take beyond its own limit.
    private static let graceMillis = 2_000
    /// Records of one call.
    private static let callRows = 4096
    /// Keys and values that make a request.
    private static let requestBytes = 1_000_000
    private static let pauseMicros: UInt32 = 200

    private struct Window {
        var rows = 0
        var bytes = 0
    }

    init(_ configuration: KafkaConfiguration, _ partition: TopicPartition, transactionalID: String) throws {
        self.partition = partition
        times = TransactionTimes(configuration.properties)
        let client = try KafkaClient(
            configuration, role: .producer,
            properties: [
                // See the windows above.
                .init("linger.ms", "\(times.lingerMillis)", .fixed),
                .init("batch.size", "\(Self.requestBytes)", .fixed),
                .init("batch.num.messages", "1000000", .fixed),
                // The windows hold the memory.
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
        lent.append((values, sent + Int64(values.count)))
        var first = 0
        while first < values.count {
            let count = min(Self.callRows, values.count - first)
            let taken = fill(count, values, keys, from: first)
            try handOver(taken)
            first += taken
            if window.bytes >= Self.requestBytes { try endWindow() }
        }
        if let keys { free.append(keys) }
    }

    /// Writes records for one call, up to the end of the window.
    private func fill(_ count: Int, _ values: RecordBuffer, _ keys: RecordBuffer?, from first: Int) -> Int {
        var (index, bytes) = (0, window.bytes)
        let target = records
        while index < count && bytes < Self.requestBytes {
            let value = values.record(first + index)
            bytes += value.count
            var record = rd_kafka_message_t()
            record.payload = UnsafeMutableRawPointer(mutating: value.baseAddress)
            record.len = value.count
            if let keys {
                let key = keys.record(first + index)
                record.key = UnsafeMutableRawPointer(mutating: key.baseAddress)
                record.key_len = key.count
                bytes += key.count
            }
            target[index] = record
            index += 1
        }
        sentBytes += bytes - window.bytes
        window.rows += index
        window.bytes = bytes
        return index
    }

    private func handOver(_ count: Int) throws {
        // Neither copied nor freed by the library; keys are always copied.
        let taken = rd_kafka_produce_batch(handle, partition.partition, 0, records, Int32(count))
        sent += Int64(taken)
        guard Int(taken) != count else { return }
        let code = (0..<count).lazy.map { self.records[$0].err }.first { $0 != RD_KAFKA_RESP_ERR_NO_ERROR }
        throw reason(code ?? RD_KAFKA_RESP_ERR__FAIL, "take rows for \(partition)")
    }

    /// Waits for the window before the one that is now full. It needs no push: what is left when a request has gone is less
    /// than a request, so less than the last window.
    private func endWindow() throws {
        let full = window.rows
        try wait { waiting in waiting <= full }
        window = Window()
    }

    /// Adds the group's position to the transaction.
    func send(_ position: KafkaPosition, group: String, timeoutMillis: Int32 = 10_000) throws {
        do {
            try call("take the position of group \(group)", withinMillis: timeoutMillis) { handle, leftMillis in
                let list = TopicPartitionList([position])
                let member = rd_kafka_consumer_group_metadata_new(group)
                defer { rd_kafka_consumer_group_metadata_destroy(member) }
                return rd_kafka_send_offsets_to_transaction(handle, list.pointer, member, leftMillis)
            }
        } catch var refused as Failure where refused.code == .notAllowed {
            refused.now =
                "give this user, besides Write, the right Read on topic \(partition.topic) and on groups that begin with sluice.: "
                + "a Kafka sink keeps how far it has come as a group's position in its own topic"
            throw refused
        }
    }

    /// Waits for the broker's word that the transaction is committed. Only when all records are `stored`.
    func commit() throws {
        precondition(lent.isEmpty, "a transaction is committed before its records are stored")
        try call("commit a transaction", withinMillis: Int32(clamping: times.storedMillis)) { rd_kafka_commit_transaction($0, $1) }
        forgetTransaction()
        // The first one makes the last connections: to the leader and to the group's coordinator.
        if !hasCommitted { usualFailures = client.connectionFailures }
        hasCommitted = true
    }

    private func forgetTransaction() {
        isOpen = false
        client.forgetDeliveries()
        sent = 0
        sentBytes = 0
    }

    /// Writes a row and the position and takes both back. Kafka 4.3 can forget the markers of a transaction whose
    /// partitions have no leader when it is decided, as after a broker's restart (KAFKA-20734); what was written then
    /// stays undecided for ever. The markers of this one end it too, since they are of the same producer.
    func takeBack(_ position: KafkaPosition, group: String) throws {
        try begin()
        let row = buffer()
        _ = row.reserve(1)
        row.endRecord(0)
        try send(row, keys: nil)
        try stored()
        try send(position, group: group)
        try call("abort a transaction", withinMillis: 30_000) { rd_kafka_abort_transaction($0, $1) }
        forgetTransaction()
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
        // Requests that are full go by themselves. How much is left is a guess where records differ in size, so not for ever.
        let recordBytes = sentBytes / max(1, Int(sent))
        let patience = ContinuousClock.now + .milliseconds(100)
        try wait { $0 * recordBytes < Self.requestBytes || ContinuousClock.now > patience }
        try wait { waiting in
            // Looks at its queue every 10 ms, unless it has less time.
            if waiting > 0 { rd_kafka_flush(client.handle, 1) }
            return waiting == 0
        }
        window = Window()
    }

    /// Waits until `isEnough` says so of the number of records that are not stored yet.
    private func wait(until isEnough: (Int) -> Bool) throws {
        let deadline = ContinuousClock.now + .milliseconds(times.storedMillis)
        while true {
            client.poll()
            let waiting = Int(rd_kafka_outq_len(client.handle))
            let reports = client.deliveries
            if reports.failed > 0 {
                throw reason(rd_kafka_resp_err_t(reports.firstError), "store \(reports.failed) of \(sent) rows in \(partition)")
            }
            while let oldest = lent.first, oldest.upTo <= sent - Int64(waiting) {
                free.append(oldest.buffer)
                lent.removeFirst()
            }
            if isEnough(waiting) { return }
            guard ContinuousClock.now < deadline else {
                throw reason(RD_KAFKA_RESP_ERR__TIMED_OUT, "confirm \(waiting) of \(sent) rows in \(partition)")
            }
            usleep(Self.pauseMicros)
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
        calls.put { [self] in answer.give(body(client.handle, withinMillis)) }
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
        if code == RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT {
            return Failure(
                .invalidSetting, "Kafka does not allow transactions of \(times.transactionMillis) ms, which the sink asks for",
                why: "the broker's transaction.max.timeout.ms is less (\(text ?? failure.why))",
                now: "set kafka.transaction.timeout.ms to what the broker allows (--set kafka.transaction.timeout.ms=30000), "
                    + "or raise it there; a batch's rows must be written within it")
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
    private let given = SteadySignal()

    deinit { if let error { rd_kafka_error_destroy(error) } }

    func give(_ error: OpaquePointer?) {
        self.error = error
        given.give()
    }

    func isThere(withinMillis: Int) -> Bool { given.take(withinMillis: withinMillis) }

    func take() -> OpaquePointer? {
        defer { error = nil }
        return error
    }
}
