// The kafka.* settings as a fetching reader understands them: numbers with librdkafka's names, bounds and defaults. Pure.
//
// `KafkaConfiguration` hands every property to librdkafka; here those that say something about reading are read again.
// `ReaderChoice` has decided before that none is left over. A value that librdkafka would refuse was refused by it, because
// the job's other clients are made from the same properties.

package struct FetchSettings: Sendable {
    package var bootstrap: [BrokerAddress]
    package var bootstrapText: String
    package var clientID: String
    package var rack: String
    /// `any`, `v4` or `v6`.
    package var addressFamily: String
    /// How long opening a connection may take.
    package var setupMillis: Int
    /// How long a look-up may take.
    package var askMillis: Int
    /// How long an answer to Fetch may take beyond what it was told to wait.
    package var answerMillis: Int
    /// How long a fetch at the log's end may wait.
    package var waitMillis: Int32
    package var minBytes: Int32
    package var mostPartitionBytes: Int32
    /// Somebody asked for just that; else an answer may bring less, see `AnswerSize`.
    package var isPartitionBytesGiven: Bool
    package var errorRestMillis: Int
    package var reconnectMillis: Int
    package var reconnectMostMillis: Int
    package var metadataAgeMillis: Int
    /// A line that rested longer is opened anew, before the broker closes it.
    package var idleMillis: Int
    /// Of one answer, and of what one compressed batch unpacks to.
    package var mostAnswerBytes: Int
    package var checksCRC: Bool
    package var access: BrokerAccess

    package init(_ configuration: KafkaConfiguration) {
        let properties = configuration.properties
        func number(_ names: String..., or usual: Int, in bounds: ClosedRange<Int>) -> Int {
            for name in names {
                if let text = properties[name], let value = Int(text) { return min(max(value, bounds.lowerBound), bounds.upperBound) }
            }
            return usual
        }
        access = BrokerAccess(properties)
        bootstrapText = configuration.bootstrap
        bootstrap = BrokerAddress.list(configuration.bootstrap)
        clientID = properties["client.id"] ?? "sluice"
        rack = properties["client.rack"] ?? ""
        addressFamily = properties["broker.address.family"] ?? "any"
        setupMillis = number("socket.connection.setup.timeout.ms", or: 10_000, in: 1000...2_147_483_647)
        askMillis = number("socket.timeout.ms", or: 10_000, in: 10...300_000)
        answerMillis = number("socket.timeout.ms", or: 30_000, in: 10...300_000)
        waitMillis = Int32(number("fetch.wait.max.ms", or: 500, in: 0...300_000))
        minBytes = Int32(number("fetch.min.bytes", or: 1, in: 1...100_000_000))
        mostPartitionBytes = Int32(number("fetch.message.max.bytes", "max.partition.fetch.bytes", or: 1 << 20, in: 1...1_000_000_000))
        isPartitionBytesGiven = properties["fetch.message.max.bytes"] != nil || properties["max.partition.fetch.bytes"] != nil
        errorRestMillis = number("fetch.error.backoff.ms", or: 50, in: 0...300_000)
        reconnectMillis = number("reconnect.backoff.ms", or: 50, in: 0...3_600_000)
        reconnectMostMillis = number("reconnect.backoff.max.ms", or: 1000, in: 0...3_600_000)
        metadataAgeMillis = number("metadata.max.age.ms", or: 300_000, in: 1...86_400_000)
        let idle = number("connections.max.idle.ms", or: 0, in: 0...2_147_483_647)
        idleMillis = idle == 0 ? 480_000 : idle
        mostAnswerBytes = number("receive.message.max.bytes", or: Limits.fetchAnswerBytes, in: 1000...2_147_483_647)
        checksCRC = properties["check.crcs"].map { ["true", "1", "t"].contains($0) } ?? true
    }
}
