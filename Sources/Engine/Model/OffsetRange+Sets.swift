// Offset ranges as sets of offsets, over any number of partitions: union, difference, intersection.
//
// Results are sorted by topic, partition and offset, and never overlap.

extension OffsetRange {
    /// Sorted, without overlaps; neighbours are one range.
    package static func joined(_ ranges: [OffsetRange]) -> [OffsetRange] {
        var joined: [OffsetRange] = []
        for range in ranges.sorted(by: { ($0.topicPartition, $0.from) < ($1.topicPartition, $1.from) }) where !range.isEmpty {
            if let last = joined.last, last.topicPartition == range.topicPartition, range.from <= last.until {
                joined[joined.count - 1].until = max(last.until, range.until)
            } else {
                joined.append(range)
            }
        }
        return joined
    }

    package static func subtracting(_ less: [OffsetRange], from ranges: [OffsetRange]) -> [OffsetRange] {
        let less = Dictionary(grouping: joined(less), by: \.topicPartition)
        return joined(ranges).flatMap { range -> [OffsetRange] in
            var left: [OffsetRange] = []
            var rest = range
            for cut in less[range.topicPartition] ?? [] where cut.until > rest.from && cut.from < rest.until {
                var before = rest
                before.until = min(rest.until, cut.from)
                if !before.isEmpty { left.append(before) }
                rest.from = max(rest.from, cut.until)
                if rest.isEmpty { break }
            }
            if !rest.isEmpty { left.append(rest) }
            return left
        }
    }

    /// The offsets that are in both.
    package static func common(_ ranges: [OffsetRange], _ others: [OffsetRange]) -> [OffsetRange] {
        subtracting(subtracting(others, from: ranges), from: ranges)
    }
}
