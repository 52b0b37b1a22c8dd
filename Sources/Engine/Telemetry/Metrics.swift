// Numbers about a running process, and their text for Prometheus (exposition format 0.0.4).
//
// A process owns one `MetricsRegistry`. Whoever counts asks it once for a counter, gauge or histogram and keeps that;
// an update is then an atomic addition (a short lock for a histogram) and knows nothing of names. Asking again for the
// same name and labels gives the same metric, so that a job which starts anew goes on counting.
//
// Metrics are for watching, never for deciding: nothing here survives a crash and no rule of the protocol reads them.
// Checklist: a name has one kind, one help text and one list of buckets (a defect otherwise); labels have few values
// (job, topic, partition), never one per batch or per row.

import Synchronization

/// All metrics of one process.
package final class MetricsRegistry: Sendable {
    private enum Metric: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }
    private struct Series: Sendable {
        var labels: [(name: String, value: String)]
        var metric: Metric
    }
    private struct Family: Sendable {
        var kind: String
        var help: String
        /// By the label text, which is also the order of printing.
        var series: [String: Series] = [:]
    }

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    /// A number that only grows; by custom its name ends in `_total`.
    package func counter(_ name: String, _ help: String, labels: [(String, String)] = []) -> Counter {
        register(name, help, "counter", labels) {
            .counter(Counter())
        } as: {
            if case .counter(let counter) = $0 { counter } else { nil }
        }
    }

    /// A number that goes up and down.
    package func gauge(_ name: String, _ help: String, labels: [(String, String)] = []) -> Gauge {
        register(name, help, "gauge", labels) {
            .gauge(Gauge())
        } as: {
            if case .gauge(let gauge) = $0 { gauge } else { nil }
        }
    }

    /// How often a value fell under each of `buckets` (upper bounds, rising).
    package func histogram(
        _ name: String, _ help: String, buckets: [Double] = Histogram.secondsBuckets, labels: [(String, String)] = []
    ) -> Histogram {
        register(name, help, "histogram", labels) {
            .histogram(Histogram(buckets: buckets))
        } as: {
            if case .histogram(let histogram) = $0, histogram.buckets == buckets { histogram } else { nil }
        }
    }

    /// Forgets every series with this label: a job that is gone has no lag.
    package func remove(label name: String, _ value: String) {
        families.withLock { families in
            for family in families.keys {
                families[family]!.series = families[family]!.series.filter { _, series in
                    !series.labels.contains { $0.name == name && $0.value == value }
                }
            }
        }
    }

    /// The whole registry as `text/plain; version=0.0.4`.
    package func render() -> String {
        let families = self.families.withLock { $0 }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            text += "# HELP \(name) \(escaped(family.help, quotes: false))\n# TYPE \(name) \(family.kind)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                switch series.metric {
                case .counter(let counter): text += "\(name)\(labels) \(counter.value)\n"
                case .gauge(let gauge): text += "\(name)\(labels) \(number(gauge.value))\n"
                case .histogram(let histogram): text += lines(name, series.labels, histogram.snapshot())
                }
            }
        }
        return text
    }

    private func register<M>(
        _ name: String, _ help: String, _ kind: String, _ labels: [(String, String)], make: () -> Metric,
        as unwrap: (Metric) -> M?
    ) -> M {
        precondition(isName(name, colons: true), "metric name \(name)")
        precondition(labels.allSatisfy { isName($0.0, colons: false) && $0.0 != "le" }, "label names of \(name)")
        let sorted = labels.map { (name: $0.0, value: $0.1) }.sorted { $0.name < $1.name }
        let text = labelText(sorted)
        let metric = families.withLock { families in
            var family = families[name] ?? Family(kind: kind, help: help)
            precondition(family.kind == kind, "\(name) is already a \(family.kind)")
            let series = family.series[text] ?? Series(labels: sorted, metric: make())
            family.series[text] = series
            families[name] = family
            return series.metric
        }
        guard let found = unwrap(metric) else { preconditionFailure("\(name) already has other buckets") }
        return found
    }

    private func lines(_ name: String, _ labels: [(name: String, value: String)], _ values: Histogram.Snapshot)
        -> String
    {
        var text = ""
        var below: Int64 = 0
        for (bound, count) in zip(values.buckets + [.infinity], values.counts) {
            below += count
            text += "\(name)_bucket\(labelText(labels + [(name: "le", value: number(bound))])) \(below)\n"
        }
        return text
            + "\(name)_sum\(labelText(labels)) \(number(values.sum))\n\(name)_count\(labelText(labels)) \(below)\n"
    }
}

/// A count that only grows.
package final class Counter: Sendable {
    private let count = Atomic<Int64>(0)

    fileprivate init() {}

    package func add(_ amount: Int64 = 1) {
        precondition(amount >= 0, "a counter only grows")
        count.wrappingAdd(amount, ordering: .relaxed)
    }
    package var value: Int64 { count.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)

    fileprivate init() {}

    package func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    package func set(_ value: Int64) { set(Double(value)) }
    package func add(_ amount: Double) {
        var known = bits.load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: known) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: known, desired: sum, ordering: .relaxed)
            if exchanged { return }
            known = original
        }
    }
    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// Counts of values by fixed upper bounds, with their sum.
package final class Histogram: Sendable {
    /// From half a millisecond to ten minutes: batch times, stage times, calls.
    package static let secondsBuckets: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600,
    ]

    package struct Snapshot: Sendable {
        package var buckets: [Double]
        /// One for each bucket alone (not the sum up to it), and one for what is above all of them.
        package var counts: [Int64]
        package var sum: Double
    }

    package let buckets: [Double]
    private let values: Mutex<(counts: [Int64], sum: Double)>

    fileprivate init(buckets: [Double]) {
        precondition(!buckets.isEmpty && zip(buckets, buckets.dropFirst()).allSatisfy { $0 < $1 }, "buckets must rise")
        self.buckets = buckets
        values = Mutex((counts: Array(repeating: 0, count: buckets.count + 1), sum: 0))
    }

    package func observe(_ value: Double) {
        let index = buckets.firstIndex { value <= $0 } ?? buckets.count
        values.withLock {
            $0.counts[index] += 1
            $0.sum += value
        }
    }

    package func snapshot() -> Snapshot {
        values.withLock { Snapshot(buckets: buckets, counts: $0.counts, sum: $0.sum) }
    }
}

private func labelText(_ labels: [(name: String, value: String)]) -> String {
    labels.isEmpty
        ? "" : "{" + labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }.joined(separator: ",") + "}"
}

private func escaped(_ text: String, quotes: Bool) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\"" where quotes: result += "\\\""
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

private func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if let whole = Int64(exactly: value) { return String(whole) }
    return "\(value)"
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`, colons in metric names only.
private func isName(_ text: String, colons: Bool) -> Bool {
    guard let first = text.utf8.first, first < 48 || first > 57 else { return false }
    return text.utf8.allSatisfy {
        ($0 >= 97 && $0 <= 122) || ($0 >= 65 && $0 <= 90) || ($0 >= 48 && $0 <= 57) || $0 == UInt8(ascii: "_")
            || (colons && $0 == UInt8(ascii: ":"))
    }
}
