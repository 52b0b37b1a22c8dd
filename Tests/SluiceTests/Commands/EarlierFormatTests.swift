// What a build of catalog version 3 left in PostgreSQL and Kafka, and said between its processes (`Tests/Fixtures/version-3`), is
// read by this one.

import Driver
import Engine
import Foundation
import Jobs
import Sluice
import TestSupport
import Testing
import Wire

private func fixture(_ name: String) throws -> [UInt8] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/version-3").standardized
    return [UInt8](try Data(contentsOf: folder.appending(path: name)))
}

private func text(_ name: String) throws -> String { String(decoding: try fixture(name), as: UTF8.self) }

@Suite(.waits) struct EarlierFormatTests {
    private static let views = JobID(text: "29f0908dd1b86b52d3da5675c03b283c")

    // MARK: PostgreSQL

    /// A database that holds the dump.
    private func restored(_ name: String) throws -> String {
        let url = try PostgresFixture.shared().newDatabase()
        let database = try PostgresDatabase(url: url)
        defer { database.close() }
        try database.executeScript(try text(name))
        return url
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server is installed"))
    func `a PostgreSQL catalog of an earlier build is read by every command that looks, and its plans are whole`() throws {
        let url = try restored("catalog.sql")
        func sluice(_ words: String...) -> (status: Int32, output: String) {
            let captured = Captured(width: 200)
            let program = Program(commands: SluiceProgram.commands(JobDefinitions(ShippedJobs.all)))
            let status = program.main(words + ["--catalog", url], terminal: captured.terminal)
            return (status, captured.outputText + captured.errorText)
        }
        let jobs = try objects(sluice("jobs", "--json").output)
        #expect(jobs.map { $0["job"] as? String } == ["campaign-report", "campaign-views", "purchases"])
        #expect(jobs.map { $0["state"] as? String } == ["running", "running", "finished"])
        for (job, batches, bad) in [("campaign-views", 1, 2), ("campaign-report", 2, 4), ("purchases", 4, 6)] {
            let audit = try #require(try objects(sluice("audit", job, "--json").output).first)
            #expect(audit["passes"] as? Bool == true && audit["batches"] as? Int == batches)
            #expect(try objects(sluice("quarantine", job, "--json").output).count == bad)
        }
        #expect(sluice("catalog", "check").output == "ok: the catalog is whole, with 3 jobs\n")
        let catalog = try Catalog.open(address: url)
        defer { catalog.close() }
        let open = try #require(try catalog.openPlan(Self.views)?.plan)
        #expect(open.batch == 2 && open.ranges.map(\.until) == [100, 100] && open.kind == nil && open.keyGroups == 128)
        #expect(open.predecessors?.map(\.batch) == [1, 1] && open.topicIDs.count == 1 && !open.lookups.isEmpty)
        let last = try #require(try catalog.lastDone(Self.views)?.outcome)
        #expect(last.rejected == 2 && last.state == open.stateBefore && last.parts.count == 2)
        #expect(try catalog.seals(Self.views).map(\.part).sorted() == [0, 1])
        for file in try #require(last.state).fileNames {
            let bytes = try #require(try catalog.inlineState(Self.views, name: file))
            #expect(try ChunkCodec.decode(bytes, for: .state).rowCount > 0)
        }
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server is installed"))
    func `the ledger of an earlier build in PostgreSQL is recognised, with its witnesses, and taken over`() throws {
        let (url, catalogURL) = (try restored("sink.sql"), try restored("catalog.sql"))
        let catalog = try Catalog.open(address: catalogURL)
        defer { catalog.close() }
        let record = try #require(try catalog.job(named: "campaign-views"))
        let graph = try JobDefinitions(ShippedJobs.all).graph(definition: record.definition, settings: record.settings)
        let sink = try openSink(address: url, table: graph.sink)
        defer { sink.close() }
        let identity = SinkIdentity(job: record.name, jobID: record.jobID, epoch: 2, sink: graph.sink.name)
        #expect(try sink.owner(job: record.name) == .job(record.jobID, 1))
        #expect(try sink.sealedBatches(identity) == [0: 2, 1: 2])
        let sight = try #require(try sink.sight(identity))
        #expect(sight.parts.mapValues(\.witness) == [0: .found, 1: .found], "\(sight)")
        #expect(sight.parts[0]?.digest == "1ebb55420414b9a7000000000000000b")
        try sink.claim(identity, adopt: false)
        #expect(try sink.owner(job: record.name) == .job(record.jobID, 2))
        #expect(try sink.sealedBatches(identity) == [0: 2, 1: 2])
    }

    // MARK: Kafka

    @Test func `marks and markers that an earlier build left in Kafka's groups are known for ours`() throws {
        var marks: [String: [String?]] = [:]
        var markers: [TopicMarker] = []
        for line in try text("markers.jsonl").split(separator: "\n") {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: [String: Any]])
            let key = try #require(object["key"]?["data"] as? [String: Any])
            let value = try #require(object["value"]?["data"] as? [String: Any])
            let (group, metadata) = (try #require(key["group"] as? String), value["metadata"] as? String)
            if key["topic"] as? String == "purchases-out" {
                let batch = try #require(value["offset"] as? Int)
                markers.append(try #require(TopicMarker(batch: Int64(batch), metadata: metadata)))
            } else {
                marks[group, default: []].append(metadata)
            }
        }
        #expect(Set(marks.keys) == ["sluice.campaign-views", "sluice.campaign-report", "sluice.purchases"])
        #expect(marks.values.joined().allSatisfy { OffsetMark($0)?.epoch == 1 })
        #expect(marks["sluice.purchases"]?.compactMap { OffsetMark($0)?.batch }.max() == 4)
        #expect(markers.allSatisfy { $0.epoch == 1 && $0.parts == 2 && $0.takenBy == nil })
        // A claim's first, then one for each part and batch.
        #expect(markers.map(\.batch).sorted() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
        #expect(markers.allSatisfy { $0.digest.isEmpty == ($0.batch == 0) })
    }

    // MARK: between processes

    @Test func `messages of an earlier build are whole`() throws {
        func message<Message: Decodable>(_ type: Message.Type, _ name: String) throws -> Message {
            try JSONDecoder().decode(type, from: Data(try fixture("wire/" + name)))
        }
        let register = try message(RegisterWorker.self, "register")
        #expect(register.version == 6 && register.slots == 1 && register.build == "f3fe5aab72d169bcb7f6f270f710b7fd")
        #expect(try message(Registered.self, "registered").workerID == "w1")
        #expect(try !message(Heartbeat.self, "heartbeat").leaving)
        let job = JobID(text: "62d1dcb549d890e6b6888a1d6e972793")
        let beat = try message(HeartbeatReply.self, "heartbeat-reply")
        #expect(beat.known && beat.jobs == [JobClaim(jobID: job, epoch: 1)])
        #expect(try message(CheckState.self, "check-state").jobID == job)
        let release = try message(ReleaseBatch.self, "release")
        #expect(release.batch == .max && release.epoch == 1 && release.jobID == job)

        let read = try JobLine.message(RunTasks.self, in: try fixture("wire/run-read"))
        #expect(read.job.name == "wire" && read.job.jobID == job && read.job.settings["max_batch_records"] == "400")
        #expect(read.stage == 0 && read.context.batch == 2 && read.context.parts == 2 && read.context.keyGroups == 128)
        #expect(read.tasks.map(\.range) == [OffsetRange(topic: "ad-events", partition: 0, from: 200, until: 400)])
        #expect(read.context.watermarkBeforeMillis != nil && read.context.lookups.count == 1 && read.tasks[0].mark != nil)
        let readReply = try message(RunTasksReply.self, "run-read-reply")
        #expect(readReply.of == read.asked)
        let report = try #require(readReply.results.first?.report)
        #expect(report.records == 200 && report.destinations == [0, 1] && report.tailOffset == 399 && report.tailHash == "d504592eab1e05c9")

        let merge = try JobLine.message(RunTasks.self, in: try fixture("wire/run-merge"))
        #expect(merge.stage == 1 && merge.tasks.count == 1 && merge.tasks[0].sources?.parts == [0, 1])
        #expect(merge.holders?.location(1) != nil && merge.tasks[0].state?.isEmpty == false)
        let merged = try #require(try message(RunTasksReply.self, "run-merge-reply").results.first?.report)
        #expect(merged.digest?.isEmpty == false)
        let delta = try ChunkCodec.decode([UInt8](try #require(merged.inlineState)), for: .state)
        #expect(delta.schema.fields.map(\.name).prefix(2) == ["campaign_id", "window_start"] && delta.rowCount == 65)

        let seal = try JobLine.message(SealTasks.self, in: try fixture("wire/seal"))
        #expect(seal.batch == 2 && seal.epoch == 1 && seal.parts.count == 1)
        guard case .seal(let before, _)? = seal.parts.first?.predecessor else {
            Issue.record("the predecessor is \(String(describing: seal.parts.first?.predecessor))")
            return
        }
        #expect(before == 1)
        #expect(try message(SealTasksReply.self, "seal-reply").results.map(\.outcome) == [.written])
    }

    @Test func `blocks of an earlier build are whole`() throws {
        for (name, rows) in [("part-0", 39), ("part-1", 26)] {
            let block = try ChunkCodec.decode(try fixture("blocks/" + name))
            #expect(block.schema.fields.map(\.name) == ["campaign_id", "window_start", "views.rows"])
            #expect(block.rowCount == rows)
        }
    }
}
