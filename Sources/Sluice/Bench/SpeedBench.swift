// Runs the cases of `sluice bench`: each side in turn, baseline first, as often as asked; then the verdict.
//
// In turn, because a machine's speed drifts: both sides meet the same minutes. One run of each side goes before and is
// not counted; it brings the topic into the page cache and the binary into memory.

struct SpeedBench {
    var place: SpeedPlace
    var cases: [SpeedCase]
    var runs: Int
    /// Told between the steps; a bench takes minutes.
    var progress: (String) -> Void
    /// Each result as it comes.
    var found: (SpeedResult) throws -> Void

    func run() throws {
        for (index, one) in cases.enumerated() {
            for topic in one.topics {
                progress("\(one.name): sending \(grouped(Int64(place.events(of: topic)))) events")
                _ = try place.topic(topic)
            }
            for result in try measure(one) { try found(result) }
            let later = cases[(index + 1)...].flatMap(\.topics)
            for topic in one.topics where !later.contains(topic) { try place.drop(topic) }
        }
    }

    private func measure(_ one: SpeedCase) throws -> [SpeedResult] {
        var (baseline, ours, bare): ([SpeedSample], [SpeedSample], [SpeedSample]) = ([], [], [])
        for run in 0...runs {
            let count = run == 0 ? "warming up" : "run \(run) of \(runs)"
            progress("\(one.name): \(one.baselineName), \(count)")
            let base = try one.baseline(place)
            progress("\(one.name): ours, \(count)")
            let mine = try one.ours(place)
            if one.bare != nil { progress("\(one.name): the bare loop, \(count)") }
            let floor = try one.bare?(place)
            if run == 0 { continue }
            baseline.append(base)
            ours.append(mine)
            if let floor { bare.append(floor) }
        }
        var results: [SpeedResult] = []
        if let base = Spread(baseline.map(\.perSecond)), let mine = Spread(ours.map(\.perSecond)) {
            results.append(
                SpeedResult(
                    name: one.name, unit: one.unit, baselineName: one.baselineName, baseline: base, ours: mine,
                    demand: .atLeast(one.target.atLeast), expected: one.target.expected))
        }
        if let below = one.target.costBelow, let base = Spread(baseline.compactMap(\.cpuNanosPerEvent)),
            let mine = Spread(ours.compactMap(\.cpuNanosPerEvent))
        {
            results.append(
                SpeedResult(
                    name: one.name + ", processor time", unit: .nanosPerEvent, baselineName: one.baselineName,
                    baseline: base, ours: mine, demand: .below(below), expected: one.target.expectedCost))
        }
        if let least = one.target.bareAtLeast, let base = Spread(bare.map(\.perSecond)), let mine = Spread(ours.map(\.perSecond)) {
            results.append(
                SpeedResult(
                    name: one.name + ", bare loop", unit: one.unit, baselineName: "fetching, 2 processes", baseline: base,
                    ours: mine, demand: .atLeast(least), expected: one.target.expectedBare))
        }
        if let least = one.target.coresAtLeast, let all = Spread([100]), let mine = Spread(ours.compactMap { $0.coresInUse.map { $0 * 100 } }) {
            results.append(
                SpeedResult(
                    name: one.name + ", cores in use", unit: .percent, baselineName: "all cores", baseline: all, ours: mine,
                    demand: .atLeast(least), expected: least))
        }
        return results
    }
}
