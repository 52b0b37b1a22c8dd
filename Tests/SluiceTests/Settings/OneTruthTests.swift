// Topic, lateness and format stand in settings and in plans: what runs is the plan's, and the setting only feeds it.

import Engine
import Sluice
import Testing

private struct WrittenDown: StreamingJob {
    let name = "written-down"
    let summary = "for tests"
    func define(in job: JobContext) throws {
        try job.stream(.kafka("orders", format: .json, schema: [Field("id", .int64), Field("at", .timestamp)]))
            .withWatermark("at", delay: .seconds(60)).groupBy(col("id"), tumble("at", .seconds(10))).agg(count().as("n"))
            .write(to: .table("o", key: ["id", "window_start"]))
    }
}

private struct Fed: StreamingJob {
    let name = "fed"
    let summary = "for tests"
    let defaults = ["topic": "events", "format": "avro", "lateness": "10s"]
    func define(in job: JobContext) throws {
        try job.stream(.kafka(job.setting("topic"), format: job.format("format"), schema: [Field("id", .int64), Field("at", .timestamp)]))
            .withWatermark("at", delay: job.duration("lateness")).groupBy(col("id"), tumble("at", .seconds(10))).agg(count().as("n"))
            .write(to: .table("o", key: ["id", "window_start"]))
    }
}

@Suite struct OneTruthTests {
    private func engine(_ job: any StreamingJob, _ flags: [(String, String)] = []) throws -> (EngineSettings, StageGraph) {
        let settings = try Settings.resolve(
            flags: ([("bootstrap", "127.0.0.1:1"), ("topic", "events"), ("sink", "kafka:out")] + flags).map {
                Settings.Flag(name: $0.0, text: $0.1, spelled: "--" + $0.0)
            }, jobDefaults: job.defaults)
        let graph = try StageGraph(job: job, settings: settings.jobValues)
        return (try EngineSettings(settings.jobValues, graph: graph), graph)
    }

    @Test func `a lateness, topic and format that a job has written down are what runs, as explain says`() throws {
        let (engine, graph) = try engine(WrittenDown())
        #expect(engine.latenessMillis == 60_000 && engine.topic == "orders" && engine.sourceFormat == .json)
        #expect(engine.sinkFormat == .json)
        let text = PlanText.explain(graph)
        #expect(text.contains("at - \(formatDuration(engine.latenessMillis))") && text.contains("topic \(engine.topic), json"))
    }

    @Test func `a job that asks for the settings gets them, and runs with them`() throws {
        let (engine, graph) = try engine(Fed(), [("lateness", "3s"), ("format", "json"), ("topic", "clicks")])
        #expect(engine.latenessMillis == 3000 && engine.topic == "clicks" && engine.sourceFormat == .json && engine.sinkFormat == .json)
        #expect(PlanText.explain(graph).contains("at - 3s"))
        #expect(try self.engine(Fed(), [("sink_format", "json")]).0.sinkFormat == .json)
    }

    @Test func `a lateness below nothing or beyond all bounds is refused with the plan`() {
        struct Odd: StreamingJob {
            let name = "odd"
            let summary = "for tests"
            var delay: Duration
            func define(in job: JobContext) throws {
                try job.stream(.kafka("t", format: .json, schema: [Field("id", .int64), Field("at", .timestamp)]))
                    .withWatermark("at", delay: delay).select(col("id")).write(to: .append("o"))
            }
        }
        for delay: Duration in [.seconds(-1), .seconds(Int64.max), .seconds(4_000_000_000)] {
            #expect { try StageGraph(job: Odd(delay: delay), settings: [:]) } throws: { ($0 as? Failure)?.what.contains("watermark") == true }
        }
    }
}
