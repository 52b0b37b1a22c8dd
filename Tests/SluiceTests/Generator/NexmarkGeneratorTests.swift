// Nexmark's traffic held to the numbers of the public benchmark, by a reader that shares nothing with the generator.

import Engine
import Foundation
import Sluice
import TestSupport
import Testing

/// An event as a reader of JSON sees it.
private struct NexmarkEvent: Decodable {
    struct Person: Decodable {
        var id: Int
        var name, emailAddress, creditCard, city, state, dateTime, extra: String
    }
    struct Auction: Decodable {
        var id, initialBid, reserve, seller, category: Int
        var itemName, description, dateTime, expires, extra: String
    }
    struct Bid: Decodable {
        var auction, bidder, price: Int
        var channel, url, dateTime, extra: String
    }
    var event_type: Int
    var person: Person?
    var auction: Auction?
    var bid: Bid?
    var ts: String
}

private func nexmark(events: Int, seed: UInt64 = 7, spanMillis: Int64? = nil) -> NexmarkTraffic {
    NexmarkTraffic(events: events, seed: seed, startMillis: 1_772_366_400_000, spanMillis: spanMillis ?? AdTraffic.usualSpanMillis(events: events))
}

/// Every record in the order of the events' numbers.
private func records(of traffic: NexmarkTraffic, partitions: Int = 1, block: Int = 1000) throws -> [[UInt8]] {
    let generator = try NexmarkGenerator(traffic)
    let buffer = EventBuffer(capacity: block, recordRoom: NexmarkGenerator.recordRoom)
    var counts = NexmarkCounts()
    var records = [[UInt8]](repeating: [], count: traffic.events)
    for from in stride(from: 0, to: traffic.events, by: block) {
        let until = min(from + block, traffic.events)
        for partition in 0..<partitions {
            generator.fill(buffer, from: from, until: until, partition: partition, of: partitions, counts: &counts)
            let numbers = (from..<until).filter { $0 % partitions == partition }
            #expect(buffer.count == numbers.count)
            for (index, number) in numbers.enumerated() { records[number] = Array(buffer.record(index)) }
        }
    }
    #expect(counts.events == traffic.events && counts.bytes == records.reduce(0) { $0 + $1.count })
    return records
}

private func events(of traffic: NexmarkTraffic) throws -> [NexmarkEvent] {
    try records(of: traffic).map { try JSONDecoder().decode(NexmarkEvent.self, from: Data($0)) }
}

@Suite struct NexmarkGeneratorTests {
    @Test func `a seed gives the same bytes, whatever the blocks and partitions`() throws {
        let once = try records(of: nexmark(events: 5_000))
        #expect(Set(once).count == 5_000)
        #expect(try records(of: nexmark(events: 5_000), partitions: 3, block: 77) == once)
        #expect(try records(of: nexmark(events: 5_000, seed: 8)) != once)
    }

