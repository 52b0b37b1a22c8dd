// Addresses of sinks as settings name them, and the sink that each stands for.

/// Opens the sink that `address` names, for `table`. Changes nothing there: that is what `claim` is for.
package func openSink(address: String, table: SinkTable) throws -> any Sink {
    if let path = sqlitePath(address) { return try SQLiteSink(path: path, table: table) }
    if isPostgresAddress(address) { return try PostgresSink(url: address, table: table) }
    if address == "console:" { return ConsoleSink(table: table) }
    if address == "discard:" { return DiscardSink() }
    if address.hasPrefix("kafka:") {
        throw Failure(
            .notPossible, "cannot write to \(address)", why: "this version has no Kafka sink",
            now: "write to sqlite:FILE, postgres://user@host:port/database, console: or discard:")
    }
    throw Failure(
        .invalidSetting, "`\(maskedAddress(address))` names no sink", why: "it has none of the known forms",
        now: "write sqlite:FILE, postgres://user@host:port/database, console: or discard:")
}
