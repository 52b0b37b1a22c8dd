// The exact answer of `campaign-views`, counted while the events are made.
//
// It is the judge of the engine, so it shares nothing with it: windows are positions in a flat table, times are written
// by the C library's calendar. Left out are what the job drops: events of unknown ads, undecodable ones, and late ones
// (whose windows lie apart from all others, so that a reader can tell them; see `AdTraffic`).

import Engine
import Glibc

package final class ViewTally {
    package static let windowMillis: Int64 = 10_000

    private let firstWindowMillis: Int64
    private let windows: Int
    private let directory: AdDirectory
    private let campaignOfAd: UnsafeMutablePointer<Int32>
    /// One count per window and campaign, window major.
    private let counts: UnsafeMutablePointer<UInt32>

    /// Fails when windows times campaigns would not fit in reasonable memory.
    package init(_ traffic: AdTraffic, _ directory: AdDirectory) throws {
        firstWindowMillis = traffic.startMillis - traffic.startMillis % Self.windowMillis
        // One more than needed: a double's rounding may put the last event on the very end.
        let windows = Int((traffic.startMillis + traffic.spanMillis - firstWindowMillis) / Self.windowMillis) + 1
        let most = 50_000_000
        guard windows * traffic.campaigns <= most else {
            throw Failure(
                .invalidSetting, "no expected answer can be counted for this traffic",
                why: "\(windows) windows times \(traffic.campaigns) campaigns are more than \(most) counts",
                now: "shorten --span, lower --campaigns, or leave --expected out")
        }
        self.windows = windows
        self.directory = directory
        campaignOfAd = .allocate(capacity: traffic.ads)
        for ad in 0..<traffic.ads { campaignOfAd[ad] = Int32(ad / traffic.adsPerCampaign) }
        counts = .allocate(capacity: windows * traffic.campaigns)
        counts.initialize(repeating: 0, count: windows * traffic.campaigns)
    }

    deinit {
        campaignOfAd.deallocate()
        counts.deallocate()
    }

    @inline(__always)
    func add(ad: Int, timeMillis: Int64) {
        let window = Int((timeMillis &- firstWindowMillis) / Self.windowMillis)
        counts[window &* directory.campaignIDs.count &+ Int(campaignOfAd[ad])] &+= 1
    }

    /// The sink's rows as CSV, sorted by campaign and window: `campaign_id,window_start,views`.
    package func csv() -> (bytes: [UInt8], rows: Int) {
        var bytes = Array("campaign_id,window_start,views\n".utf8)
        var rows = 0
        let campaigns = directory.campaignIDs
        let sorted = campaigns.indices.sorted { campaigns[$0].lexicographicallyPrecedes(campaigns[$1]) }
        let starts = (0..<windows).map { text(of: firstWindowMillis + Int64($0) * Self.windowMillis) }
        for campaign in sorted {
            for window in 0..<windows {
                let views = counts[window * campaigns.count + campaign]
                guard views > 0 else { continue }
                bytes += campaigns[campaign]
                bytes += starts[window]
                bytes += String(views).utf8
                bytes.append(UInt8(ascii: "\n"))
                rows += 1
            }
        }
        return (bytes, rows)
    }

    /// A window's start between commas, as the sink's text column has it.
    private func text(of millis: Int64) -> [UInt8] {
        var seconds = time_t(millis / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let day = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        // Windows start on whole seconds.
        return Array(",\(day)T\(clock).000Z,".utf8)
    }
}
