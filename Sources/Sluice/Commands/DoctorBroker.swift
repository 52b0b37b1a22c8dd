// What `doctor` finds out about a Kafka: that it answers, who it is, and what it can do.
//
// The client library cannot ask for a broker's version (protocol 12), so abilities are tried: a transactional producer
// is initialised under one fixed name (it writes nothing and expires by itself), and a look-up by time is made where its
// answer can be told from "not supported". The same look-up tells whether records are stamped ahead of this clock.

import Engine

struct DoctorBroker {
    private static let timeoutMillis: Int32 = 5_000
    private static let clockToleranceMillis: Int64 = 60_000

    let settings: Settings
    /// Topics to look for.
    let topics: [String]
    let nowMillis: Int64

    func checks() -> [DoctorCheck] {
        guard settings.optionalText(.bootstrap) != nil else {
            return [.skip("broker", "no address was given; --bootstrap HOST:PORT checks one")]
        }
        do {
            let configuration = try KafkaConfiguration(
                bootstrap: settings.required(.bootstrap), properties: SettingsSource.kafkaProperties(settings))
            let queries = try OffsetQueries(configuration, timeoutMillis: Self.timeoutMillis)
            let clock = ContinuousClock()
            let start = clock.now
            let brokers = try queries.brokers()
            let millis = (clock.now - start) / .milliseconds(1)
            var checks = [
                DoctorCheck.ok(
                    "broker",
                    "\(brokers.count) broker\(brokers.count == 1 ? "" : "s") (\(brokers.joined(separator: ", "))) answered "
                        + "in \(BatchProgress.millis(millis))")
            ]
            let addresses = reached(queries)
            checks.append(addresses)
            checks.append(.ok("reader", try EngineSettings.reader(settings.jobValues).text))
            // The rest would only say so again.
            if addresses.status == .fail { return checks }
            checks.append(try cluster(queries))
            checks.append(transactions(configuration))
            if topics.isEmpty {
                checks.append(.skip("topic", "no topic was named; --topic NAME checks one"))
                checks.append(.skip("times", "a look-up by time needs a topic with records"))
                checks.append(.skip("clock", "the times of records need a topic with records"))
            }
            for topic in topics { checks += self.checks(of: topic, queries) }
            return checks
        } catch {
            var failure = failure(error)
            // What the cluster told was taken over before anybody answered there.
            if ConnectionHint.isOfNamedBroker(failure.why) {
                failure.now =
                    "check that the broker runs there; if this host does not reach that address, set advertised.listeners of the brokers to one that it reaches"
            }
            return [.fail("broker", failure)]
        }
    }

    /// Whether every broker answers at the address that it gives to clients: metadata come from the one that was named.
    private func reached(_ queries: OffsetQueries) -> DoctorCheck {
        do {
            if try queries.isEmbeddedBroker() { return .skip("addresses", "an embedded broker has one only") }
            let brokers = try queries.brokers()
            _ = try queries.groups(prefix: "sluice.")
            return .ok("addresses", "each of them answers where it says it listens (\(brokers.joined(separator: ", ")))")
        } catch {
            let failure = failure(error)
            if failure.code == .notAllowed { return .skip("addresses", "this user may not ask every broker: \(failure.why)") }
            return .fail(
                "addresses", "a broker does not answer at the address that it gives to clients: \(failure.why)",
                now: "set advertised.listeners of the brokers to addresses that this host reaches")
        }
    }

    private func cluster(_ queries: OffsetQueries) throws -> DoctorCheck {
        guard let id = try queries.clusterID() else { return .skip("cluster", "it tells no id") }
        guard try queries.isEmbeddedBroker() else { return .ok("cluster", "id \(id)") }
        return .warn(
            "cluster", "id \(id): an embedded broker, good for a try only",
            now: "nothing for a try; it keeps about 5 MB a partition, in memory")
    }

    private func transactions(_ configuration: KafkaConfiguration) -> DoctorCheck {
        do {
            let producer = try KafkaProducer(configuration, transactionalID: "sluice.doctor")
            try producer.initTransactions(timeoutMillis: 10_000)
            return .ok("transactions", "a transactional producer was accepted")
        } catch {
            let failure = failure(error)
            return .warn(
                "transactions", "not available: \(failure.why)",
                now: "nothing, unless results are to be written to Kafka; then \(failure.now)")
        }
    }

