// `batches`, `quarantine`, `audit` and `offsets` over a catalog made here.

import Driver
import Engine
import Foundation
import Sluice
import TestSupport
import Testing

@Suite struct BatchCommandsTests {
    private static let bad = [
        QuarantinedRecord(topic: "events", partition: 0, offset: 4, reason: .wrongType, raw: Array("{\"a\":1}".utf8)),
        QuarantinedRecord(topic: "events", partition: 0, offset: 6, reason: .truncated, raw: [0x1B, 0x5B, 0x32, 0x4A]),
        QuarantinedRecord(topic: "events", partition: 0, offset: 8, reason: .empty, raw: []),
    ]

    @Test func `batches are shown oldest first with what they read and wrote`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...1000, 0...500])
        try job.add(2, [1000...1001, 500...500])
        try job.add(3, [1001...1011], isDone: false)
        let shown = job.sluice("batches", "views")
        #expect(shown.status == 0)
        let lines = shown.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.count == 4)
        #expect(lines[1].prefix(6) == ["1", "DONE", "1,500", "1,500", "1,234", "7"])
        #expect(lines[1].contains("12.3"))
        #expect(lines[2].prefix(4) == ["2", "DONE", "1", "1"])
        #expect(lines[3].prefix(4) == ["3", "PLANNED", "10", "-"])
    }

    @Test func `last says how many batches are shown`() throws {
        let job = try JobCatalog()
        for batch in 1...5 { try job.add(BatchNumber(batch), [Int64(batch - 1)...Int64(batch)]) }
        let numbers = try objects(job.sluice("batches", "views", "--last", "2", "--json").output).map { $0["batch"] as? Int }
        #expect(numbers == [4, 5])
    }

    @Test func `a batch as JSON has the keys that programs rely on`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10])
        let object = try #require(try objects(job.sluice("batches", "views", "--json").output).first)
        let keys: Set = [
            "job", "batch", "state", "from", "until", "rows_in", "rows_out", "late", "rejected", "unmatched", "digest",
            "planned_at", "done_at", "timings",
        ]
        #expect(keys.subtracting(object.keys).isEmpty)
        #expect(object["until"] as? [String: Int] == ["events/0": 10])
    }

    @Test func `a batch has the commit time that the batch after it tells, and the newest has none`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10])
        try job.add(2, [10...20], previousCommitMillis: 4.25)
        try job.add(3, [20...30])
        let timings = try objects(job.sluice("batches", "views", "--json").output).map { try #require($0["timings"] as? [String: Double]) }
        #expect(timings.map { $0["commit_millis"] } == [4.25, nil, nil])
        #expect(timings.allSatisfy { $0["previous_commit_millis"] == nil })
        let cells = job.sluice("batches", "views").output.split(separator: "\n").dropFirst().map {
            $0.split(separator: " ").dropLast().last.map(String.init)
        }
        #expect(cells == ["4.3", "-", "-"])
    }

    @Test func `batches name the command that shows rejected records`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10])
        #expect(!job.sluice("batches", "views").output.contains("quarantine"))
        try job.add(2, [10...20], rejected: Self.bad)
        let output = job.sluice("batches", "views").output
        #expect(output.contains("3 records of these batches could not be read; 3 of this job in quarantine"))
        #expect(output.contains("`sluice quarantine views`"))
    }

    @Test func `raw bytes are shown as text only when they are printable`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10], rejected: Self.bad)
        let output = job.sluice("quarantine", "views").output
        #expect(output.contains("{\"a\":1}"))
        #expect(output.contains("0x1b5b324a"))
        #expect(!output.contains("\u{1B}"))
        #expect(output.contains("(empty)"))
        let lines = try objects(job.sluice("quarantine", "views", "--json").output)
        #expect(lines.map { $0["hex"] as? String } == ["7b2261223a317d", "1b5b324a", ""])
        #expect(lines.map { $0["text"] as? String } == ["{\"a\":1}", nil, ""])
        #expect(lines.map { $0["offset"] as? Int } == [4, 6, 8])
    }

    @Test func `quarantine keeps to the batch and the limit that were asked for`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10], rejected: Self.bad)
        try job.add(2, [10...20], rejected: [Self.bad[0]])
        #expect(try objects(job.sluice("quarantine", "views", "--batch", "1", "--json").output).count == 3)
        #expect(try objects(job.sluice("quarantine", "views", "--limit", "2", "--json").output).count == 2)
        #expect(job.sluice("quarantine", "views", "--batch", "9").output.contains("no record of job views, batch 9,"))
    }

    @Test func `an audit of contiguous batches passes`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10, 5...5])
        try job.add(2, [10...20, 5...9])
        let shown = job.sluice("audit", "views")
        #expect(shown.status == 0)
        #expect(shown.output.contains("ok: job views, 2 DONE batches, contiguous in every partition"))
    }

    @Test(arguments: [
        (from: 12, words: "gap in events/0: offsets [10, 12)"), (from: 7, words: "overlap in events/0: offsets [7, 10)"),
    ])
    func `an audit names the exact offsets that are wrong and exits with 1`(from: Int, words: String) throws {
        let job = try JobCatalog()
        try job.add(1, [0...10])
        try job.add(2, [10...20])
        try job.tamper("UPDATE sluice_batches SET ranges = replace(ranges, '[0,10,', '[0,\(from),') WHERE batch = 2")
        let shown = job.sluice("audit", "views")
        #expect(shown.status == 1)
        #expect(shown.output.contains(words))
        #expect(shown.output.contains("FAILED"))
        let object = try #require(try objects(job.sluice("audit", "views", "--json").output).first)
        #expect(object["passes"] as? Bool == false)
        #expect((object["findings"] as? [[String: Any]])?.count == 1)
    }

    @Test func `offsets without a broker show the log and say so`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10, 0...4])
        let shown = job.sluice("offsets", "views")
        #expect(shown.status == 1)
        let lines = shown.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.dropFirst() == [["events/0", "10", "-", "-", "-", "-"], ["events/1", "4", "-", "-", "-", "-"]])
        #expect(shown.errors.contains("Kafka did not tell"))
        #expect(shown.errors.contains("now:"))
    }

    @Test func `offsets with a broker show the end and the lag from the log`() throws {
        let broker = try EmbeddedBroker(topics: [("events", 2)])
        let producer = try KafkaProducer(try KafkaConfiguration(bootstrap: broker.bootstrap))
        for _ in 0..<6 { try send(producer, partition: 0) }
        try send(producer, partition: 1)
        try producer.flush()
        let job = try JobCatalog()
        try job.add(1, [0...4])
        let shown = job.sluice("offsets", "views", "--bootstrap", broker.bootstrap)
        #expect(shown.status == 0)
        let lines = shown.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        // The second partition is in no batch yet, and is read from its start.
        #expect(lines[1] == ["events/0", "4", "-", "6", "2", "-"])
        #expect(lines[2] == ["events/1", "new", "-", "1", "1", "-"])
        #expect(shown.output.contains("views: lag 3"))
    }

    private func send(_ producer: KafkaProducer, partition: Int32) throws {
        try Array("x".utf8).withUnsafeBufferPointer { try producer.send(topic: "events", partition: partition, value: $0) }
    }

    @Test(arguments: [["batches"], ["audit"], ["offsets"], ["quarantine"], ["jobs", "show"], ["jobs", "stop"]])
    func `a job that is not there is an error that names the ones that are`(words: [String]) throws {
        let job = try JobCatalog()
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions([])))
        let status = program.main(words + ["vews", "--catalog", job.address], terminal: captured.terminal)
        #expect(status == 1)
        #expect(captured.errorText.contains("vews"))
        #expect(captured.errorText.contains("the catalog has views"))
    }

    @Test func `looking at a catalog that is not there makes none`() throws {
        let job = try JobCatalog()
        let path = job.directory.file("other.db")
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions([])))
        for words in [["batches", "views"], ["jobs", "stop", "views"], ["jobs"]] {
            #expect(program.main(words + ["--catalog", "sqlite:" + path], terminal: captured.terminal) == 1)
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func `the bytes of bad records could not be erased`() throws {
        let job = try JobCatalog()
        try job.add(1, [0...10], rejected: Self.bad)
        try job.add(2, [10...20], rejected: [QuarantinedRecord(topic: "events", partition: 0, offset: 12, reason: .wrongType, raw: Array("secret name".utf8))])
        let plan = job.sluice("quarantine", "views", "--forget", "--plan")
        #expect(plan.status == 0 && plan.output.hasPrefix("would erase 22 bytes of 4 records of job views"))
        #expect(job.sluice("quarantine", "views").output.contains("secret name"))
        #expect(job.sluice("quarantine", "views", "--forget", "--batch", "2").output.hasPrefix("erased 11 bytes of 1 record"))
        let shown = try objects(job.sluice("quarantine", "views", "--json").output)
        #expect(shown.count == 4)
        #expect(shown.map { $0["hex"] as? String } == ["", "7b2261223a317d", "1b5b324a", ""])
        #expect(shown[0]["erased_at"] != nil && shown[1]["erased_at"] == nil && shown[0]["offset"] as? Int == 12)
        let table = job.sluice("quarantine", "views", "--batch", "2").output
        #expect(table.contains("(erased at ") && !table.contains("secret"))
        #expect(job.sluice("quarantine", "views", "--forget", "--json").output.contains("\"is_erased\":true"))
        #expect(try job.holdsText("secret name") == false)
    }
}
