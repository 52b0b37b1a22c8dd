// The expected answer against a recount from the JSON text itself.

import Engine
import Foundation
import Sluice
import TestSupport
import Testing

struct ViewTallyTests {
    @Test(arguments: [0, 4_321] as [Int64])
    func `the expected answer equals a recount of the decoded events`(offset: Int64) throws {
        let wanted = traffic(.json, events: 30_000) {
            $0.startMillis += offset
            $0.spanMillis = 95_000
            $0.disorderMillis = 500
            $0.lateShare = 0.05
            $0.unknownShare = 0.05
            $0.badShare = 0.05
            $0.campaigns = 7
        }
        let generator = try AdEventGenerator(wanted)
        let tally = try ViewTally(wanted, generator.directory)
        var counts = TrafficCounts()
        let all = records(of: generator, tally: tally, counts: &counts)

        var campaigns: [String: String] = [:]
        for line in String(decoding: generator.directory.csv, as: UTF8.self).split(separator: "\n").dropFirst() {
            let fields = line.split(separator: ",").map(String.init)
            campaigns[fields[0]] = fields[1]
        }
        #expect(campaigns.count == 70 && Set(campaigns.values).count == 7)
        let times = ISO8601DateFormatter()
        times.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        var views: [String: Int] = [:]
        for record in all {
            guard let event = try decodeJSON(record.bytes), event.eventType == "view",
                let campaign = campaigns[event.adID], event.eventTimeMillis >= wanted.startMillis
            else { continue }
            let start = Date(timeIntervalSince1970: Double(event.eventTimeMillis / 10_000) * 10)
            views["\(campaign),\(times.string(from: start))", default: 0] += 1
        }
        let expected = ["campaign_id,window_start,views"] + views.map { "\($0.key),\($0.value)" }.sorted()
        let (bytes, rows) = tally.csv()
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        #expect(lines == expected)
        #expect(rows == expected.count - 1 && rows > 60)
        #expect(views.values.reduce(0, +) == counts.views)
    }

    @Test func `the order of blocks and partitions does not change the answer`() throws {
        let wanted = traffic(.avro, events: 10_000) { $0.disorderMillis = 2_000 }
        let generator = try AdEventGenerator(wanted)
        func answer(partitions: Int, block: Int) throws -> [UInt8] {
            let tally = try ViewTally(wanted, generator.directory)
            var counts = TrafficCounts()
            _ = records(of: generator, partitions: partitions, block: block, tally: tally, counts: &counts)
            return tally.csv().bytes
        }
        #expect(try answer(partitions: 1, block: 10_000) == answer(partitions: 5, block: 333))
    }

    @Test func `an answer too large for memory is refused`() throws {
        let wanted = traffic(.avro, events: 10) {
            $0.spanMillis = 365 * 86_400_000
            $0.campaigns = 1000
        }
        let directory = AdDirectory(seed: 1, campaigns: 1000, adsPerCampaign: 10)
        let failure = try #require(throws: Failure.self) { _ = try ViewTally(wanted, directory) }
        #expect(failure.code == .invalidSetting && failure.now.contains("--expected"))
    }

    @Test func `the list of ads replaces its own kind and no other file`() throws {
        let folder = try TemporaryDirectory("ads")
        let path = folder.file("in/ads.csv")
        try AdDirectory(seed: 1, campaigns: 2, adsPerCampaign: 3).write(to: path)
        try AdDirectory(seed: 2, campaigns: 2, adsPerCampaign: 3).write(to: path)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.hasPrefix("ad_id,campaign_id\n") && text.split(separator: "\n").count == 7)
        try "mine".write(toFile: path, atomically: true, encoding: .utf8)
        let failure = try #require(throws: Failure.self) {
            try AdDirectory(seed: 1, campaigns: 2, adsPerCampaign: 3).write(to: path)
        }
        #expect(failure.code == .fileInvalid)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["SLUICE_BENCH"] != nil), arguments: AdEventFormat.allCases)
    func `bench of making events`(format: AdEventFormat) throws {
        let wanted = traffic(format, events: 8_000_000) { $0.disorderMillis = 500 }
        let generator = try AdEventGenerator(wanted)
        let tally = try ViewTally(wanted, generator.directory)
        let buffer = EventBuffer(capacity: 1024)
        var counts = TrafficCounts()
        let clock = ContinuousClock()
        let elapsed = clock.measure {
            for from in stride(from: 0, to: wanted.events, by: 4096) {
                let until = min(from + 4096, wanted.events)
                for partition in 0..<4 {
                    counts += generator.fill(
                        buffer, from: from, until: until, partition: partition, of: 4, tally: tally)
                }
            }
        }
        #expect(counts.events == wanted.events)
        let nanoseconds = Double(elapsed.components.attoseconds) / 1e9 + Double(elapsed.components.seconds) * 1e9
        print(
            "\(format): \((nanoseconds / Double(wanted.events) * 10).rounded() / 10) ns an event, "
                + "\(counts.bytes / counts.events) bytes"
        )
    }
}
