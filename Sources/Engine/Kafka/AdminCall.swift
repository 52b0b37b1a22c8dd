// One administrative request to Kafka and its answer: the frame that topics, groups and topic ids share.
//
// Such a request is put on the wire by librdkafka's threads and answered through a queue of our own, so that its time
// limit is ours: the library's older blocking calls wait without one for a coordinator that is not there, and a handle
// with such a call under way takes a minute to destroy.

import CRdKafka

extension KafkaClient {
    /// Sends what `request` puts on the queue (options, queue), waits for the answer, hands the event to `body`.
    func administer<Answer>(
        _ doing: String, timeoutMillis: Int32, requireStable: Bool = false,
        request: (_ options: OpaquePointer, _ queue: OpaquePointer) -> Void,
        _ body: (_ event: OpaquePointer) throws -> Answer
    ) throws -> Answer {
        poll()
        let queue = rd_kafka_queue_new(handle)!
        defer { rd_kafka_queue_destroy(queue) }
        // "Any" operation: the numbers of the newer ones are not in older headers.
        let options = rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_ANY)!
        defer { rd_kafka_AdminOptions_destroy(options) }
        var text = ErrorText()
        _ = text.fill { rd_kafka_AdminOptions_set_request_timeout(options, timeoutMillis, $0, $1) }
        _ = text.fill { rd_kafka_AdminOptions_set_operation_timeout(options, timeoutMillis, $0, $1) }
        if requireStable, let refused = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1) {
            defer { rd_kafka_error_destroy(refused) }
            throw failure(rd_kafka_error_code(refused), doing: doing)
        }
        request(options, queue)
        // The library answers by itself when its limit is over; ours only bounds that promise.
        guard let event = rd_kafka_queue_poll(queue, timeoutMillis + 1000) else {
            throw failure(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: doing)
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw failure(code, doing: doing) }
        succeeded()
        return try body(event)
    }

    /// The partitions in the answer about the one group that was asked for; each without an error.
    func partitions(
        ofGroups groups: UnsafeMutablePointer<OpaquePointer?>?, count: Int, doing: String
    ) throws -> [TopicPartitionList.Entry] {
        guard let groups, count == 1 else { return [] }
        if let error = rd_kafka_group_result_error(groups[0]) {
            throw failure(rd_kafka_error_code(error), doing: doing)
        }
        guard let list = rd_kafka_group_result_partitions(groups[0]) else { return [] }
        return try (0..<Int(list.pointee.cnt)).map { index in
            let entry = TopicPartitionList.Entry(list.pointee.elems[index])
            guard entry.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw failure(entry.error, doing: "\(doing): \(entry.partition)")
            }
            return entry
        }
    }
}
