// Sends ad traffic to Kafka, with its list of ads and the expected answer: the shell around `AdEventGenerator`.
//
// Order: the list of ads first (a job that starts beside us needs it), then the topic, then the events (`TrafficFeed`), and
// only when every record is confirmed the expected answer. So a file with an expected answer always belongs to traffic that
// is whole in Kafka. A run that is killed leaves its records in the topic and no new answer; it is run again on a fresh
// topic.
//
// What it does not decide: what the events are (`AdTraffic`), how they go out (`TrafficFeed`).

import Engine

package enum TrafficRun {
    /// Makes the traffic and waits until the broker has all of it.
    /// - Parameter progress: called a few times a second, on the calling thread.
    package static func run(
        _ request: GenerateRequest, progress: (GenerateProgress) throws -> Void
    ) throws -> GenerateSummary {
        try Pace.check(request.eventsPerSecond)
        let generator = try AdEventGenerator(request.traffic)
        let traffic = generator.traffic
        let tally = try request.expectedPath.map { _ in try ViewTally(traffic, generator.directory) }
        let topic = try TrafficTopic(
            request.kafka, request.topic, partitions: request.partitions, events: traffic.events, startMillis: traffic.startMillis
        ) { sample in
            generator.fill(EventBuffer(capacity: sample), from: 0, until: sample, partition: 0, of: 1, tally: nil).bytes
        }
        try generator.directory.write(to: request.adsPath)

        var counts = TrafficCounts()
        let feed = TrafficFeed(events: traffic.events, recordRoom: EventBuffer.adEventRoom, eventsPerSecond: request.eventsPerSecond)
        let sent = try feed.send(to: topic, request.kafka, progress: progress) { buffer, from, until, partition, partitions in
            counts += generator.fill(buffer, from: from, until: until, partition: partition, of: partitions, tally: tally)
        }

        var expectedRows: Int?
        if let tally, let path = request.expectedPath {
            let answer = tally.csv()
            try writeFile(answer.bytes, to: path)
            expectedRows = answer.rows
        }
        return GenerateSummary(
            topic: request.topic, madeTopic: topic.isNew, recordsBefore: topic.recordsBefore, format: traffic.format,
            seed: traffic.seed, start: formatTime(traffic.startMillis),
            until: formatTime(traffic.startMillis + traffic.spanMillis), counts: counts, seconds: sent.seconds,
            eventsPerSecond: sent.seconds > 0 ? Double(traffic.events) / sent.seconds : 0, partitionEvents: sent.partitionEvents,
            adsFile: request.adsPath, expectedFile: request.expectedPath, expectedRows: expectedRows)
    }
}
