// Every purchase, once: who bought after which ad, and when.
//
// A job without groups: no exchange, no state, each row goes from its record straight to the table. The row carries the
// coordinates of its record as unique key, so that going back in the topic finds rows that are there already.

import Engine

public struct Purchases: StreamingJob {
    public let name = "purchases"
    public let summary = "appends every purchase exactly once"
    public let defaults = AdEvent.defaults

    public init() {}

    public func define(in job: JobContext) throws {
        try AdEvent.stream(in: job)
            .filter(col("event_type") == "purchase")
            .select(
                col("source_topic").as("topic"), col("source_partition").as("partition"),
                col("source_offset").as("offset"), col("user_id"), col("ad_id"), col("event_time")
            )
            .write(to: .append("purchases", uniqueKey: ["topic", "partition", "offset"]))
    }
}
