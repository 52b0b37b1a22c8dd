// The generator held to its promises by readers that share nothing with it.

import Engine
import Foundation
import Sluice
import Testing

struct AdEventGeneratorTests {
    @Test(arguments: AdEventFormat.allCases)
    func `the same description gives the same bytes whatever the block size`(format: AdEventFormat) throws {
        let wanted = traffic(format, events: 5_000) {
            $0.disorderMillis = 500
            $0.lateShare = 0.01
            $0.badShare = 0.01
        }
        let once = records(of: try AdEventGenerator(wanted), block: 1000)
        #expect(once.count == 5_000)
        #expect(records(of: try AdEventGenerator(wanted), block: 1000) == once)
        #expect(records(of: try AdEventGenerator(wanted), block: 77) == once)
        let other = traffic(format, events: 5_000, seed: 8) { $0.disorderMillis = 500 }
        #expect(records(of: try AdEventGenerator(other)) != once)
    }

    /// Pinned, so that a recorded run can be made again by a later build.
    @Test(
        arguments: [(AdEventFormat.avro, 1_446_714_436_206_453_129), (.json, 17_559_816_045_280_428_837)]
            as [(AdEventFormat, UInt64)])
    func `a seed's bytes are the ones that were recorded`(format: AdEventFormat, hash: UInt64) throws {
        let wanted = traffic(format, events: 2_000) {
            $0.disorderMillis = 500
            $0.lateShare = 0.02
            $0.unknownShare = 0.02
            $0.badShare = 0.02
        }
        // FNV-1a over the records and their order.
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        for record in records(of: try AdEventGenerator(wanted)) {
            for byte in record.bytes + [0] { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        #expect(sum == hash)
    }

    @Test func `both formats tell the same events`() throws {
        let avro = records(of: try AdEventGenerator(traffic(.avro, events: 3_000)))
        let json = records(of: try AdEventGenerator(traffic(.json, events: 3_000)))
        for (left, right) in zip(avro, json) {
            let event = try #require(try decode(left, .avro))
            #expect(try decode(right, .json) == event)
            #expect(left.timestampMillis == event.eventTimeMillis && left.partition == right.partition)
        }
    }

    @Test func `events have the fields and values of the ad event and spread over all of them`() throws {
        let generator = try AdEventGenerator(traffic(.avro, events: 30_000))
        var types: [String: Int] = [:]
        var eventTypes: [String: Int] = [:]
        var ads: Set<String> = []
        let uuid = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/
        for record in records(of: generator) {
            let event = try #require(decodeAvro(record.bytes))
            types[event.adType, default: 0] += 1
            eventTypes[event.eventType, default: 0] += 1
            ads.insert(event.adID)
            #expect(event.address.split(separator: ".").compactMap { UInt8($0) }.count == 4)
            for id in [event.userID, event.pageID, event.adID] { #expect(id.wholeMatch(of: uuid) != nil) }
        }
        #expect(Set(types.keys) == ["banner", "modal", "sponsored-search", "mail", "mobile"])
        #expect(Set(eventTypes.keys) == ["view", "click", "purchase"])
        #expect(types.values.allSatisfy { abs($0 - 6_000) < 400 })
        #expect(eventTypes.values.allSatisfy { abs($0 - 10_000) < 500 })
        #expect(ads == Set(generator.directory.adIDs.map { String(decoding: $0, as: UTF8.self) }))
    }

    @Test(arguments: [1, 3, 4, 7])
    func `event i goes to partition i modulo the partitions, in order`(partitions: Int) throws {
        let generator = try AdEventGenerator(traffic(.json, events: 1_001))
        let whole = records(of: generator, partitions: 1)
        let split = records(of: generator, partitions: partitions, block: 100)
        for partition in 0..<partitions {
            let expected = stride(from: partition, to: whole.count, by: partitions).map { whole[$0].bytes }
            #expect(split.filter { $0.partition == partition }.map(\.bytes) == expected)
            #expect(
                AdEventGenerator.share(ofPartition: partition, of: partitions, from: 0, until: 1_001) == expected.count)
        }
    }

    @Test(arguments: [0, 500, 9_000] as [Int64])
    func `event times advance evenly and are out of order by the disorder at most`(disorder: Int64) throws {
        let wanted = traffic(.avro, events: 20_000) {
            $0.disorderMillis = disorder
            $0.spanMillis = 40_000
        }
        var newest = wanted.startMillis
        var furthest: Int64 = 0
        for (index, record) in records(of: try AdEventGenerator(wanted), partitions: 1).enumerated() {
            let due = wanted.startMillis + Int64(index) * 2
            let earliest = max(wanted.startMillis, due - disorder)
            try #require(record.timestampMillis <= due && record.timestampMillis >= earliest)
            furthest = max(furthest, newest - record.timestampMillis)
            newest = max(newest, record.timestampMillis)
        }
        #expect(furthest <= disorder)
        #expect(furthest > disorder / 2 || disorder == 0)
    }

    @Test(arguments: AdEventFormat.allCases)
    func `exceptions come in their shares and are counted as what they are`(format: AdEventFormat) throws {
        let wanted = traffic(format, events: 40_000) {
            $0.lateShare = 0.05
            $0.unknownShare = 0.03
            $0.badShare = 0.02
            $0.disorderMillis = 500
        }
        let generator = try AdEventGenerator(wanted)
        var counts = TrafficCounts()
        let all = records(of: generator, counts: &counts)
        let known = Set(generator.directory.adIDs.map { String(decoding: $0, as: UTF8.self) })
        let firstWindow = wanted.startMillis - wanted.startMillis % 10_000
        var seen = TrafficCounts()
        for record in all {
            seen.events += 1
            seen.bytes += record.bytes.count
            guard let event = try decode(record, format) else {
                seen.bad += 1
                continue
            }
            let isView = event.eventType == "view"
            if !known.contains(event.adID) {
                seen.unknown += 1
                seen.unknownViews += isView ? 1 : 0
            } else if event.eventTimeMillis < firstWindow {
                try #require(event.eventTimeMillis < wanted.startMillis - 3_600_000)
                try #require(event.eventTimeMillis / 10_000 < firstWindow / 10_000 - 359)
                seen.late += 1
                seen.lateViews += isView ? 1 : 0
            } else {
                seen.views += isView ? 1 : 0
            }
        }
        #expect(seen == counts)
        #expect(abs(counts.late - 2_000) < 200)
        #expect(abs(counts.unknown - 1_200) < 150)
        #expect(abs(counts.bad - 800) < 120)
    }

    @Test(arguments: [90_000_000, 31_536_000_000, 1_000_000_000_000, 253_370_764_700_000] as [Int64])
    func `event times of any length are written alike in both formats`(start: Int64) throws {
        for format in AdEventFormat.allCases {
            let wanted = traffic(format, events: 500) {
                $0.startMillis = start
                $0.lateShare = 0.5
            }
            for record in records(of: try AdEventGenerator(wanted)) {
                #expect(try decode(record, format)?.eventTimeMillis == record.timestampMillis)
            }
        }
    }

    @Test func `an Avro value carries the schema id that was asked for`() throws {
        let generator = try AdEventGenerator(traffic(.avro, events: 10) { $0.schemaID = 70_000 })
        for record in records(of: generator) { #expect(decodeAvro(record.bytes, schemaID: 70_000) != nil) }
    }

    @Test func `the usual start leaves no event in the future`() {
        let now: Int64 = 1_772_366_412_345
        let span = AdTraffic.usualSpanMillis(events: 100_000)
        #expect(span == 10_000)
        let start = AdTraffic.usualStartMillis(nowMillis: now, spanMillis: span)
        #expect(start + span <= now && start + span > now - 10_000 && start % 10_000 == 0)
    }

    struct Refusal: Sendable {
        var option: String
        var change: @Sendable (inout AdTraffic) -> Void
    }

    @Test(arguments: [
        Refusal(option: "--events") { $0.events = 0 }, Refusal(option: "--span") { $0.spanMillis = 0 },
        Refusal(option: "--start") { $0.startMillis = 1000 },
        Refusal(option: "--disorder") { $0.disorderMillis = 3_600_001 },
        Refusal(option: "--late-share") { $0.lateShare = 1.5 }, Refusal(option: "--bad-share") { $0.badShare = .nan },
        Refusal(option: "--unknown-share") { $0.unknownShare = -0.1 },
        Refusal(option: "--late-share") {
            $0.lateShare = 0.6
            $0.badShare = 0.6
        },
        Refusal(option: "--campaigns") { $0.campaigns = 0 },
        Refusal(option: "--campaigns") { $0.adsPerCampaign = 100_000 },
    ])
    func `a description that cannot be met is refused by name`(refusal: Refusal) throws {
        let failure = try #require(throws: Failure.self) {
            _ = try AdEventGenerator(traffic(.avro, events: 10, change: refusal.change))
        }
        #expect(failure.code == .invalidSetting && failure.what.contains(refusal.option))
    }
}
