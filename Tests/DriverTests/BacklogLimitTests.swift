import Driver
import Testing

@Suite struct BacklogLimitTests {
    private let million: Int64 = 1_000_000

    @Test func `the first batch of a backlog holds a million records`() {
        #expect(BacklogLimit().records(most: 4 * million, millis: 500) == million)
    }

    @Test func `a job that takes a million records in a tenth of a second takes half a second's at once`() {
        var limit = BacklogLimit()
        limit.took(records: million, millis: 200)
        #expect(limit.records(most: 4 * million, millis: 500) == 2_500_000)
        #expect(limit.records(most: 4 * million, millis: 300) == 1_500_000)
    }

    @Test func `no batch is larger than max_batch_records, and none smaller for being slow`() {
        var limit = BacklogLimit()
        limit.took(records: million, millis: 1)
        #expect(limit.records(most: 4 * million, millis: 500) == 4 * million)
        #expect(limit.records(most: 100, millis: 500) == 100)
        limit.took(records: 10, millis: 60_000)
        #expect(limit.records(most: 4 * million, millis: 500) == million)
        limit.took(records: million, millis: 0)
        #expect(limit.records(most: 4 * million, millis: 500) == 4 * million, "a batch within the clock's step")
    }

    @Test func `a batch of any number of offsets is no trap`() {
        var limit = BacklogLimit()
        limit.took(records: .max, millis: 0)
        #expect(limit.records(most: .max, millis: 86_400_000) == .max)
        #expect(limit.records(most: 2 * million, millis: 86_400_000) == 2 * million)
    }

    @Test func `without a time or without a bound nothing is limited by how it went`() {
        var limit = BacklogLimit()
        limit.took(records: million, millis: 10_000)
        #expect(limit.records(most: 4 * million, millis: 0) == 4 * million)
        #expect(limit.records(most: 0, millis: 500) == 0)
    }
}
