import Engine
import Foundation
import TestSupport
import Testing

/// Wrong input gets what, why and what now, the right exit status, and loses nothing.
@Suite(.waits, .serialized) struct BadInputTests {
    struct Case: Sendable, CustomStringConvertible {
        var description: String
        var arguments: [String]
        var status: Int32
        /// What the message must name.
        var words: [String]
    }

    static let cases = [
        Case(description: "no address", arguments: ["--bootstrap", ""], status: 2, words: ["bootstrap"]),
        Case(description: "topic missing", arguments: ["--topic", "no-such-topic"], status: 1, words: ["no-such-topic", "create it"]),
        Case(description: "schema file missing", arguments: ["--schema", "none.avsc"], status: 1, words: ["none.avsc"]),
        Case(description: "schema that does not match", arguments: ["--schema", "x.avsc"], status: 1, words: ["ad_id"]),
        Case(description: "lookup file missing", arguments: ["--ads", "none.csv"], status: 1, words: ["none.csv", "--ads"]),
        Case(description: "lookup file of another shape", arguments: ["--ads", "x.csv"], status: 1, words: ["ad_id"]),
        Case(description: "sink table with other columns", arguments: ["--sink", "sqlite:other.db"], status: 1, words: ["expected columns", "found columns"]),
        Case(description: "sink of no known kind", arguments: ["--sink", "ftp:x"], status: 2, words: ["sqlite"]),
        Case(description: "password on the command line", arguments: ["--sink", "postgres://me:hunter2@h/db"], status: 1, words: ["PGPASSFILE"]),
        Case(description: "a catalog that is no database", arguments: ["--catalog", "sqlite:garbage.db"], status: 1, words: ["garbage.db"]),
        Case(description: "an unknown setting", arguments: ["--set", "sinck=x"], status: 2, words: ["sinck", "did you mean sink"]),
        Case(description: "an unknown option", arguments: ["--workerz", "2"], status: 2, words: ["--workerz", "--workers"]),
        Case(description: "a time that is none", arguments: ["--from", "yesterday"], status: 2, words: ["yesterday"]),
    ]

    private func prepared() throws -> JobHarness {
        let harness = try JobHarness(partitions: 2)
        try harness.generate(events: 2000)
        let files = [
            "x.avsc": "{\"type\":\"record\",\"name\":\"X\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}", "x.csv": "a,b\n1,2\n",
            "garbage.db": String(repeating: "garbage ", count: 200),
        ]
        for (name, text) in files { try text.write(toFile: harness.directory.file(name), atomically: true, encoding: .utf8) }
        let database = try openDatabase("sqlite:" + harness.directory.file("other.db"))
        try database.execute("CREATE TABLE campaign_views (a TEXT)")
        database.close()
        return harness
    }

