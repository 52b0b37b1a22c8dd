// From the error numbers of Fetch, Metadata and the look-ups to what a reader does about them: one table.
//
//   again        passes by itself: the same question after a pause
//   refresh      somebody else leads, or our view is old: Metadata first, then again
//   askLeader    the offset is not there: the leader is asked what it holds, and `OffsetVerdict` decides
//   unknownTopic no word of that topic (yet): Metadata by name decides, and says so twice before it counts
//   onceAgain    the broker's own check of the records failed: once more over a new connection, then the attempt ends
//   notAllowed   a person must act
//   stop         the same question would fail again
//
// A number that is not here is treated as weather that a refresh may help; it never ends a job by itself, only by
// standing still.

package enum FetchTrouble: Sendable, Hashable {
    case none, again, refresh, askLeader, unknownTopic, onceAgain, notAllowed, stop

    package init(code: Int16) {
        switch code {
        case 0: self = .none
        case 1: self = .askLeader
        // NOT_LEADER, REPLICA_NOT_AVAILABLE, LEADER_NOT_AVAILABLE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, KAFKA_STORAGE_ERROR,
        // BROKER_NOT_AVAILABLE, LISTENER_NOT_FOUND, REBOOTSTRAP_REQUIRED
        case 6, 9, 5, 74, 75, 56, 8, 72, 129: self = .refresh
        // UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID
        case 3, 100, 103: self = .unknownTopic
        // OFFSET_NOT_AVAILABLE: a new leader before its followers have fetched; never a truncation. REQUEST_TIMED_OUT, NETWORK_EXCEPTION,
        // THROTTLING_QUOTA_EXCEEDED, FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, OFFSET_MOVED_TO_TIERED_STORAGE
        case 78, 7, 13, 89, 70, 71, 106, 109: self = .again
        // CORRUPT_MESSAGE
        case 2: self = .onceAgain
        // TOPIC_AUTHORIZATION_FAILED, GROUP_, CLUSTER_, SASL_AUTHENTICATION_FAILED
        case 29, 30, 31, 58: self = .notAllowed
        // INVALID_TOPIC, UNSUPPORTED_VERSION, INVALID_REQUEST, UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE
        case 17, 35, 42, 43, 76: self = .stop
        default: self = .refresh
        }
    }

    /// The protocol's name of a number, for people.
    package static func name(_ code: Int16) -> String {
        names[code].map { "\($0) (\(code))" } ?? "error \(code)"
    }

    private static let names: [Int16: String] = [
        1: "OFFSET_OUT_OF_RANGE", 2: "CORRUPT_MESSAGE", 3: "UNKNOWN_TOPIC_OR_PARTITION", 5: "LEADER_NOT_AVAILABLE",
        6: "NOT_LEADER_OR_FOLLOWER", 7: "REQUEST_TIMED_OUT", 8: "BROKER_NOT_AVAILABLE", 9: "REPLICA_NOT_AVAILABLE",
        13: "NETWORK_EXCEPTION", 17: "INVALID_TOPIC_EXCEPTION", 29: "TOPIC_AUTHORIZATION_FAILED",
        31: "CLUSTER_AUTHORIZATION_FAILED", 33: "UNSUPPORTED_SASL_MECHANISM", 34: "ILLEGAL_SASL_STATE",
        35: "UNSUPPORTED_VERSION", 42: "INVALID_REQUEST", 43: "UNSUPPORTED_FOR_MESSAGE_FORMAT", 56: "KAFKA_STORAGE_ERROR",
        58: "SASL_AUTHENTICATION_FAILED", 72: "LISTENER_NOT_FOUND", 74: "FENCED_LEADER_EPOCH", 75: "UNKNOWN_LEADER_EPOCH",
        76: "UNSUPPORTED_COMPRESSION_TYPE", 78: "OFFSET_NOT_AVAILABLE", 100: "UNKNOWN_TOPIC_ID",
        103: "INCONSISTENT_TOPIC_ID", 129: "REBOOTSTRAP_REQUIRED",
    ]
}
