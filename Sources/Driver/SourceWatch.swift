// Looks at a running job's topic now and then, beside its loop, and shows what it sees: for `/metrics`, `jobs` and the log.
//
// The loop calls `tick` wherever it passes; the look itself is made elsewhere, because it may take some hundred questions, and
// never twice at once. An outage is the loop's to tell. Survives nothing.

import Engine
import Synchronization

final class SourceWatch: Sendable {
    private static let everyMillis: Int64 = 15_000
    /// All jobs of this process: a topic of a cluster that hangs must not keep the others from being looked at.
    private static let looks = CallerThreads("looks at topics", most: 16)
    private static let sayAgainMillis: Int64 = 600_000

    private struct State {
        var isLooking = false
        var nextMillis: Int64 = 0
        var saidMillis: Int64?
    }
    private let state = Mutex(State())
    private let queries: OffsetQueries
    private let job: String
    private let topics: [String]
    private let control: JobControl

    init(queries: OffsetQueries, job: String, topics: [String], control: JobControl) {
        self.queries = queries
        self.job = job
        self.topics = topics
        self.control = control
    }

    /// - Parameter bytesPerOffset: as the batches of this driver were.
    func tick(_ positions: [TopicPartition: Int64], bytesPerOffset: Double?) {
        let now = steadyMillis()
        let isDue = state.withLock { state in
            guard !state.isLooking, now >= state.nextMillis else { return false }
            state.isLooking = true
            return true
        }
        guard isDue else { return }
        Self.looks.run { [self] in
            do {
                let nowMillis = wallMillis()
                let health = SourceHealth(
                    atMillis: nowMillis,
                    partitions: try topics.flatMap { topic in
                        try SourceHealth.look(
                            queries, topic: topic, positions: positions.filter { $0.key.topic == topic }, bytesPerOffset: bytesPerOffset, nowMillis: nowMillis
                        ).partitions
                    })
                control.show { $0.health = health }
                say(health, now: now)
            } catch {
                Log.debug("topic not looked at", [("job", job), ("why", failure(error).why)])
            }
            state.withLock { state in
                state.isLooking = false
                state.nextMillis = steadyMillis() + Self.everyMillis
            }
        }
    }

    private func say(_ health: SourceHealth, now: Int64) {
        let urgent = health.partitions.contains { $0.retention.isUrgent(nowMillis: health.atMillis) }
        guard urgent || health.isHanging(nowMillis: health.atMillis) else { return }
        let isTime = state.withLock { state in
            guard state.saidMillis.map({ now - $0 >= Self.sayAgainMillis }) ?? true else { return false }
            state.saidMillis = now
            return true
        }
        guard isTime else { return }
        for warning in health.warnings.prefix(10) { Log.warning("topic needs a look", [("job", job), ("what", warning)]) }
    }
}
