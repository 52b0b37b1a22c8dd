// What `sluice bench` asks of each case, and what it found when this table was last written.
//
// The demand is the project's; it is changed only with the project's aims. The expectation is a measured ratio (two
// cores, a real Kafka on the same machine) and is rewritten when a change moves it. The short form of the bench, which
// tests run, fails only below half of the expectation: its runs are short and its machine is busy.

package struct SpeedTarget: Sendable {
    /// Of the rates' ratio.
    package let atLeast: Double
    package let expected: Double
    /// Of the ratio of processor time an event; nil where it is not asked.
    package var costBelow: Double?
    package var expectedCost: Double?
    /// Of the rate against the bare loop; nil where there is none.
    package var bareAtLeast: Double?
    package var expectedBare: Double?
    /// Of the part of all processors that is busy; nil where it is not asked.
    package var coresAtLeast: Double?

    /// What half of the expectation means for a short run.
    package static let shortMargin = 2.0

    package static let all: [String: SpeedTarget] = [
        "campaign-views-avro": SpeedTarget(
            atLeast: 1.6, expected: 1.6, costBelow: 0.6, expectedCost: 0.65, bareAtLeast: 0.4, expectedBare: 0.4,
            coresAtLeast: 0.9),
        "campaign-views-json": SpeedTarget(atLeast: 1.2, expected: 1.0),
        "campaign-views-avro-zstd": SpeedTarget(atLeast: 1.25, expected: 1.1),
        "campaign-views-avro-lz4": SpeedTarget(atLeast: 1.4, expected: 1.1),
        "campaign-views-json-zstd": SpeedTarget(atLeast: 1.25, expected: 1.1),
        "campaign-views-json-lz4": SpeedTarget(atLeast: 1.4, expected: 1.1),
        "wide-avro": SpeedTarget(atLeast: 0.7, expected: 0.85),
        "wide-json": SpeedTarget(atLeast: 0.5, expected: 0.65),
        "keys": SpeedTarget(atLeast: 0.6, expected: 0.6),
        "kafka-to-kafka": SpeedTarget(atLeast: 0.7, expected: 0.75),
        "postgres": SpeedTarget(atLeast: 0.8, expected: 0.9),
    ]
}
