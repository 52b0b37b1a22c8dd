// How many views and clicks did each campaign have, per minute, and how many clicks came of a view?
//
// Two counts over the same groups, and a column computed from them after the grouping. A minute with clicks
// and no view has no click rate: NULL.

import Engine

public struct CampaignReport: StreamingJob {
    public let name = "campaign-report"
    public let summary = "reports views, clicks and the click rate of each campaign per minute"
    public let defaults = AdEvent.defaults.merging(["ads": "ads.csv"]) { $1 }

    public init() {}

    public func define(in job: JobContext) throws {
        let isView = col("event_type") == "view"
        let isClick = col("event_type") == "click"
        try AdEvent.stream(in: job)
            .filter(isView || isClick)
            .join(try AdEvent.campaigns(in: job), on: "ad_id")
            .groupBy(col("campaign_id"), tumble("event_time", .seconds(60)).as("minute"))
            .agg(count(where: isView).as("views"), count(where: isClick).as("clicks"))
            .select(
                col("campaign_id"), col("minute"), col("views"), col("clicks"),
                (col("clicks").cast(to: .float64) / nullIf(col("views"), 0)).as("click_rate")
            )
            .write(to: .table("campaign_report", key: ["campaign_id", "minute"]))
    }
}
