// Whether every offset counted once: what the recorded ranges prove, as a value.
//
// Takes what the checkpoint covered, the jumps, then the hours of folded batches and the ranges of DONE batches, both in
// ascending order. An hour is one step: where each partition stood before it and after it, jumps in between included. Each partition must go on where it stopped: later is a gap, earlier an overlap, unless a jump says so. A jump moves
// the partition between its batch `afterBatch` and the next one. A partition's first range may start anywhere: a job
// starts where it was told to.
//
// Does not know Kafka: whether the offsets hold what they held is the tail fingerprint's question. Checklist when
// changing it: memory grows with partitions and jumps, not with batches; every finding names exact offsets.

import Engine

package struct AuditFinding: Sendable, Codable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable, Codable {
        /// Offsets that no batch read.
        case gap
        /// Offsets that two batches read.
        case overlap
        /// A jump that does not start where the partition stood.
        case strayJump
        /// Batch numbers `from ..< until` that the log should have and has not.
        case batchMissing
        /// The partition's recorded position is not where its last range ended: `from` the end, `until` the position.
        case strayPosition
    }
    package var kind: Kind
    /// Nil for missing batches.
    package var topicPartition: TopicPartition?
    package var from: Int64
    package var until: Int64
    /// The batches on both sides, where there are such; 0 stands for the folded ones.
    package var afterBatch: BatchNumber?
    package var atBatch: BatchNumber?

    package init(
        kind: Kind, topicPartition: TopicPartition?, from: Int64, until: Int64, afterBatch: BatchNumber? = nil,
        atBatch: BatchNumber? = nil
    ) {
        self.kind = kind
        self.topicPartition = topicPartition
        self.from = from
        self.until = until
        self.afterBatch = afterBatch
        self.atBatch = atBatch
    }

    package var description: String {
        let place = topicPartition.map { "\($0)" } ?? "the log"
        let before = afterBatch.map { $0 == 0 ? "the folded batches" : "batch \($0)" } ?? "the start"
        let at = atBatch.map { "batch \($0)" } ?? "the end"
        return switch kind {
        case .gap: "gap in \(place): offsets [\(from), \(until)) were read by no batch (between \(before) and \(at))"
        case .overlap: "overlap in \(place): offsets [\(from), \(until)) were read again by \(at)"
        case .strayJump: "stray jump in \(place): it starts at \(until), the log stood at \(from) after \(before)"
        case .batchMissing: "batches [\(from), \(until)) are missing in the log"
        case .strayPosition: "position of \(place) is \(until), its last range ended at \(from)"
        }
    }
}

package struct AuditReport: Sendable, Codable, Equatable {
    /// What one topic partition's batches covered, folded ones included.
    package struct Partition: Sendable, Codable, Equatable {
        package var range: OffsetRange
        /// Batches still in the log that read from it.
        package var batches: Int64

        package init(range: OffsetRange, batches: Int64) {
            self.range = range
            self.batches = batches
        }
    }
    package var findings: [AuditFinding]
    package var jumps: [Jump]
    package var partitions: [Partition]
    /// DONE batches, folded ones included.
    package var batches: Int64
    /// Batches among them that read again what was read: repairs, redrives and the like, by kind. They cover nothing.
    package var again: [String: Int64]?

    /// Declared jumps are permitted, unless `strict`.
    package func passes(strict: Bool) -> Bool { findings.isEmpty && (!strict || jumps.isEmpty) }
}

/// Numbers of the DONE batches that the log still has.
package struct DoneBatches: Sendable, Equatable {
    package var first: BatchNumber
    package var last: BatchNumber
    package var count: Int64

    package init(first: BatchNumber, last: BatchNumber, count: Int64) {
        self.first = first
        self.last = last
        self.count = count
    }
}

