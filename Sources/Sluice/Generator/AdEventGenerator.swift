// Makes the events: (description, event number) -> bytes, at several million a second.
//
// Pure: no clock, no broker, no state from one event to the next (see `SeededDraws`), so a block of one partition is
// filled in a loop that touches raw memory only. Event `i` goes to partition `i % partitions`.
//
// What an event takes from its two draws: ad, types | user, page, address, disorder. A third draw, made only when one
// of the shares is above zero, says whether the event is one of the exceptions:
//   bad      undecodable in the chosen format: wrong first byte, cut off, or empty, in turn by the draw;
//   unknown  its ad is not in ads.csv;
//   late     its event time is in a window that closed long ago.
//
// When changing this file: the bytes of a seed are pinned by a test, and the room in `EventBuffer` must hold the
// longest record plus one slot.

package final class AdEventGenerator: Sendable {
    package let traffic: AdTraffic
    package let directory: AdDirectory
    private let pieces: EventPieces
    private let draws: SeededDraws
    private let exceptions: SeededDraws

    package init(_ traffic: AdTraffic) throws {
        self.traffic = try traffic.checked()
        directory = AdDirectory(
            seed: traffic.seed, campaigns: traffic.campaigns, adsPerCampaign: traffic.adsPerCampaign)
        pieces = EventPieces(
            format: traffic.format, schemaID: traffic.schemaID, seed: traffic.seed, directory: directory)
        draws = SeededDraws(seed: traffic.seed, .events)
        exceptions = SeededDraws(seed: traffic.seed, .exceptions)
    }

    /// How many of the events `[from, until)` go to a partition.
    package static func share(ofPartition partition: Int, of partitions: Int, from: Int, until: Int) -> Int {
        func below(_ end: Int) -> Int { (end - partition + partitions - 1) / partitions }
        return max(0, below(until)) - max(0, below(from))
    }

    /// Fills `buffer` with those of the events `[from, until)` that go to `partition`; views are added to `tally`.
    package func fill(
        _ buffer: EventBuffer, from: Int, until: Int, partition: Int, of partitions: Int, tally: ViewTally?
    ) -> TrafficCounts {
        precondition(0 <= from && from <= until && until <= traffic.events && (0..<partitions).contains(partition))
        let records = Self.share(ofPartition: partition, of: partitions, from: from, until: until)
        precondition(records <= buffer.capacity)
        let first = from + (partition - from % partitions + partitions) % partitions
        var counts = TrafficCounts()
        if traffic.format == .avro {
            fill(buffer, records, first, partitions, AvroLong(), tally, &counts)
        } else {
            fill(buffer, records, first, partitions, DecimalLong(), tally, &counts)
        }
        buffer.filled(records)
        counts.events = records
        counts.bytes = buffer.byteCount
        return counts
    }

    /// Generic over how the time is written, so that each format has a loop of its own.
    @inline(__always)
    private func fill<Long: LongForm>(
        _ buffer: EventBuffer, _ records: Int, _ first: Int, _ stride: Int, _ form: Long, _ tally: ViewTally?,
        _ counts: inout TrafficCounts
    ) {
        let start = traffic.startMillis
        let stepMillis = Double(traffic.spanMillis) / Double(traffic.events)
        let ads = UInt64(traffic.ads)
        let disorder = UInt64(traffic.disorderMillis + 1)
        let types = UInt64(EventPieces.adTypes.count * EventPieces.eventTypes.count)
        let lateUntil = traffic.lateUntilMillis
        // An exception's draw is compared in 2^32 steps of the share.
        let badBelow = UInt64(traffic.badShare * 4_294_967_296)
        let unknownBelow = badBelow + UInt64(traffic.unknownShare * 4_294_967_296)
        let lateBelow = unknownBelow + UInt64(traffic.lateShare * 4_294_967_296)
        let (userLength, pageLength, adLength) = (pieces.userLength, pieces.pageLength, pieces.adLength)
        let (firstPage, firstAd) = (pieces.firstPage, pieces.firstAd)
        let (firstTypes, firstAddress) = (pieces.firstTypes, pieces.firstAddress)
        let (bytes, starts, times) = (UnsafeMutableRawPointer(buffer.bytes), buffer.starts, buffer.times)
        var at = 0
        var event = first
        var totals = (views: 0, late: 0, lateViews: 0, unknown: 0, unknownViews: 0, bad: 0)

        pieces.slots.withUnsafeBytes { slots in
            pieces.lengths.withUnsafeBufferPointer { lengths in
                let slot = slots.baseAddress!
                let length = lengths.baseAddress!
                for record in 0..<records {
                    let a = draws.draw(2 * event)
                    let b = draws.draw(2 * event + 1)
                    var ad = Int(((a >> 32) &* ads) >> 32)
                    let typesPiece = Int(((a & 0xFFFF_FFFF) &* types) >> 32)
                    let user = Int(b & 4095)
                    let page = Int(b >> 12 & 1023)
                    let address = Int(b >> 22 & 1023)
                    let moved = Int64(bitPattern: ((b >> 32) &* disorder) >> 32)
                    let isView = typesPiece < EventPieces.viewTypes
                    var time = max(start, start + Int64(Double(event) * stepMillis) - moved)
                    var isCounted = isView
                    var badForm = 0
                    if lateBelow > 0 {
                        let c = exceptions.draw(event)
                        let share = c >> 32
                        if share < badBelow {
                            badForm = 1 + Int((c & 0xFFFF) % 3)
                            totals.bad += 1
                            isCounted = false
                        } else if share < unknownBelow {
                            ad = Int(ads) + Int(c & 63)
                            totals.unknown += 1
                            totals.unknownViews += isView ? 1 : 0
                            isCounted = false
                        } else if share < lateBelow {
                            time = lateUntil - 1 - ((Int64(c & 0xFFFF_FFFF) * AdTraffic.lateDepthMillis) >> 32)
                            totals.late += 1
                            totals.lateViews += isView ? 1 : 0
                            isCounted = false
                        }
                    }
                    if isCounted {
                        totals.views += 1
                        tally?.add(ad: ad, timeMillis: time)
                    }

                    let begin = at
                    copySlot(bytes + at, slot, user)
                    at += userLength
                    copySlot(bytes + at, slot, firstPage + page)
                    at += pageLength
                    copySlot(bytes + at, slot, firstAd + ad)
                    at += adLength
                    copySlot(bytes + at, slot, firstTypes + typesPiece)
                    at += Int(length[firstTypes + typesPiece])
                    at += form.write(time, bytes + at)
                    copySlot(bytes + at, slot, firstAddress + address)
                    at += Int(length[firstAddress + address])
                    if badForm != 0 { at = begin + spoil(bytes + begin, badForm) }
                    starts[record + 1] = at
                    times[record] = time
                    event += stride
                }
            }
        }
        counts.views = totals.views
        counts.late = totals.late
        counts.lateViews = totals.lateViews
        counts.unknown = totals.unknown
        counts.unknownViews = totals.unknownViews
        counts.bad = totals.bad
    }
}

