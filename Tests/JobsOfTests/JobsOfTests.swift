// The executable `jobs-of-tests`: `sluice` with jobs that only tests run, for what no shipped job can show.

import Engine
import Sluice

/// Sums and means of each key, over everything that came.
struct Sums: StreamingJob {
    let name = "sums"
    let summary = "sums and means of each key"
    let defaults = ["topic": "numbers", "format": "json", "lateness": "10s"]

    private static let fields: [Field] = [
        Field("k", .text), Field("t", .timestamp), Field("n", .int64), Field("x", .float64),
    ]

    func define(in job: JobContext) throws {
        try job.stream(.kafka(try job.setting("topic"), format: try job.format("format"), schema: Self.fields))
            .withWatermark("t", delay: try job.duration("lateness"))
            .groupBy(col("k"))
            .agg(sum(col("n")).as("n_sum"), avg(col("n")).as("n_avg"), sum(col("x")).as("x_sum"), avg(col("x")).as("x_avg"))
            .write(to: .table("sums", key: ["k"]))
    }
}

@main enum Program {
    static func main() { SluiceProgram.main(jobs: [Sums()]) }
}
