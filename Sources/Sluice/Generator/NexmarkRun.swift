// Sends Nexmark traffic to Kafka: what is asked for, and what is told at the end.
//
// What it does not decide: what the events are (`NexmarkTraffic`), how they go out (`TrafficFeed`).

import Engine

package struct NexmarkRequest: Sendable {
    package var kafka: KafkaConfiguration
    package var topic: String
    /// nil: as many as the topic has, or `GenerateRequest.usualPartitions` for a new one.
    package var partitions: Int?
    package var traffic: NexmarkTraffic
    /// nil: as fast as the broker takes them.
    package var eventsPerSecond: Double?

    package init(kafka: KafkaConfiguration, topic: String, partitions: Int? = nil, traffic: NexmarkTraffic, eventsPerSecond: Double? = nil) {
        self.kafka = kafka
        self.topic = topic
        self.partitions = partitions
        self.traffic = traffic
        self.eventsPerSecond = eventsPerSecond
    }

    /// Makes the traffic and waits until the broker has all of it.
    /// - Parameter progress: called a few times a second, on the calling thread.
    package func run(progress: (GenerateProgress) throws -> Void) throws -> NexmarkSummary {
        try Pace.check(eventsPerSecond)
        let generator = try NexmarkGenerator(traffic)
        let room = NexmarkGenerator.recordRoom
        let topic = try TrafficTopic(kafka, topic, partitions: partitions, events: traffic.events, startMillis: traffic.startMillis) { sample in
            var counts = NexmarkCounts()
            generator.fill(EventBuffer(capacity: sample, recordRoom: room), from: 0, until: sample, partition: 0, of: 1, counts: &counts)
            return counts.bytes
        }
        var counts = NexmarkCounts()
        let feed = TrafficFeed(events: traffic.events, recordRoom: room, eventsPerSecond: eventsPerSecond)
        let sent = try feed.send(to: topic, kafka, progress: progress) { buffer, from, until, partition, partitions in
            generator.fill(buffer, from: from, until: until, partition: partition, of: partitions, counts: &counts)
        }
        return NexmarkSummary(
            topic: topic.name, madeTopic: topic.isNew, recordsBefore: topic.recordsBefore, seed: traffic.seed,
            start: formatTime(traffic.startMillis), until: formatTime(traffic.startMillis + traffic.spanMillis), events: counts.events,
            people: counts.people, auctions: counts.auctions, bids: counts.bids, bytes: counts.bytes, seconds: sent.seconds,
            eventsPerSecond: sent.seconds > 0 ? Double(counts.events) / sent.seconds : 0, partitionEvents: sent.partitionEvents)
    }
}

/// What was sent.
package struct NexmarkSummary: Sendable, Hashable, Encodable {
    package var topic: String
    package var madeTopic: Bool
    /// Records that were in the topic before.
    package var recordsBefore: Int64
    package var seed: UInt64
    package var start: String
    package var until: String
    package var events: Int
    package var people: Int
    package var auctions: Int
    package var bids: Int
    package var bytes: Int
    package var seconds: Double
    package var eventsPerSecond: Double
    package var partitionEvents: [Int]
}
