import Driver
import Engine
import Testing

@Suite struct RetentionForecastTests {
    private let day: Int64 = 86_400_000

    private func facts(
        position: Int64 = 100, start: Int64 = 0, end: Int64 = 200, first: Int64? = 0, oldest: Int64? = 1000, newest: Int64? = 2000,
        age: Int64? = nil, bytes: Int64? = nil, isDeleted: Bool = true, each: Double? = 10
    ) -> RetentionForecast.Facts {
        .init(
            position: position, start: start, end: end, firstMillis: first, oldestUnreadMillis: oldest, newestMillis: newest,
            settings: TopicSettings(retentionMillis: age, retentionBytes: bytes, isDeleted: isDeleted), bytesPerOffset: each)
    }

    struct Case: Sendable, CustomStringConvertible {
        var description: String
        var facts: RetentionForecast.Facts
        var state: RetentionForecast.State
    }

    @Test func `what is unread is deleted by age or by size, whichever comes first`() {
        let cases = [
            Case(description: "all is read", facts: facts(position: 200, age: 5000), state: .nothingUnread),
            Case(description: "deleted already", facts: facts(position: 10, start: 30, age: 5000), state: .lost(20)),
            Case(description: "no retention", facts: facts(), state: .never),
            Case(description: "compacted only", facts: facts(age: 5000, isDeleted: false), state: .never),
            Case(description: "by age", facts: facts(age: 5000), state: .from(6000, .age)),
            // 1,000 bytes lie behind the record, 1 byte comes a millisecond.
            Case(description: "by size", facts: facts(bytes: 4000), state: .from(3000 + 3000, .size)),
            Case(description: "size comes first", facts: facts(age: 90_000, bytes: 4000), state: .from(6000, .size)),
            Case(description: "age comes first", facts: facts(age: 3000, bytes: 4000), state: .from(4000, .age)),
            Case(description: "full by now", facts: facts(bytes: 1000), state: .from(3000, .size)),
            Case(description: "nobody tells the time", facts: facts(oldest: nil, age: 5000), state: .unknown),
            Case(description: "nobody tells the size of a record", facts: facts(bytes: 4000, each: nil), state: .unknown),
            Case(description: "a partition that stands still", facts: facts(first: 5, newest: 5, bytes: 4000), state: .unknown),
            Case(description: "for ever, nearly", facts: facts(oldest: .max - 5, age: 5000), state: .from(.max, .age)),
        ]
        for c in cases { #expect(RetentionForecast(c.facts, nowMillis: 3000).state == c.state, "\(c)") }
    }

    @Test func `it is worth a warning a day before, or a quarter of a shorter retention`() {
        let week = RetentionForecast(facts(age: 7 * day), nowMillis: 0)
        #expect(!week.isUrgent(nowMillis: 1000 + 6 * day) && week.isUrgent(nowMillis: 1001 + 6 * day))
        let hour = RetentionForecast(facts(age: 3_600_000), nowMillis: 0)
        #expect(!hour.isUrgent(nowMillis: 1000 + 2_700_000) && hour.isUrgent(nowMillis: 1001 + 2_700_000))
        #expect(RetentionForecast(facts(position: 10, start: 30, age: 5000), nowMillis: 0).isUrgent(nowMillis: 0))
        #expect(!RetentionForecast(facts(oldest: nil, age: 5000), nowMillis: 0).isUrgent(nowMillis: 0))
    }

    @Test func `what is hidden and what is lost is said in a line`() {
        let lost = PartitionHealth(
            partition: TopicPartition(topic: "t", partition: 0), position: 10, start: 30, lastStable: 50, highWatermark: 5050,
            invisibleSinceMillis: 0, retention: RetentionForecast(facts(position: 10, start: 30, age: 5000), nowMillis: 0))
        let health = SourceHealth(atMillis: 120_000, partitions: [lost])
        #expect(health.invisible == 5000 && health.isHanging(nowMillis: 120_000) && !health.isHanging(nowMillis: 30_000))
        #expect(health.warnings.count == 2)
        #expect(health.warnings[0] == "t/0: 20 offsets were deleted by Kafka before they were read")
        #expect(health.warnings[1].contains("5000 offsets are hidden behind an open transaction since 1970-01-01T00:00:00"))
    }
}
