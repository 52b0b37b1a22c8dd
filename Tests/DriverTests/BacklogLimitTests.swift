import Driver
import Testing

@Suite struct BacklogLimitTests {
    private let million: Int64 = 1_000_000

    @Test func `the first batch of a backlog holds a million records`() {
        #expect(BacklogLimit().records(most: 4 * million, millis: 500, always: million) == million)
    }

    @Test func `where a batch's rows are kept whole it begins with fewer, and grows with its rate`() {
        var limit = BacklogLimit()
        #expect(limit.records(most: 4 * million, millis: 500, always: 100_000) == 100_000)
        limit.took(records: 100_000, millis: 100)
        #expect(limit.records(most: 4 * million, millis: 500, always: 100_000) == 500_000)
        limit.took(records: 100_000, millis: 5_000)
        #expect(limit.records(most: 4 * million, millis: 500, always: 100_000) == 100_000)
    }

    @Test func `a job that takes a million records in a tenth of a second takes half a second's at once`() {
        var limit = BacklogLimit()
        limit.took(records: million, millis: 200)
        #expect(limit.records(most: 4 * million, millis: 500, always: million) == 2_500_000)
        #expect(limit.records(most: 4 * million, millis: 300, always: million) == 1_500_000)
    }

    @Test func `no batch is larger than max_batch_records, and none smaller for being slow`() {
        var limit = BacklogLimit()
        limit.took(records: million, millis: 1)
        #expect(limit.records(most: 4 * million, millis: 500, always: million) == 4 * million)
        #expect(limit.records(most: 100, millis: 500, always: million) == 100)
        limit.took(records: 10, millis: 60_000)
        #expect(limit.records(most: 4 * million, millis: 500, always: million) == million)
        limit.took(records: million, millis: 0)
        #expect(limit.records(most: 4 * million, millis: 500, always: million) == 4 * million, "a batch within the clock's step")
    }

    @Test func `a batch of any number of offsets is no trap`() {
        var limit = BacklogLimit()
        limit.took(records: .max, millis: 0)
        #expect(limit.records(most: .max, millis: 86_400_000, always: million) == .max)
        #expect(limit.records(most: 2 * million, millis: 86_400_000, always: million) == 2 * million)
    }

    @Test func `without a time or without a bound nothing is limited by how it went`() {
        var limit = BacklogLimit()
        limit.took(records: million, millis: 10_000)
        #expect(limit.records(most: 4 * million, millis: 0, always: million) == 4 * million)
        #expect(limit.records(most: 0, millis: 500, always: million) == 0)
    }
}