package struct Audit {
    private struct Standing {
        var from: Int64
        /// The next offset that is due.
        var next: Int64
        var batch: BatchNumber
        var batches: Int64
        /// Where it stood when `takeCovered` was last asked.
        var taken: Int64
    }

    private let foldedUntil: BatchNumber
    private let jumps: [Jump]
    /// Jumps that are still to be applied, per partition, the next one last.
    private var pending: [TopicPartition: [Jump]] = [:]
    private var standings: [TopicPartition: Standing] = [:]
    package private(set) var findings: [AuditFinding] = []

    /// - Parameters:
    ///   - checkpoints: what the batches up to `foldedUntil` covered; jumps before that batch are part of it.
    package init(checkpoints: [OffsetRange] = [], foldedUntil: BatchNumber = 0, jumps: [Jump] = []) {
        self.foldedUntil = foldedUntil
        self.jumps = jumps
        for range in checkpoints {
            standings[range.topicPartition] = Standing(
                from: range.from, next: range.until, batch: 0, batches: 0, taken: range.until)
        }
        for jump in jumps.reversed() where jump.afterBatch >= foldedUntil {
            pending[jump.topicPartition, default: []].append(jump)
        }
    }

    /// The next range; batches must come in ascending order.
    package mutating func add(_ logged: LoggedRange) {
        let range = logged.range
        let place = range.topicPartition
        if !pending.isEmpty { applyJumps(of: place, before: logged.batch) }
        guard var standing = standings[place] else {
            standings[place] = Standing(
                from: range.from, next: range.until, batch: logged.batch, batches: 1, taken: range.from)
            return
        }
        compare(range, with: standing, at: logged.batch)
        // The larger, so that every batch that reads again what was read is found, and not only the first.
        standing.next = max(standing.next, range.until)
        standing.batch = logged.batch
        standing.batches += 1
        standings[place] = standing
    }

    /// The next folded hour; of kinds that cover nothing, nothing is looked at.
    package mutating func add(_ hour: LogHour) {
        guard hour.kind.movesPositions else { return }
        for range in hour.ranges {
            let place = range.topicPartition
            if let standing = standings[place] { compare(range, with: standing, at: hour.firstBatch) }
            let (from, batches) = (standings[place]?.from ?? range.from, standings[place]?.batches ?? 0)
            standings[place] = Standing(
                from: from, next: range.until, batch: hour.lastBatch, batches: batches, taken: range.until)
        }
        // The fold that made the row applied them.
        for (place, jumps) in pending {
            let left = jumps.filter { $0.afterBatch >= hour.lastBatch }
            pending[place] = left.isEmpty ? nil : left
        }
    }

    /// Where each partition that moved since the last call stood then and stands now, with the jumps before `batch`: what
    /// a fold up to `batch` keeps of these ranges.
    package mutating func takeCovered(before batch: BatchNumber) -> [OffsetRange] {
        for place in Array(pending.keys) { applyJumps(of: place, before: batch) }
        var covered: [OffsetRange] = []
        for (place, standing) in standings where standing.next != standing.taken {
            covered.append(
                OffsetRange(topic: place.topic, partition: place.partition, from: standing.taken, until: standing.next))
            standings[place]?.taken = standing.next
        }
        return covered.sorted { $0.topicPartition < $1.topicPartition }
    }

    private mutating func compare(_ range: OffsetRange, with standing: Standing, at batch: BatchNumber) {
        let place = range.topicPartition
        if range.from > standing.next {
            findings.append(
                AuditFinding(
                    kind: .gap, topicPartition: place, from: standing.next, until: range.from,
                    afterBatch: standing.batch, atBatch: batch))
        } else if range.from < standing.next {
            findings.append(
                AuditFinding(
                    kind: .overlap, topicPartition: place, from: range.from, until: min(standing.next, range.until),
                    afterBatch: standing.batch, atBatch: batch))
        }
    }

    /// Ends the audit: batch numbers without holes behind those that were folded, positions where the ranges ended.
    package mutating func report(
        done: DoneBatches?, foldedUntil: BatchNumber? = nil, positions: [PartitionPosition]
    ) -> AuditReport {
        let foldedUntil = foldedUntil ?? self.foldedUntil
        for place in Array(pending.keys) { applyJumps(of: place, before: .max) }
        if let done {
            if done.first > foldedUntil + 1 {
                findings.append(
                    AuditFinding(kind: .batchMissing, topicPartition: nil, from: foldedUntil + 1, until: done.first))
            }
            if done.count != done.last - done.first + 1 {
                findings.append(
                    AuditFinding(kind: .batchMissing, topicPartition: nil, from: done.first, until: done.last))
            }
        }
        for position in positions {
            let place = TopicPartition(topic: position.topic, partition: position.partition)
            guard let standing = standings[place], standing.next != position.position else { continue }
            findings.append(
                AuditFinding(
                    kind: .strayPosition, topicPartition: place, from: standing.next, until: position.position,
                    afterBatch: standing.batch))
        }
        let partitions = standings.map { place, standing in
            AuditReport.Partition(
                range: OffsetRange(
                    topic: place.topic, partition: place.partition, from: standing.from, until: standing.next),
                batches: standing.batches)
        }.sorted { $0.range.topicPartition < $1.range.topicPartition }
        return AuditReport(
            findings: findings, jumps: jumps, partitions: partitions, batches: foldedUntil + (done?.count ?? 0))
    }

    private mutating func applyJumps(of place: TopicPartition, before batch: BatchNumber) {
        while let jump = pending[place]?.last, jump.afterBatch < batch {
            pending[place]?.removeLast()
            if pending[place]?.isEmpty == true { pending[place] = nil }
            guard var standing = standings[place] else {
                standings[place] = Standing(
                    from: jump.newPosition, next: jump.newPosition, batch: 0, batches: 0, taken: jump.newPosition)
                continue
            }
            if jump.oldPosition != standing.next {
                findings.append(
                    AuditFinding(
                        kind: .strayJump, topicPartition: place, from: standing.next, until: jump.oldPosition,
                        afterBatch: standing.batch))
            }
            standing.next = jump.newPosition
            standings[place] = standing
        }
    }
}
