import Engine
import Foundation
import TestSupport
import Testing

/// The processes with their catalog in PostgreSQL: answers, crashes, takeovers, the commands that ask the log, passwords.
@Suite(.waits, .serialized, .enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server is installed"))
struct PostgresCatalogTests {
    private func harness(sink: String? = nil) throws -> JobHarness {
        try JobHarness(sink: sink, environment: ["SLUICE_CATALOG": postgresSink()])
    }

    @Test func `a run gives the exact answer, and every command that asks the log works`() throws {
        let harness = try JobHarness()
        let catalog = ["--catalog", try postgresSink()]
        try harness.generate(events: 20_000)
        try harness.run(workers: 2, extra: ["--max-batch-records", "6000"] + catalog)
        #expect(try harness.campaignViews() == harness.expected())
        #expect(!FileManager.default.fileExists(atPath: harness.directory.file(".sluice/catalog.db")))
        func ask(_ words: String...) throws -> String {
            let result = try SluiceProcess.run(words + catalog, in: harness.directory.path)
            #expect(result.status == 0, "\(words): \(result.errors)")
            return result.output
        }
        #expect(try ask("batches", "campaign-views", "--json").split(separator: "\n").count == 4)
        #expect(try ask("offsets", "campaign-views").contains("lag 0"))
        #expect(try ask("audit", "campaign-views").contains("4 DONE batches"))
        #expect(try ask("jobs").contains("campaign-views"))
        #expect(try ask("jobs", "show", "campaign-views").contains("10s"))
        #expect(try ask("replay", "campaign-views", "--batch", "2", "--local").contains("gives the same rows"))
        #expect(try ask("quarantine", "campaign-views").contains("no record"))
        #expect(try ask("jobs", "stop", "campaign-views").contains("nobody ran it"))
    }

    @Test(arguments: ["planned", "part-sealed", "done"], [1, 3])
    func `a driver killed at a named point goes on exactly`(point: String, hit: Int) throws {
        let harness = try harness(sink: hit == 1 ? nil : postgresSink())
        try harness.generate(events: 20_000)
        let extra = ["--max-batch-records", "5000"]
        let killed = try harness.run(
            workers: 2, extra: extra, environment: ["SLUICE_TEST_FAILPOINT": "\(point)@\(hit)"], expecting: nil)
        #expect(killed.status == 128 + SIGKILL, "the failpoint was not reached: \(killed.errors)")
        try harness.run(workers: 2, extra: extra)
        try harness.expectExact()
    }

    @Test(TestBroker.needsReal) func `a driver that is stopped anywhere is taken over from, and adds nothing when it wakes up`() throws {
        let harness = try harness(sink: postgresSink())
        try harness.generate(events: 100_000)
        let zombie = try harness.start(workers: 0, extra: ["--max-batch-records", "2000", "--interval", "0"])
        #expect(SluiceProcess.eventually { zombie.output.contains("batch 2 ") })
        // Perhaps inside a transaction: the server takes its locks away then.
        try harness.takeOver(from: zombie, extra: ["--max-batch-records", "20000"])
        try harness.expectExact()
    }

    @Test func `a second driver is refused and names the process that has the job`() throws {
        let harness = try harness()
        try harness.generate(events: 1000)
        let first = try harness.start(workers: 0, untilCaughtUp: false)
        #expect(SluiceProcess.eventually { first.output.contains("batch 1 ") }, "\(first.errors)")
        let refused = try harness.run(workers: 0, expecting: 1)
        #expect(refused.errors.contains("process \(first.pid) on"), "\(refused.errors)")
        first.kill9()
        _ = first.wait()
        // Its process is seen to be dead, so nobody waits for the lease to run out.
        let began = ContinuousClock.now
        try harness.run(workers: 0)
        #expect(ContinuousClock.now - began < .seconds(4))
        try harness.expectExact()
    }

    enum Way: String, CaseIterable, Sendable { case variable, passfile, file, settings }

    @Test(arguments: Way.allCases) func `a password comes from its place and is shown nowhere`(way: Way) throws {
        let guarded = try PostgresFixture.shared().newGuardedDatabase()
        let harness = try JobHarness(environment: [:])
        let (password, place) = (guarded.password, guarded.url)
        let host = String(place.dropFirst("postgres://".count))
        var address = "postgres://\(guarded.user)@\(host)"
        var environment: [String: String] = [:]
        let file = harness.directory.file("password")
        switch way {
        case .variable: environment["PGPASSWORD"] = password
        case .passfile:
            try "*:*:*:*:\(password)\n".write(toFile: file, atomically: true, encoding: .utf8)
            environment["PGPASSFILE"] = file
        case .file:
            try (password + "\n").write(toFile: file, atomically: true, encoding: .utf8)
            address = "postgres://\(guarded.user):file%3A\(file.replacing("/", with: "%2F"))@\(host)"
        case .settings:
            address = "postgres://\(guarded.user):\(password)@\(host)"
        }
        #expect(chmod(file, 0o600) == 0 || way == .variable || way == .settings)
        try harness.generate(events: 2000)
        // Written out in a flag it is refused; a variable may hold it.
        let flags = way == .settings ? [] : ["--catalog", address, "--sink", address]
        if way == .settings {
            let refused = try SluiceProcess.run(["jobs", "--catalog", address], in: harness.directory.path)
            #expect(refused.status == 1 && refused.errors.contains("PGPASSFILE") && !refused.errors.contains(password), "\(refused.errors)")
            environment["SLUICE_CATALOG"] = address
            environment["SLUICE_SINK"] = address
            // The job's record has no password, so its workers and later starts have it from here.
            environment["PGPASSWORD"] = password
        }
        func run(_ words: [String], expecting status: Int32 = 0) throws -> ProcessResult {
            let result = try SluiceProcess.run(words + flags, in: harness.directory.path, environment: environment)
            #expect(result.status == status, "\(words[0]): \(result.errors)")
            #expect(!(result.output + result.errors).contains(password), "\(words[0]) shows the password")
            return result
        }
        let job = ["--bootstrap", harness.bootstrap, "--topic", harness.topic, "--ads", "ads.csv"]
        let process = try SluiceProcess(
            ["run", "campaign-views", "--workers", "2", "--log-level", "trace"] + job + flags, in: harness.directory.path, environment: environment)
        #expect(SluiceProcess.eventually { process.output.contains("batch 1 ") }, "\(process.errors)")
        for pid in [process.pid] + process.children {
            #expect(try !String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8).contains(password))
        }
        process.terminate()
        let ended = process.wait()
        #expect(ended.status == 0 && !(ended.output + ended.errors).contains(password), "\(ended.errors)")
        _ = try run(["run", "campaign-views", "--print-settings"] + job)
        _ = try run(["explain", "campaign-views"] + job)
        for words in [["jobs", "show", "campaign-views"], ["batches", "campaign-views", "--json"], ["audit", "campaign-views"]] {
            let result = try SluiceProcess.run(
                words + (flags.isEmpty ? [] : ["--catalog", address]), in: harness.directory.path, environment: environment)
            #expect(result.status == 0 && !(result.output + result.errors).contains(password), "\(words): \(result.errors)")
        }
        // Nor does it stand in the catalog itself.
        let database = try openDatabase("postgres://sluice@\(host)")
        defer { database.close() }
        let held = try database.execute("SELECT count(*) FROM sluice_registry WHERE settings LIKE '%' || $1 || '%'", [.text(password)])
        #expect(held == [[.int(0)]])
        #expect(try database.execute("SELECT sum(views) > 0 FROM campaign_views").first != nil)
    }

    @Test func `a wrong password is an error that does not show it`() throws {
        let guarded = try PostgresFixture.shared().newGuardedDatabase()
        let harness = try JobHarness(environment: [:])
        let address = "postgres://\(guarded.user)@\(guarded.url.dropFirst("postgres://".count))"
        let result = try SluiceProcess.run(
            ["jobs", "--catalog", address], in: harness.directory.path, environment: ["PGPASSWORD": "not-the-one"])
        #expect(result.status == 1)
        #expect(result.errors.contains("password") && !result.errors.contains("not-the-one"), "\(result.errors)")
    }

    @Test func `a record with U+0000 is set apart, and the stream goes on`() throws {
        let sinks = [try postgresSink(), nil]
        for sink in sinks {
            let harness = try JobHarness(partitions: 1, sink: sink, environment: ["SLUICE_CATALOG": postgresSink()])
            try harness.generate(events: 2000, format: "json")
            let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
            let record = #"{"user_id":"u","page_id":"p","ad_id":"a\u0000b","ad_type":"mail","event_type":"purchase","event_time":1,"ip_address":"1.1.1.1"}"#
            try producer.send(topic: harness.topic, text: record, timestampMillis: 1_772_366_400_000)
            try producer.flush()
            try harness.run("purchases", workers: 1, format: "json")
            let kept = try harness.sluice("quarantine", "purchases", "--json").output
            #expect(kept.contains("invalidText") && kept.contains("\"offset\":2000"), "\(kept)")
            #expect(try harness.count("SELECT count(*) FROM purchases") > 0)
        }
    }
}
