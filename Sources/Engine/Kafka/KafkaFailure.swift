// From librdkafka's error codes to a `Failure`: which of them may pass, which a person must mend, which are final.
//
// The library reports most troubles as a time-out of the call that waited; the reason (connection refused, login refused)
// came earlier, through a callback. So a time-out is read together with what the client remembers. Nothing here decides
// what to do about a failure: the code's remedy does.
//
// When adding a case: a code that may pass by itself must never map to one that stops a job.

import CRdKafka

extension KafkaClient {
    /// `doing` completes "Kafka did not ...": "list the partitions of ad-events".
    func failure(_ code: rd_kafka_resp_err_t, doing: String) -> Failure {
        poll()
        let text = String(cString: rd_kafka_err2str(code))
        switch code {
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__TIMED_OUT,
            RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__SSL, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
            RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__NOENT:
            if let refused = lastAuthenticationError {
                return Failure(
                    .notAllowed, "Kafka did not let us in at \(bootstrap)", why: refused,
                    now: "check user, password and mechanism in the kafka.sasl.* and kafka.security.* settings")
            }
            return Failure(
                .brokerUnreachable, "Kafka at \(bootstrap) did not \(doing)", why: lastTransportError ?? text,
                now: "check that the address is right and that the brokers run")
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
            return Failure(
                .notAllowed, "Kafka did not let us in at \(bootstrap)", why: lastAuthenticationError ?? text,
                now: "check user, password and mechanism in the kafka.sasl.* and kafka.security.* settings")
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return Failure(
                .notAllowed, "Kafka did not \(doing)", why: text,
                now: "give this user the right in Kafka's access lists, or use another user")
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
            return Failure(
                .topicMissing, "Kafka did not \(doing)", why: text,
                now: "check the topic's name, or create it")
        case RD_KAFKA_RESP_ERR__FATAL, RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
            RD_KAFKA_RESP_ERR__BAD_MSG, RD_KAFKA_RESP_ERR_INVALID_MSG,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
            return Failure(
                .kafkaFatal, "Kafka did not \(doing)", why: text,
                now: "see the broker's log; the same call again would fail again")
        case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
            return Failure(
                .kafkaFatal, "Kafka did not \(doing)",
                why: "\(text): a compressed batch is broken, or unpacks to more than the client allows",
                now: "raise kafka.receive.message.max.bytes if such batches are meant; else delete its records and start with --accept-loss")
        case RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR_INVALID_CONFIG, RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
            RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
            return Failure(
                .invalidSetting, "Kafka did not \(doing)", why: text, now: "correct the value that Kafka refuses")
        default:
            return Failure(
                .kafkaTransient, "Kafka did not \(doing)", why: text,
                now: "nothing, if it passes by itself; else see the broker's log")
        }
    }
}
