// Looks at a sink's table again and again and notes when each view became visible there.
//
// Another connection than the job's, reading what is committed: what it sees is what any reader sees. A row says how
// many views of its campaign are counted, and those are the campaign's first ones (see `SteadyTraffic`), so each look
// gives the latency of every view that came since the last one. In SQLite a look at an unchanged file is one number;
// PostgreSQL is asked for the sums each time. The pause between two looks is in the numbers.

import Engine
import Foundation

final class SinkWatch {
    private let database: any SQLDatabase
    private let numberOf: [String: Int]
    /// Views of each campaign that are visible.
    private(set) var seen: [Int]
    private var version: SQLValue = .null
    private(set) var looks = 0

    static let pauseMicros: UInt32 = 500

    init(sink: String, campaigns: [String]) throws {
        if sink.hasPrefix("sqlite:") {
            database = try SQLiteDatabase(path: String(sink.dropFirst(7)), readOnly: true, busyTimeoutMillis: 1000)
        } else {
            database = try openDatabase(sink)
        }
        numberOf = Dictionary(uniqueKeysWithValues: campaigns.enumerated().map { ($1, $0) })
        seen = Array(repeating: 0, count: campaigns.count)
    }

    deinit { database.close() }

    /// Takes what is there now as read.
    func begin() throws { _ = try look { _, _ in } }

    /// Calls `body` with each campaign whose count has grown and the views that are new; says whether there were any.
    func look(_ body: (_ campaign: Int, _ views: Range<Int>) -> Void) throws -> Bool {
        looks += 1
        if database.dialect == .sqlite {
            let now = try database.execute("PRAGMA data_version").first?.first ?? .null
            // The number differs only for commits of others since the last look, and the first look has none.
            if now == version && looks > 2 { return false }
            version = now
        }
        var hasGrown = false
        for row in try database.execute(
            "SELECT campaign_id, CAST(sum(views) AS BIGINT) FROM campaign_views GROUP BY campaign_id")
        {
            guard case .text(let id) = row[0], case .int(let views) = row[1], let campaign = numberOf[id] else {
                throw Failure(
                    .sinkMismatch, "the bench cannot read its own sink", why: "a row of campaign_views is not ours",
                    now: "give the bench a database of its own")
            }
            if Int(views) > seen[campaign] {
                body(campaign, seen[campaign]..<Int(views))
                seen[campaign] = Int(views)
                hasGrown = true
            }
        }
        return hasGrown
    }
}
