// Says once, when a process that reads from Kafka starts, that the client library it runs with has known defects.
//
// A warning and not a refusal: everything works with such a library, some of it slower, and the guards of the protocol
// hold. `sluice doctor` lists the defects one by one.

import Engine

enum ClientLibrary {
    private static let warning: Void = {
        let defects = KafkaVersion.loaded.knownDefects
        guard let first = defects.first else { return }
        Log.warning(
            "the Kafka client library has known defects",
            [
                ("librdkafka", "\(KafkaVersion.loaded)"), ("defects", "\(defects.count)"), ("one_of_them", first),
                ("now", "run scripts/setup for a newer one; `sluice doctor` lists all"),
            ])
    }()

    static func warnOnce() { warning }
}
