// Ad events at a steady rate, each with the moment at which it was due as its event time, sent by a thread of its own.
//
// All events of a campaign go to one partition, so a job that has counted `n` views of a campaign has counted its first
// `n`: from a row of the sink it follows which events are visible, without a mark in any of them. What was sent is told
// to whoever watches as the due times of each campaign's views, in order.
//
// Latency is counted from the due time and not from the send: a producer that falls behind is part of what a reader
// waits for. The client is set as a producer sets it whose readers wait: records are gathered for 3 ms, where librdkafka's
// own default is 5, and several requests are under way. What it takes is in the numbers, too.

import Dispatch
import Engine
import Foundation
import Synchronization

final class SteadyTraffic: Sendable {
    let campaigns: [String]
    /// Of each campaign, the due time of each view handed to the client, in milliseconds since 1970.
    private let views: Mutex<[[Int64]]>
    private let outcome = Mutex<Result<Int, Failure>?>(nil)
    private let ended = DispatchGroup()
    private let stop: BenchStop
    private let generator: AdEventGenerator
    /// The first eight bytes of an ad's id to its campaign.
    private let campaignOfAd: [UInt64: Int]

    static let lingerMillis = 3
    private static let blockMillis = 1.0

    init(_ place: BenchPlace, topic: String, perSecond: Int, seconds: Int) throws {
        stop = place.stop
        var traffic = AdTraffic(
            format: .avro, events: perSecond * seconds, seed: BenchPlace.traffic(events: 1).seed,
            startMillis: Self.wallMillis() + 100, spanMillis: Int64(seconds) * 1000)
        traffic.disorderMillis = 0
        generator = try AdEventGenerator(traffic)
        let directory = generator.directory
        campaigns = directory.campaignIDs.map { String(decoding: $0, as: UTF8.self) }
        var campaignOfAd: [UInt64: Int] = [:]
        for (ad, id) in directory.adIDs.enumerated() {
            campaignOfAd[id.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }] = ad / directory.adsPerCampaign
        }
        self.campaignOfAd = campaignOfAd
        views = Mutex(Array(repeating: [], count: campaigns.count))
        let producer = Unshared(try KafkaProducer(place.kafka, lingerMillis: Self.lingerMillis, isIdempotent: false))
        ended.enter()
        let thread = Thread { [self] in
            let result = Result { try send(producer.value, topic: topic) }.mapError(failure)
            outcome.withLock { $0 = result }
            ended.leave()
        }
        thread.name = "bench traffic"
        thread.start()
    }

    private struct Unshared: @unchecked Sendable {
        let value: KafkaProducer
        init(_ value: KafkaProducer) { self.value = value }
    }

    var hasEnded: Bool { outcome.withLock { $0 != nil } }
    var viewCount: Int { views.withLock { $0.reduce(0) { $0 + $1.count } } }

    /// Waits until every event is acknowledged; returns how many there were.
    func finish() throws -> Int {
        ended.wait()
        return try outcome.withLock { try $0!.get() }
    }

    /// The due times of the views `range` of a campaign; those that were not sent yet are left out.
    func due(_ campaign: Int, _ range: Range<Int>) -> [Int64] {
        views.withLock { Array($0[campaign][range.clamped(to: 0..<$0[campaign].count)]) }
    }

    static func wallMillis() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    private func send(_ producer: KafkaProducer, topic: String) throws -> Int {
        let traffic = generator.traffic
        let perMilli = Double(traffic.events) / Double(traffic.spanMillis)
        let block = max(1, Int(perMilli * Self.blockMillis))
        let buffer = EventBuffer(capacity: block)
        var sent = 0
        while sent < traffic.events {
            try stop.check()
            let until = min(sent + block, traffic.events)
            let dueMillis = traffic.startMillis + Int64(Double(until) / perMilli)
            let wait = dueMillis - Self.wallMillis()
            if wait > 0 { usleep(UInt32(wait * 1000)) }
            _ = generator.fill(buffer, from: sent, until: until, partition: 0, of: 1, tally: nil)
            for index in 0..<buffer.count {
                let record = buffer.record(index)
                guard let event = AvroAdEvent(record), let campaign = campaignOfAd[event.adStart] else {
                    throw Failure(
                        .internal, "an event of the bench could not be read", why: "it has no known ad",
                        now: "report this")
                }
                let time = buffer.timestampMillis(index)
                // Noted first: a row that shows it can be seen only later.
                if event.isView { views.withLock { $0[campaign].append(time) } }
                try producer.send(
                    topic: topic, partition: Int32(campaign % BenchPlace.partitions), value: record,
                    timestampMillis: time)
            }
            sent = until
        }
        try producer.flush()
        return sent
    }
}

/// What the bench must know of an event: found by the lengths in front of the texts, each of them one byte.
struct AvroAdEvent {
    var adStart: UInt64
    var isView: Bool

    init?(_ record: UnsafeBufferPointer<UInt8>) {
        // Five bytes of framing; user_id, page_id, ad_id, ad_type, event_type.
        var at = 5
        func length() -> Int { at < record.count ? Int(record[at]) / 2 : 0 }
        at += 1 + length()
        at += 1 + length()
        guard at + 9 < record.count else { return nil }
        adStart = UnsafeRawBufferPointer(record).loadUnaligned(fromByteOffset: at + 1, as: UInt64.self)
        at += 1 + length()
        at += 1 + length()
        guard at + 1 < record.count else { return nil }
        isView = record[at + 1] == UInt8(ascii: "v")
    }
}
