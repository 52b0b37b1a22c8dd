// Makes the events of Nexmark: (description, event number) -> one record of JSON.
//
// Pure: no clock, no broker, no state from one event to the next. The event's number is mixed with the seed into the start of
// a small generator that only this event reads, so a seed gives the same bytes however many partitions there are and in
// whatever blocks they are filled. Event `i` goes to partition `i % partitions`.
//
// A record is `{"event_type":0|1|2,"person":P,"auction":A,"bid":B,"ts":T}`, of which two of P, A and B are null: the form in
// which Flink's Nexmark keeps all three streams in one topic. Times are texts of ISO 8601, so that a cast reads them.
//
// When changing this file: the bytes of a seed are pinned by a test, and `recordRoom` must hold the longest record.

import Glibc

package final class NexmarkGenerator: Sendable {
    /// The longest record is an auction: up to 540 of padding, 120 of name and description, 270 of syntax, numbers and times.
    package static let recordRoom = 1280

    package let traffic: NexmarkTraffic
    private let words: NexmarkWords
    private let draws: SeededDraws

    /// Mean sizes that the padding fills up to.
    private static let personBytes = 200
    private static let auctionBytes = 500
    private static let bidBytes = 100

    package init(_ traffic: NexmarkTraffic) throws {
        self.traffic = try traffic.checked()
        words = NexmarkWords(seed: traffic.seed)
        draws = SeededDraws(seed: traffic.seed, .nexmark)
    }

    /// Fills `buffer` with those of the events `[from, until)` that go to `partition`; `counts` grows by them.
    package func fill(
        _ buffer: EventBuffer, from: Int, until: Int, partition: Int, of partitions: Int, counts: inout NexmarkCounts
    ) {
        precondition(0 <= from && from <= until && until <= traffic.events && (0..<partitions).contains(partition))
        let records = AdEventGenerator.share(ofPartition: partition, of: partitions, from: from, until: until)
        precondition(records <= buffer.capacity && buffer.recordRoom >= Self.recordRoom)
        var event = from + (partition - from % partitions + partitions) % partitions
        var record = RecordWriter(to: buffer.bytes)
        for index in 0..<records {
            let millis = traffic.millis(event: event)
            write(event, millis, &record)
            buffer.starts[index + 1] = record.count(from: buffer.bytes)
            buffer.times[index] = millis
            precondition(buffer.starts[index + 1] - buffer.starts[index] <= Self.recordRoom)
            switch NexmarkTraffic.kind(event: event) {
            case .person: counts.people += 1
            case .auction: counts.auctions += 1
            case .bid: counts.bids += 1
            }
            event += partitions
        }
        buffer.filled(records)
        counts.events += records
        counts.bytes += buffer.byteCount
    }

    private func write(_ event: Int, _ millis: Int64, _ record: inout RecordWriter) {
        var random = EventDraws(draws.draw(event))
        switch NexmarkTraffic.kind(event: event) {
        case .person:
            record.add(#"{"event_type":0,"person":"#)
            person(event, millis, &random, &record)
            record.add(#","auction":null,"bid":null,"ts":"#)
        case .auction:
            record.add(#"{"event_type":1,"person":null,"auction":"#)
            auction(event, millis, &random, &record)
            record.add(#","bid":null,"ts":"#)
        case .bid:
            record.add(#"{"event_type":2,"person":null,"auction":null,"bid":"#)
            bid(event, millis, &random, &record)
            record.add(#","ts":"#)
        }
        record.time(millis)
        record.add("}")
    }

    private func person(_ event: Int, _ millis: Int64, _ random: inout EventDraws, _ record: inout RecordWriter) {
        record.add(#"{"id":"#)
        record.number(NexmarkTraffic.firstPerson + NexmarkTraffic.lastPerson(event: event))
        var size = 8
        record.add(#","name":""#)
        size += record.add(random.one(of: words.firstNames))
        record.add(" ")
        size += 1 + record.add(random.one(of: words.lastNames))
        record.add(#"","emailAddress":""#)
        size += record.words(7, &random)
        record.add("@")
        size += record.words(5, &random) + 5
        record.add(#".com","creditCard":""#)
        for group in 0..<4 {
            if group > 0 { record.add(" ") }
            record.fourDigits(random.below(10_000))
        }
        size += 19
        record.add(#"","city":""#)
        size += record.add(random.one(of: words.cities))
        record.add(#"","state":""#)
        size += record.add(random.one(of: words.states))
        record.add(#"","dateTime":"#)
        record.time(millis)
        padding(size, mean: Self.personBytes, &random, &record)
    }

    private func auction(_ event: Int, _ millis: Int64, _ random: inout EventDraws, _ record: inout RecordWriter) {
        let last = NexmarkTraffic.lastPerson(event: event)
        let isHot = random.below(NexmarkTraffic.hotSellerRatio) > 0
        let seller = isHot ? last / NexmarkTraffic.hotGroup * NexmarkTraffic.hotGroup : anyPerson(last, &random)
        let initialBid = price(&random)
        let expires = millis + 1 + Int64(random.below(max(1, 2 * Int(traffic.meanAuctionMillis(event: event)))))
        record.add(#"{"id":"#)
        record.number(NexmarkTraffic.firstAuction + NexmarkTraffic.lastAuction(event: event))
        record.add(#","itemName":""#)
        var size = 48 + record.words(20, &random)
        record.add(#"","description":""#)
        size += record.words(100, &random)
        record.add(#"","initialBid":"#)
        record.number(initialBid)
        record.add(#","reserve":"#)
        record.number(initialBid + price(&random))
        record.add(#","dateTime":"#)
        record.time(millis)
        record.add(#","expires":"#)
        record.time(expires)
        record.add(#","seller":"#)
        record.number(NexmarkTraffic.firstPerson + seller)
        record.add(#","category":"#)
        record.number(NexmarkTraffic.firstCategory + random.below(NexmarkTraffic.categories))
        padding(size, mean: Self.auctionBytes, &random, &record)
    }

    private func bid(_ event: Int, _ millis: Int64, _ random: inout EventDraws, _ record: inout RecordWriter) {
        let (lastAuction, lastPerson) = (NexmarkTraffic.lastAuction(event: event), NexmarkTraffic.lastPerson(event: event))
        let group = NexmarkTraffic.hotGroup
        let isHotAuction = random.below(NexmarkTraffic.hotAuctionRatio) > 0
        let auction = isHotAuction ? lastAuction / group * group : anyAuction(lastAuction, &random)
        // The second of a hundred, so that hot bidders are not the hot sellers.
        let isHotBidder = random.below(NexmarkTraffic.hotBidderRatio) > 0
        let bidder = isHotBidder ? lastPerson / group * group + 1 : anyPerson(lastPerson, &random)
        record.add(#"{"auction":"#)
        record.number(NexmarkTraffic.firstAuction + auction)
        record.add(#","bidder":"#)
        record.number(NexmarkTraffic.firstPerson + bidder)
        record.add(#","price":"#)
        record.number(price(&random))
        record.add(#","channel":""#)
        let isHotChannel = random.below(2) > 0
        let place = random.one(of: isHotChannel ? words.hotChannels : words.channels)
        record.add(place.name)
        record.add(#"","url":""#)
        record.add(place.url)
        record.add(#"","dateTime":"#)
        record.time(millis)
        padding(32, mean: Self.bidBytes, &random, &record)
    }

    /// One of those who are still there, or one of the next to come.
    private func anyPerson(_ last: Int, _ random: inout EventDraws) -> Int {
        let active = min(last + 1, NexmarkTraffic.activePeople)
        return last + 1 - active + random.below(active + NexmarkTraffic.peopleLead)
    }

    private func anyAuction(_ last: Int, _ random: inout EventDraws) -> Int {
        let first = max(last - NexmarkTraffic.auctionsInFlight, 0)
        return first + random.below(last - first + 1 + NexmarkTraffic.auctionLead)
    }

    /// 1 to 1,000,000 in hundredths, each power of ten as often as the others.
    private func price(_ random: inout EventDraws) -> Int { Int((pow(10, random.share() * 6) * 100).rounded()) }

    /// Fills an event up to its mean size, give or take a fifth, and closes it.
    private func padding(_ size: Int, mean: Int, _ random: inout EventDraws, _ record: inout RecordWriter) {
        record.add(#","extra":""#)
        let wanted = max(0, mean - size)
        let spread = Int((Double(wanted) * 0.2).rounded())
        let length = wanted - spread + (spread == 0 ? 0 : random.below(2 * spread))
        record.letters(words.letters, from: random.below(words.letters.count - length), count: length)
        record.add(#""}"#)
    }
}

/// The random numbers of one event, one behind the other.
struct EventDraws {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    @inline(__always)
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number of `0 ..< bound`.
    @inline(__always)
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

    /// A number from 0, and below 1.
    @inline(__always)
    mutating func share() -> Double { Double(next() >> 11) * 0x1p-53 }

    mutating func one<Value>(of values: [Value]) -> Value { values[below(values.count)] }
}
