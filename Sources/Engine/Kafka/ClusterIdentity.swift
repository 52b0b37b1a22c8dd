// Tells what kind of cluster answers: a real one, or librdkafka's mock cluster with its narrow limits (protocol 12).
//
// A mock cluster names itself "mockCluster" and a number; a real cluster's id is 22 characters of base64.

import CRdKafka

extension KafkaClient {
    /// The id that the cluster gives itself; nil when it did not answer in time.
    func clusterID(timeoutMillis: Int32) -> String? {
        guard let text = rd_kafka_clusterid(handle, timeoutMillis) else { return nil }
        defer { rd_kafka_mem_free(handle, text) }
        return String(cString: text)
    }
}

extension OffsetQueries {
    /// The id that the cluster gives itself; nil when it tells none.
    package func clusterID() throws -> String? {
        // Asking for the brokers first, so that an address where nobody answers is an error that says so.
        _ = try brokers()
        return client.clusterID(timeoutMillis: timeoutMillis)
    }

    /// Whether the cluster is librdkafka's mock cluster.
    package func isEmbeddedBroker() throws -> Bool { try clusterID()?.hasPrefix("mockCluster") ?? false }
}
