// The events that the shipped jobs read: what people did with advertisements.

import Engine

/// The fields of an ad event, in Avro records and JSON objects alike.
enum AdEvent {
    static let fields: [Field] = [
        Field("user_id", .text),
        Field("page_id", .text),
        Field("ad_id", .text),
        /// banner, modal, sponsored-search, mail, mobile
        Field("ad_type", .text),
        /// view, click, purchase
        Field("event_type", .text),
        /// Milliseconds since 1970.
        Field("event_time", .timestamp),
        Field("ip_address", .text),
    ]

    /// The settings that all jobs over ad events read.
    static let defaults = ["topic": "ad-events", "format": "avro", "lateness": "10s"]

    /// The topic that the settings name, with its watermark.
    static func stream(in job: JobContext) throws -> RowStream {
        job.stream(.kafka(try job.setting("topic"), format: try job.format("format"), schema: fields))
            .withWatermark("event_time", delay: try job.duration("lateness"))
    }

    /// Which campaign an ad belongs to: a CSV file with the header `ad_id,campaign_id`.
    static func campaigns(in job: JobContext) throws -> LookupTableSource {
        job.table(.file(try job.setting("ads")), name: "ads", columns: ["ad_id", "campaign_id"])
    }
}
