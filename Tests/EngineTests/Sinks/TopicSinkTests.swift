// The Kafka sink against a real Kafka: the promises of `SinkContractTests` in the terms of a topic, and what only a topic
// can do to them.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .enabled(if: KafkaFixture.isAvailable, KafkaFixture.reason))
struct TopicSinkTests {
    let kafka: KafkaFixture
    let queries: OffsetQueries

    init() throws { try self.init(KafkaFixture.shared()) }

    private init(_ kafka: KafkaFixture) throws {
        self.kafka = kafka
        queries = try OffsetQueries(kafka.configuration())
    }

    func open(_ topic: String, _ table: SinkTable = .bare, _ format: RecordFormat = .json, properties: [String: String] = [:])
        throws -> any Sink
    {
        try openSink(
            address: "kafka:\(topic)", table: table,
            topic: TopicSinkSettings(kafka: kafka.configuration(properties), format: format))
    }

    /// A job name of its own, because owners are found by name in the whole cluster; a job id of its own, because the
    /// producers of one id fence each other there, and these tests run at once.
    func identity(_ topic: String, _ id: String = "a", epoch: Epoch = 1, _ table: SinkTable = .bare) -> SinkIdentity {
        let number = topic.filter(\.isNumber)
        let jobID = JobID(text: String(repeating: id, count: 32 - number.count) + number)
        return SinkIdentity(job: "job-\(topic)", jobID: jobID, epoch: epoch, sink: table.name)
    }

    // What is asked behind a commit is asked until it holds: Kafka applies a committed position a moment after its answer.

    func row(_ number: Int64) -> Chunk { rows(.bare, [[.int64(number), .text("x"), .int64(1)]]) }

    /// The records that a reader with read_committed gets, once no transaction is open.
    func texts(_ topic: String, _ partition: Int32 = 0) throws -> [String] {
        let place = TopicPartition(topic: topic, partition: partition)
        let all = try OffsetQueries(kafka.configuration().with(isolation: .readUncommitted))
        #expect(try eventually { try queries.ends([place]) == all.ends([place]) }, "a transaction is open")
        let end = try queries.ends([place])[place]!
        return try RangeReader(kafka.configuration(), budgetBytes: 8 << 20, isolation: .readCommitted)
            .records(topic, partition: partition, 0, end).compactMap(\.text)
    }

    func numbers(_ topic: String, _ partition: Int32 = 0) throws -> [Int64] {
        try texts(topic, partition).map { text in
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            return try #require(object?["a"] as? Int64)
        }
    }

    // MARK: sealing

    @Test func `deleted keys and the empty key are refused by name, and nothing is written`() throws {
        let topic = try kafka.topic()
        let table = SinkTable.views
        let identity = self.identity(topic, "a", table)
        let sink = try open(topic, table)
        try sink.claim(identity, adopt: false)
        let gone = deleted(table, [[.text("a"), .timestamp(0)]])
        let written = rows(table, [[.text("b"), .timestamp(0), .int64(1)]])
        let seen = try #require(failure { try sink.seal(identity, part: 0, batch: 1, digest: "d", rows: [written, gone]) })
        #expect(seen.code == .notPossible && seen.what.contains("campaign_views") && seen.what.contains("kafka:\(topic)"), "\(seen)")
        let parts = [SealPart(part: 0, digest: "d", after: .unknown, rows: [gone])]
        let answers = try #require(sink as? any ParallelSink).seal(identity, batch: 1, parts: parts)
        #expect(failureCode { try answers[0].get() } == .notPossible)
        #expect(try texts(topic).isEmpty)
        var single = table
        single.key = []
        #expect(failureCode { try open(topic, single) } == .invalidSetting)
    }

    @Test func `sealing a part twice changes nothing, in the same process and in another`() throws {
        let topic = try kafka.topic(partitions: 2)
        let identity = self.identity(topic)
        let sink = try open(topic)
        try sink.claim(identity, adopt: false)
        #expect(sink.fixedParts == 2)
        #expect(try sink.sealedBatches(identity) == [:])
        #expect(try sink.seal(identity, part: 1, batch: 1, digest: "d", rows: [row(7), row(8)]) == .written)
        #expect(try sink.seal(identity, part: 1, batch: 1, digest: "d", rows: [row(7), row(8)]) == .alreadySealed)
        #expect(try open(topic).seal(identity, part: 1, batch: 1, digest: "d", rows: [row(7), row(8)]) == .alreadySealed)
        #expect(try numbers(topic, 1) == [7, 8])
        #expect(try numbers(topic, 0) == [])
        #expect(try eventually { try sink.sealedBatches(identity) == [1: 1] })
    }

