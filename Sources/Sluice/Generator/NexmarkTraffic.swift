// What Nexmark traffic is asked for, and who is there when an event happens.
//
// Nexmark is an auction house: people come, people open auctions, people bid. Of 50 events 1 is a person, 3 are auctions
// and 46 are bids, in that order and for ever, so the number of an event alone says what it is, which id it has, and which
// people and auctions are the last ones before it. All numbers here are those of the public generator (`nexmark/nexmark` and
// Apache Beam), with one choice: its Flink port adds the base of the ids twice to a bidder, so that most bidders are nobody;
// here it is added once, as in Beam.
//
// Times: event `i` of `events` lies at `startMillis + i * spanMillis / events`, never out of order.
//
// What it does not decide: what an event looks like (`NexmarkGenerator`).

import Engine

package struct NexmarkTraffic: Sendable, Hashable {
    package var events: Int
    package var seed: UInt64
    package var startMillis: Int64
    /// Event time covered by all events.
    package var spanMillis: Int64

    package init(events: Int, seed: UInt64, startMillis: Int64, spanMillis: Int64) {
        self.events = events
        self.seed = seed
        self.startMillis = startMillis
        self.spanMillis = spanMillis
    }

    /// What an event is: the numbers that `event_type` has.
    package enum Kind: Int, Sendable { case person, auction, bid }

    static let people = 1
    static let auctions = 3
    static let bids = 46
    static let round = people + auctions + bids

    static let firstPerson = 1000
    static let firstAuction = 1000
    static let firstCategory = 10
    static let categories = 5

    /// The first of so many people or auctions in a row is the hot one of them.
    static let hotGroup = 100
    /// One bid of so many is on any auction, all others on the hot one; and so on.
    static let hotAuctionRatio = 2
    static let hotSellerRatio = 4
    static let hotBidderRatio = 4

    /// The last so many auctions may be bid on, and so many that are not there yet.
    static let auctionsInFlight = 100
    static let auctionLead = 10
    static let activePeople = 1000
    static let peopleLead = 10

    @inline(__always)
    package static func kind(event: Int) -> Kind {
        let place = event % round
        return place < people ? .person : place < people + auctions ? .auction : .bid
    }

    /// The last person up to this event, counted from 0.
    @inline(__always)
    package static func lastPerson(event: Int) -> Int { event / round * people + min(event % round, people - 1) }

    /// The last auction up to this event, counted from 0; -1 before the first.
    @inline(__always)
    package static func lastAuction(event: Int) -> Int {
        let place = event % round - people
        return event / round * auctions + min(place, auctions - 1)
    }

    @inline(__always)
    package func millis(event: Int) -> Int64 { startMillis + Int64(Double(event) * (Double(spanMillis) / Double(events))) }

    /// How long auctions are open in the mean: until as many others have come as may be in flight.
    @inline(__always)
    func meanAuctionMillis(event: Int) -> Int64 {
        millis(event: event + Self.auctionsInFlight * Self.round / Self.auctions) - millis(event: event)
    }

    package func checked() throws -> NexmarkTraffic {
        // Number, span and start have the bounds that ad traffic has.
        _ = try AdTraffic(format: .json, events: events, seed: seed, startMillis: startMillis, spanMillis: spanMillis).checked()
        return self
    }
}

/// How many of each kind were made.
package struct NexmarkCounts: Sendable, Hashable, Codable {
    package var events = 0
    package var bytes = 0
    package var people = 0
    package var auctions = 0
    package var bids = 0

    package init() {}
}
