// Which campaigns there are and which ads they have: what `ads.csv` says.
//
// Made from the seed alone. Ad `a` belongs to campaign `a / adsPerCampaign`; ads past the last known one are the
// unknown ads, which the events may name and `ads.csv` does not.

import Engine
import FoundationEssentials

package struct AdDirectory: Sendable {
    /// UUID texts, 36 bytes each.
    package let campaignIDs: [[UInt8]]
    package let adIDs: [[UInt8]]
    let unknownAdIDs: [[UInt8]]
    package let adsPerCampaign: Int

    static let unknownAds = 64

    package init(seed: UInt64, campaigns: Int, adsPerCampaign: Int) {
        func ids(_ stream: SeededDraws.Stream, _ count: Int) -> [[UInt8]] {
            let draws = SeededDraws(seed: seed, stream)
            return (0..<count).map { draws.uuid($0) }
        }
        campaignIDs = ids(.campaigns, campaigns)
        adIDs = ids(.ads, campaigns * adsPerCampaign)
        unknownAdIDs = ids(.unknownAds, Self.unknownAds)
        self.adsPerCampaign = adsPerCampaign
    }

    static let header = "ad_id,campaign_id"

    /// The lookup file of the shipped jobs.
    package var csv: [UInt8] {
        var text = Array((Self.header + "\n").utf8)
        text.reserveCapacity(text.count + adIDs.count * 74)
        for (ad, id) in adIDs.enumerated() {
            text += id
            text.append(UInt8(ascii: ","))
            text += campaignIDs[ad / adsPerCampaign]
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    /// Writes `ads.csv` in one step. A file of other content in that place is somebody else's: it is not touched.
    package func write(to path: String) throws {
        if let there = FileManager.default.contents(atPath: path), !there.isEmpty,
            !there.starts(with: Array(Self.header.utf8))
        {
            throw Failure(
                .fileInvalid, "\(path) was not written",
                why: "a file that is no list of ads (first line \(Self.header)) is there already",
                now: "name another file with --ads, or move that one away")
        }
        try writeFile(csv, to: path)
    }
}

/// Writes a whole file in one step: readers see the old content or the new one.
func writeFile(_ bytes: [UInt8], to path: String) throws {
    let url = URL(filePath: path)
    do {
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url, options: .atomic)
    } catch {
        throw Failure(
            .fileInvalid, "\(path) could not be written", why: String(describing: error),
            now: "check the folder, its permissions and the free space")
    }
}
