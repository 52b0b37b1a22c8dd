// From librdkafka's error codes to a `Failure`: what is weather, what a person must decide, what is final.
//
// `KafkaTrouble` is the table: a code by its number in, the kind of trouble out. Weather is the rule and the rest the
// exception: a code that may pass by itself must never end a job, so whatever is not named is asked again. Two kinds need
// more than the code:
//
//   a time-out         The library reports most troubles as a time-out of the call that waited; the reason (connection
//                      refused, login refused) came earlier, through a callback. So a time-out is read together with what
//                      the client remembers, and what it remembers goes with the next success.
//   an unknown topic   The library says so of every topic while no broker is there, and a broker that has just started or
//                      become leader of a topic that it has not heard of yet. A topic is missing only when `TopicSighting`
//                      says so; by the code alone it is weather.
//
// Nothing here decides what to do about a failure: the code's remedy does.
//
// When adding a case: ask which release of the broker sends it in passing (a fail-over, a rolling restart), and test it.

import CRdKafka

/// What kind of trouble an error code tells of.
package enum KafkaTrouble: Sendable, Hashable, CaseIterable {
    /// Passes by itself: another leader, another coordinator, a broker that loads.
    case weather
    /// No answer came.
    case silence
    /// Somebody says that it does not know the topic or the partition.
    case unknownTopic
    /// Login refused.
    case login
    /// An access list refuses.
    case topicRight, groupRight, transactionRight, clusterRight
    /// Others consume under the group's name.
    case foreignMembers
    /// A value that a person gave, or a name.
    case setting
    /// A record or a batch of them is larger than the broker takes.
    case tooLarge
    /// A compressed batch that the client cannot unpack.
    case compression
    /// The same call again would fail again.
    case final

    /// - Parameter code: librdkafka's number; negative ones are the library's own.
    package init(code: Int32) {
        switch rd_kafka_resp_err_t(code) {
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__TIMED_OUT,
            RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__SSL, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
            RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__NOENT,
            RD_KAFKA_RESP_ERR__DESTROY, Self.brokerDropped:
            self = .silence
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, Self.unknownTopicID, Self.inconsistentTopicID:
            self = .unknownTopic
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
            self = .login
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: self = .topicRight
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: self = .groupRight
        case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED: self = .transactionRight
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: self = .clusterRight
        // A commit without a member's number meets a group that has members.
        case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
            self = .foreignMembers
        case RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR_INVALID_CONFIG, RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
            RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
            RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, RD_KAFKA_RESP_ERR_INVALID_GROUP_ID,
            RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
            self = .setting
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: self = .tooLarge
        case RD_KAFKA_RESP_ERR__BAD_COMPRESSION: self = .compression
        case RD_KAFKA_RESP_ERR__FATAL, RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
            RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR__BAD_MSG, RD_KAFKA_RESP_ERR_INVALID_MSG,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
            RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_RECORD,
            RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
            self = .final
        default: self = .weather
        }
    }

    // Numbers that older headers do not have.
    private static let unknownTopicID = rd_kafka_resp_err_t(100)
    private static let inconsistentTopicID = rd_kafka_resp_err_t(103)
    /// The library has let a broker go, with the question that waited for it.
    static let brokerDropped = rd_kafka_resp_err_t(-137)
}

extension KafkaClient {
    /// `doing` completes "Kafka did not ...": "list the partitions of ad-events".
    func failure(_ code: rd_kafka_resp_err_t, doing: String) -> Failure {
        poll()
        let text = String(cString: rd_kafka_err2str(code))
        switch KafkaTrouble(code: code.rawValue) {
        case .silence:
            if let refused = lastAuthenticationError { return loginFailure(refused) }
            var why = lastTransportError ?? text
            var now = "check that the address is right and that the brokers run"
            if let hint = ConnectionHint.of(why) {
                why += "; \(hint.why)"
                now = hint.now
            }
            return Failure(.brokerUnreachable, "Kafka at \(bootstrap) did not \(doing)", why: why, now: now)
        case .login: return loginFailure(lastAuthenticationError ?? text)
        case .topicRight:
            return refusal(doing, text, "the right \(role == .consumer ? "Read" : "Write") on that topic")
        case .groupRight: return refusal(doing, text, "the right Read on that group")
        case .transactionRight: return refusal(doing, text, "the right Write on the transactional ids that begin with sluice.")
        case .clusterRight: return refusal(doing, text, "on the cluster: Create to make topics, IdempotentWrite to write, else Describe")
        case .foreignMembers:
            return Failure(
                .notPossible, "Kafka did not \(doing)", why: "others consume under that group's name (\(text))",
                now: "give the other consumer a group.id of its own; the job's log knows its positions without Kafka")
        case .unknownTopic:
            // With a leader that cannot be reached the library itself may be who says so.
            let connection = lastTransportError.map { "; the connection's last error: \($0)" } ?? ""
            return Failure(
                .kafkaTransient, "Kafka did not \(doing)", why: "\(text), says who was asked\(connection)",
                now: "nothing, if it passes by itself; else check the topic's name")
        case .setting:
            return Failure(
                .invalidSetting, "Kafka did not \(doing)", why: text, now: "correct the value that Kafka refuses")
        case .tooLarge:
            return Failure(
                .kafkaFatal, "Kafka did not \(doing)", why: text,
                now: "raise max.message.bytes of the topic, or write smaller records")
        case .compression:
            return Failure(
                .kafkaFatal, "Kafka did not \(doing)",
                why: "\(text): a compressed batch is broken, or unpacks to more than the client allows",
                now: "raise kafka.receive.message.max.bytes if such batches are meant; else delete its records and start with --accept-loss")
        case .final:
            return Failure(
                .kafkaFatal, "Kafka did not \(doing)", why: text,
                now: "see the broker's log; the same call again would fail again")
        case .weather:
            return Failure(
                .kafkaTransient, "Kafka did not \(doing)", why: text,
                now: "nothing, if it passes by itself; else see the broker's log")
        }
    }

    private func loginFailure(_ why: String) -> Failure {
        Failure(
            .notAllowed, "Kafka did not let us in at \(bootstrap)", why: why,
            now: "check user, password and mechanism in the kafka.sasl.* and kafka.security.* settings")
    }

    private func refusal(_ doing: String, _ why: String, _ right: String) -> Failure {
        Failure(
            .notAllowed, "Kafka did not \(doing)", why: why,
            now: "give this user \(right) in Kafka's access lists, or use another user")
    }
}
