// Runs a decoder over payloads and holds every call to the contract of `RowDecoder`.
//
// Each payload lies in its own allocation of exactly its size, so that a build with the address sanitizer sees a read
// past the end. Columns are kept over all chunks, so that appending to columns that hold rows is what is tested.

import Engine
import Testing

struct DecodedRows: Equatable {
    var rows: [[Value]] = []
    /// Index among all payloads of each row.
    var kept: [Int] = []
    /// Reason by index among all payloads.
    var rejected: [Int: RejectReason] = [:]
}

func decodeAll(
    _ decoder: any RowDecoder, _ payloads: [[UInt8]?], chunk: Int = 1024, isPadded: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation
) -> DecodedRows {
    var result = DecodedRows()
    let columns = decoder.schema.fields.map { Column($0.type, capacity: 16) }
    var from = 0
    while from < payloads.count {
        let until = min(from + chunk, payloads.count)
        withRecords(payloads[from..<until], firstOffset: Int64(from) * 10) { records in
            var rejected: [RejectedRecord] = []
            let kept = UnsafeMutablePointer<Int32>.allocate(capacity: records.count)
            defer { kept.deallocate() }
            let before = columns.first?.count ?? 0
            let rows = decoder.decode(records, into: columns, kept: kept, rejected: &rejected)
            if rows + rejected.count != records.count {
                Issue.record("rows and rejected do not add up", sourceLocation: sourceLocation)
            }
            for column in columns where column.count != before + rows {
                Issue.record("a column did not grow by the rows", sourceLocation: sourceLocation)
            }
            var indices = (0..<rows).map { Int(kept[$0]) }
            result.kept += indices.map { $0 + from }
            for record in rejected {
                indices.append(record.index)
                result.rejected[record.index + from] = record.reason
                if record.offset != Int64(record.index + from) * 10 {
                    Issue.record("a rejected record has another offset", sourceLocation: sourceLocation)
                }
            }
            if indices.sorted() != Array(0..<records.count) {
                Issue.record("kept and rejected are not all records", sourceLocation: sourceLocation)
            }
        }
        from = until
    }
    result.rows = result.kept.indices.map { row in columns.map { $0.value(row) } }
    // Short documents are scanned, longer ones walked by marks: with spaces before it each is both.
    if decoder is JSONRowDecoder, !isPadded {
        let padded = payloads.map { payload in
            payload.map { $0.first == UInt8(ascii: "{") && $0.count < Limits.recordBytes - 64 ? [UInt8](repeating: 0x20, count: 64) + $0 : $0 }
        }
        let same = decodeAll(decoder, padded, chunk: chunk, isPadded: true, sourceLocation: sourceLocation)
        if same != result { Issue.record("\(same) by marks, and \(result)", sourceLocation: sourceLocation) }
    }
    return result
}

func withRecords(
    _ payloads: ArraySlice<[UInt8]?>, firstOffset: Int64, _ body: (UnsafeBufferPointer<RawRecord>) -> Void
) {
    var records: [RawRecord] = []
    for (index, payload) in payloads.enumerated() {
        var copy: UnsafeMutablePointer<UInt8>?
        if let payload {
            copy = .allocate(capacity: payload.count)
            copy!.initialize(from: payload, count: payload.count)
        }
        records.append(
            RawRecord(
                payload: copy.map { UnsafePointer($0) }, length: payload?.count ?? 0,
                offset: firstOffset + Int64(index) * 10))
    }
    defer { for record in records { record.payload?.deallocate() } }
    records.withUnsafeBufferPointer(body)
}

/// The Avro wire form, written in the plainest way.
enum Wire {
    static let framing: [UInt8] = [0, 0, 0, 0, 1]

    static func long(_ value: Int64) -> [UInt8] {
        var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        var bytes: [UInt8] = []
        while rest > 0x7F {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
    static func text(_ text: String) -> [UInt8] { long(Int64(text.utf8.count)) + Array(text.utf8) }
    static func double(_ value: Double) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(8 * $0)) }
    }

    static func adEvent(_ number: Int, type: String = "view") -> [UInt8] {
        framing + text("user-\(number)") + text("page-\(number)") + text(adID(number)) + text("banner") + text(type)
            + long(1_760_000_000_000 + Int64(number)) + text("10.0.0.\(number % 256)")
    }

    static func adID(_ number: Int) -> String {
        let digits = hexadecimal(UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
        return "\(digits.prefix(8))-1111-4222-8333-444455\(digits.suffix(6))"
    }
}

let adEventColumns = Schema([
    Field("ad_id", .text), Field("event_type", .text), Field("event_time", .timestamp),
])