@inline(__always)
private func copySlot(_ to: UnsafeMutableRawPointer, _ slots: UnsafeRawPointer, _ index: Int) {
    to.copyMemory(from: slots + index * EventPieces.slot, byteCount: EventPieces.slot)
}

/// Makes a record undecodable and says how long it is now. 40 bytes end amid the first text in both formats.
private func spoil(_ record: UnsafeMutableRawPointer, _ form: Int) -> Int {
    switch form {
    case 1: return 0
    case 2: return 40
    default:
        record.storeBytes(of: UInt8(ascii: "#"), as: UInt8.self)
        return 64
    }
}

/// How a format writes a positive whole number; says how many bytes it took.
private protocol LongForm {
    func write(_ value: Int64, _ to: UnsafeMutableRawPointer) -> Int
}

/// Avro: zigzag, then seven bits a byte, lowest first.
private struct AvroLong: LongForm {
    @inline(__always)
    func write(_ value: Int64, _ to: UnsafeMutableRawPointer) -> Int {
        var rest = UInt64(bitPattern: value) << 1
        var count = 0
        while rest >= 128 {
            to.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 128, toByteOffset: count, as: UInt8.self)
            rest >>= 7
            count += 1
        }
        to.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
        return count + 1
    }
}

/// JSON: decimal digits without leading zeros, eight at a time in the lanes of one word; times have at most 15.
private struct DecimalLong: LongForm {
    @inline(__always)
    func write(_ value: Int64, _ to: UnsafeMutableRawPointer) -> Int {
        let number = UInt64(bitPattern: value)
        let high = number / 100_000_000
        let low = digits(number &- high &* 100_000_000)
        let zeros: UInt64 = 0x3030_3030_3030_3030
        guard high > 0 else {
            let skip = min(7, low.trailingZeroBitCount / 8)
            to.storeBytes(of: ((low | zeros) >> UInt64(8 * skip)).littleEndian, as: UInt64.self)
            return 8 - skip
        }
        let first = digits(high)
        let skip = first.trailingZeroBitCount / 8
        to.storeBytes(of: ((first | zeros) >> UInt64(8 * skip)).littleEndian, as: UInt64.self)
        to.storeBytes(of: (low | zeros).littleEndian, toByteOffset: 8 - skip, as: UInt64.self)
        return 16 - skip
    }

    /// The eight digits of a number below 10^8, a byte each, the first in the lowest byte. Each step halves the lanes:
    /// 4 + 4 digits, 2 + 2, 1 + 1; the products are the usual exact reciprocals of 100 and 10 for these ranges.
    @inline(__always)
    private func digits(_ number: UInt64) -> UInt64 {
        let top = number / 10_000
        let fours = top | (number &- top &* 10_000) << 32
        let hundreds = (fours &* 10_486) >> 20 & 0x0000_007F_0000_007F
        let twos = hundreds | (fours &- hundreds &* 100) << 16
        let tens = (twos &* 103) >> 10 & 0x000F_000F_000F_000F
        return tens | (twos &- tens &* 10) << 8
    }
}
