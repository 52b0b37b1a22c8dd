// All keys that are known, and how a name becomes one of them.
//
// Three sorts of names are known: the engine's keys, `kafka.` followed by a property of librdkafka, and the keys that
// a job brings by giving them a default. Anything else is an error that names the nearest known key.

import Engine
import Wording

package struct SettingTable: Sendable {
    package let keys: [SettingKey]
    private let byName: [String: SettingKey]

    package init(_ keys: [SettingKey]) {
        self.keys = keys
        byName = Dictionary(keys.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    package static let engine = SettingTable(engineKeys)

    /// The table with a text key for each name of a job's defaults that the engine does not know. They belong to the
    /// result: what a job reads of its own changes its rows as far as anyone can tell.
    package func adding(ownKeysOf jobDefaults: [String: String]) -> SettingTable {
        let own = jobDefaults.keys.sorted().filter { self[$0] == nil }.map {
            SettingKey($0, .job, .text, kind: .result, what: "a setting of the job", why: "The job defines it.")
        }
        return own.isEmpty ? self : SettingTable(keys + own)
    }

    package subscript(name: String) -> SettingKey? {
        if let key = byName[name] { return key }
        guard name.hasPrefix("kafka."), name.count > "kafka.".count, name != SettingKey.kafka.name else { return nil }
        var key = SettingKey.kafka
        key.name = name
        let property = name.lowercased()
        key.isSecret =
            property.contains("password") || property.contains("secret") || property.hasSuffix("key.pem")
            || property.hasSuffix("oauthbearer.config")
        return key
    }

    /// The key of a variable's name, or nil.
    package func key(variable: String) -> SettingKey? {
        if variable.hasPrefix("SLUICE_KAFKA__") {
            let property = variable.dropFirst("SLUICE_KAFKA__".count).lowercased().replacing("_", with: ".")
            return self["kafka." + property]
        }
        return keys.first { $0 != .kafka && $0.variable == variable }
    }

    /// The key of a flag without its dashes (`max-batch-records`, `kafka.fetch.min.bytes`), or nil.
    package func key(flag: String) -> SettingKey? {
        flag.hasPrefix("kafka.") ? self[flag] : self[flag.replacing("-", with: "_")]
    }

    /// Says that `name` is no key; `place` is where it stands, such as `conf/sluice.yaml, line 3`.
    package func unknown(_ name: String, in place: String) -> Failure {
        // Dashes for underscores is the commonest slip, and no distance at all.
        let nearest = nearestNames(to: name.replacing("-", with: "_"), among: keys.map(\.name)).first
        return Failure(
            .unknownSetting, "unknown setting \(name)",
            why: "\(place) names it, and neither the engine nor the job has it",
            now: nearest.map { "did you mean \($0)? `sluice settings` lists all" } ?? "`sluice settings` lists all")
    }

    /// Properties that the engine itself sets, and what to do instead.
    package static let fixedProperties: [String: String] = [
        "kafka.bootstrap.servers": "set bootstrap",
        "kafka.metadata.broker.list": "set bootstrap",
        "kafka.isolation.level": "set isolation",
        "kafka.group.id": "leave it out: the group follows from the job's name",
        "kafka.auto.offset.reset": "leave it out: a lost position must be an error",
        "kafka.enable.auto.commit": "leave it out: offsets are committed after each batch",
        "kafka.enable.auto.offset.store": "leave it out: offsets are committed after each batch",
        "kafka.enable.partition.eof": "leave it out: ranges end by it",
    ]
}