    /// Pinned, so that a recorded run can be made again by a later build.
    @Test func `a seed's bytes are the ones that were recorded`() throws {
        // FNV-1a over the records and their order.
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        for record in try records(of: nexmark(events: 2_000)) {
            for byte in record + [0] { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        #expect(sum == 14_625_698_607_383_904_921)
    }

    @Test func `of 50 events one is a person, three are auctions, the others bids, each with the next id`() throws {
        let all = try events(of: nexmark(events: 5_000))
        for (number, event) in all.enumerated() {
            let place = number % 50
            #expect(event.event_type == (place == 0 ? 0 : place < 4 ? 1 : 2))
            #expect((event.person != nil) == (event.event_type == 0) && (event.auction != nil) == (event.event_type == 1))
            #expect((event.bid != nil) == (event.event_type == 2))
            #expect((event.person?.dateTime ?? event.auction?.dateTime ?? event.bid?.dateTime) == event.ts)
        }
        #expect(all.compactMap(\.person?.id) == Array(1000..<1100) && all.compactMap(\.auction?.id) == Array(1000..<1300))
    }

    @Test func `half of the bids are on hot auctions, three of four by hot bidders, three of four auctions by hot sellers`() throws {
        let all = try events(of: nexmark(events: 100_000))
        func share<Item>(_ items: [Item], _ holds: (Item) -> Bool) -> Double { Double(items.count(where: holds)) / Double(items.count) }
        let (bids, auctions) = (all.compactMap(\.bid), all.compactMap(\.auction))
        // Of the others about one in a hundred is a hot one by chance.
        #expect((0.495..<0.515).contains(share(bids) { $0.auction % 100 == 0 }))
        #expect((0.745..<0.765).contains(share(bids) { $0.bidder % 100 == 1 }))
        #expect((0.735..<0.775).contains(share(auctions) { $0.seller % 100 == 0 }))
        #expect((0.49..<0.51).contains(share(bids) { !$0.channel.hasPrefix("channel-") }))
        #expect((0.44..<0.46).contains(share(bids) { $0.url.contains("&channel_id=") }))
        for bound in [1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
            let expected = log10(Double(bound) / 100) / 6
            #expect(abs(share(bids) { $0.price < bound } - expected) < 0.01, "below \(bound)")
        }
        #expect(bids.allSatisfy { $0.price >= 100 && $0.price <= 100_000_000 })
        #expect(Set(auctions.map(\.category)) == [10, 11, 12, 13, 14] && Set(all.compactMap(\.person?.state)).count == 6)
    }

    @Test func `bids are on auctions in flight, by people who are active, or by the next to come`() throws {
        var (people, auctions, early) = (0, 0, 0)
        for event in try events(of: nexmark(events: 100_000)) {
            if event.person != nil { people += 1 }
            if let auction = event.auction {
                auctions += 1
                #expect(auction.seller - 1000 < people + 10 && auction.reserve > auction.initialBid)
            }
            guard let bid = event.bid else { continue }
            let (onAuction, byPerson) = (bid.auction - 1000, bid.bidder - 1000)
            let last = auctions - 1
            #expect(onAuction >= min(last - 100, last / 100 * 100) && onAuction < auctions + 10)
            #expect(byPerson >= max(0, people - 1000) && byPerson < people + 10)
            if onAuction > last { early += 1 }
        }
        #expect(early > 1_000)
    }

    @Test func `auctions are open for as long as others are in flight, in the mean, and records have their mean sizes`() throws {
        // An event each ten milliseconds: a hundred auctions come in 16.66 s.
        let all = try events(of: nexmark(events: 100_000, spanMillis: 1_000_000))
        let open = try all.compactMap(\.auction).map { try #require(parseTime($0.expires)) - #require(parseTime($0.dateTime)) }
        #expect(open.allSatisfy { $0 >= 1 && $0 <= 33_320 })
        #expect(abs(Double(open.reduce(0, +)) / Double(open.count) - 16_660) < 500)
        let times = try all.map { try #require(parseTime($0.ts)) }
        #expect(times.first == 1_772_366_400_000 && times.last == 1_772_367_399_990 && times == times.sorted())
        func mean(_ sizes: [Int]) -> Double { Double(sizes.reduce(0, +)) / Double(sizes.count) }
        #expect(abs(mean(all.compactMap(\.bid).map { 32 + $0.extra.count }) - 100) < 1)
        #expect(abs(mean(all.compactMap(\.auction).map { 48 + $0.itemName.count + $0.description.count + $0.extra.count }) - 500) < 4)
        let people = all.compactMap(\.person)
        #expect(
            abs(mean(people.map { 8 + $0.name.count + $0.emailAddress.count + $0.creditCard.count + $0.city.count + $0.state.count + $0.extra.count }) - 200) < 4)
        #expect(people.allSatisfy { $0.creditCard.wholeMatch(of: /[0-9]{4}( [0-9]{4}){3}/) != nil && $0.emailAddress.hasSuffix(".com") })
    }

    @Test(arguments: ["1970-01-03", "1999-12-31", "2000-02-29", "2024-02-29", "2100-03-01", "2400-12-31", "9998-06-30"])
    func `times are written as the calendar has them`(day: String) throws {
        let start = try #require(parseTime(day + "T23:59:59.987Z"))
        let traffic = NexmarkTraffic(events: 1, seed: 1, startMillis: start, spanMillis: 1000)
        let event = try #require(try events(of: traffic).first)
        #expect(event.ts == day + "T23:59:59.987Z")
    }
}

@Suite(.waits) struct GenerateNexmarkTests {
    private let sluice = Program(version: "9.9.9", commands: [GenerateCommand.command])

    @Test func `the command sends all events and tells what they were`() throws {
        let broker = try EmbeddedBroker(topics: [("nexmark", 4)])
        let captured = Captured()
        let words = ["generate", "nexmark", "--bootstrap", broker.bootstrap, "--events", "10000", "--start", "2026-03-01T12:00:00Z"]
        #expect(sluice.main(words, terminal: captured.terminal) == 0, "\(captured.errorText)")
        let text = captured.outputText
        #expect(text.hasPrefix("nexmark: 10,000 events of nexmark, "), "\(text)")
        #expect(text.contains("partitions  2,500 2,500 2,500 2,500\n"))
        #expect(text.contains("event time  2026-03-01T12:00:00.000Z to 2026-03-01T12:00:01.000Z, seed 1\n"))
        #expect(text.contains("people      200\n") && text.contains("auctions    600\n") && text.contains("bids        9,200\n"))
        let queries = try OffsetQueries(try KafkaConfiguration(bootstrap: broker.bootstrap))
        let ends = try queries.ends((0..<4).map { TopicPartition(topic: "nexmark", partition: $0) })
        #expect(ends.values.allSatisfy { $0 == 2_500 })
    }

    @Test(arguments: [["--disorder", "1s"], ["--ads", "ads.csv"], ["--format", "avro"], ["--expected", "x.csv"], ["--events", "0"]])
    func `what is for ad events is refused by name`(words: [String]) {
        let captured = Captured()
        #expect(sluice.main(["generate", "nexmark", "--bootstrap", "127.0.0.1:1"] + words, terminal: captured.terminal) == 2)
        #expect(captured.errorText.contains(words[0]), "\(captured.errorText)")
    }
}
