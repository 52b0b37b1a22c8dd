// When the next batch is due. Pure: instants in, a wait out; the shell sleeps.
//
// With an interval batches start on a grid from the first one; a batch that outlasts its interval makes the next one due
// at once and skips the ticks that passed, so late batches never pile up. With interval 0 the next batch is due at once,
// and an idle topic is asked again every `pollMillis`.

import Engine

package struct BatchClock: Sendable {
    package let intervalMillis: Int64
    package let pollMillis: Int64
    package let paceMillis: Int64
    private var nextTickMillis: Int64?
    private var lastCutMillis: Int64?

    /// What a standing job keeps between two cuts at interval 0: as long as a fetch gathers.
    package static let usualPaceMillis = Int64(RangeReader.gatheringMillis)

    package init(intervalMillis: Int64, pollMillis: Int64, paceMillis: Int64 = 0) {
        self.intervalMillis = intervalMillis
        self.pollMillis = pollMillis
        self.paceMillis = paceMillis
    }

    /// A batch was cut.
    package mutating func cut(now: Int64) { lastCutMillis = now }

    /// Milliseconds until the pace allows the next cut.
    package func restMillis(now: Int64) -> Int64 {
        guard intervalMillis == 0, let lastCutMillis else { return 0 }
        return min(paceMillis, max(0, lastCutMillis + paceMillis - now))
    }

    /// Milliseconds to wait at `now` before the next look at the topic; `foundNothing` says the last look was in vain.
    package mutating func waitMillis(now: Int64, foundNothing: Bool) -> Int64 {
        guard intervalMillis > 0 else { return max(foundNothing ? pollMillis : 0, restMillis(now: now)) }
        guard let next = nextTickMillis else {
            nextTickMillis = now + intervalMillis
            return 0
        }
        if next <= now {
            nextTickMillis = next + ((now - next) / intervalMillis + 1) * intervalMillis
            return 0
        }
        return next - now
    }

    /// True when a batch that took this long outlasted its interval.
    package func isOverrun(tookMillis: Double) -> Bool { intervalMillis > 0 && tookMillis > Double(intervalMillis) }

    /// True when the next batch may be planned together with this one's DONE.
    package func isDue(now: Int64) -> Bool { intervalMillis == 0 || (nextTickMillis ?? now) <= now }
}
