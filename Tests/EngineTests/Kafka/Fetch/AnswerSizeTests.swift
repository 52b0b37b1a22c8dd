import Engine
import Testing

@Suite struct AnswerSizeTests {
    private let most = 1 << 20

    private func size(after ways: [Int]) -> Int {
        var size = AnswerSize(most: most, isGiven: false)
        for way in ways { size.came(afterMicros: way) }
        return size.bytes
    }

    @Test func `a near broker brings what stays in the cache, and so do the first answers of any`() {
        #expect(size(after: []) == AnswerSize.nearBytes)
        #expect(size(after: Array(repeating: 120, count: 40)) == AnswerSize.nearBytes)
        #expect(size(after: Array(repeating: 30_000, count: 15)) == AnswerSize.nearBytes)
    }

    @Test func `a far broker brings more, up to what the settings allow`() {
        #expect(size(after: Array(repeating: 2_000, count: 16)) == 2 * AnswerSize.nearBytes)
        #expect(size(after: Array(repeating: 30_000, count: 16)) == most)
        #expect(size(after: Array(repeating: .max, count: 16)) == most)
    }

    @Test func `one quick answer among the last says that the broker is near`() {
        #expect(size(after: Array(repeating: 30_000, count: 16) + [150]) == AnswerSize.nearBytes)
        #expect(size(after: Array(repeating: 30_000, count: 16) + [150] + Array(repeating: 30_000, count: 16)) == most)
    }

    @Test func `what somebody asked for stays, and less than a near broker's is never exceeded`() throws {
        var given = AnswerSize(most: 5000, isGiven: true)
        given.came(afterMicros: 30_000)
        #expect(given.bytes == 5000)
        #expect(AnswerSize(FetchSettings(try KafkaConfiguration(bootstrap: "h:1", properties: ["max.partition.fetch.bytes": "5000"]))).bytes == 5000)
        #expect(AnswerSize(most: 1000, isGiven: false).bytes == 1000)
    }
}
