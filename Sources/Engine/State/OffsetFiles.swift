// Offsets of bad or late records beyond those that a row of the log names (protocol 11).
//
// A row of the log holds a bounded number of ranges. A task that has more writes the others into one file of the state place, and
// the outcome names it: what it holds, how large it is, its digest. The file is written durably before the task reports, and goes
// when the batch that names it is folded. A task whose state place is not there counts its offsets and says so; nothing of the
// batch's rows depends on it.
//
// Content: a line of JSON (format, topic, partition), then for each range two numbers in LEB128: how far behind the end of the
// range before it begins (from offset 0 for the first), and how many offsets it has.
//
// Checklist when changing it: an earlier build's file must still be read; nothing of a file is believed before its digest is.

import Foundation

/// Ranges on their way into a file, a few bytes each.
package struct PackedRanges: Sendable {
    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0
    package private(set) var offsets: Int64 = 0
    /// The newest range; it may still grow.
    private var last: OffsetRange?
    private var end: Int64 = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }
    /// Where the next range may begin.
    package var until: Int64 { last?.until ?? end }

    /// - Parameter range: not before the end of the one added before.
    package mutating func append(_ range: OffsetRange) {
        offsets = offsets.plus(range.count)
        if let known = last, known.until == range.from {
            last?.until = range.until
            return
        }
        close()
        last = range
        count += 1
    }

    /// Ends the newest range, so that `bytes` is whole.
    package mutating func close() {
        guard let range = last else { return }
        put(UInt64(range.from - end))
        put(UInt64(range.count))
        end = range.until
        last = nil
    }

    private mutating func put(_ value: UInt64) {
        var left = value
        while left >= 0x80 {
            bytes.append(UInt8(left & 0x7f) | 0x80)
            left >>= 7
        }
        bytes.append(UInt8(left))
    }
}

extension OffsetFile {
    private struct Head: Codable {
        var format: Int
        var topic: String
        var partition: Int32
    }

    /// Writes `ranges` of one task, or nothing where there are none.
    /// - Parameter mark: tells this attempt from others of the same batch.
    package static func write(
        _ content: Content, _ ranges: PackedRanges, of whole: OffsetRange, jobID: JobID, batch: BatchNumber, mark: String, to store: StateStore
    ) throws -> OffsetFile? {
        var ranges = ranges
        ranges.close()
        guard ranges.count > 0 else { return nil }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let head = try encoder.encode(Head(format: 1, topic: whole.topic, partition: whole.partition))
        let bytes = [UInt8](head) + [0x0a] + ranges.bytes
        let digest = Engine.digest(of: bytes)
        let name = "\(StateStore.offsetPrefix)\(batch)-\(content.rawValue)-\(whole.partition)-\(mark)-\(digest)"
        try store.put(jobID, name: name, bytes: bytes)
        return OffsetFile(
            content: content, topic: whole.topic, partition: whole.partition, name: name, offsets: ranges.offsets, ranges: ranges.count,
            digest: digest)
    }

    /// The ranges of the file, ascending.
    /// - Throws: `stateMissing` when it is not there or damaged, `stateUnreachable` when the place is not.
    package func read(_ jobID: JobID, from store: StateStore) throws -> [OffsetRange] {
        let bytes = try store.read(jobID, name: name)
        guard Engine.digest(of: bytes) == digest, let ranges = Self.ranges(bytes) else {
            throw Failure(
                .stateMissing, "file \(name) of job \(jobID) is damaged", why: "its content does not have the digest that the log recorded",
                now: "restore it from a backup; the batch still counts its records")
        }
        return ranges
    }

    /// - Returns: nil for bytes that are no such file.
    package static func ranges(_ bytes: [UInt8]) -> [OffsetRange]? {
        guard let line = bytes.firstIndex(of: 0x0a), let head = try? JSONDecoder().decode(Head.self, from: Data(bytes[..<line])), head.format == 1
        else { return nil }
        var at = line + 1
        func number() -> Int64? {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while at < bytes.count, shift < 63 {
                let byte = bytes[at]
                at += 1
                value |= UInt64(byte & 0x7f) << shift
                if byte & 0x80 == 0 { return Int64(value) }
                shift += 7
            }
            return nil
        }
        var ranges: [OffsetRange] = []
        var end: Int64 = 0
        while at < bytes.count {
            guard let gap = number(), let count = number(), count > 0 else { return nil }
            let (from, fromWraps) = end.addingReportingOverflow(gap)
            let (until, untilWraps) = from.addingReportingOverflow(count)
            if fromWraps || untilWraps { return nil }
            ranges.append(OffsetRange(topic: head.topic, partition: head.partition, from: from, until: until))
            end = until
        }
        return ranges
    }
}
