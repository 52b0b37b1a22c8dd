import Engine
import Foundation
import TestSupport
import Testing

/// `sluice query` over a real topic: the answer is that of an independent count, and of a real PostgreSQL.
@Suite(.waits, .serialized) struct QueryTests {
    /// Declares the topic of a harness.
    private func events(_ harness: JobHarness, more: String = "") -> String {
        """
        CREATE TABLE ad_events (user_id text, page_id text, ad_id text, ad_type text, event_type text, event_time timestamptz NOT NULL)
            WITH (connector = 'kafka', topic = '\(harness.topic)', format = 'json', event_time = 'event_time'\(more));
        CREATE TABLE ads (ad_id text PRIMARY KEY, campaign_id text NOT NULL)
            WITH (connector = 'sqlite', url = 'sqlite:ads.db', table = 'ads', mode = 'lookup');
        """
    }

    private func write(_ text: String, to name: String, _ harness: JobHarness) throws {
        try text.write(toFile: harness.directory.file(name), atomically: true, encoding: .utf8)
    }

    private func lines(_ result: ProcessResult) -> [String] { result.output.split(separator: "\n").map(String.init) }

    /// The lookup file as a table of SQLite.
    private func storeAds(_ harness: JobHarness) throws {
        let database = try openDatabase("sqlite:" + harness.directory.file("ads.db"))
        defer { database.close() }
        // As anybody's file is.
        try database.execute("PRAGMA journal_mode=DELETE")
        try database.execute("CREATE TABLE ads (ad_id text PRIMARY KEY, campaign_id text NOT NULL)")
        let text = try String(contentsOfFile: harness.directory.file("ads.csv"), encoding: .utf8)
        try database.transaction {
            for line in text.split(separator: "\n").dropFirst() {
                let fields = line.split(separator: ",").map(String.init)
                try database.execute("INSERT INTO ads VALUES ($1, $2)", [.text(fields[0]), .text(fields[1])])
            }
        }
    }

