// Creates and deletes topics. Used by the traffic generator, the embedded broker's users and the tests; a job never
// creates its own input.
//
// Creating returns when every partition has a leader that answers, because a client that asks earlier sees a topic
// that exists and cannot be read. A topic that exists already is `notPossible`, and is left as it is.
//
// The embedded broker does not know the request. It makes a topic when a producer asks about one, with its own number of
// partitions; any other number must be given when it starts.

import CRdKafka
import Glibc

package final class TopicAdmin: Sendable {
    private let client: KafkaClient
    private let queries: OffsetQueries
    private let timeoutMillis: Int32

    package init(_ configuration: KafkaConfiguration, timeoutMillis: Int32 = 15_000) throws {
        client = try KafkaClient(configuration, role: .producer)
        queries = try OffsetQueries(configuration, timeoutMillis: timeoutMillis)
        self.timeoutMillis = timeoutMillis
    }

    package func exists(_ topic: String) throws -> Bool { try queries.exists(topic) }

    /// - Parameter replication: copies of each partition; -1 for the broker's default.
    package func createTopic(
        _ topic: String, partitions: Int, replication: Int = -1, config: [String: String] = [:]
    ) throws {
        let doing = "create topic \(topic)"
        if try queries.isEmbeddedBroker() { return try createByAsking(topic, partitions: partitions, doing: doing) }
        var text = ErrorText()
        guard let new = text.fill({ rd_kafka_NewTopic_new(topic, Int32(partitions), Int32(replication), $0, $1) }) else {
            throw Failure(
                .invalidSetting, "Topic \(topic) cannot be created", why: text.text,
                now: "correct the name, the partitions or the replication")
        }
        defer { rd_kafka_NewTopic_destroy(new) }
        for (name, value) in config.sorted(by: { $0.key < $1.key }) {
            let code = rd_kafka_NewTopic_set_config(new, name, value)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.failure(code, doing: doing) }
        }
        try run(doing) { options, queue in
            var topics: [OpaquePointer?] = [new]
            rd_kafka_CreateTopics(client.handle, &topics, 1, options, queue)
        } results: { event, count in
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), count)
        }
        try waitForLeaders(topic, partitions: partitions, doing: doing)
    }

    private func createByAsking(_ topic: String, partitions: Int, doing: String) throws {
        guard partitions == EmbeddedBroker.usualPartitions else {
            throw Failure(
                .notPossible, "the embedded broker did not \(doing)",
                why: "by itself it makes topics of \(EmbeddedBroker.usualPartitions) partitions only, and \(partitions) are wanted",
                now: "start it with that topic: `sluice broker --topic \(topic):\(partitions)`")
        }
        guard try !queries.exists(topic) else { throw Self.isThere(doing) }
        _ = try client.partitions(of: topic, timeoutMillis: timeoutMillis)
        try waitForLeaders(topic, partitions: partitions, doing: doing)
    }

    private static func isThere(_ doing: String) -> Failure {
        Failure(
            .notPossible, "Kafka did not \(doing)", why: "a topic of that name exists",
            now: "use it as it is, delete it, or take another name")
    }

    package func deleteTopic(_ topic: String) throws {
        let old = rd_kafka_DeleteTopic_new(topic)
        defer { rd_kafka_DeleteTopic_destroy(old) }
        try run("delete topic \(topic)") { options, queue in
            var topics: [OpaquePointer?] = [old]
            rd_kafka_DeleteTopics(client.handle, &topics, 1, options, queue)
        } results: { event, count in
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), count)
        }
    }

    private func run(
        _ doing: String, _ request: (OpaquePointer, OpaquePointer) -> Void,
        results: (OpaquePointer, UnsafeMutablePointer<Int>) -> UnsafeMutablePointer<OpaquePointer?>?
    ) throws {
        try client.administer(doing, timeoutMillis: timeoutMillis, request: request) { event in
            var count = 0
            guard let answered = results(event, &count) else { return }
            for index in 0..<count {
                let code = rd_kafka_topic_result_error(answered[index])
                if code == RD_KAFKA_RESP_ERR_NO_ERROR { continue }
                if code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS {
                    throw Self.isThere(doing)
                }
                var failure = client.failure(code, doing: doing)
                if let reason = rd_kafka_topic_result_error_string(answered[index]) {
                    failure.why = String(cString: reason)
                }
                throw failure
            }
        }
    }

    private func waitForLeaders(_ topic: String, partitions: Int, doing: String) throws {
        let deadline = ContinuousClock.now + .milliseconds(Int(timeoutMillis))
        while true {
            do {
                if try queries.exists(topic) {
                    let found = try queries.partitions(of: topic)
                    _ = try queries.ends(found.map { TopicPartition(topic: topic, partition: $0) })
                    if found.count >= partitions || partitions < 0 { return }
                }
            } catch let failure as Failure where failure.code == .kafkaTransient {
                if ContinuousClock.now > deadline { throw failure }
            }
            if ContinuousClock.now > deadline {
                throw client.failure(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: doing)
            }
            usleep(5_000)
        }
    }
}
