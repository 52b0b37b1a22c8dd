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
    /// The setting of the runs.
    let reader: String
    let isEmbedded: Bool
    let suffix: String
    let stop: BenchStop
    private let broker: EmbeddedBroker?
    private let own: BenchKafka?
    private var topics: [String] = []
    private(set) var runs = 0
    private let terminal: Terminal

    static let partitions = 4

    /// - Parameters:
    ///   - kafkaHome: starts a real Kafka from there, where no address is given.
    ///   - answerBytes: what all readers, ours and others, are told that an answer may bring of a partition, where the settings do not say.
    init(_ settings: Settings, terminal: Terminal, stop: BenchStop, kafkaHome: String? = nil, answerBytes: Int? = nil) throws {
        self.stop = stop
        self.terminal = terminal
        reader = settings.text(.reader)
        let suffix = Self.newSuffix()
        self.suffix = suffix
        let directory = try Self.makeDirectory(suffix)
        self.directory = directory
        var kafka: KafkaConfiguration
        if let bootstrap = settings.optionalText(.bootstrap) {
            (broker, own) = (nil, nil)
            kafka = try KafkaConfiguration(bootstrap: bootstrap, properties: SettingsSource.kafkaProperties(settings))
        } else if let kafkaHome {
            let started = try BenchKafka(home: kafkaHome, directory: directory + "-kafka")
            (broker, own) = (nil, started)
            kafka = try KafkaConfiguration(bootstrap: started.bootstrap)
        } else {
            own = nil
            let embedded = try EmbeddedBroker()
            broker = embedded
            kafka = try KafkaConfiguration(bootstrap: embedded.bootstrap)
        }
        if let answerBytes, !FetchSettings(kafka).isPartitionBytesGiven { kafka.properties["fetch.message.max.bytes"] = "\(answerBytes)" }
        self.kafka = kafka
        isEmbedded = broker != nil
        do {
            // Runs stay where the bench was started, because paths in Kafka's properties may be relative; so the
            // configuration file that may lie there is put out of the way by another one.
            try Data("# every run of a bench has its settings as flags\n".utf8)
                .write(to: URL(filePath: directory + "/run.yaml"))
        } catch {
            throw Self.noDirectory(directory, error)
        }
    }

    /// How the broker is shown.
    var brokerText: String {
        isEmbedded ? "embedded" : own == nil ? kafka.bootstrap : "\(kafka.bootstrap), started for this bench"
    }

    static func newSuffix() -> String { String(UInt32.random(in: 0...UInt32.max), radix: 36) }

    static func makeDirectory(_ suffix: String) throws -> String {
        let folder = (NSTemporaryDirectory() as NSString).appendingPathComponent("sluice-bench-\(suffix)")
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        } catch {
            throw noDirectory(folder, error)
        }
        return folder
    }

    static func removeDirectory(_ directory: String, _ terminal: Terminal) {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            terminal.note("sluice: \(directory) could not be removed: \((error as NSError).localizedDescription)")
        }
    }

    private static func noDirectory(_ folder: String, _ error: any Error) -> Failure {
        Failure(
            .notAllowed, "directory \(folder) cannot be made", why: (error as NSError).localizedDescription,
            now: "set TMPDIR to a directory on a disk that this user may write to")
    }

    /// A new topic that holds `events` events.
    func traffic(_ what: String, events: Int, partitions: Int = partitions) throws -> (topic: String, meanBytes: Double) {
        let summary = try send(Self.traffic(events: events), to: what, adsPath: adsPath, partitions: partitions)
        return (summary.topic, Double(summary.counts.bytes) / Double(max(1, summary.counts.events)))
    }

    /// Sends traffic to a new topic.
    func send(
        _ traffic: AdTraffic, to what: String, compression: String? = nil, adsPath: String? = nil, partitions: Int = partitions
    ) throws -> GenerateSummary {
        let topic = try newTopic(what)
        var kafka = kafka
        if let compression { kafka.properties["compression.type"] = compression }
        let request = GenerateRequest(
            kafka: kafka, topic: topic, partitions: partitions, traffic: traffic,
            adsPath: adsPath ?? "\(directory)/\(what).csv")
        return try TrafficRun.run(request) { _ in try stop.check() }
    }

    /// A topic's name that nobody else uses; it is deleted at the end.
    func newTopic(_ what: String) throws -> String {
        let topic = "sluice-bench-\(what)-\(suffix)"
        topics.append(topic)
        // The embedded broker has a way of its own to make one.
        try broker?.createTopic(topic, partitions: Self.partitions)
        return topic
    }

    /// Deletes a topic that is not needed any more.
    func drop(topic: String) {
        topics.removeAll { $0 == topic }
        do { try TopicAdmin(kafka).deleteTopic(topic) } catch {
            terminal.note("sluice: topic \(topic) could not be deleted: \(failure(error).why)")
        }
    }

    /// Where the last run has its files.
    var lastFolder: String { directory + "/run-\(runs)" }

    var adsPath: String { directory + "/ads.csv" }

    static func traffic(events: Int) -> AdTraffic {
        let span = AdTraffic.usualSpanMillis(events: events)
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        return AdTraffic(
            format: .avro, events: events, seed: 1,
            startMillis: AdTraffic.usualStartMillis(nowMillis: now, spanMillis: span), spanMillis: span)
    }

    /// A run in a directory, a catalog and a job of its own: none of them knows what an earlier one did.
    func run(topic: String, workers: Int, json: Bool = true, _ extra: [String]) throws -> MeasuredRun {
        try start(
            ["run", "campaign-views"], topic: topic, workers: workers, json: json,
            ["--format", "avro", "--ads", adsPath] + extra
        ).run
    }

    /// The same for any job; also says which directory it got.
    func start(
        _ command: [String], topic: String, workers: Int, json: Bool = true, _ extra: [String]
    ) throws -> (run: MeasuredRun, folder: String) {
        try stop.check()
        runs += 1
        // The name of a job is the name of its group: on a shared broker nobody else may have it.
        let folder = lastFolder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let run = try MeasuredRun(
            command + [
                "--conf", directory + "/run.yaml",
                "--catalog", "sqlite:\(folder)/catalog.db", "--sink", "sqlite:\(folder)/sink.db",
                "--name", "bench-\(suffix)-\(runs)", "--topic", topic, "--workers", "\(workers)", "--log-level", "warning",
            ] + (json ? ["--json"] : []) + extra, logIn: folder, environment: environment, stop: stop)
        return (run, folder)
    }

    /// Nothing of the user's own settings may reach a run, except how to get at Kafka.
    var environment: [String: String] {
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SLUICE_") }
        variables["SLUICE_BOOTSTRAP"] = kafka.bootstrap
        variables["SLUICE_READER"] = reader
        for (name, value) in kafka.properties {
            variables[Self.variable(ofProperty: name)] = value
        }
        return variables
    }

    package static func variable(ofProperty name: String) -> String {
        "SLUICE_KAFKA__" + name.uppercased().replacing(".", with: "_")
    }

    func end() {
        own?.end()
        // A broker of ours goes with all of its topics.
        if !isEmbedded && own == nil {
            for topic in topics {
                do { try TopicAdmin(kafka).deleteTopic(topic) } catch {
                    terminal.note("sluice: topic \(topic) could not be deleted: \(failure(error).why)")
                }
            }
        }
        Self.removeDirectory(directory, terminal)
    }
}
