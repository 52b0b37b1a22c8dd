// One line of the table of speeds: ours and its baseline of the same run, the ratio of their medians, and what is asked.
//
// Pure, so that the verdict can be tested without a measurement. Only ratios are judged: a rate belongs to one machine
// on one day. The median of each side is taken and then divided, because a disturbed run must not decide.

package struct SpeedResult: Sendable, Encodable {
    package enum Unit: String, Sendable, Encodable {
        case eventsPerSecond = "events/s"
        case rowsPerSecond = "rows/s"
        case nanosPerEvent = "ns/event"
        case percent = "%"
    }

    package enum Verdict: String, Sendable, Encodable { case ok, missed }

    /// What is asked of the ratio: of rates at least, of costs less than.
    package enum Demand: Sendable, Equatable {
        case atLeast(Double)
        case below(Double)

        package func isMet(by ratio: Double) -> Bool {
            switch self {
            case .atLeast(let least): ratio >= least
            case .below(let most): ratio < most
            }
        }

        package var text: String {
            switch self {
            case .atLeast(let least): "at least \(SpeedResult.two(least))"
            case .below(let most): "below \(SpeedResult.two(most))"
            }
        }

        /// The same demand with so wide a margin that only a defect misses it.
        package func loosened(by factor: Double) -> Demand {
            switch self {
            case .atLeast(let least): .atLeast(least / factor)
            case .below(let most): .below(most * factor)
            }
        }
    }

    package let name: String
    package let unit: Unit
    package let baselineName: String
    package let baseline: Spread
    package let ours: Spread
    package let demand: Demand
    /// What was measured when the table of expectations was written; the short form is held against it.
    package let expected: Double?

    package init(
        name: String, unit: Unit, baselineName: String, baseline: Spread, ours: Spread, demand: Demand,
        expected: Double? = nil
    ) {
        self.name = name
        self.unit = unit
        self.baselineName = baselineName
        self.baseline = baseline
        self.ours = ours
        self.demand = demand
        self.expected = expected
    }

    package var ratio: Double { baseline.median > 0 ? ours.median / baseline.median : 0 }
    package var verdict: Verdict { demand.isMet(by: ratio) ? .ok : .missed }

    /// For short runs on busy machines: only a defect makes a ratio half as good as it was.
    package var isNearExpectation: Bool {
        guard let expected else { return true }
        let demand: Demand =
            switch demand {
            case .atLeast: .atLeast(expected)
            case .below: .below(expected)
            }
        return demand.loosened(by: SpeedTarget.shortMargin).isMet(by: ratio)
    }

    private enum Key: String, CodingKey {
        case name, unit, baselineName, baseline, ours, ratio, atLeast, below, expected, verdict
    }
    private enum SpreadKey: String, CodingKey { case median, min, max }

    package func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: Key.self)
        try object.encode(name, forKey: .name)
        try object.encode(unit, forKey: .unit)
        try object.encode(baselineName, forKey: .baselineName)
        for (spread, key) in [(baseline, Key.baseline), (ours, .ours)] {
            var inner = object.nestedContainer(keyedBy: SpreadKey.self, forKey: key)
            try inner.encode(spread.median.rounded(), forKey: .median)
            try inner.encode(spread.least.rounded(), forKey: .min)
            try inner.encode(spread.most.rounded(), forKey: .max)
        }
        try object.encode((ratio * 1000).rounded() / 1000, forKey: .ratio)
        switch demand {
        case .atLeast(let least): try object.encode(least, forKey: .atLeast)
        case .below(let most): try object.encode(most, forKey: .below)
        }
        try object.encodeIfPresent(expected, forKey: .expected)
        try object.encode(verdict, forKey: .verdict)
    }

    /// Aligned for people.
    package static func table(_ results: [SpeedResult]) -> Table {
        var table = Table([
            .text("case"), .text("unit"), .text("against"), .number("baseline"), .text("[min..max]"), .number("ours"),
            .text("[min..max]"), .number("ratio"), .text("demanded"), .text(""),
        ])
        for result in results {
            table.add([
                result.name, result.unit.rawValue, result.baselineName, whole(result.baseline.median),
                range(result.baseline), whole(result.ours.median), range(result.ours), two(result.ratio),
                result.demand.text, result.verdict.rawValue,
            ])
        }
        return table
    }

    private static func whole(_ value: Double) -> String { grouped(Int64(value.rounded())) }
    private static func range(_ spread: Spread) -> String { "[\(whole(spread.least))..\(whole(spread.most))]" }

    static func two(_ value: Double) -> String {
        let hundredths = Int64((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
