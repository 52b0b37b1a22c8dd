// A Kafka for a first try, inside this process: librdkafka's mock cluster, one broker on a free local port.
//
// It is good for a demonstration and for tests of plain reading and writing. It is not good for more (protocol 12): it
// keeps about 5 MB a partition and drops the oldest records beyond, answers no look-up by time, reports no aborted rows,
// keeps nothing when the process ends, and its interface is one that librdkafka may change. It lives as long as the
// object.

import CRdKafka

package final class EmbeddedBroker: @unchecked Sendable {
    // Unchecked: both pointers are set once, and librdkafka's cluster locks for itself.
    private let client: KafkaClient
    private let cluster: OpaquePointer
    /// Partitions of a topic that the broker makes by itself, because a producer asked about it.
    package static let usualPartitions = 4

    /// The address to give to clients.
    package let bootstrap: String

    package init(topics: [(name: String, partitions: Int)] = []) throws {
        // The handle only hosts the cluster; its own address is never connected to.
        client = try KafkaClient(try KafkaConfiguration(bootstrap: "127.0.0.1:9"), role: .producer)
        guard let cluster = rd_kafka_mock_cluster_new(client.handle, 1),
            let address = rd_kafka_mock_cluster_bootstraps(cluster)
        else {
            throw Failure(
                .portTaken, "The embedded broker does not start",
                why: String(cString: rd_kafka_err2str(rd_kafka_last_error())),
                now: "check that this process may listen on 127.0.0.1")
        }
        self.cluster = cluster
        bootstrap = String(cString: address)
        for topic in topics { try createTopic(topic.name, partitions: topic.partitions) }
    }

    deinit { rd_kafka_mock_cluster_destroy(cluster) }

    package func createTopic(_ name: String, partitions: Int) throws {
        let code = rd_kafka_mock_topic_create(cluster, name, Int32(partitions), 1)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.failure(code, doing: "create topic \(name)") }
    }
}
