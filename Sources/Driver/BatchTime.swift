// The time of the next batch: the only "now" that rows may see, out of clocks that may be wrong.
//
// Two clocks are asked, this process's and the catalog's. The own one is finer and free; the catalog's is the one that all
// drivers of a job share. So the own clock holds within a minute of the catalog's, and beyond that the catalog's does, a minute
// further. Batch times never go back: a later batch would judge rows by an earlier time. A last batch that is ahead of the
// catalog's clock by more than a minute was cut by a clock that was wrong, or this one is; nothing here can know which, so the
// job stops and a person says `--reset-time`, which is a jump in the log. A leap forward that both clocks show (a week's rest,
// a machine that was resumed) is followed, and said.
//
// Pure: clocks come in as numbers. With SQLite both clocks are the host's; then only what the log remembers can contradict.
// When changing it: a decision never lies before the last batch without a reset, nor more than `tolerance` from the catalog's
// clock unless the last batch does.

import Engine

package struct BatchTime: Sendable, Equatable {
    /// How far the own clock is believed against the catalog's.
    package static let toleranceMillis: Int64 = 60_000
    /// Without a measured distance, what counts as a leap.
    package static let restMillis: Int64 = 3_600_000

    /// What is worth saying about a decision, once.
    package enum Notice: Sendable, Hashable {
        /// Time went on further than the process saw it pass.
        case leap(fromMillis: Int64, toMillis: Int64)
        /// The own clock is this far from the catalog's (positive: ahead), and is not followed.
        case ownClockOff(byMillis: Int64)

        /// The same for all notices that need be said once only.
        var kind: Notice {
            switch self {
            case .leap: self
            case .ownClockOff: .ownClockOff(byMillis: 0)
            }
        }
    }

    package var millis: Int64
    package var notices: [Notice]

    package init(millis: Int64, notices: [Notice]) {
        self.millis = millis
        self.notices = notices
    }

    /// - Parameters:
    ///   - lastMillis: the last batch's time; nil for the first one, and behind a reset.
    ///   - ownMillis: this process's wall clock.
    ///   - catalogMillis: the catalog's clock at the same moment.
    ///   - passedMillis: what this process saw pass since the last batch, by a clock that cannot be set; nil at a start.
    /// - Throws: `clockBack` when the last batch lies ahead of the catalog's clock.
    package static func next(
        job: String, lastMillis: Int64?, ownMillis: Int64, catalogMillis: Int64, passedMillis: Int64?
    ) throws(Failure) -> BatchTime {
        let (earliest, latest) = (catalogMillis - toleranceMillis, catalogMillis + toleranceMillis)
        let now = min(max(ownMillis, earliest), latest)
        var notices: [Notice] = []
        if now != ownMillis { notices.append(.ownClockOff(byMillis: ownMillis - catalogMillis)) }
        guard let lastMillis else { return BatchTime(millis: now, notices: notices) }
        guard lastMillis <= latest else {
            throw Failure(
                .clockBack, "the clock of job \(job) went back by \(roughDuration(lastMillis - catalogMillis))",
                why: "its last batch was cut at \(formatTime(lastMillis)), and the catalog's clock says \(formatTime(catalogMillis)): one of the two was wrong",
                now: "set the clock right and start the job again; if the last batch's was the wrong one, --reset-time goes on from now and writes that down as a jump")
        }
        let usual = passedMillis.map { max($0, 0) + toleranceMillis } ?? restMillis
        if now - lastMillis > usual { notices.append(.leap(fromMillis: lastMillis, toMillis: now)) }
        return BatchTime(millis: max(lastMillis, now), notices: notices)
    }
}