    @Test func `a question over a topic has the answer of an independent count`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000, format: "json")
        try storeAds(harness)
        try write(events(harness), to: "tables.sql", harness)
        let question = """
            SELECT campaign_id, (extract(epoch FROM window_start) * 1000)::int8 AS start, count(*) AS views
            FROM tumble(ad_events, event_time, '10 s') JOIN ads USING (ad_id) WHERE event_type = 'view' GROUP BY campaign_id, window_start
            """
        let result = try harness.sluice(
            "query", question, "--tables", "tables.sql", "--bootstrap", harness.bootstrap, "--format", "csv")
        let expected = try harness.expected().map { line in
            let fields = line.split(separator: ",").map(String.init)
            return "\(fields[0]),\(try #require(parseTime(fields[1]))),\(fields[2])"
        }
        #expect(lines(result).first == "campaign_id,start,views")
        #expect(lines(result).dropFirst().sorted() == expected.sorted())
        #expect(result.errors.contains("out of 20,000 records of 4 partitions"), "\(result.errors)")
        // The same again, byte for byte; nothing was written anywhere.
        let again = try harness.sluice("query", question, "--tables", "tables.sql", "--bootstrap", harness.bootstrap, "--format", "csv")
        #expect(again.output == result.output)
        #expect(!FileManager.default.fileExists(atPath: harness.directory.file(".sluice")))
        let ads = try SQLiteDatabase(path: harness.directory.file("ads.db"), readOnly: true)
        #expect(try ads.execute("PRAGMA journal_mode") == [[.text("delete")]])
        ads.close()
        try FileManager.default.removeItem(atPath: harness.directory.file("ads.db"))
        let lost = try harness.sluice("query", question, "--tables", "tables.sql", "--bootstrap", harness.bootstrap, expecting: 1)
        #expect(lost.errors.contains("there is no such file"), "\(lost.errors)")
        #expect(!FileManager.default.fileExists(atPath: harness.directory.file("ads.db")))
    }

    @Test func `order, limit and formats are as they were asked for`() throws {
        let harness = try JobHarness(partitions: 1)
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        let rows = [
            #"{"id":1,"name":"a, \"b\"","price":1.50,"ok":true,"tags":{"b":1,"a":[2]}}"#, #"{"id":2,"name":null,"price":null,"ok":false}"#,
            #"{"id":3,"name":"","price":-7,"ok":null,"tags":null}"#,
        ]
        for row in rows { try producer.send(topic: harness.topic, text: row) }
        try producer.flush()
        try write(
            """
            CREATE TABLE t (id int8, name text, price numeric(10, 2), ok boolean, tags jsonb) WITH (connector = 'kafka', topic = '\(harness.topic)', format = 'json');
            """, to: "tables.sql", harness)
        func ask(_ question: String, _ format: String) throws -> [String] {
            try lines(harness.sluice("query", question, "--tables", "tables.sql", "--bootstrap", harness.bootstrap, "--format", format))
        }
        #expect(try ask("SELECT * FROM t", "csv") == ["id,name,price,ok,tags", #"1,"a, ""b""",1.50,t,"{""a"": [2], ""b"": 1}""#, "2,,,f,", #"3,"",-7.00,,"#])
        #expect(
            try ask("SELECT * FROM t", "json") == [
                #"{"id":1,"name":"a, \"b\"","price":1.50,"ok":true,"tags":{"a": [2], "b": 1}}"#,
                #"{"id":2,"name":null,"price":null,"ok":false,"tags":null}"#, #"{"id":3,"name":"","price":-7.00,"ok":null,"tags":null}"#,
            ])
        #expect(try ask("SELECT id FROM t ORDER BY price", "csv") == ["id", "1", "2", "3"], "by what is not shown there is no order, and a note says so")
        #expect(try ask("SELECT id, price FROM t ORDER BY price DESC", "csv") == ["id,price", "2,", "1,1.50", "3,-7.00"])
        #expect(try ask("SELECT id, price FROM t ORDER BY 2 NULLS FIRST LIMIT 2", "csv") == ["id,price", "2,", "3,-7.00"])
        #expect(try ask("SELECT ok, count(*) FROM t GROUP BY ok ORDER BY count(*) DESC, ok", "csv") == ["ok,count", "f,1", "t,1", ",1"])
        #expect(try ask("SELECT id, name FROM t WHERE id < 3 ORDER BY id", "table") == ["id  name", " 1  a, \"b\"", " 2"])
        #expect(try ask("SELECT count(*) FROM t WHERE id > 100", "csv") == ["count", "0"])
    }

    @Test(TestBroker.needsReal) func `the last row of each key is found by the keys of the records, and deletes count`() throws {
        let harness = try JobHarness(partitions: 2)
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        func put(_ key: String, _ value: String?, _ partition: Int32) throws {
            try Array(key.utf8).withUnsafeBufferPointer { key in
                guard let value else { return try producer.send(topic: harness.topic, partition: partition, key: key, value: nil, timestampMillis: 1_700_000_000_000) }
                try Array(value.utf8).withUnsafeBufferPointer {
                    try producer.send(topic: harness.topic, partition: partition, key: key, value: $0, timestampMillis: 1_700_000_000_000)
                }
            }
        }
        try put("a", #"{"name":"one"}"#, 0)
        try put("b", #"{"name":"two"}"#, 1)
        try put("a", #"{"name":"three"}"#, 0)
        try put("c", #"{"name":"four"}"#, 1)
        try put("c", nil, 1)
        try producer.flush()
        try write(
            """
            CREATE TABLE t (id text PRIMARY KEY, name text) WITH (connector = 'kafka', topic = '\(harness.topic)', format = 'json', mode = 'upsert', key_format = 'text');
            """, to: "tables.sql", harness)
        let question = "SELECT id, name FROM t ORDER BY id"
        let found = try harness.sluice("query", question, "--tables", "tables.sql", "--bootstrap", harness.bootstrap, "--format", "csv")
        #expect(lines(found) == ["id,name", "a,three", "b,two"])
        // From its beginning, whatever --from says.
        let later = try harness.sluice(
            "query", question, "--tables", "tables.sql", "--bootstrap", harness.bootstrap, "--format", "csv", "--from", "2026-11-01T00:00:00Z")
        #expect(later.output == found.output)
    }

    @Test(TestBroker.needsReal) func `a span is in the times that records were stamped with`() throws {
        let harness = try JobHarness(partitions: 1)
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        for number in 0..<10 { try producer.send(topic: harness.topic, text: #"{"n":\#(number)}"#, timestampMillis: 1_700_000_000_000 + Int64(number) * 60_000) }
        try producer.flush()
        let text = "CREATE TABLE t (n int4) WITH (connector = 'kafka', topic = '\(harness.topic)', format = 'json'); SELECT n, record_time FROM t"
        let found = try harness.sluice(
            "query", text, "--bootstrap", harness.bootstrap, "--format", "csv", "--from", formatTime(1_700_000_180_000), "--to", formatTime(1_700_000_300_000))
        #expect(lines(found) == ["n,record_time", "3,2023-11-14 22:16:20+00", "4,2023-11-14 22:17:20+00"])
    }

    @Test func `records that are no rows are left out, counted, and told with the first one's place`() throws {
        let harness = try JobHarness(partitions: 1)
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        for text in [#"{"n":1}"#, "{", #"{"n":"x"}"#, #"{"n":4}"#, #"{"m":5}"#] { try producer.send(topic: harness.topic, text: text) }
        try producer.flush()
        let table = "CREATE TABLE t (n int4 NOT NULL) WITH (connector = 'kafka', topic = '\(harness.topic)', format = 'json'); SELECT 12 / (n - 4) AS q FROM t"
        let found = try harness.sluice("query", table, "--bootstrap", harness.bootstrap, "--format", "csv")
        #expect(lines(found) == ["q", "-4"])
        #expect(found.errors.contains("\(harness.topic): left out: 2 undecodable, 1 with NULL where none may be; the first at partition 0 offset 1: "), "\(found.errors)")
        #expect(found.errors.contains("1 row failed in the query and is left out\n  at query:1:"), "\(found.errors)")
        #expect(found.errors.contains("division by zero (22012)"), "\(found.errors)")
        let stopped = try harness.sluice("query", "SET on_error = 'stop'; " + table, "--bootstrap", harness.bootstrap, expecting: 1)
        #expect(stopped.errors.contains("\(harness.topic) partition 0 offset 1"), "\(stopped.errors)")
    }

    @Test func `what is wrong is said with the name and the line of its own text, and nothing is read`() throws {
        let harness = try JobHarness(partitions: 1)
        try write("-- tables\n" + events(harness), to: "tables.sql", harness)
        func refused(_ arguments: String...) throws -> String {
            let result = try SluiceProcess.run(["query"] + arguments, in: harness.directory.path)
            #expect(result.status == 1 || result.status == 2, "\(arguments)")
            #expect(result.output.isEmpty)
            return result.errors
        }
        let wrong = try refused("SELECT\n  campain FROM ad_events", "--tables", "tables.sql", "--bootstrap", harness.bootstrap)
        #expect(wrong.hasPrefix("query:2:3: "), "\(wrong)")
        try write(events(harness).replacing("user_id text", with: "user_id texxt"), to: "wrong.sql", harness)
        let table = try refused("SELECT 1 FROM ad_events", "--tables", "wrong.sql", "--bootstrap", harness.bootstrap)
        #expect(table.hasPrefix("wrong.sql:1:"), "\(table)")
        #expect(try refused("tables.sql", "--bootstrap", harness.bootstrap).contains("without an output"))
        #expect(try refused("SELECT count(*) FROM ad_events", "--tables", "tables.sql").contains("no Kafka is named"))
        let missing = try refused(
            "CREATE TABLE t (n int4) WITH (connector = 'kafka', topic = 'not-there', format = 'json'); SELECT n FROM t", "--bootstrap", harness.bootstrap)
        #expect(missing.contains("not-there"), "\(missing)")
        #expect(try refused("SELECT record_headers FROM ad_events", "--tables", "tables.sql", "--bootstrap", harness.bootstrap).contains("record_headers is not there yet"))
    }
}
