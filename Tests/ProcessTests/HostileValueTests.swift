// Values out of records that stopped jobs or were taken for others: on the real binary, over a real topic.

import Engine
import Foundation
import TestSupport
import Testing

private func event(_ number: Int, time: String = "\(1_772_366_400_000 as Int64)") -> String {
    #"{"user_id":"u\#(number)","page_id":"p","ad_id":"a","ad_type":"mail","event_type":"purchase","event_time":\#(time),"ip_address":"1.1.1.1"}"#
}

@Suite(.waits) struct HostileValueTests {
    private func send(_ harness: JobHarness, _ body: (KafkaProducer) throws -> Void) throws {
        let producer = try KafkaProducer(KafkaConfiguration(bootstrap: harness.bootstrap))
        try body(producer)
        try producer.flush()
    }

    @Test func `event times at the ends of 64 bits are set apart, and the stream and its watermark go on`() throws {
        for sink in [nil, PostgresFixture.missingReason == nil ? try postgresSink() : nil] {
            let harness = try JobHarness(partitions: 2, sink: sink)
            try send(harness) { producer in
                for number in 0..<10 { try producer.send(topic: harness.topic, partition: 0, text: event(number)) }
                let times = ["\(Int64.min)", "\(Int64.min + 1)", "\(Int64.max)", "-9223372036854775809", "1772366400000000", "-62135596800001"]
                for (number, time) in times.enumerated() {
                    // The first of its partition, and the last.
                    try producer.send(topic: harness.topic, partition: Int32(number % 2), text: event(number, time: time))
                }
                for number in 10..<20 { try producer.send(topic: harness.topic, partition: 0, text: event(number)) }
                try producer.send(topic: harness.topic, partition: 1, text: event(20, time: "\(Int64.min)"))
            }
            let result = try harness.run("purchases", workers: 1, format: "json")
            #expect(result.output.contains("7 rejected"), "\(result.output)")
            #expect(try harness.count("SELECT count(*) FROM purchases") == 20)
            let kept = try harness.sluice("quarantine", "purchases", "--json").output
            #expect(kept.components(separatedBy: "timeOutOfRange").count == 8, "\(kept)")
            try send(harness) { try $0.send(topic: harness.topic, partition: 1, text: event(21)) }
            try harness.run("purchases", workers: 1, format: "json")
            #expect(try harness.count("SELECT count(*) FROM purchases") == 21)
        }
    }

    @Test func `600 tombstones of 1,000 records neither stop the job nor count as rejected`() throws {
        let harness = try JobHarness(partitions: 1)
        try send(harness) { producer in
            for number in 0..<1000 {
                if number % 5 < 3 {
                    try Array("k".utf8).withUnsafeBufferPointer { try producer.send(topic: harness.topic, partition: 0, key: $0, value: nil) }
                } else {
                    try producer.send(topic: harness.topic, text: event(number))
                }
            }
        }
        let result = try harness.run("purchases", workers: 0, format: "json")
        #expect(result.output.contains("600 tombstones") && result.output.contains("0 rejected"), "\(result.output)")
        #expect(try harness.count("SELECT count(*) FROM purchases") == 400)
        #expect(try harness.sluice("batches", "purchases", "--json").output.contains("\"tombstones\":600"))
    }

    @Test func `99 records of 99 in another format are said and stop the job, with the time or the bytes that came out`() throws {
        let harness = try JobHarness(partitions: 1)
        try send(harness) { producer in for number in 0..<99 { try producer.send(topic: harness.topic, text: event(number)) } }
        let result = try harness.run("purchases", workers: 0, format: "avro", expecting: 1)
        for word in ["99 of 99", "framing", "7b 22", "looks like JSON", "no record of batch 1 could be read"] {
            #expect(result.errors.contains(word), "\(word) is not in \(result.errors)")
        }
    }

    @Test func `microseconds taken for milliseconds are named, with the time that came out`() throws {
        let harness = try JobHarness(partitions: 1)
        let micros = "\(Int64(Date().timeIntervalSince1970) * 1_000_000)"
        try send(harness) { producer in for number in 0..<5 { try producer.send(topic: harness.topic, text: event(number, time: micros)) } }
        let result = try harness.run("purchases", workers: 0, format: "json", expecting: 1)
        #expect(result.errors.contains("looks like microseconds") && result.errors.contains("came out"), "\(result.errors)")
    }

    @Test func `a topic with two writer schemas is read by ids, and refused where one file stands for both`() throws {
        let harness = try JobHarness(partitions: 1)
        func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count * 2)] + Array(text.utf8) }
        func long(_ value: Int64) -> [UInt8] {
            var (rest, bytes) = (UInt64(bitPattern: value << 1 ^ value >> 63), [UInt8]())
            while rest > 0x7F {
                bytes.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            return bytes + [UInt8(rest)]
        }
        try send(harness) { producer in
            for number in 0..<30 {
                let rest = text("a") + text("mail") + text("purchase") + long(1_772_366_400_000) + text("1.1.1.1")
                let (user, page) = (text("user\(number)"), text("page\(number)"))
                // The second schema has the first two fields the other way round.
                let value: [UInt8] = number % 2 == 0 ? [0, 0, 0, 0, 1] + user + page + rest : [0, 0, 0, 0, 2] + page + user + rest
                try value.withUnsafeBufferPointer { try producer.send(topic: harness.topic, partition: 0, value: $0) }
            }
        }
        let turned = AvroSchema.adEventText
            .replacingOccurrences(of: "\"user_id\"", with: "\"x\"").replacingOccurrences(of: "\"page_id\"", with: "\"user_id\"")
            .replacingOccurrences(of: "\"x\"", with: "\"page_id\"")
        try AvroSchema.adEventText.write(toFile: harness.directory.file("a.avsc"), atomically: true, encoding: .utf8)
        try turned.write(toFile: harness.directory.file("b.avsc"), atomically: true, encoding: .utf8)
        let refused = try harness.run("purchases", workers: 1, extra: ["--catalog", "sqlite:first.db"], expecting: 1)
        #expect(refused.errors.contains("more than one writer schema") && refused.errors.contains("1, 2"), "\(refused.errors)")
        let read = try harness.run("purchases", workers: 1, extra: ["--adopt", "--schema", "1=a.avsc,2=b.avsc"])
        #expect(read.output.contains("30 in  30 out"), "\(read.output)")
        #expect(try harness.count("SELECT count(*) FROM purchases WHERE user_id LIKE 'user%'") == 30)
        let one = try harness.run("purchases", workers: 1, extra: ["--name", "one", "--sink", "sqlite:one.db", "--schema-id", "1"])
        #expect(one.output.contains("15 rejected"), "\(one.output)")
        #expect(try harness.sluice("quarantine", "one", "--json").output.contains("unknownSchema"))
    }
}