    /// Several windows of a producer, rows of very different sizes, and buffers that are used again by the next batch.
    @Test(arguments: [1_000_000, 100_000]) func `a part of many requests arrives whole, in order, each row as it was`(
        requestBytes: Int
    ) throws {
        let topic = try kafka.topic()
        let identity = self.identity(topic)
        let sink = try open(topic, properties: ["message.max.bytes": "\(requestBytes)"])
        try sink.claim(identity, adopt: false)
        func text(_ number: Int64) -> String {
            String(repeating: Character(Unicode.Scalar(UInt8(97 + number % 26))), count: number % 5000 == 0 ? 70_000 : Int(number % 190))
        }
        let counts: [Int64] = [30_000, 1, 20_000]
        var expected: [String] = []
        for (index, count) in counts.enumerated() {
            let first = Int64(expected.count)
            let numbers = Array(first..<first + count)
            let chunks = stride(from: 0, to: numbers.count, by: 3000).map { start in
                rows(.bare, numbers[start..<min(start + 3000, numbers.count)].map { [.int64($0), .text(text($0)), .int64(1)] })
            }
            #expect(try sink.seal(identity, part: 0, batch: Int64(index + 1), digest: "d\(index)", rows: chunks) == .written)
            expected += numbers.map { "\($0) \(text($0))" }
        }
        let found = try texts(topic).map { text in
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            return "\(try #require(object?["a"] as? Int64)) \(try #require(object?["b"] as? String))"
        }
        #expect(found.count == expected.count)
        let difference = zip(found, expected).first { $0 != $1 }
        #expect(difference == nil, "\(difference?.0.prefix(40) ?? "") instead of \(difference?.1.prefix(40) ?? "")")
    }

    @Test func `the same batch with another digest, and an older batch, are conflicts that write nothing`() throws {
        let topic = try kafka.topic()
        let identity = self.identity(topic)
        let sink = try open(topic)
        try sink.claim(identity, adopt: false)
        #expect(try sink.seal(identity, part: 0, batch: 5, digest: "d", rows: [row(1)]) == .written)
        for (batch, digest) in [(5, "other"), (4, "d"), (4, "other")] as [(Int64, String)] {
            for sink in [sink, try open(topic)] {
                #expect(failureCode { try sink.seal(identity, part: 0, batch: batch, digest: digest, rows: [row(2)]) } == .ledgerConflict)
            }
        }
        #expect(try numbers(topic) == [1])
    }

    @Test func `parts are sealed side by side, each for itself`() throws {
        let topic = try kafka.topic(partitions: 4)
        let identity = self.identity(topic)
        let sink = try #require(try open(topic) as? any ParallelSink)
        try sink.claim(identity, adopt: false)
        _ = try sink.seal(identity, part: 2, batch: 2, digest: "other", rows: [row(99)])
        for batch: Int64 in 1...3 {
            let outcomes = sink.seal(
                identity, batch: batch,
                parts: (0..<4).map { SealPart(part: $0, digest: "d\(batch)", after: .unknown, rows: [row(batch * 10 + Int64($0))]) })
            for (part, outcome) in outcomes.enumerated() {
                if part == 2 && batch < 3 {
                    #expect(failureCode { try outcome.get() } == .ledgerConflict)
                } else {
                    #expect(try outcome.get() == .written)
                }
            }
        }
        #expect(try (0..<4).map { try numbers(topic, $0) } == [[10, 20, 30], [11, 21, 31], [99, 32], [13, 23, 33]])
        #expect(try eventually { try sink.sealedBatches(identity) == [0: 3, 1: 3, 2: 3, 3: 3] })
    }

