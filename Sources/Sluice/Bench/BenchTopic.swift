// A topic of the bench as a description: two equal ones are the same topic, made once in a run.

import Engine

struct BenchTopic: Hashable, Sendable {
    enum Compression: String, Sendable { case none, zstd, lz4 }

    enum Content: String, Sendable {
        /// Ad events of `AdTraffic`.
        case ads
        /// Orders of 20 fields.
        case wide
    }

    var content = Content.ads
    var format: RecordFormat
    var compression = Compression.none
    /// Campaigns, each with as many ads.
    var campaigns = 100
    var adsPerCampaign = 10

    var name: String { "\(content.rawValue)-\(format.rawValue)-\(compression.rawValue)-\(campaigns)x\(adsPerCampaign)" }

    /// A topic that is there.
    struct Made {
        var name: String
        var events: Int
        /// What the content's job must sum up to: the views of ads, the quantities of books.
        var answer: Int
        /// The lookup file of ads, the schema of orders.
        var filePath: String
    }
}
