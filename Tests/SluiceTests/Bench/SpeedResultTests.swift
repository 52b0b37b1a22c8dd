import Engine
import Foundation
import Sluice
import Testing

@Suite struct SpeedResultTests {
    private func result(
        _ baseline: [Double], _ ours: [Double], _ demand: SpeedResult.Demand, expected: Double? = nil
    ) throws -> SpeedResult {
        SpeedResult(
            name: "some-case", unit: .eventsPerSecond, baselineName: "reading", baseline: try #require(Spread(baseline)),
            ours: try #require(Spread(ours)), demand: demand, expected: expected)
    }

    @Test(arguments: [
        (ours: 70.0, demand: SpeedResult.Demand.atLeast(0.7), isMet: true),
        (69, .atLeast(0.7), false),
        (149, .below(1.5), true),
        (150, .below(1.5), false),
    ])
    func `a ratio of rates must reach its demand, one of costs must stay below it`(
        _ row: (ours: Double, demand: SpeedResult.Demand, isMet: Bool)
    ) throws {
        #expect(try result([100], [row.ours], row.demand).verdict == (row.isMet ? .ok : .missed))
    }

    @Test func `the ratio is that of the medians, whatever the best and the worst run were`() throws {
        #expect(try result([90, 100, 900], [10, 80, 81], .atLeast(0.8)).ratio == 0.8)
    }

    @Test(arguments: [
        (ours: 41.0, demand: SpeedResult.Demand.atLeast(0.7), expected: 0.8, isNear: true),
        (39, .atLeast(0.7), 0.8, false),
        (299, .below(1), 1.5, true),
        (301, .below(1), 1.5, false),
    ])
    func `a short run is near its expectation until it is twice as bad`(
        _ row: (ours: Double, demand: SpeedResult.Demand, expected: Double, isNear: Bool)
    ) throws {
        #expect(try result([100], [row.ours], row.demand, expected: row.expected).isNearExpectation == row.isNear)
    }

    @Test func `a result is a flat object for programs`() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let text = String(
            decoding: try encoder.encode(result([100, 200, 300], [150, 150, 160], .atLeast(0.7), expected: 0.8)),
            as: UTF8.self)
        #expect(
            text == #"{"at_least":0.7,"baseline":{"max":300,"median":200,"min":100},"baseline_name":"reading","#
                + #""expected":0.8,"name":"some-case","ours":{"max":160,"median":150,"min":150},"ratio":0.75,"#
                + #""unit":"events\/s","verdict":"ok"}"#)
    }

    @Test func `the table has a line for each result with everything that it is judged by`() throws {
        let lines = SpeedResult.table([try result([1_000_000, 2_000_000, 3_000_000], [900_000], .atLeast(0.7))]).lines
        #expect(lines.count == 2)
        #expect(
            lines[1] == "some-case  events/s  reading  2,000,000  [1,000,000..3,000,000]  900,000  [900,000..900,000]   0.45"
                + "  at least 0.70  missed")
    }

    @Test(
        arguments: [
            ([], ["views", "views-lz4", "keys"]), (["views"], ["views"]), (["vie"], nil),
            (["keys", "views-lz4"], ["views-lz4", "keys"]), (["nothing"], nil),
        ] as [([String], [String]?)])
    func `words mean a case, or all that begin with them`(_ words: [String], _ meant: [String]?) throws {
        let names = ["views", "views-lz4", "keys"]
        guard let meant else {
            let refusal = #expect(throws: Failure.self) { try SpeedCaseNames.selected(by: words, of: names) }
            #expect(refusal?.code == .wrongUsage)
            return
        }
        #expect(try SpeedCaseNames.selected(by: words, of: names) == meant)
    }

    @Test func `first words mean the whole family`() throws {
        #expect(try SpeedCaseNames.selected(by: ["views"], of: ["views-avro", "views-json", "viewsx"]) == ["views-avro", "views-json"])
    }
}
