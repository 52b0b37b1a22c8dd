// The registry of jobs.

import Driver
import Engine
import Testing

struct CatalogJobTests {
    @Test(arguments: CatalogPlace.available)
    func `a job comes back as it was added, by name and by id`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let job = JobRecord(
            jobID: .random(), name: "view's \"best\" ünïcode", definition: "campaign-views",
            settings: ["topic": "ad'events", "sink": "sqlite:a\\b.db", "empty": ""], kind: .backfill,
            parentJobID: .random(), state: .paused, desired: .pause,
            reason: Failure(.diskFull, "what", why: "why \"quoted\"", now: "now"), buildDigest: "b1",
            settingsDigest: "s1")
        let added = try fixture.catalog.insertJob(job)
        #expect(added.createdAtMillis > 1_700_000_000_000 && added.createdAtMillis == added.updatedAtMillis)
        var expected = job
        expected.createdAtMillis = added.createdAtMillis
        expected.updatedAtMillis = added.updatedAtMillis
        #expect(added == expected)
        #expect(try fixture.catalog.job(named: job.name) == expected)
        #expect(try fixture.catalog.job(id: job.jobID) == expected)
        #expect(try fixture.catalog.job(named: "other") == nil)
        #expect(try fixture.catalog.job(id: .random()) == nil)
    }

    @Test(arguments: CatalogPlace.available)
    func `a name belongs to one job`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (first, _) = try fixture.job("views")
        #expect(failureCode { _ = try fixture.job("views") } == .jobExists)
        _ = try fixture.job("clicks")
        #expect(try fixture.catalog.jobs().map(\.name) == ["clicks", "views"])
        #expect(try fixture.catalog.job(named: "views")?.jobID == first)
    }

    @Test(arguments: CatalogPlace.available)
    func `state, wish and settings change apart from each other`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job()
        let reason = Failure(.brokerUnreachable, "no broker", why: "refused", now: "start it")
        for state in JobState.allCases {
            try fixture.catalog.setJobState(jobID, epoch: state == .failed ? nil : epoch, state: state, reason: reason)
            #expect(try fixture.catalog.job(id: jobID)?.state == state)
        }
        #expect(try fixture.catalog.job(id: jobID)?.reason == reason)
        try fixture.catalog.setJobState(jobID, epoch: epoch, state: .running)
        for desired in DesiredState.allCases {
            try fixture.catalog.setDesired("views", desired)
            #expect(try fixture.catalog.job(id: jobID)?.desired == desired)
        }
        try fixture.catalog.replaceJobSettings(
            jobID, epoch: epoch, settings: ["interval": "1s"], buildDigest: "b2", settingsDigest: "s2")
        let job = try #require(try fixture.catalog.job(id: jobID))
        #expect(job.state == .running && job.reason == nil && job.desired == .kill)
        #expect(job.settings == ["interval": "1s"] && job.buildDigest == "b2" && job.settingsDigest == "s2")
    }

    @Test(arguments: CatalogPlace.available)
    func `a job that is not there is said not to be`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        #expect(failureCode { try fixture.catalog.setDesired("none", .stop) } == .unknownJob)
        #expect(failureCode { try fixture.catalog.setJobState(.random(), epoch: nil, state: .failed) } == .unknownJob)
        #expect(failureCode { try fixture.catalog.setJobState(.random(), epoch: 1, state: .failed) } == .leaseLost)
        #expect(failureCode { try fixture.catalog.appendPlan(.sample(.random(), 1, epoch: 1)) } == .leaseLost)
    }

    @Test(arguments: CatalogPlace.available)
    func `a job was called with an escape sequence`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        for name in ["a\u{1b}[2Jb", "two words", "naïve", "a/b", "a~b", "", "a\nb", String(repeating: "x", count: 129)] {
            #expect(failureCode { _ = try fixture.job(name) } == .invalidSetting, "\(name)")
        }
        for name in ["A-z_0.9", String(repeating: "x", count: 128), "-"] { _ = try fixture.job(name) }
    }

    @Test(arguments: CatalogPlace.available)
    func `a name of an earlier build is still listed and found`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let (jobID, epoch) = try fixture.job("views")
        let database = try fixture.database()
        defer { database.close() }
        try database.execute("UPDATE sluice_registry SET name = 'a' || $1", [.text("\u{1b}[2J b")])
        try database.execute("UPDATE sluice_leases SET name = 'a' || $1", [.text("\u{1b}[2J b")])
        #expect(try fixture.catalog.jobs().map(\.name) == ["a\u{1b}[2J b"])
        #expect(try fixture.catalog.job(named: "a\u{1b}[2J b")?.jobID == jobID)
        try fixture.run(jobID, epoch, batches: 1...1)
    }
}
