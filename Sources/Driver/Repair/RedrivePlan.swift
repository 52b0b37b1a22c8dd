// Which records `sluice redrive` processes again, and in which batches (protocol 15).
//
// A record is open while the newest batch that met it rejected it: rejected by a live batch and not passed by a redrive since.
// The log's ranges of rejected offsets say that for every batch that stands in it one by one; for folded ones the entries of
// the quarantine do. A sink's refused rows that name their record are open as long as the sink keeps them.
//
// A batch reads one range a partition (a job without an exchange seals a part a partition), from the first open record to the
// last, and leaves out what lies between. Open records that are far apart go into different batches, so that nobody reads a
// million records for two. And a batch looks at no more records than its row of the log can name: one that it rejects again
// and could not name would count as passed.
//
// Pure values. Checklist when changing it: a record is redriven only where it is open, so twice changes nothing; what a batch
// closes is exactly what it looked at.

import Engine

package struct RedrivePlan: Sendable, Equatable {
    /// One batch: a range a partition, and of each only these offsets.
    package struct Step: Sendable, Equatable {
        package var ranges: [OffsetRange]
        package var only: [OffsetRange]
        package var records: Int64 { only.reduce(0) { $0 + $1.count } }
    }

    package var steps: [Step]
    /// Open records that Kafka does not have any more.
    package var gone: [OffsetRange]
    /// The log ended here when this was decided, with the batch that was open then: if it has gone on since, somebody else may
    /// have processed the same records.
    package var basis: BatchNumber

    package var records: Int64 { steps.reduce(0) { $0 + $1.records } }
    package var goneRecords: Int64 { gone.reduce(0) { $0 + $1.count } }

    /// Open records that are no further apart are read in one range.
    static let gap: Int64 = 10_000
    /// A row of the log names so many ranges of one partition at most.
    static let mostRanges = 200

    /// - Parameters:
    ///   - open: offsets to be processed again, in any order, overlapping or not.
    ///   - starts: the first offset that Kafka still has of each partition.
    ///   - basis: the last batch of the log, done or planned.
    package init(open: [OffsetRange], starts: [TopicPartition: Int64], basis: BatchNumber = 0) {
        self.basis = basis
        var gone: [OffsetRange] = []
        var clusters: [TopicPartition: [[OffsetRange]]] = [:]
        // At worst each record of a batch is rejected again, as a range of its own.
        let most = max(1, Int64(Limits.listedRanges / max(1, Set(open.map(\.topicPartition)).count)))
        for range in OffsetRange.joined(open) {
            var range = range
            let start = starts[range.topicPartition] ?? .max
            if range.from < start {
                var lost = range
                lost.until = min(range.until, start)
                gone.append(lost)
                range.from = start
            }
            for piece in Self.cut(range, most) {
                var own = clusters[piece.topicPartition] ?? []
                if let last = own.last, let end = last.last?.until, piece.from - end <= Self.gap, last.count < Self.mostRanges,
                    last.reduce(piece.count, { $0 + $1.count }) <= most
                {
                    own[own.count - 1].append(piece)
                } else {
                    own.append([piece])
                }
                clusters[piece.topicPartition] = own
            }
        }
        let count = clusters.values.map(\.count).max() ?? 0
        let places = clusters.keys.sorted()
        steps = (0..<count).map { index in
            let chosen = places.compactMap { place in clusters[place].flatMap { $0.count > index ? $0[index] : nil } }
            return Step(
                ranges: chosen.map {
                    OffsetRange(topic: $0[0].topic, partition: $0[0].partition, from: $0[0].from, until: $0[$0.count - 1].until)
                }, only: chosen.flatMap { $0 })
        }
        self.gone = gone
    }

    private static func cut(_ range: OffsetRange, _ most: Int64) -> [OffsetRange] {
        stride(from: range.from, to: range.until, by: Int(most)).map {
            OffsetRange(topic: range.topic, partition: range.partition, from: $0, until: min($0 + most, range.until))
        }
    }

    /// The open offsets of a log: what its batches rejected, less what redrives have passed since.
    /// - Parameters:
    ///   - batches: done, ascending.
    ///   - only: rejected by this batch; nil for any.
    ///   - ranges: reads a file of offsets.
    package static func open(
        _ batches: [BatchRecord], only batch: BatchNumber? = nil, ranges: (OffsetFile) throws -> [OffsetRange]
    ) rethrows -> [OffsetRange] {
        var open: [OffsetRange] = []
        for logged in batches {
            if logged.plan.kind == .redrive {
                // What it rejected again stays what it was: rejected by the batch that met it first.
                let again = try logged.outcome?.offsets(.rejected, ranges: ranges) ?? []
                open = OffsetRange.subtracting(OffsetRange.subtracting(again, from: logged.plan.only ?? logged.plan.ranges), from: open)
            }
            guard batch == nil || batch == logged.plan.batch, let outcome = logged.outcome else { continue }
            open += try outcome.offsets(.rejected, ranges: ranges)
        }
        return OffsetRange.joined(open)
    }
}

extension BatchOutcome {
    /// The rejected or the late offsets of a batch, as far as they are listed; not in order.
    /// - Parameter ranges: reads a file of offsets.
    package func offsets(_ content: OffsetFile.Content, ranges: (OffsetFile) throws -> [OffsetRange]) rethrows -> [OffsetRange] {
        let listed = content == .rejected ? rejectedRanges : lateRanges
        return try listed + (offsetFiles ?? []).filter { $0.content == content }.flatMap { try ranges($0) }
    }
}