    private func checks(of topic: String, _ queries: OffsetQueries) -> [DoctorCheck] {
        do {
            let places = try queries.partitions(of: topic).map { TopicPartition(topic: topic, partition: $0) }
            let starts = try queries.starts(places)
            let ends = try queries.ends(places)
            let held = places.reduce(0) { $0 + Swift.max(0, (ends[$1] ?? 0) - (starts[$1] ?? 0)) }
            let found = DoctorCheck.ok(
                "topic \(topic)",
                "\(places.count) partition\(places.count == 1 ? "" : "s"), \(grouped(held)) offsets")
            let filled = places.filter { (ends[$0] ?? 0) > (starts[$0] ?? 0) }
            guard !filled.isEmpty else {
                return [
                    found, try hidden(topic, places, ends: ends, queries), .skip("times of \(topic)", "a look-up by time needs records"),
                    .skip("clock", "the times of records need records"),
                ]
            }
            return [found, try hidden(topic, places, ends: ends, queries)] + times(topic, filled, ends: ends, queries)
        } catch {
            return [.fail("topic \(topic)", failure(error))]
        }
    }

    /// What open transactions hide: a lag of 0 says nothing about it.
    private func hidden(
        _ topic: String, _ places: [TopicPartition], ends: [TopicPartition: Int64], _ queries: OffsetQueries
    ) throws -> DoctorCheck {
        let stored = try queries.highWatermarks(places)
        let hidden = ends.filter { stored[$0.key] ?? 0 > $0.value }
        guard !hidden.isEmpty else { return .ok("transactions of \(topic)", "no record is hidden behind an open one") }
        let since = try queries.isEmbeddedBroker() ? [:] : queries.times(at: hidden, nowMillis: nowMillis)
        let count = hidden.reduce(0) { $0 + (stored[$1.key] ?? 0) - $1.value }
        return .warn(
            "transactions of \(topic)",
            "\(grouped(count)) offsets in \(hidden.count) partition\(hidden.count == 1 ? "" : "s") are hidden behind an open transaction"
                + (since.values.min().map { " since \(formatTime($0))" } ?? ""),
            now: "nothing, if its producer ends it; one that hangs is ended with Kafka's transactions tool (find-hanging, abort)")
    }

    private func times(
        _ topic: String, _ places: [TopicPartition], ends: [TopicPartition: Int64], _ queries: OffsetQueries
    ) -> [DoctorCheck] {
        do {
            // Nothing is older than the first millisecond, so a partition with records must answer with one of them.
            let first = try queries.offsets(atTimeMillis: 1, places)
            guard places.contains(where: { (first[$0] ?? .max) < (ends[$0] ?? 0) }) else {
                return [
                    .warn(
                        "times of \(topic)", "this broker does not look up offsets by time",
                        now: "use a real Kafka for --from TIME and for backfill"),
                    .skip("clock", "it needs a look-up by time"),
                ]
            }
            let ahead = try queries.offsets(atTimeMillis: nowMillis + Self.clockToleranceMillis, places)
            let early = places.filter { (ahead[$0] ?? .max) < (ends[$0] ?? 0) }
            let times = DoctorCheck.ok("times of \(topic)", "offsets can be looked up by time")
            guard let place = early.first else {
                return [times, .ok("clock", "no record of \(topic) is stamped more than 1 minute ahead of this clock")]
            }
            return [
                times,
                .warn(
                    "clock", "records of \(place) are stamped more than 1 minute ahead of this clock",
                    now: "compare the clocks of this host, of the brokers and of who writes the topic"),
            ]
        } catch {
            let failure = failure(error)
            return [
                .warn(
                    "times of \(topic)", "offsets could not be looked up by time: \(failure.why)",
                    now: "use a real Kafka for --from TIME and for backfill"),
                .skip("clock", "it needs a look-up by time"),
            ]
        }
    }
}
