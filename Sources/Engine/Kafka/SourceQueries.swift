// What tells one topic from another of the same name: its id, where its partitions end, and their leaders' epochs.
//
// Two requests, whatever the number of partitions: it is asked again and again while a job runs (protocol 6). A broker
// that knows no ids, or a client too old to ask, leaves the id out, which means unknown and never equal.

import CRdKafka

/// What brokers say of a topic now.
package struct SourceAnswer: Sendable, Equatable {
    /// In base64; nil where nobody can tell it.
    package var topicID: String?
    package var ends: [TopicPartition: Int64]
    /// Of the leaders that answered; a topic that is made again begins at 0.
    package var leaderEpochs: [TopicPartition: Int32]

    /// The identity of several topics together: nil unless each tells one.
    package static func id(of topics: [String], _ ids: [String: String]) -> String? {
        if topics.count == 1 { return ids[topics[0]] }
        let known = topics.compactMap { topic in ids[topic].map { "\(topic) \($0)" } }
        return known.count == topics.count ? known.joined(separator: ", ") : nil
    }

    package init(topicID: String?, ends: [TopicPartition: Int64], leaderEpochs: [TopicPartition: Int32] = [:]) {
        self.topicID = topicID
        self.ends = ends
        self.leaderEpochs = leaderEpochs
    }
}

extension OffsetQueries {
    /// The topic's id in base64; nil where the loaded client or the broker cannot tell it.
    /// - Throws: an outage; silence is not taken for a broker without ids.
    package func topicID(of topic: String) throws -> String? {
        // A mock cluster knows no ids and would let the question time out.
        if try isEmbeddedBroker() { return nil }
        return try TopicIdentity.ask(client, topic: topic, timeoutMillis: timeoutMillis)
    }

    /// - Parameter partitions: all of the topics.
    /// - Throws: `topicMissing` when brokers say that a topic or one of the partitions is not there, or an outage.
    package func identity(of topics: [String], _ partitions: [TopicPartition]) throws -> SourceAnswer {
        var ids: [String: String] = [:]
        for topic in topics { ids[topic] = try topicID(of: topic) }
        let id = SourceAnswer.id(of: topics, ids)
        let found = try ask(
            partitions.map { ($0, Int64(RD_KAFKA_OFFSET_END)) }, doing: "tell the ends of the partitions")
        return SourceAnswer(
            topicID: id, ends: found.mapValues(\.offset), leaderEpochs: found.compactMapValues(\.leaderEpoch))
    }
}
