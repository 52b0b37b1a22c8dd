// How to reach a Kafka cluster: the bootstrap addresses and the properties that a person hands to librdkafka as they are.
//
// The engine decides some properties itself, because its guarantees hang on them (a reset policy that skips records, a
// client that commits by itself); naming one of those is an error here and not a quiet override later. What librdkafka
// calls unknown or invalid is an error with the library's own words; the values of secret properties are masked in it.
//
// When adding a reserved property: say in one line what would break if a person could set it.

/// Which records of transactions a reader sees, and what "the end" of a partition is.
package enum IsolationLevel: String, Sendable, Codable, CaseIterable {
    /// Rows of aborted transactions are hidden; the end is the last stable offset.
    case readCommitted = "read_committed"
    /// Everything is seen; the end is the high watermark.
    case readUncommitted = "read_uncommitted"
}

/// Where the brokers are, and the properties handed to librdkafka.
package struct KafkaConfiguration: Sendable {
    package var bootstrap: String
    package var properties: [String: String]
    package var isolation: IsolationLevel

    /// - Throws: `invalidSetting` for a property that the engine decides itself.
    package init(bootstrap: String, properties: [String: String] = [:]) throws {
        self.bootstrap = bootstrap
        self.properties = properties
        isolation = .readCommitted
        if bootstrap.isEmpty {
            throw Failure(
                .invalidSetting, "No Kafka address", why: "bootstrap is empty",
                now: "give the addresses of one or more brokers, as host:port, separated by commas")
        }
        if let name = properties["isolation.level"] {
            guard let level = IsolationLevel(rawValue: name) else {
                throw Failure(
                    .invalidSetting, "kafka.isolation.level is not a level", why: "\"\(name)\" is not known",
                    now: "use read_committed or read_uncommitted")
            }
            isolation = level
        }
        for name in properties.keys.sorted() {
            guard let reason = Self.reserved[name] else { continue }
            throw Failure(
                .invalidSetting, "kafka.\(name) cannot be set", why: reason, now: "remove the property from the settings")
        }
    }

    /// The same cluster, read at another isolation level.
    package func with(isolation: IsolationLevel) -> KafkaConfiguration {
        var copy = self
        copy.isolation = isolation
        copy.properties["isolation.level"] = nil
        return copy
    }

    /// Properties that the engine decides, with the reason.
    static let reserved: [String: String] = [
        "bootstrap.servers": "the address is the setting bootstrap",
        "metadata.broker.list": "the address is the setting bootstrap",
        "group.id": "the group is named after the job; readers belong to none",
        "auto.offset.reset": "a reset would skip or repeat records without a word; a missing offset is an error",
        "enable.auto.commit": "offsets are committed after a batch is done, never by the client itself",
        "enable.auto.offset.store": "offsets are committed after a batch is done, never by the client itself",
        "enable.partition.eof": "a range without records up to its end is recognised by it",
        "transactional.id": "it is derived from the job's id, so that a takeover fences the old producer",
        "log.queue": "log lines are taken from the client's own threads",
        "delivery.report.only.error": "every record's report is counted",
    ]

    /// Whether a property's value must not be shown.
    static func isSecret(_ name: String) -> Bool {
        ["password", "secret", "jaas", "key.pem", "oauthbearer", "keystore"].contains { name.contains($0) }
            || name == "ssl.key" || name == "sasl.username"
    }
}
