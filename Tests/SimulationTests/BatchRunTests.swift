import Driver
import Engine
import Testing
import Wire

/// Single batches, whose workers are played by hand.
struct BatchRunTests {
    private static let gone = Failure(.workerUnreachable, "the worker is gone", why: "a test says so", now: "nothing")
    private static func member(_ id: String) -> BatchRun.Member { BatchRun.Member(id: id, url: "made:\(id)", slots: 1) }

    /// Attempts that were given out, by worker.
    private func given(_ actions: [BatchRun.Action]) -> [String: [BatchRun.Attempt]] {
        var given: [String: [BatchRun.Attempt]] = [:]
        for case .run(let worker, let attempts, _, _) in actions { given[worker, default: []] += attempts }
        return given
    }

    private func succeeded(_ attempts: [BatchRun.Attempt], _ plan: BatchPlan) -> Result<RunTasksReply, Failure> {
        var report = TaskReport()
        report.destinations = Array(0..<plan.taskCounts[1])
        let asked = RunTasksReply.Asked(jobID: plan.jobID, batch: plan.batch, epoch: plan.epoch, stage: attempts[0].stage)
        return .success(RunTasksReply(of: asked, results: attempts.map { TaskResult(part: $0.part, attempt: $0.attempt, report: report) }))
    }

    @Test func `a merge that waited for a worker waits on for a source that was lost meanwhile`() throws {
        let job = try MadeJob.campaignViews()
        let range = OffsetRange(topic: "t", partition: 0, from: 0, until: 10)
        let plan = MadeJob.plan(job, batch: 1, ranges: [range], taskCounts: [1, 2])
        var run = BatchRun(plan: plan, epoch: 1, spec: job.spec, settings: job.settings, runNumber: 1)
        let members = ["a", "b"].map(Self.member)
        let sources = given(run.begin(members))
        let reader = try #require(sources.keys.first)
        let merges = given(run.handle(.ran(worker: reader, sources[reader]!, succeeded(sources[reader]!, plan)), members))
        try #require(merges.count == 2)
        // Nobody is there when the first merge has lost its worker, and then the one dies that holds the blocks.
        let other = try #require(merges.keys.first { $0 != reader })
        _ = run.handle(.ran(worker: other, merges[other]!, .failure(Self.gone)), [])
        _ = run.handle(.ran(worker: reader, merges[reader]!, .failure(Self.gone)), [])
        let actions = run.handle(.tick, [Self.member("c")])
        for case .failed(let reason) in actions { Issue.record("\(reason)") }
        let again = try #require(given(actions)["c"])
        #expect(again.map(\.stage) == [0])
        // With its source the merges can go on.
        var after = given(run.handle(.ran(worker: "c", again, succeeded(again, plan)), [Self.member("c")]))["c"] ?? []
        after += given(run.handle(.tick, [Self.member("c")]))["c"] ?? []
        #expect(Set(after.map(\.part)) == [0, 1] && after.allSatisfy { $0.stage == 1 })
    }
}
