// Which reader a job gets: decided once, from its settings alone, and the same wherever it is asked. Pure.
//
// `librdkafka` can do whatever that library can. `fetch` is ours: several times faster, and only for what it understands. Under
// `auto` it is taken where every kafka.* property is one of three kinds: it is understood, it says nothing about reading, or it
// only tunes librdkafka. Any other property forces librdkafka and is named, because a setting that is ignored without a word
// is worse than a slow reader. What shows only in the topic (old record formats, an unknown codec) cannot be seen here: it
// fails the attempt by name.
//
// When adding a property: put it into one of the lists, and test that it does what it does in librdkafka.

/// Who reads the records of a topic.
package enum ReaderKind: String, Sendable, Codable, CaseIterable {
    case librdkafka, fetch

    /// - Parameter bell: rung when records come; see `RecordReader.arrived`.
    package func make(
        _ configuration: KafkaConfiguration, budgetBytes: Int, isolation: IsolationLevel? = nil, bell: ArrivalBell? = nil
    ) -> any RecordReader {
        switch self {
        case .librdkafka: RangeReader(configuration, budgetBytes: budgetBytes, isolation: isolation, bell: bell)
        case .fetch: FetchReader(configuration, budgetBytes: budgetBytes, isolation: isolation, bell: bell)
        }
    }
}

package struct ReaderChoice: Sendable, Hashable {
    /// What the setting `reader` may say.
    package enum Wish: String, Sendable, CaseIterable { case librdkafka, fetch, auto }

    /// Of a job that does not say.
    package static let usual = Wish.auto

    package var kind: ReaderKind
    /// Why `auto` did not take `fetch`; nil otherwise.
    package var reason: String?

    package init(kind: ReaderKind, reason: String? = nil) {
        self.kind = kind
        self.reason = reason
    }

    /// - Parameter properties: without the prefix kafka.
    /// - Throws: `invalidSetting` when `fetch` is wished for and a property forbids it.
    package static func of(_ wish: Wish, properties: [String: String]) throws -> ReaderChoice {
        if wish == .librdkafka { return ReaderChoice(kind: .librdkafka) }
        guard let obstacle = obstacle(properties) else { return ReaderChoice(kind: .fetch) }
        if wish == .auto { return ReaderChoice(kind: .librdkafka, reason: obstacle) }
        throw Failure(
            .invalidSetting, "reader = fetch cannot be had", why: obstacle,
            now: "set reader = auto or librdkafka, or take the property away")
    }

    /// `fetch`, or `librdkafka (kafka.debug is for librdkafka)`.
    package var text: String { kind.rawValue + (reason.map { " (\($0))" } ?? "") }

    /// The first property that a fetching reader does not understand, in words.
    static func obstacle(_ properties: [String: String]) -> String? {
        for name in properties.keys.sorted() {
            guard !understood.contains(name), !BrokerAccess.understood.contains(name), !withoutEffect.contains(name),
                !withoutEffectFamilies.contains(where: name.hasPrefix)
            else { continue }
            return "kafka.\(name) is for librdkafka"
        }
        return BrokerAccess.obstacle(properties)
    }

    private static let understood: Set<String> = [
        "client.id", "client.rack", "isolation.level", "broker.address.family", "metadata.max.age.ms", "connections.max.idle.ms",
        "fetch.wait.max.ms", "fetch.min.bytes", "fetch.message.max.bytes", "max.partition.fetch.bytes", "fetch.error.backoff.ms",
        "receive.message.max.bytes", "check.crcs", "socket.connection.setup.timeout.ms", "socket.timeout.ms",
        "reconnect.backoff.ms", "reconnect.backoff.max.ms",
    ]

    /// They tell producers, groups or the library itself something.
    private static let withoutEffect: Set<String> = [
        "acks", "request.required.acks", "request.timeout.ms", "retries", "retry.backoff.ms", "retry.backoff.max.ms", "linger.ms",
        "compression.codec", "compression.type", "compression.level", "batch.size", "batch.num.messages", "partitioner",
        "enable.idempotence", "enable.gapless.guarantee", "delivery.timeout.ms", "max.in.flight",
        "max.in.flight.requests.per.connection", "transaction.timeout.ms", "message.max.bytes", "message.copy.max.bytes",
        "message.timeout.ms", "message.send.max.retries", "statistics.interval.ms", "log_level", "debug", "socket.nagle.disable",
        "socket.keepalive.enable", "fetch.queue.backoff.ms", "fetch.max.bytes", "allow.auto.create.topics",
        "topic.metadata.refresh.interval.ms", "topic.metadata.refresh.sparse", "topic.metadata.propagation.max.ms",
        "coordinator.query.interval.ms", "max.poll.interval.ms", "session.timeout.ms", "heartbeat.interval.ms",
    ]
    private static let withoutEffectFamilies = ["queue.buffering.", "queued.", "sticky.partitioning.", "log.", "consume.callback."]
}
