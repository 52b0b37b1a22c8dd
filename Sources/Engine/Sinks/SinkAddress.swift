// Addresses of sinks as settings name them, and the sink that each stands for.

/// Opens the sink that `address` names, for `table`. Changes nothing there: that is what `claim` is for.
/// - Parameters:
///   - topic: what a Kafka sink needs besides its address.
///   - limit: how many rows a database may refuse.
package func openSink(
    address: String, table: SinkTable, topic: TopicSinkSettings? = nil,
    limit: RefusalLimit = .usual
) throws -> any Sink {
    if let path = sqlitePath(address) { return try SQLiteSink(path: path, table: table, limit: limit) }
    if isPostgresAddress(address) { return try PostgresSink(url: address, table: table, limit: limit) }
    if address == "console:" { return ConsoleSink(table: table) }
    if address == "discard:" { return DiscardSink() }
    if let name = sinkTopic(address), let topic { return try TopicSink(topic: name, table: table, settings: topic) }
    throw Failure(
        .invalidSetting, "`\(maskedAddress(address))` names no sink", why: "it has none of the known forms",
        now: "write sqlite:FILE, postgres://user@host:port/database, kafka:TOPIC, console: or discard:")
}

/// Opens the sink of a job's settings.
package func openSink(_ settings: EngineSettings, table: SinkTable) throws -> any Sink {
    try openSink(
        address: settings.sink, table: table,
        topic: TopicSinkSettings(kafka: settings.kafka, format: settings.sinkFormat, schemaID: settings.sinkSchemaID),
        limit: RefusalLimit(share: settings.maxRejectedShare, minimum: settings.maxRejectedMin))
}

/// The topic of `kafka:TOPIC`; nil for every other address.
package func sinkTopic(_ address: String) -> String? {
    let scheme = "kafka:"
    return address.hasPrefix(scheme) && address.utf8.count > scheme.utf8.count ? String(address.dropFirst(scheme.count)) : nil
}

/// Whether rows of `table` that are written to `address` a second time, in another batch, replace the first ones. Where
/// they do not, going back in the input would double them (protocol 8).
package func sinkReplacesRows(address: String, table: SinkTable) -> Bool {
    // In a topic the unique key of an appended row is a column like others.
    table.mode == .keyedUpsert || !table.key.isEmpty && sinkTopic(address) == nil
}
