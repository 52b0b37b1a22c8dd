// Jobs that only the bench runs. Every `sluice` has them, no list names them.

import Engine

enum BenchJobs {
    static let all: [any StreamingJob] = [WideJob(), KeysJob()]
}

/// Four of twenty fields: how many books went to each country, in every ten seconds.
struct WideJob: StreamingJob {
    static let known = "bench-wide"
    let name: String = WideJob.known
    let summary: String = "counts the books of the bench's orders"
    let defaults: [String: String] = ["format": "avro"]

    func define(in job: JobContext) throws {
        let orders = try StreamSource.kafka(
            job.setting("topic"), format: job.format("format"),
            schema: [
                Field("country", .text), Field("category", .text), Field("quantity", .int64),
                Field("event_time", .timestamp),
            ])
        try job.stream(orders)
            .withWatermark("event_time", delay: .seconds(10))
            .filter(col("category") == "books")
            .groupBy(col("country"), tumble("event_time", .seconds(10)))
            .agg(sum(col("quantity")).as("books"))
            .write(to: .table("bench_wide", key: ["country", "window_start"]))
    }
}

/// As many groups as there are ads: every event is counted, none is looked up.
struct KeysJob: StreamingJob {
    static let known = "bench-keys"
    let name: String = KeysJob.known
    let summary: String = "counts the events of each ad"
    let defaults: [String: String] = ["format": "avro"]

    func define(in job: JobContext) throws {
        let events = try StreamSource.kafka(
            job.setting("topic"), format: job.format("format"), schema: [Field("ad_id", .text), Field("event_time", .timestamp)])
        try job.stream(events)
            .withWatermark("event_time", delay: .seconds(10))
            .groupBy(col("ad_id"))
            .agg(count().as("events"))
            .write(to: .table("bench_keys", key: ["ad_id"]))
    }
}
