// Where a bench works: a directory and topics of its own, and a broker, all gone when it ends.
//
// Without a broker of the user's it takes the embedded one. Topics have names that nobody else uses; on a real broker
// they are deleted at the end, and the offsets that the runs confirmed for them go with them. Runs get what they need
// for Kafka in their environment, because properties may be secrets (protocol 13).

import Engine
import Foundation

package final class BenchPlace {
    let directory: String
    let kafka: KafkaConfiguration
    let isEmbedded: Bool
    let suffix: String
    let stop: BenchStop
    private let broker: EmbeddedBroker?
    private var topics: [String] = []
    private var runs = 0
    private let terminal: Terminal

    static let partitions = 4

    init(_ settings: Settings, terminal: Terminal, stop: BenchStop) throws {
        self.stop = stop
        self.terminal = terminal
        let suffix = String(UInt32.random(in: 0...UInt32.max), radix: 36)
        self.suffix = suffix
        if let bootstrap = settings.optionalText(.bootstrap) {
            broker = nil
            kafka = try KafkaConfiguration(bootstrap: bootstrap, properties: SettingsSource.kafkaProperties(settings))
        } else {
            let embedded = try EmbeddedBroker()
            broker = embedded
            kafka = try KafkaConfiguration(bootstrap: embedded.bootstrap)
        }
        isEmbedded = broker != nil
        let folder = (NSTemporaryDirectory() as NSString).appendingPathComponent("sluice-bench-\(suffix)")
        directory = folder
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            // Runs stay where the bench was started, because paths in Kafka's properties may be relative; so the
            // configuration file that may lie there is put out of the way by another one.
            try Data("# every run of a bench has its settings as flags\n".utf8)
                .write(to: URL(filePath: folder + "/run.yaml"))
        } catch {
            throw Failure(
                .notAllowed, "directory \(folder) cannot be made", why: (error as NSError).localizedDescription,
                now: "set TMPDIR to a directory on a disk that this user may write to")
        }
    }

    /// A new topic that holds `events` events.
    func traffic(_ what: String, events: Int) throws -> (topic: String, meanBytes: Double) {
        let topic = "sluice-bench-\(what)-\(suffix)"
        topics.append(topic)
        // The embedded broker has a way of its own to make one.
        try broker?.createTopic(topic, partitions: Self.partitions)
        let request = GenerateRequest(
            kafka: kafka, topic: topic, partitions: Self.partitions, traffic: Self.traffic(events: events),
            adsPath: adsPath)
        let summary = try TrafficRun.run(request) { _ in try stop.check() }
        return (topic, Double(summary.counts.bytes) / Double(max(1, summary.counts.events)))
    }

    var adsPath: String { directory + "/ads.csv" }

    static func traffic(events: Int) -> AdTraffic {
        let span = AdTraffic.usualSpanMillis(events: events)
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        return AdTraffic(
            format: .avro, events: events, seed: 1,
            startMillis: AdTraffic.usualStartMillis(nowMillis: now, spanMillis: span), spanMillis: span)
    }

    /// A run in a directory, a catalog and a job of its own: none of them knows what an earlier one did.
    func run(topic: String, workers: Int, _ extra: [String]) throws -> MeasuredRun {
        try stop.check()
        runs += 1
        // The name of a job is the name of its group: on a shared broker nobody else may have it.
        let folder = directory + "/run-\(runs)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        return try MeasuredRun(
            [
                "run", "campaign-views", "--conf", directory + "/run.yaml",
                "--catalog", "sqlite:\(folder)/catalog.db", "--sink", "sqlite:\(folder)/sink.db",
                "--name", "bench-\(suffix)-\(runs)", "--topic", topic, "--format", "avro",
                "--ads", adsPath, "--workers", "\(workers)", "--json", "--log-level", "warning",
            ] + extra, logIn: folder, environment: environment, stop: stop)
    }

    /// Nothing of the user's own settings may reach a run, except how to get at Kafka.
    private var environment: [String: String] {
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SLUICE_") }
        variables["SLUICE_BOOTSTRAP"] = kafka.bootstrap
        for (name, value) in kafka.properties {
            variables[Self.variable(ofProperty: name)] = value
        }
        return variables
    }

    package static func variable(ofProperty name: String) -> String {
        "SLUICE_KAFKA__" + name.uppercased().replacing(".", with: "_")
    }

    func end() {
        if !isEmbedded {
            for topic in topics {
                do { try TopicAdmin(kafka).deleteTopic(topic) } catch {
                    terminal.note("sluice: topic \(topic) could not be deleted: \(failure(error).why)")
                }
            }
        }
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            terminal.note("sluice: \(directory) could not be removed: \((error as NSError).localizedDescription)")
        }
    }
}
