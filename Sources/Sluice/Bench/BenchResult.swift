// What a bench found, as values: the spread of some numbers, the budget they are held against, and how both are shown.
//
// Pure, so that the verdict can be tested without a measurement. The median is judged, not the best and not the mean:
// one run that was disturbed must not decide, and one that was lucky must not either. The spread stands beside it,
// because two medians that lie within each other's spread are no difference.

/// Some measured numbers, at least one.
package struct Spread: Sendable, Hashable {
    package let median: Double
    package let least: Double
    package let most: Double

    /// nil when nothing was measured.
    package init?(_ values: [Double]) {
        let sorted = values.sorted()
        guard let least = sorted.first, let most = sorted.last else { return nil }
        let middle = sorted.count / 2
        median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        self.least = least
        self.most = most
    }
}

/// One line of a bench's answer.
package struct BenchResult: Sendable, Encodable {
    package enum Unit: String, Sendable, Encodable {
        case millis = "ms"
        case nanos = "ns"
        case mebibytes = "MiB"
        case cores
        case times
    }
    package enum Verdict: String, Sendable, Encodable { case ok, over }

    package let what: String
    /// Worker processes; 0 is one process that is driver and worker.
    package let workers: Int
    package let unit: Unit
    package let spread: Spread
    /// The median must be below it; nil when the number is only shown.
    package let budget: Double?

    package init(_ what: String, workers: Int, _ unit: Unit, _ spread: Spread, below budget: Double? = nil) {
        self.what = what
        self.workers = workers
        self.unit = unit
        self.spread = spread
        self.budget = budget
    }

    package var verdict: Verdict? { budget.map { spread.median < $0 ? .ok : .over } }

    private enum Key: String, CodingKey { case what, workers, unit, median, min, max, budget, verdict }

    package func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: Key.self)
        try object.encode(what, forKey: .what)
        try object.encode(workers, forKey: .workers)
        try object.encode(unit, forKey: .unit)
        try object.encode(Self.rounded(spread.median), forKey: .median)
        try object.encode(Self.rounded(spread.least), forKey: .min)
        try object.encode(Self.rounded(spread.most), forKey: .max)
        try object.encodeIfPresent(budget, forKey: .budget)
        try object.encodeIfPresent(verdict, forKey: .verdict)
    }

    /// A clock's noise is no digit.
    private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

    /// Aligned for people.
    package static func table(_ measurements: [BenchResult]) -> Table {
        var table = Table([
            .text("what"), .text("processes"), .number("median"), .text("[min..max]"), .text("budget"), .text(""),
        ])
        for measurement in measurements {
            let (spread, unit) = (measurement.spread, measurement.unit.rawValue)
            table.add([
                measurement.what,
                measurement.workers == 0 ? "one" : "driver + \(measurement.workers)",
                "\(text(spread.median)) \(unit)", "[\(text(spread.least))..\(text(spread.most))]",
                measurement.budget.map { "below \(whole($0)) \(unit)" } ?? "",
                measurement.verdict?.rawValue ?? "",
            ])
        }
        return table
    }

    /// Two decimals where they say something.
    static func text(_ value: Double) -> String {
        if value >= 100 { return grouped(Int64(value.rounded())) }
        let hundredths = Int64((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    private static func whole(_ value: Double) -> String {
        value == value.rounded() ? grouped(Int64(value)) : text(value)
    }
}
