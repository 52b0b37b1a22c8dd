// How often was each campaign seen, in every ten seconds of event time?
//
// The first job to read. It keeps the views, looks up the campaign of each ad, and counts per campaign and window. A
// window that gets events in several batches ends with the right total, because its count is state that goes from batch
// to batch; the row in the table is replaced each time. Views of unknown ads are dropped and counted as unmatched.

import Engine

public struct CampaignViews: StreamingJob {
    public let name = "campaign-views"
    public let summary = "counts the views of each campaign in windows of 10 seconds"
    public let defaults = AdEvent.defaults.merging(["ads": "ads.csv"]) { $1 }

    public init() {}

    public func define(in job: JobContext) throws {
        try AdEvent.stream(in: job)
            .filter(col("event_type") == "view")
            .join(try AdEvent.campaigns(in: job), on: "ad_id")
            .groupBy(col("campaign_id"), tumble("event_time", .seconds(10)))
            .agg(count().as("views"))
            .write(to: .table("campaign_views", key: ["campaign_id", "window_start"]))
    }
}