    @Test func `many attempts at the same parts at once leave each part's rows once`() throws {
        let topic = try kafka.topic(partitions: 2)
        let identity = self.identity(topic)
        try open(topic).claim(identity, adopt: false)
        let failures = failuresOfThreads(4) { index in
            let sink = try open(topic)
            for batch: Int64 in 1...4 {
                let chunk = rows(.bare, (0..<50).map { [.int64(batch * 100 + Int64($0)), .null, .int64(0)] })
                _ = try sink.seal(identity, part: index % 2, batch: batch, digest: "\(batch)", rows: [chunk])
            }
        }
        // The slower of two meets a later batch, or was fenced in turn until it gave up; the driver then asks again.
        #expect(failures.allSatisfy { [.ledgerConflict, .kafkaTransient].contains(($0 as? Failure)?.code) }, "\(failures)")
        let finish = try open(topic)
        for part in 0..<2 {
            for batch in (try finish.sealedBatches(identity)[part] ?? 0) + 1..<5 {
                let chunk = rows(.bare, (0..<50).map { [.int64(batch * 100 + Int64($0)), .null, .int64(0)] })
                _ = try finish.seal(identity, part: part, batch: batch, digest: "\(batch)", rows: [chunk])
            }
            #expect(try numbers(topic, Int32(part)) == (1...4).flatMap { batch in (0..<50).map { batch * 100 + $0 } })
        }
    }

    @Test(arguments: [RecordFormat.json, .avro])
    func `every type is read back by a job on the output topic`(format: RecordFormat) throws {
        let table = SinkTable.types
        let topic = try kafka.topic()
        let identity = self.identity(topic, "a", table)
        let sink = try open(topic, table, format)
        try sink.claim(identity, adopt: false)
        let all = RowEncodingTests.all
        _ = try sink.seal(identity, part: 0, batch: 1, digest: "1", rows: [rows(table, Array(all[..<3])), rows(table, [])])
        _ = try sink.seal(identity, part: 0, batch: 2, digest: "2", rows: [rows(table, Array(all[3...]))])
        let decoder = try Formats.makeDecoder(
            format: format, schemaText: AvroSchema.text(name: table.name, columns: table.schema), needed: table.schema)
        let place = TopicPartition(topic: topic, partition: 0)
        // Two commit markers lie between and behind the records.
        #expect(try eventually { try queries.ends([place])[place] == Int64(all.count + 2) })
        let columns = table.schema.fields.map { Column($0.type) }
        var rejected: [RejectedRecord] = []
        var count = 0
        let reader = try RangeReader(kafka.configuration(), budgetBytes: 8 << 20, isolation: .readCommitted)
        _ = try reader.read(
            OffsetRange(topic: topic, partition: 0, from: 0, until: Int64(all.count + 2)), chunkRecords: 1000,
            timeoutMillis: 20_000
        ) { count += decoder.decode($0, into: columns, kept: nil, rejected: &rejected) }
        #expect(rejected.isEmpty)
        #expect((0..<count).map { row in columns.map { $0.value(row) } } == all)
    }

