// Nanoseconds per ad event, 3 of 7 fields: runs only with SLUICE_BENCH=1, and means something only in a release build.
//
// Records lie one behind the other in one block, as the Kafka client holds them; the columns are emptied for each chunk.
// The best of eleven rounds is printed, because this asks what the code costs, not what the machine was doing.

import Engine
import Foundation
import Testing

@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["SLUICE_BENCH"] != nil))
struct DecodeSpeed {
    @Test func `decoding ad events`() throws {
        let avro = try AvroDecoder(schema: .adEvent, needed: adEventColumns, schemaID: 1)
        let json = try JSONRowDecoder(needed: adEventColumns)
        measure("avro", avro, (0..<4096).map { Wire.adEvent($0) })
        measure("json", json, (0..<4096).map { jsonAdEvent($0) })
        measure("json with spaces", json, (0..<4096).map { spaced(jsonAdEvent($0)) })
        let all = Schema(
            AvroSchema.adEvent.rootFields!.map { Field($0.name, $0.name == "event_time" ? .timestamp : .text) })
        measure("avro, 7 of 7", try AvroDecoder(schema: .adEvent, needed: all), (0..<4096).map { Wire.adEvent($0) })
        measure("json, 7 of 7", try JSONRowDecoder(needed: all), (0..<4096).map { jsonAdEvent($0) })
    }

    @Test func `encoding ad events`() throws {
        let all = Schema(
            AvroSchema.adEvent.rootFields!.map { Field($0.name, $0.name == "event_time" ? .timestamp : .text) })
        var chunk = Chunk(schema: all)
        let payloads = (0..<4096).map { Wire.adEvent($0) }
        withRecords(payloads[...].map { $0 }[...], firstOffset: 0) { records in
            var rejected: [RejectedRecord] = []
            do {
                let decoder = try AvroDecoder(schema: .adEvent, needed: all)
                chunk.rowCount = decoder.decode(records, into: chunk.columns, kept: nil, rejected: &rejected)
            } catch { Issue.record(error) }
        }
        let encoder = try AvroEncoder(schema: .adEvent, columns: all, schemaID: 1)
        let buffer = RecordBuffer(capacity: 1 << 20)
        var best = Double.infinity
        for _ in 0..<11 {
            let start = DispatchTime.now().uptimeNanoseconds
            for _ in 0..<50 {
                buffer.removeAll()
                try encoder.encode(chunk, into: buffer)
            }
            best = min(best, Double(DispatchTime.now().uptimeNanoseconds - start) / Double(50 * chunk.rowCount))
        }
        #expect(buffer.count == 4096)
        print("encode avro: \(Int(best.rounded())) ns a record")
    }

    private func spaced(_ document: [UInt8]) -> [UInt8] {
        Array(
            String(decoding: document, as: UTF8.self).replacingOccurrences(of: "\":", with: "\": ")
                .replacingOccurrences(of: ",\"", with: ", \"").utf8)
    }

    private func measure(_ name: String, _ decoder: any RowDecoder, _ payloads: [[UInt8]]) {
        let block = payloads.flatMap { $0 }
        block.withUnsafeBufferPointer { bytes in
            var records: [RawRecord] = []
            var place = 0
            for payload in payloads {
                records.append(
                    RawRecord(payload: bytes.baseAddress! + place, length: payload.count, offset: Int64(records.count)))
                place += payload.count
            }
            var best = Double.infinity
            records.withUnsafeBufferPointer { records in
                let columns = decoder.schema.fields.map { Column($0.type, capacity: 4096) }
                var rejected: [RejectedRecord] = []
                for _ in 0..<11 {
                    let start = DispatchTime.now().uptimeNanoseconds
                    for _ in 0..<50 {
                        for column in columns {
                            switch column {
                            case .int64(let column), .timestamp(let column): column.removeAll()
                            case .float64(let column): column.removeAll()
                            case .bool(let column): column.removeAll()
                            case .text(let column): column.removeAll()
                            }
                        }
                        _ = decoder.decode(records, into: columns, kept: nil, rejected: &rejected)
                    }
                    best = min(best, Double(DispatchTime.now().uptimeNanoseconds - start) / Double(50 * records.count))
                }
                #expect(rejected.isEmpty)
            }
            print("\(name): \(Int(best.rounded())) ns a record of \(block.count / payloads.count) bytes")
        }
    }
}
