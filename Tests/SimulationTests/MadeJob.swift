// Jobs and plans for lives that are played by hand.

import Driver
import Engine
import Jobs
import Sluice

enum MadeJob {
    static func purchases(sink: String = "discard:") throws -> RunningJob { try job("purchases", sink: sink) }
    static func campaignViews(sink: String = "discard:") throws -> RunningJob { try job("campaign-views", sink: sink) }

    private static func job(_ definition: String, sink: String) throws -> RunningJob {
        let jobs = JobDefinitions([Purchases(), CampaignViews()])
        var values = try Settings.resolve(jobDefaults: try jobs.job(definition).defaults).jobValues
        values.merge(["bootstrap": "made:1", "topic": "t", "sink": sink]) { $1 }
        let record = JobRecord(
            jobID: JobID(text: "made"), name: "made", definition: definition, settings: values, buildDigest: "b", settingsDigest: "s")
        let graph = try jobs.graph(definition: definition, settings: values)
        return RunningJob(record: record, graph: graph, settings: try EngineSettings(values, graph: graph), buildDigest: "b")
    }

    /// As the job itself would plan it.
    static func plan(
        _ job: RunningJob, batch: BatchNumber, ranges: [OffsetRange] = [], taskCounts: [Int] = [0], topicIDs: [String: String] = [:]
    ) -> BatchPlan {
        BatchPlan(
            job: "made", jobID: job.record.jobID, batch: batch, epoch: 1, batchTimeMillis: 1, seed: 0, ranges: ranges,
            watermarkBeforeMillis: nil, taskCounts: taskCounts, keyGroups: job.settings.keyGroups, buildDigest: job.buildDigest,
            settingsDigest: job.settingsDigest, planDigest: job.graph.digest, schemaDigest: job.schemaDigest, lookups: [:],
            topicIDs: topicIDs, stateBefore: nil)
    }
}