    @Test func `each wrong input says what, why and what now, and the corrected command gives the exact answer`() throws {
        let harness = try prepared()
        for c in Self.cases {
            // A catalog and a name of its own, so that no try leaves anything for the next.
            let own = (c.arguments.contains("--catalog") ? [] : ["--catalog", "sqlite:tries.db"]) + ["--name", c.description.replacing(" ", with: "-")]
            let result = try harness.run(workers: 0, extra: c.arguments + own, expecting: nil)
            #expect(result.status == c.status, "\(c): \(result.status) \(result.errors)")
            for word in c.words { #expect(result.errors.contains(word), "\(c) does not name \(word): \(result.errors)") }
            #expect(result.errors.contains("  why: ") && result.errors.contains("  now: "), "\(c): \(result.errors)")
            #expect(!result.errors.contains("hunter2"), "\(c) shows a password")
        }
        try harness.run(workers: 0)
        try harness.expectExact()
    }

    @Test func `a broker that is not there is an error that names the address`() throws {
        let harness = try prepared()
        let result = try SluiceProcess.run(
            ["run", "campaign-views", "--bootstrap", "127.0.0.1:1", "--ads", "ads.csv", "--until-caught-up"], in: harness.directory.path)
        #expect(result.status == 1)
        #expect(result.errors.contains("127.0.0.1:1") && result.errors.contains("Connection refused"), "\(result.errors)")
    }

    @Test(TestBroker.needsReal) func `a recreated topic stops the job, and nothing is read from it`() throws {
        let harness = try prepared()
        try harness.run(workers: 0)
        let before = try harness.campaignViews()
        let admin = try TopicAdmin(KafkaFixture.shared().configuration())
        try admin.deleteTopic(harness.topic)
        #expect(try SluiceProcess.eventually { try !admin.exists(harness.topic) })
        // The broker forgets a name a moment after it is gone.
        #expect(SluiceProcess.eventually { (try? harness.generate(events: 4000, seed: 2)) != nil })
        let refused = try harness.run(workers: 0, expecting: 1)
        #expect(refused.errors.contains("recreated"), "\(refused.errors)")
        #expect(refused.errors.contains("and what was DONE within a second before it, may have read it"), "\(refused.errors)")
        #expect(try harness.campaignViews() == before)
    }

    @Test(TestBroker.needsReal) func `deleted records are refused by range and number, and accepted only by the flag, which audit lists`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 3000)
        try harness.run(workers: 0, extra: ["--max-batch-records", "1000"], environment: ["SLUICE_TEST_FAILPOINT": "done@1"], expecting: nil)
        let json = "{\"partitions\":[{\"topic\":\"\(harness.topic)\",\"partition\":0,\"offset\":2500}],\"version\":1}"
        try json.write(toFile: harness.directory.file("delete.json"), atomically: true, encoding: .utf8)
        _ = try KafkaFixture.shared().run("delete-records", ["--offset-json-file", harness.directory.file("delete.json")])
        let refused = try harness.run(workers: 0, expecting: 1)
        #expect(refused.errors.contains("1500 offsets") && refused.errors.contains("[1000, 2500)"), "\(refused.errors)")
        #expect(refused.errors.contains("--accept-loss"))
        try harness.run(workers: 0, extra: ["--accept-loss"])
        let audit = try harness.sluice("audit", "campaign-views")
        #expect(audit.output.contains("2500"), "\(audit.output)")
        let strict = try harness.sluice("audit", "campaign-views", "--strict", expecting: 1)
        #expect((strict.output + strict.errors).contains("jump"), "\(strict.output)\(strict.errors)")
    }

    @Test(TestBroker.needsReal) func `partitions that are added later are read from their first record`() throws {
        let harness = try JobHarness(partitions: 1)
        try harness.generate(events: 1000)
        try harness.run(workers: 0)
        _ = try KafkaFixture.shared().run("topics", ["--alter", "--topic", harness.topic, "--partitions", "3"])
        let more = try SluiceProcess.run(
            [
                "generate", "ad-events", "--bootstrap", harness.bootstrap, "--topic", harness.topic, "--partitions", "3", "--events",
                "3000", "--format", "avro", "--seed", "1", "--ads", "ads.csv",
            ], in: harness.directory.path)
        #expect(more.status == 0, "\(more.errors)")
        let result = try harness.run(workers: 0)
        #expect(result.output.contains("3,000 in"), "\(result.output)")
        try harness.sluice("audit", "campaign-views")
    }

    @Test func `a read-only catalog and a full disk are named`() throws {
        let harness = try prepared()
        let folder = harness.directory.file("full")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        guard mount("tmpfs", folder, "tmpfs", 0, "size=64k") == 0 else { return }
        defer { umount(folder) }
        let result = try harness.run(workers: 0, extra: ["--catalog", "sqlite:full/catalog.db", "--state", "file:state"], expecting: nil)
        #expect(result.status == 1, "\(result.output)")
        #expect(result.errors.contains("full") || result.errors.contains("space"), "\(result.errors)")
    }

    @Test func `a batch that outlasts its interval is said, not piled up`() throws {
        let harness = try prepared()
        let process = try harness.start(workers: 0, untilCaughtUp: false, extra: ["--interval", "1ms"])
        #expect(SluiceProcess.eventually { process.errors.contains("batch outlasted its interval") })
        process.terminate()
        #expect(process.wait().status == 0)
        try harness.expectExact()
    }
}
