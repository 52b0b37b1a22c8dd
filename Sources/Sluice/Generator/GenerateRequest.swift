// What `sluice generate` is asked for and what it answers; and the two decisions that need no broker to be made.
//
// The traffic itself is an `AdTraffic`; here is where it goes, how fast, and which files are written beside it.

import Engine

package struct GenerateRequest: Sendable {
    package var kafka: KafkaConfiguration
    package var topic: String
    /// nil: as many as the topic has, or `usualPartitions` for a new one.
    package var partitions: Int?
    package var traffic: AdTraffic
    /// nil: as fast as the broker takes them.
    package var eventsPerSecond: Double?
    package var adsPath: String
    /// Where the exact answer of `campaign-views` goes; nil: it is not counted.
    package var expectedPath: String?

    package static let usualPartitions = 4

    package init(
        kafka: KafkaConfiguration, topic: String, partitions: Int? = nil, traffic: AdTraffic,
        eventsPerSecond: Double? = nil, adsPath: String = "ads.csv", expectedPath: String? = nil
    ) {
        self.kafka = kafka
        self.topic = topic
        self.partitions = partitions
        self.traffic = traffic
        self.eventsPerSecond = eventsPerSecond
        self.adsPath = adsPath
        self.expectedPath = expectedPath
    }
}

/// Where a run stands.
package struct GenerateProgress: Sendable, Hashable {
    package var events: Int
    package var eventsInAll: Int
    package var bytes: Int
    package var seconds: Double
    package var eventsPerSecond: Double { seconds > 0 ? Double(events) / seconds : 0 }
}

/// What was sent. As JSON it is one flat object: the counts stand among the other values.
package struct GenerateSummary: Sendable, Hashable, Encodable {
    package var topic: String
    package var madeTopic: Bool
    /// Records that were in the topic before; the expected answer does not count them.
    package var recordsBefore: Int64
    package var format: AdEventFormat
    package var seed: UInt64
    package var start: String
    package var until: String
    /// All counts of the traffic, `views` being the sum of the expected answer.
    package var counts: TrafficCounts
    package var seconds: Double
    package var eventsPerSecond: Double
    package var partitionEvents: [Int]
    package var adsFile: String
    package var expectedFile: String?
    package var expectedRows: Int?

    private enum CodingKeys: String, CodingKey {
        case topic, madeTopic, recordsBefore, format, seed, start, until, seconds, eventsPerSecond, partitionEvents
        case adsFile, expectedFile, expectedRows
    }

    package func encode(to encoder: any Encoder) throws {
        try counts.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(topic, forKey: .topic)
        try container.encode(madeTopic, forKey: .madeTopic)
        try container.encode(recordsBefore, forKey: .recordsBefore)
        try container.encode(format, forKey: .format)
        try container.encode(seed, forKey: .seed)
        try container.encode(start, forKey: .start)
        try container.encode(until, forKey: .until)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(eventsPerSecond, forKey: .eventsPerSecond)
        try container.encode(partitionEvents, forKey: .partitionEvents)
        try container.encode(adsFile, forKey: .adsFile)
        try container.encodeIfPresent(expectedFile, forKey: .expectedFile)
        try container.encodeIfPresent(expectedRows, forKey: .expectedRows)
    }
}

/// When an event of a paced run is due, and how many are sent together.
struct Pace: Sendable {
    let eventsPerSecond: Double?

    static func check(_ eventsPerSecond: Double?) throws {
        guard let rate = eventsPerSecond, !(rate > 0 && rate <= 1e9) else { return }
        throw Failure(
            .invalidSetting, "no traffic can be made with this --rate", why: "\(rate) events a second is no speed",
            now: "give a number such as 10000, or leave it out for full speed")
    }

    /// Seconds after the start; at this moment the event's time has come.
    func dueSeconds(event: Int) -> Double { eventsPerSecond.map { Double(event) / $0 } ?? 0 }

    /// Events between two looks at the clock: about 20 ms of them, and never more than `most`.
    func block(most: Int) -> Int {
        guard let eventsPerSecond else { return most }
        return max(1, min(most, Int(eventsPerSecond / 50)))
    }
}

/// What fits into librdkafka's mock cluster, which drops the oldest records without a word (protocol 12).
package struct EmbeddedRoom: Sendable {
    /// Kept of each partition.
    package static let partitionBytes = 5 * 1024 * 1024
    /// What a record takes beside its value: lengths, deltas, and its part of the batch's head.
    static let recordOverheadBytes = 12

    package var recordsBefore: Int64
    package var events: Int
    package var meanBytes: Double
    package var partitions: Int

    package init(recordsBefore: Int64, events: Int, meanBytes: Double, partitions: Int) {
        self.recordsBefore = recordsBefore
        self.events = events
        self.meanBytes = meanBytes
        self.partitions = partitions
    }

    private var wantedBytes: Double {
        (Double(recordsBefore) + Double(events)) * (meanBytes + Double(Self.recordOverheadBytes))
    }

    /// The fewest partitions that hold them all.
    package var neededPartitions: Int { max(1, Int((wantedBytes / Double(Self.partitionBytes)).rounded(.up))) }

    package func check(topic: String) throws {
        guard neededPartitions > partitions else { return }
        let wanted = Int(wantedBytes / Double(partitions) / 1024)
        let most = Int(Double(Self.partitionBytes * partitions) / (meanBytes + Double(Self.recordOverheadBytes)))
        throw Failure(
            .notPossible, "\(events) events do not fit into topic \(topic) of this embedded broker",
            why: "it keeps \(Self.partitionBytes / 1024) KiB a partition and drops what is older; these would be about "
                + "\(wanted) KiB in each of \(partitions)"
                + (recordsBefore > 0 ? ", with the \(recordsBefore) records that are there" : ""),
            now: "use a topic of \(neededPartitions) partitions, at most \(max(0, most - Int(recordsBefore))) events, "
                + "or a real Kafka")
    }
}