    @Test func `a keyed table's records have its key, an appended one's have none`() throws {
        let topic = try kafka.topic(config: ["cleanup.policy": "compact"])
        let keyed = try open(topic, .views)
        let identity = self.identity(topic, "a", .views)
        try keyed.claim(identity, adopt: false)
        let chunk = rows(.views, [[.text("c\"1"), .timestamp(60_000), .int64(1)], [.text("c2"), .timestamp(0), .null]])
        _ = try keyed.seal(identity, part: 0, batch: 1, digest: "1", rows: [chunk])
        let other = try kafka.topic()
        let appended = try open(other)
        let own = self.identity(other)
        try appended.claim(own, adopt: false)
        _ = try appended.seal(own, part: 0, batch: 1, digest: "1", rows: [row(5)])
        func read(_ topic: String, _ records: Int) throws -> [String] {
            try kafka.run(
                "console-consumer",
                [
                    "--topic", topic, "--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", "60000",
                    "--max-messages", "\(records)",
                    "--formatter-property", "print.key=true", "--formatter-property", "key.separator=|",
                ]
            ).split(separator: "\n").map(String.init).filter { $0.contains("|") }
        }
        #expect(
            try read(topic, 2) == [
                #"{"campaign_id":"c\"1","window_start":60000}|{"campaign_id":"c\"1","window_start":60000,"views":1}"#,
                #"{"campaign_id":"c2","window_start":0}|{"campaign_id":"c2","window_start":0,"views":null}"#,
            ])
        #expect(try read(other, 1) == [#"null|{"a":5,"b":"x","c":1}"#])
    }

    // MARK: owners and epochs

    @Test func `looking at the owner makes nothing, and a claim shows`() throws {
        let topic = try kafka.topic()
        let sink = try open(topic)
        let identity = self.identity(topic, epoch: 7)
        #expect(try sink.owner(job: identity.job) == .nobody)
        #expect(try sink.sealedBatches(identity) == [:])
        #expect(try queries.groups(prefix: TopicMarkerGroup.prefix(job: identity.job)) == [])
        try sink.claim(identity, adopt: false)
        #expect(try eventually { try sink.owner(job: identity.job) == .job(identity.jobID, 7) })
        #expect(try sink.owner(job: "another-\(topic)") == .nobody)
        // The same job on another topic is no owner of this one.
        #expect(try open(kafka.topic()).owner(job: identity.job) == .nobody)
        #expect(try texts(topic) == [])
    }

    @Test func `after a takeover the older driver's tasks write nothing`() throws {
        let topic = try kafka.topic()
        let zombie = try open(topic)
        try zombie.claim(identity(topic, epoch: 1), adopt: false)
        _ = try zombie.seal(identity(topic, epoch: 1), part: 0, batch: 1, digest: "d", rows: [row(1)])
        let heir = try open(topic)
        try heir.claim(identity(topic, epoch: 2), adopt: false)
        for sink in [zombie, try open(topic)] {
            for (batch, digest) in [(2, "d"), (1, "x"), (3, "e")] as [(Int64, String)] {
                let seen = failureCode {
                    try sink.seal(identity(topic, epoch: 1), part: 0, batch: batch, digest: digest, rows: [row(9)])
                }
                // One that still holds its producer may first compare with what it knows.
                #expect(seen == .staleEpoch || (digest == "x" && seen == .ledgerConflict), "\(batch) \(digest)")
            }
        }
        #expect(failureCode { try zombie.claim(identity(topic, epoch: 1), adopt: false) } == .staleEpoch)
        #expect(failureCode { try zombie.claim(identity(topic, epoch: 1), adopt: true) } == .staleEpoch)
        #expect(try numbers(topic) == [1])
        #expect(try heir.seal(identity(topic, epoch: 2), part: 0, batch: 1, digest: "d", rows: [row(1)]) == .alreadySealed)
        #expect(try heir.seal(identity(topic, epoch: 2), part: 0, batch: 2, digest: "e", rows: [row(2)]) == .written)
        #expect(failureCode { try heir.seal(identity(topic, epoch: 3), part: 0, batch: 3, digest: "e", rows: [row(3)]) } == .staleEpoch)
        #expect(try numbers(topic) == [1, 2])
    }

    @Test func `a worker that was fenced by another of the same epoch looks and goes on`() throws {
        let topic = try kafka.topic()
        let identity = self.identity(topic)
        let (first, second) = (try open(topic), try open(topic))
        try first.claim(identity, adopt: false)
        _ = try first.seal(identity, part: 0, batch: 1, digest: "1", rows: [row(1)])
        _ = try second.seal(identity, part: 0, batch: 2, digest: "2", rows: [row(2)])
        // Its memory says batch 1; only the broker knows better.
        #expect(try first.seal(identity, part: 0, batch: 2, digest: "2", rows: [row(2)]) == .alreadySealed)
        #expect(try second.seal(identity, part: 0, batch: 3, digest: "3", rows: [row(3)]) == .written)
        #expect(failureCode { try first.seal(identity, part: 0, batch: 3, digest: "x", rows: [row(4)]) } == .ledgerConflict)
        try second.renew(identity)
        #expect(try first.seal(identity, part: 0, batch: 4, digest: "4", rows: [row(4)]) == .written)
        // With what the log says of the part, which its memory contradicts: no sign that the topic was put back to an older copy.
        let (fourth, fifth) = (Predecessor.seal(batch: 4, digest: "4"), Predecessor.seal(batch: 5, digest: "5"))
        #expect(try second.seal(identity, part: 0, batch: 5, digest: "5", after: fourth, rows: [row(5)]) == .written)
        #expect(try first.seal(identity, part: 0, batch: 6, digest: "6", after: fifth, rows: [row(6)]) == .written)
        #expect(try numbers(topic) == [1, 2, 3, 4, 5, 6])
    }

    @Test func `another id is refused and shown, until it adopts the sink; then the first one is refused`() throws {
        let topic = try kafka.topic(partitions: 2)
        let (a, b) = (identity(topic, "a", epoch: 9), identity(topic, "b"))
        let (first, second) = (try open(topic), try open(topic))
        try first.claim(a, adopt: false)
        _ = try first.seal(a, part: 0, batch: 50, digest: "d", rows: [row(1)])
        let refused = try #require(failure { try second.claim(b, adopt: false) })
        #expect(refused.code == .sinkOwnedByOther)
        #expect(refused.why.contains(a.jobID.text) && refused.now.contains("--adopt"))
        // It has no marker here.
        #expect(failureCode { try second.seal(b, part: 0, batch: 51, digest: "d", rows: [row(2)]) } == .sinkMismatch)

        try second.claim(b, adopt: true)
        #expect(try eventually { try second.owner(job: b.job) == .job(b.jobID, 1) })
        #expect(try second.sealedBatches(b) == [:])
        #expect(try second.seal(b, part: 0, batch: 1, digest: "d", rows: [row(3)]) == .written)
        #expect(failureCode { try first.seal(a, part: 0, batch: 51, digest: "d", rows: [row(4)]) } == .sinkOwnedByOther)
        #expect(failureCode { try first.claim(a, adopt: false) } == .sinkOwnedByOther)
        #expect(try numbers(topic) == [1, 3])
        // And back again.
        try first.claim(a, adopt: true, after: 50)
        #expect(try first.seal(a, part: 0, batch: 51, digest: "d", rows: [row(5)]) == .written)
        #expect(failureCode { try second.seal(b, part: 0, batch: 2, digest: "d", rows: [row(6)]) } == .sinkOwnedByOther)
        #expect(try numbers(topic) == [1, 3, 5])
    }

    // MARK: what only a topic can do

    @Test func `markers that Kafka forgot stop the job, and are made again by --adopt`() throws {
        let topic = try kafka.topic(partitions: 2)
        let identity = self.identity(topic)
        let sink = try open(topic)
        try sink.claim(identity, adopt: false)
        _ = try sink.seal(identity, part: 0, batch: 3, digest: "d", rows: [row(1)])
        sink.close()
        let group = TopicMarkerGroup.name(identity)
        try kafka.run("groups", ["--delete-offsets", "--group", group, "--topic", "\(topic):0"])
        let stopped = try #require(failure { try sink.claim(identity, adopt: false, after: 3) })
        #expect(stopped.code == .sinkMismatch && stopped.why.contains("offsets.retention.minutes") && stopped.now.contains("--adopt"))
        #expect(failureCode { try sink.seal(identity, part: 0, batch: 4, digest: "d", rows: [row(9)]) } == .sinkMismatch)
        try sink.claim(identity, adopt: true, after: 3)
        #expect(try eventually { try sink.sealedBatches(identity) == [0: 3] })
        #expect(try sink.seal(identity, part: 0, batch: 4, digest: "e", rows: [row(2)]) == .written)
        #expect(try numbers(topic) == [1, 2])
    }

    @Test func `renewing writes every marker again as it is`() throws {
        let topic = try kafka.topic(partitions: 3)
        let identity = self.identity(topic)
        let sink = try open(topic)
        try sink.claim(identity, adopt: false)
        _ = try sink.seal(identity, part: 1, batch: 3, digest: "d", rows: [row(1)])
        let partitions = (0..<3).map { TopicPartition(topic: topic, partition: $0) }
        let group = TopicMarkerGroup.name(identity)
        func markers() throws -> [TopicPartition: String] {
            try queries.committed(group: group, partitions).mapValues { "\($0.offset) \($0.metadata ?? "")" }
        }
        #expect(try eventually { try markers()[partitions[1]]?.hasPrefix("3 ") ?? false })
        let before = try markers()
        #expect(before.count == 3)
        let offsets = TopicPartition(topic: "__consumer_offsets", partition: 0)
        func written() throws -> Int64 {
            let all = try queries.partitions(of: offsets.topic).map { TopicPartition(topic: offsets.topic, partition: $0) }
            return try queries.ends(all).values.reduce(0, +)
        }
        let countBefore = try written()
        try sink.renew(identity)
        #expect(try markers() == before)
        #expect(try eventually { try written() >= countBefore + 3 }, "no marker was written")
        #expect(failureCode { try sink.renew(self.identity(topic, epoch: 0)) } == .staleEpoch)
    }

    @Test func `a part whose transactional id Kafka has forgotten goes on where it was`() throws {
        let world = try TopicSinkTests(
            KafkaFixture.own(settings: [
                "transactional.id.expiration.ms=1000", "transaction.remove.expired.transaction.cleanup.interval.ms=200",
            ]))
        let topic = try world.kafka.topic()
        let identity = self.identity(topic)
        let sink = try world.open(topic)
        try sink.claim(identity, adopt: false)
        #expect(try sink.seal(identity, part: 0, batch: 1, digest: "1", rows: [row(1)]) == .written)
        #expect(
            try eventually(withinSeconds: 60) { try !world.kafka.run("transactions", ["list"]).contains("sluice.\(identity.jobID)") },
            "the id did not expire")
        #expect(try sink.seal(identity, part: 0, batch: 2, digest: "2", rows: [row(2)]) == .written)
        #expect(try sink.seal(identity, part: 0, batch: 2, digest: "2", rows: [row(2)]) == .alreadySealed)
        #expect(try world.numbers(topic) == [1, 2])
    }

    @Test func `a topic that is missing, too small, or grows is told in words that help`() throws {
        let missing = "no-topic-\(UInt32.random(in: 0 ... .max))"
        #expect(failureCode { try open(missing).claim(self.identity(missing), adopt: false) } == .topicMissing)
        #expect(failureCode { try open(missing).owner(job: "x") } == .topicMissing)
        let topic = try kafka.topic(partitions: 2)
        let identity = self.identity(topic)
        let sink = try open(topic)
        try sink.claim(identity, adopt: false)
        let small = try #require(failure { try sink.seal(identity, part: 2, batch: 1, digest: "d", rows: [row(1)]) })
        #expect(small.code == .sinkMismatch || small.code == .topicMissing, "\(small)")
        _ = try sink.seal(identity, part: 1, batch: 1, digest: "d", rows: [row(1)])
        try kafka.run("topics", ["--alter", "--topic", topic, "--partitions", "3"])
        let wider = try open(topic)
        #expect(try eventually { try queries.partitions(of: topic).count == 3 })
        try wider.claim(identity, adopt: false, after: 1)
        #expect(wider.fixedParts == 3)
        #expect(try wider.seal(identity, part: 2, batch: 2, digest: "d", rows: [row(2)]) == .written)
        #expect(try numbers(topic, 2) == [2])
    }

    @Test func `a row that is too large stops before anything is written, and leaves no transaction open`() throws {
        let topic = try kafka.topic(config: ["max.message.bytes": "2000"])
        let identity = self.identity(topic)
        let sink = try open(topic)
        try sink.claim(identity, adopt: false)
        for bytes in [5_000, 3_000_000] {
            let large = rows(.bare, [[.int64(1), .text(String(repeating: "x", count: bytes)), .int64(1)]])
            let seen = try #require(failure { try sink.seal(identity, part: 0, batch: 1, digest: "d", rows: [row(0), large]) })
            #expect(seen.code == .limitExceeded && seen.now.contains("max.message.bytes"), "\(seen)")
            #expect(try texts(topic) == [])
        }
        #expect(try sink.seal(identity, part: 0, batch: 1, digest: "d", rows: [row(3)]) == .written)
        #expect(try numbers(topic) == [3])
    }

    @Test func `a part of many rows and bytes arrives whole and in order`() throws {
        let topic = try kafka.topic()
        let identity = self.identity(topic)
        let sink = try open(topic)
        try sink.claim(identity, adopt: false)
        let pad = String(repeating: "p", count: 200)
        let chunks = (0..<50).map { chunk in
            rows(.bare, (0..<8192).map { [.int64(Int64(chunk * 8192 + $0)), .text(pad), .int64(0)] })
        }
        #expect(try sink.seal(identity, part: 0, batch: 1, digest: "d", rows: chunks) == .written)
        #expect(try numbers(topic) == (0..<Int64(50 * 8192)).map { $0 })
    }

    @Test func `a broker that allows short transactions only is named with the setting, and the sink works within them`() throws {
        let world = try TopicSinkTests(KafkaFixture.own(settings: ["transaction.max.timeout.ms=30000"]))
        let topic = try world.kafka.topic()
        let identity = self.identity(topic)
        let refused = try #require(failure { try world.open(topic).claim(identity, adopt: false) })
        #expect(refused.code == .invalidSetting && refused.what.contains("60000 ms"), "\(refused)")
        #expect(refused.now.contains("kafka.transaction.timeout.ms=30000") && refused.why.contains("transaction.max.timeout.ms"))
        for millis in ["30000", "5000"] {
            let sink = try world.open(topic, properties: ["transaction.timeout.ms": millis])
            try sink.claim(identity, adopt: false)
            let batch: BatchNumber = millis == "30000" ? 1 : 2
            let chunk = rows(.bare, (0..<20_000).map { [.int64($0), .text(String(repeating: "p", count: 200)), .int64(batch)] })
            #expect(try sink.seal(identity, part: 0, batch: batch, digest: "d", rows: [chunk]) == .written)
        }
        #expect(try world.numbers(topic).count == 40_000)
    }

    @Test func `a sink that may write its topic and not read it is told which right is missing`() throws {
        let world = try TopicSinkTests(
            KafkaFixture.own(settings: [
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "allow.everyone.if.no.acl.found=true",
            ]))
        let topic = try world.kafka.topic()
        try world.kafka.run(
            "acls", ["--add", "--allow-principal", "User:*", "--operation", "Write", "--operation", "Describe", "--topic", topic])
        let seen = try #require(failure { try world.open(topic).claim(self.identity(topic), adopt: false) })
        #expect(seen.code == .notAllowed && seen.now.contains("Read on topic \(topic)"), "\(seen)")
    }

    @Test func `a topic that was deleted and made again is another table`() throws {
        let topic = try kafka.topic()
        let identity = self.identity(topic)
        let sink = try open(topic)
        try sink.claim(identity, adopt: false)
        _ = try sink.seal(identity, part: 0, batch: 1, digest: "d", after: .nothing, rows: [row(1)])
        #expect(try eventually { try open(topic).sight(identity)?.parts == [0: SinkSight.Part(batch: 1, digest: "d")] })
        let before = try #require(try open(topic).sight(identity)?.table)
        #expect(!before.isEmpty)
        try kafka.run("topics", ["--delete", "--topic", topic])
        #expect(try eventually { try !kafka.run("topics", ["--list"]).contains(topic) })
        try kafka.run("topics", ["--create", "--topic", topic, "--partitions", "1"])
        #expect(eventually { (try? open(topic).sight(identity))??.table.map { $0 != before } ?? false })
    }

    @Test func `two names of one keyed job do not share a topic`() throws {
        let topic = try kafka.topic()
        let (eu, us) = (identity(topic, "e", .views), identity(topic, "d", .views))
        var other = us
        other.job = "us.\(topic)"
        let sink = try open(topic, .views)
        try sink.claim(eu, adopt: false)
        let chunk = rows(.views, [[.text("a"), .timestamp(0), .int64(1)]])
        _ = try sink.seal(eu, part: 0, batch: 1, digest: "d", rows: [chunk])
        #expect(
            eventually {
                let seen = failure { try open(topic, .views).claim(other, adopt: false) }
                return seen?.code == .sinkOwnedByOther && seen?.what.contains(eu.job) == true
            })
    }

    @Test func `rows cannot be looked up, and the embedded broker is no place for them`() throws {
        let topic = try kafka.topic()
        #expect(failureCode { try open(topic, .views).existing(keysOf: rows(.views, [])) } == .notPossible)
        let broker = try EmbeddedBroker(topics: [("out", 1)])
        let sink = try openSink(
            address: "kafka:out", table: .bare,
            topic: TopicSinkSettings(kafka: KafkaConfiguration(bootstrap: broker.bootstrap), format: .json))
        #expect(failureCode { try sink.owner(job: "job") } == .notPossible)
        #expect(failureCode { try sink.claim(SinkTable.bare.identity(), adopt: false) } == .notPossible)
    }
}
