// What ad traffic is asked for: the pure description from which every byte follows.
//
// Two equal descriptions give equal events, equal `ads.csv` and an equal expected answer; nothing else (clock, broker,
// block size, threads) has a say. `checked()` is the only place where limits of the description are enforced, so the
// generator itself may take them for granted.
//
// Times. Event `i` of `events` lies at `startMillis + i * spanMillis / events`, moved back by less than or equal to
// `disorderMillis` but never before the start. So out of order means: at most that far behind the newest event so far.
// Late events lie in windows that end an hour or more before the window of the first on-time event.

import Engine

/// The form of the records.
package enum AdEventFormat: String, Sendable, CaseIterable, Codable { case avro, json }

package struct AdTraffic: Sendable, Hashable {
    package var format: AdEventFormat
    package var events: Int
    package var seed: UInt64
    package var startMillis: Int64
    /// Event time covered by all events; the distance of two events is `spanMillis / events`.
    package var spanMillis: Int64
    package var disorderMillis: Int64 = 0
    /// Shares of all events; an event is at most one of the three.
    package var lateShare: Double = 0
    package var unknownShare: Double = 0
    package var badShare: Double = 0
    package var campaigns = 100
    package var adsPerCampaign = 10
    /// The schema id in the five bytes before an Avro value.
    package var schemaID: Int32 = 1

    package init(format: AdEventFormat, events: Int, seed: UInt64, startMillis: Int64, spanMillis: Int64) {
        self.format = format
        self.events = events
        self.seed = seed
        self.startMillis = startMillis
        self.spanMillis = spanMillis
    }

    package var ads: Int { campaigns * adsPerCampaign }

    /// Event time of as many events, when nothing else is said: 10,000 of them a second.
    package static func usualSpanMillis(events: Int, perSecond rate: Double = 10_000) -> Int64 {
        max(1, Int64((Double(events) * 1000 / rate).rounded(.up)))
    }

    /// The last start, on a whole window, for which no event lies after `nowMillis`.
    package static func usualStartMillis(nowMillis: Int64, spanMillis: Int64) -> Int64 {
        let latest = nowMillis - spanMillis
        return latest - latest % ViewTally.windowMillis
    }

    /// How far late events reach back before the last moment that they may have.
    static let lateDepthMillis: Int64 = 3_600_000

    /// The first moment that is too new for a late event: an hour before the first on-time window.
    var lateUntilMillis: Int64 { startMillis - startMillis % ViewTally.windowMillis - 3_600_000 }

    package func checked() throws -> AdTraffic {
        func refuse(_ option: String, _ why: String, _ now: String) -> Failure {
            Failure(.invalidSetting, "no traffic can be made with this \(option)", why: why, now: now)
        }
        guard events > 0, events <= 1 << 40 else {
            throw refuse("--events", "\(events) is not between 1 and 2^40", "give the number of events, such as 100000")
        }
        guard spanMillis > 0, spanMillis <= 10 * 365 * 86_400_000 else {
            throw refuse("--span", "it must be longer than nothing and at most ten years", "give a span such as 10m")
        }
        guard lateUntilMillis - Self.lateDepthMillis > 0, startMillis < 253_370_764_800_000 else {
            throw refuse(
                "--start", "it lies before 1970-01-02 or after the year 9998",
                "give a time such as 2026-03-01T12:00:00Z")
        }
        guard disorderMillis >= 0, disorderMillis <= 3_600_000 else {
            throw refuse("--disorder", "it must be at most one hour", "give a length of time such as 500ms")
        }
        let shares = [("--late-share", lateShare), ("--unknown-share", unknownShare), ("--bad-share", badShare)]
        for (option, share) in shares where !(share >= 0 && share <= 1) {
            throw refuse(option, "\(share) is not between 0 and 1", "give a share such as 0.01")
        }
        guard lateShare + unknownShare + badShare <= 1 else {
            throw refuse(
                "--late-share", "the late, unknown and bad shares are more than 1 together", "lower one of the three")
        }
        guard campaigns > 0, adsPerCampaign > 0, campaigns <= 1_000_000, adsPerCampaign <= 1_000_000,
            ads <= 1_000_000
        else {
            throw refuse(
                "--campaigns", "there must be between 1 and 1,000,000 ads in all",
                "lower --campaigns or --ads-per-campaign")
        }
        return self
    }
}

/// What a run of events held, by what the job `campaign-views` makes of it. Adding two gives that of both runs.
package struct TrafficCounts: Sendable, Hashable, Codable {
    package var events = 0
    package var bytes = 0
    /// Views of known ads that are on time: the sum of the expected answer.
    package var views = 0
    package var late = 0
    package var lateViews = 0
    package var unknown = 0
    package var unknownViews = 0
    package var bad = 0

    package init() {}

    package static func += (left: inout TrafficCounts, right: TrafficCounts) {
        left.events += right.events
        left.bytes += right.bytes
        left.views += right.views
        left.late += right.late
        left.lateViews += right.lateViews
        left.unknown += right.unknown
        left.unknownViews += right.unknownViews
        left.bad += right.bad
    }
}
