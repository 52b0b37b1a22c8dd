// Asks a broker what it knows of the cluster or of one topic: its brokers, the topic's partitions.
//
// A topic that is not there is an error of its own, `topicMissing`, which ends a job. So it takes more than one answer: a
// broker that has just started, or become leader of a topic made a moment ago, may not have heard of it yet.
// `TopicSighting` counts: brokers must say so twice, with a pause between, and nothing else in between. No answer at all
// says nothing about a topic. The answer is borrowed for the length of the body.

import CRdKafka
import Glibc

/// Whether a topic, or some of its partitions, is missing: answers of brokers in, a verdict out. Pure.
package struct TopicSighting: Sendable {
    /// A topic is missing when brokers have said so twice, this long apart.
    package static let pauseMillis: Int64 = 1000

    package enum Verdict: Sendable, Equatable {
        case there([Int32])
        case askAgain(afterMillis: Int64)
        /// The brokers do not list the topic, or not these partitions of it.
        case missing([Int32])
    }

    /// Partitions that must be listed; none when the topic alone matters.
    private let expected: [Int32]
    private var unlistedSinceMillis: Int64?

    package init(expected: [Int32] = []) { self.expected = expected }

    /// - Parameter listed: the topic's partitions as a broker names them; nil when it knows no such topic.
    package mutating func answered(_ listed: [Int32]?, nowMillis: Int64) -> Verdict {
        let known = Set(listed ?? [])
        let absent = expected.filter { !known.contains($0) }
        if let listed, absent.isEmpty {
            unlistedSinceMillis = nil
            return .there(listed)
        }
        let since = unlistedSinceMillis ?? nowMillis
        unlistedSinceMillis = since
        let left = since + Self.pauseMillis - nowMillis
        return left > 0 ? .askAgain(afterMillis: left) : .missing(absent)
    }
}

extension KafkaClient {
    /// The partitions of a topic, sorted.
    /// - Parameter expected: partitions that must be among them.
    /// - Throws: `topicMissing` when brokers say twice that they do not know the topic, or not those partitions.
    func partitions(of topic: String, expected: [Int32] = [], timeoutMillis: Int32) throws -> [Int32] {
        var sighting = TopicSighting(expected: expected)
        let start = ContinuousClock.now
        while true {
            let listed = try listedPartitions(of: topic, timeoutMillis: timeoutMillis)
            switch sighting.answered(listed, nowMillis: Int64((ContinuousClock.now - start) / .milliseconds(1))) {
            case .there(let partitions): return partitions
            case .askAgain(let millis): usleep(UInt32(millis * 1000))
            case .missing(let absent):
                guard listed != nil else {
                    throw Failure(
                        .topicMissing, "There is no topic \(topic)", why: "the brokers at \(bootstrap) do not list it",
                        now: "check the topic's name, or create it")
                }
                let names = absent.map { "\(topic)/\($0)" }.joined(separator: ", ")
                throw Failure(
                    .topicMissing, "There is no partition \(names)", why: "the brokers at \(bootstrap) do not list it",
                    now: "check whether the topic was deleted and made again with fewer partitions")
            }
        }
    }

    /// The partitions that one broker names, sorted; nil when it knows no such topic (yet).
    func listedPartitions(of topic: String, timeoutMillis: Int32) throws -> [Int32]? {
        let doing = "list the partitions of topic \(topic)"
        return try withMetadata(of: topic, doing: doing, timeoutMillis: timeoutMillis) { metadata in
            guard metadata.pointee.topic_cnt == 1 else { return nil }
            let found = metadata.pointee.topics[0]
            if KafkaTrouble(code: found.err.rawValue) == .unknownTopic { return nil }
            guard found.err == RD_KAFKA_RESP_ERR_NO_ERROR else { throw failure(found.err, doing: doing) }
            return (0..<Int(found.partition_cnt)).map { found.partitions[$0].id }.sorted()
        }
    }

    /// Without a topic: of the brokers only.
    func withMetadata<Answer>(
        of topic: String?, doing: String, timeoutMillis: Int32,
        _ body: (UnsafePointer<rd_kafka_metadata>) throws -> Answer
    ) throws -> Answer {
        poll()
        var named: OpaquePointer?
        if let topic {
            named = rd_kafka_topic_new(handle, topic, nil)
            if named == nil { throw failure(rd_kafka_last_error(), doing: doing) }
        }
        defer { if let named { rd_kafka_topic_destroy(named) } }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle, 0, named, &metadata, timeoutMillis)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw failure(code, doing: doing) }
        defer { rd_kafka_metadata_destroy(metadata) }
        succeeded()
        return try body(metadata)
    }
}
