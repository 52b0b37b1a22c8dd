// `sluice jobs ...` over a catalog: what is written, what is waited for, and what is said.

import Driver
import Engine
import Foundation
import Sluice
import TestSupport
import Testing

@Suite(.waits) struct JobsCommandsTests {
    @Test(arguments: [
        (action: "stop", desired: DesiredState.stop, state: JobState.stopped),
        (action: "pause", desired: DesiredState.pause, state: JobState.paused),
        (action: "kill", desired: DesiredState.kill, state: JobState.stopped),
    ])
    func `a wish for a job that nobody runs holds at once`(
        action: String, desired: DesiredState, state: JobState
    ) throws {
        let job = try JobCatalog()
        let shown = job.sluice("jobs", action, "views")
        #expect(shown.status == 0)
        #expect(shown.output.contains("job views is \(state.rawValue); nobody ran it"))
        let record = try #require(try job.catalog.job(named: "views"))
        #expect(record.desired == desired)
        #expect(record.state == state)
    }

    @Test func `stopping a job that nobody runs names its open batch`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10], isDone: false)
        #expect(job.sluice("jobs", "stop", "views").output.contains("its batch 1 is planned and will be finished first"))
        #expect(try job.catalog.openPlan(job.jobID)?.plan.batch == 1)
    }

    @Test func `stop waits until the driver says that the job is stopped`() throws {
        let job = try JobCatalog(isRun: true)
        let (catalog, jobID, epoch) = (job.catalog, job.jobID, job.epoch)
        // What a driver does: it reads the wish and then sets the state.
        let driver = Thread {
            do {
                while try catalog.job(named: "views")?.desired != .stop { usleep(1000) }
                try catalog.setJobState(jobID, epoch: epoch, state: .stopped)
            } catch {
                Issue.record("\(error)")
            }
        }
        driver.start()
        let shown = job.sluice("jobs", "stop", "views", "--wait", "60s")
        #expect(shown.status == 0)
        #expect(shown.output == "job views is stopped\n")
    }

    @Test func `a job that does not follow in time is said and exits with 1`() throws {
        let job = try JobCatalog(isRun: true)
        let shown = job.sluice("jobs", "stop", "views", "--wait", "1ms")
        #expect(shown.status == 1)
        #expect(shown.output.contains("is still running"))
        let record = try #require(try job.catalog.job(named: "views"))
        #expect(record.desired == .stop)
        #expect(record.state == .running)
    }

    @Test func `resume leaves a job to the next driver and says who may run it`() throws {
        let job = try JobCatalog(state: .stopped)
        try job.catalog.setDesired("views", .stop)
        let shown = job.sluice("jobs", "resume", "views")
        #expect(shown.status == 0)
        #expect(shown.output.contains("`sluice run campaign-views`"))
        let record = try #require(try job.catalog.job(named: "views"))
        #expect(record.desired == .run)
        #expect(record.state == .starting)
    }

    @Test func `jobs lists each job with its last batch`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10])
        let object = try #require(try objects(job.sluice("jobs", "--json").output).first)
        #expect(object["job"] as? String == "views")
        #expect(object["last_batch"] as? Int == 1)
        #expect(job.sluice("jobs").output.contains("campaign-views"))
    }

    @Test(arguments: [(true, "process 1 on another-host"), (false, "nobody")])
    func `jobs show says who runs the job`(isRun: Bool, words: String) throws {
        let shown = try JobCatalog(isRun: isRun).sluice("jobs", "show", "views")
        #expect(shown.status == 0)
        #expect(shown.output.contains(words))
        #expect(shown.output.contains("127.0.0.1:1"))
    }

    @Test func `jobs show writes lengths of time and sizes as people do`() throws {
        let lines = try JobCatalog().sluice("jobs", "show", "views").output.split(separator: "\n").map {
            $0.split(separator: " ").map(String.init)
        }
        #expect(lines.contains(["lateness", "90s"]))
        #expect(lines.contains(["state_inline", "64KiB"]))
    }

    @Test func `a driver that is named is asked, and not the catalog`() throws {
        let job = try JobCatalog()
        let secret = job.directory.file("secret")
        try writeSecret("0123456789abcdef0123456789abcdef\n", to: secret, mode: 0o600)
        let shown = job.sluice(
            "jobs", "stop", "views", "--driver", "http://127.0.0.1:1", "--secret-file", secret)
        #expect(shown.status == 1)
        #expect(shown.errors.contains("127.0.0.1:1"))
        #expect(try job.catalog.job(named: "views")?.desired == .run)
    }
}
