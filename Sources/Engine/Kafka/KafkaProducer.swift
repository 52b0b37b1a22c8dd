// Writes records to Kafka, in bulk, and knows what became of each of them.
//
// librdkafka copies a record into its queue and sends batches from its own threads; `send` returns before anything is on
// the wire. So success is only what `flush` says: every record that was handed over has a delivery report, the counts
// agree, and none failed. A full queue holds `send` back until reports make room. Records are sent idempotently, so that
// a retry inside the client neither doubles nor reorders them.
//
// With a transactional id the same class writes transactions: whatever was sent between `begin` and `commit` becomes
// visible together or, after `abort` or a crash, never. After any error of a transaction the producer is to be dropped.
//
// One producer belongs to one thread at a time.

import CRdKafka

package final class KafkaProducer {
    private let client: KafkaClient
    private var topics: [String: OpaquePointer] = [:]
    // The topic of the last record: most callers write to one.
    private var lastTopic = ""
    private var lastHandle: OpaquePointer?
    private var sent: Int64 = 0
    private var sentAtLastPoll: Int64 = 0

    /// - Parameter lingerMillis: how long a batch waits for company; 0 sends each record at once.
    /// - Parameter isIdempotent: whether a retry can neither double nor reorder; without it several requests of a partition are
    ///   under way at once, and none is sent again.
    package init(
        _ configuration: KafkaConfiguration, lingerMillis: Int = 10, transactionalID: String? = nil, isIdempotent: Bool = true
    ) throws {
        var properties: [KafkaClient.Property] = [
            .init("linger.ms", String(lingerMillis)),
            .init("batch.size", "1000000"),
            .init("batch.num.messages", "100000"),
            // The queue bounds memory, in payload for large records and in their number for small ones.
            .init("queue.buffering.max.messages", "200000"),
            .init("queue.buffering.max.kbytes", "65536"),
            .init("reconnect.backoff.max.ms", "1000"),
        ]
        if isIdempotent {
            properties += [
                .init("enable.idempotence", "true"),
                // With all its requests under way and a full batch waiting the client's broker thread asks again and again,
                // without a pause: 1.1 us of processor time a record instead of 2.6 beside a busy broker, and as many a second.
                .init("max.in.flight.requests.per.connection", "2"),
            ]
        } else {
            properties.append(.init("message.send.max.retries", "0"))
        }
        if let transactionalID {
            properties.append(.init("transactional.id", transactionalID, .fixed))
        } else {
            // How long a record may wait for a broker. In a transaction the transaction's own limit holds.
            properties.append(.init("message.timeout.ms", "120000"))
        }
        client = try KafkaClient(configuration, role: .producer, properties: properties, countsDeliveries: true)
    }

    deinit {
        for handle in topics.values { rd_kafka_topic_destroy(handle) }
    }

    /// Records handed over so far.
    package var sentRecords: Int64 { sent }

    /// Hands one record over; key and value are copied. Without a partition the key's hash decides (none: any).
    package func send(
        topic: String, partition: Int32? = nil, key: UnsafeBufferPointer<UInt8>? = nil,
        value: UnsafeBufferPointer<UInt8>?, timestampMillis: Int64 = 0
    ) throws {
        let handle = try handle(of: topic)
        while true {
            let code = sluice_produce(
                client.handle, handle, partition ?? -1, key?.baseAddress, key?.count ?? 0, value?.baseAddress,
                value?.count ?? 0, timestampMillis)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { break }
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                throw client.failure(code, doing: "take a record for topic \(topic)")
            }
            // Reports make room. A broker that is gone makes them too: records expire after message.timeout.ms.
            client.poll(timeoutMillis: 100)
            try throwIfFailed()
        }
        sent += 1
        if sent - sentAtLastPoll >= 5_000 {
            sentAtLastPoll = sent
            client.poll()
        }
    }

    /// Waits until every record has its delivery report.
    /// - Throws: when a record failed, or reports are missing when the time is over.
    package func flush(timeoutMillis: Int = 60_000) throws {
        let code = rd_kafka_flush(client.handle, Int32(clamping: timeoutMillis))
        try throwIfFailed()
        let missing = sent - client.deliveries.acknowledged
        if code != RD_KAFKA_RESP_ERR_NO_ERROR || missing != 0 {
            throw client.failure(
                code == RD_KAFKA_RESP_ERR_NO_ERROR ? RD_KAFKA_RESP_ERR__TIMED_OUT : code,
                doing: "confirm \(missing) of \(sent) records in \(timeoutMillis) ms")
        }
    }

    private func throwIfFailed() throws {
        let reports = client.deliveries
        guard reports.failed > 0 else { return }
        throw client.failure(
            rd_kafka_resp_err_t(reports.firstError), doing: "store \(reports.failed) of \(sent) records")
    }

    private func handle(of topic: String) throws -> OpaquePointer {
        if let lastHandle, lastTopic == topic { return lastHandle }
        if let known = topics[topic] {
            lastTopic = topic
            lastHandle = known
            return known
        }
        guard let handle = rd_kafka_topic_new(client.handle, topic, nil) else {
            throw client.failure(rd_kafka_last_error(), doing: "take records for topic \(topic)")
        }
        topics[topic] = handle
        lastTopic = topic
        lastHandle = handle
        return handle
    }

    // Transactions: each call waits for the broker's answer.

    /// Once, before the first transaction: fences every older producer of the same id.
    package func initTransactions(timeoutMillis: Int = 30_000) throws {
        try check(rd_kafka_init_transactions(client.handle, Int32(clamping: timeoutMillis)), "begin transactions")
    }

    package func beginTransaction() throws {
        try check(rd_kafka_begin_transaction(client.handle), "begin a transaction")
    }

    package func commitTransaction(timeoutMillis: Int = 60_000) throws {
        try flush(timeoutMillis: timeoutMillis)
        try check(rd_kafka_commit_transaction(client.handle, Int32(clamping: timeoutMillis)), "commit a transaction")
    }

    package func abortTransaction(timeoutMillis: Int = 60_000) throws {
        try check(rd_kafka_abort_transaction(client.handle, Int32(clamping: timeoutMillis)), "abort a transaction")
        // What was under way is reported as purged; that is no failure of the next transaction.
        rd_kafka_flush(client.handle, Int32(clamping: timeoutMillis))
        client.forgetDeliveries()
        sent = 0
        sentAtLastPoll = 0
    }

    private func check(_ error: OpaquePointer?, _ doing: String) throws {
        guard let error else { return }
        defer { rd_kafka_error_destroy(error) }
        var failure = client.failure(rd_kafka_error_code(error), doing: doing)
        failure.why = String(cString: rd_kafka_error_string(error))
        throw failure
    }
}
