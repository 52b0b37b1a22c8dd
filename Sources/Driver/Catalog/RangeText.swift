// How the ranges of a batch stand in the catalog: `{"topic":[[partition,from,until],...]}`.
//
// JSON, so that the databases can take it apart (the view `sluice_ranges` does), and written and read by hand: a batch of
// 10,000 partitions is 230 KB of it, which the general encoder needs 60 ms for and this about one. A row for each range,
// as it was before, cost as much again in the database, and a small batch touched two index pages for each partition.
//
// The text stays in catalogs for as long as their batches: it may get longer forms, never another meaning.

import Engine
import Foundation

package enum RangeText {
    /// - Parameter ranges: sorted by topic, as a plan's are.
    package static func text(_ ranges: [OffsetRange]) -> String {
        var bytes: [UInt8] = [UInt8(ascii: "{")]
        bytes.reserveCapacity(ranges.count * 28 + 32)
        var topic: String?
        for range in ranges {
            if range.topic != topic {
                if topic != nil { bytes += [UInt8(ascii: "]"), UInt8(ascii: ",")] }
                bytes += quoted(range.topic)
                bytes += ":[".utf8
                topic = range.topic
            } else {
                bytes.append(UInt8(ascii: ","))
            }
            bytes.append(UInt8(ascii: "["))
            append(Int64(range.partition), to: &bytes)
            bytes.append(UInt8(ascii: ","))
            append(range.from, to: &bytes)
            bytes.append(UInt8(ascii: ","))
            append(range.until, to: &bytes)
            bytes.append(UInt8(ascii: "]"))
        }
        if topic != nil { bytes.append(UInt8(ascii: "]")) }
        bytes.append(UInt8(ascii: "}"))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The ranges, sorted by topic and partition; nil of another text.
    package static func ranges(_ text: String) -> [OffsetRange]? {
        var text = text
        return text.withUTF8 { bytes in
            var reader = Reader(bytes: bytes)
            return reader.ranges()
        }
    }

    /// Kafka's names have letters, digits, dots, dashes and underscores only; any other text becomes no syntax either.
    private static func quoted(_ topic: String) -> [UInt8] {
        let isPlain = topic.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        if isPlain { return [UInt8(ascii: "\"")] + topic.utf8 + [UInt8(ascii: "\"")] }
        do { return [UInt8](try JSONEncoder().encode(topic)) } catch { preconditionFailure("a text is always JSON: \(error)") }
    }

    private static func append(_ value: Int64, to bytes: inout [UInt8]) {
        if value < 0 {
            bytes += String(value).utf8
            return
        }
        var (rest, digits) = (value, 1)
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        let start = bytes.count
        for _ in 0..<digits { bytes.append(0) }
        rest = value
        for index in (start..<start + digits).reversed() {
            bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    private struct Reader {
        let bytes: UnsafeBufferPointer<UInt8>
        var at = 0

        /// The next byte that is no space.
        private mutating func next() -> UInt8? {
            while at < bytes.count, bytes[at] == 32 || bytes[at] == 10 { at += 1 }
            return at < bytes.count ? bytes[at] : nil
        }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard next() == UInt8(ascii: character) else { return false }
            at += 1
            return true
        }

        private mutating func name() -> String? {
            guard take("\"") else { return nil }
            let start = at
            var isPlain = true
            while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
                if bytes[at] == UInt8(ascii: "\\") {
                    isPlain = false
                    at += 1
                }
                at += 1
            }
            guard at < bytes.count else { return nil }
            at += 1
            if isPlain { return String(decoding: bytes[start..<at - 1], as: UTF8.self) }
            do {
                return try JSONDecoder().decode(String.self, from: Data(bytes[start - 1..<at]))
            } catch {
                return nil
            }
        }

        private mutating func number() -> Int64? {
            guard let first = next() else { return nil }
            let isNegative = first == UInt8(ascii: "-")
            if isNegative { at += 1 }
            let start = at
            var value: Int64 = 0
            while at < bytes.count, bytes[at] >= 48, bytes[at] <= 57 {
                let (product, over) = value.multipliedReportingOverflow(by: 10)
                let (sum, overSum) = product.addingReportingOverflow(Int64(bytes[at] - 48))
                if over || overSum { return nil }
                value = sum
                at += 1
            }
            return at == start ? nil : isNegative ? -value : value
        }

        mutating func ranges() -> [OffsetRange]? {
            var found: [OffsetRange] = []
            guard take("{") else { return nil }
            if !take("}") {
                repeat {
                    guard let topic = name(), take(":"), take("[") else { return nil }
                    if take("]") { continue }
                    repeat {
                        guard take("["), let partition = number().flatMap({ Int32(exactly: $0) }), take(","),
                            let from = number(), take(","), let until = number(), take("]")
                        else { return nil }
                        found.append(OffsetRange(topic: topic, partition: partition, from: from, until: until))
                    } while take(",")
                    guard take("]") else { return nil }
                } while take(",")
                guard take("}") else { return nil }
            }
            guard next() == nil else { return nil }
            let isSorted = zip(found, found.dropFirst()).allSatisfy {
                ($0.topic, $0.partition) < ($1.topic, $1.partition)
            }
            return isSorted ? found : found.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
        }
    }
}

extension CellReader {
    /// The ranges that a batch's row holds.
    mutating func ranges() throws -> [OffsetRange] {
        let text = try text()
        guard let ranges = RangeText.ranges(text) else { throw unexpected("ranges of offsets") }
        return ranges
    }
}
