// What the generator's tests share: all records of a traffic, and readers of both formats that are not the engine's.

import Foundation
import Sluice

/// One generated record and where it went.
struct SampleRecord: Hashable {
    var partition: Int
    var bytes: [UInt8]
    var timestampMillis: Int64
}

/// An ad event as a reader sees it.
struct SampleEvent: Hashable {
    var userID, pageID, adID, adType, eventType, address: String
    var eventTimeMillis: Int64
}

func traffic(
    _ format: AdEventFormat, events: Int, seed: UInt64 = 7, change: (inout AdTraffic) -> Void = { _ in }
) -> AdTraffic {
    var traffic = AdTraffic(
        format: format, events: events, seed: seed, startMillis: 1_772_366_400_000,
        spanMillis: AdTraffic.usualSpanMillis(events: events))
    change(&traffic)
    return traffic
}

/// Every record, partition by partition in the order in which they are sent.
func records(
    of generator: AdEventGenerator, partitions: Int = 4, block: Int = 1000, tally: ViewTally? = nil,
    counts: inout TrafficCounts
) -> [SampleRecord] {
    var records = [[SampleRecord]](repeating: [], count: partitions)
    let buffer = EventBuffer(capacity: block)
    for from in stride(from: 0, to: generator.traffic.events, by: block) {
        let until = min(from + block, generator.traffic.events)
        for partition in 0..<partitions {
            counts += generator.fill(
                buffer, from: from, until: until, partition: partition, of: partitions, tally: tally)
            for index in 0..<buffer.count {
                records[partition].append(
                    SampleRecord(
                        partition: partition, bytes: Array(buffer.record(index)),
                        timestampMillis: buffer.timestampMillis(index)))
            }
        }
    }
    return records.flatMap { $0 }
}

func records(of generator: AdEventGenerator, partitions: Int = 4, block: Int = 1000) -> [SampleRecord] {
    var counts = TrafficCounts()
    return records(of: generator, partitions: partitions, block: block, counts: &counts)
}

func decodeJSON(_ bytes: [UInt8]) throws -> SampleEvent? {
    struct Event: Decodable {
        var user_id, page_id, ad_id, ad_type, event_type, ip_address: String
        var event_time: Int64
    }
    guard let event = try? JSONDecoder().decode(Event.self, from: Data(bytes)) else { return nil }
    return SampleEvent(
        userID: event.user_id, pageID: event.page_id, adID: event.ad_id, adType: event.ad_type,
        eventType: event.event_type, address: event.ip_address, eventTimeMillis: event.event_time)
}

/// Reads the seven fields by the letter of the Avro specification; nil for anything that is not exactly such a record.
func decodeAvro(_ bytes: [UInt8], schemaID: Int32 = 1) -> SampleEvent? {
    var at = 5
    func long() -> Int64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < bytes.count, shift < 64 {
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 127) << shift
            if byte < 128 { return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
            shift += 7
        }
        return nil
    }
    func text() -> String? {
        guard let length = long(), length >= 0, at + Int(length) <= bytes.count else { return nil }
        defer { at += Int(length) }
        return String(validating: bytes[at..<at + Int(length)], as: UTF8.self)
    }
    let identifier = bytes.prefix(5).dropFirst().reduce(Int32(0)) { $0 << 8 | Int32($1) }
    guard bytes.count > 5, bytes[0] == 0, identifier == schemaID, let user = text(), let page = text(), let ad = text(),
        let adType = text(), let eventType = text(), let time = long(), let address = text(), at == bytes.count
    else { return nil }
    return SampleEvent(
        userID: user, pageID: page, adID: ad, adType: adType, eventType: eventType, address: address,
        eventTimeMillis: time)
}

func decode(_ record: SampleRecord, _ format: AdEventFormat) throws -> SampleEvent? {
    format == .avro ? decodeAvro(record.bytes) : try decodeJSON(record.bytes)
}
