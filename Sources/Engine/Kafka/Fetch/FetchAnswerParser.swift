// Takes an answer to Fetch apart while it comes: heads into a small scratch, records straight into their partition's buffer.
//
//   frame → head → (topic → (partition → records → tail)… → topic tail)… → answer tail → done
//
// Whoever has the socket asks `room` where the next bytes go and says with `received` how many came; so a megabyte of records is
// copied by the kernel once and by us never, and the same answer cut anywhere gives the same calls. Every count and length
// is held against the frame's length, and the frame's against a bound: what lies is `malformed`, never waited for
// beyond its frame and never read past it. Memory is taken for bytes that came.
//
// Tagged fields stand behind the records, so leader hints and a diverging epoch are known at a partition's end only.

import Glibc

/// What an answer says of one partition.
package struct FetchedPartition: Sendable {
    /// One of both, by the version.
    package var topic: String?
    package var topicID = TopicID.none
    package var partition: Int32 = -1
    package var error: Int16 = 0
    package var highWatermark: Int64 = -1
    /// -1 for brokers that do not say.
    package var lastStableOffset: Int64 = -1
    package var logStart: Int64 = -1
    /// In the order of their markers; of this answer's records only.
    package var aborted: [AbortedTransaction] = []
    package var preferredReplica: Int32 = -1
    package var recordBytes = 0
    /// The last epoch in which the leader's log agrees with ours, and where it ends.
    package var diverging: (epoch: Int32, endOffset: Int64)?
    package var currentLeader: (broker: Int32, epoch: Int32)?

    package init() {}
}

package struct AbortedTransaction: Sendable, Hashable {
    package var producerID: Int64
    package var firstOffset: Int64

    package init(producerID: Int64, firstOffset: Int64) {
        self.producerID = producerID
        self.firstOffset = firstOffset
    }
}

/// What takes the parts of an answer as they come.
package protocol FetchAnswerReceiver: AnyObject {
    /// Records of this partition follow.
    /// - Returns: an empty buffer for them; nil to drop them.
    func recordsCome(of partition: FetchedPartition) throws -> FetchBuffer?
    /// All of the partition is there.
    func partitionCame(_ partition: FetchedPartition, records: FetchBuffer?) throws
    func brokerNamed(_ broker: Int32, at address: BrokerAddress)
}

package final class FetchAnswerParser {
    private enum Phase { case frame, head, topic, partition, records, partitionTail, topicTail, answerTail, done }

    private var phase = Phase.done
    private var version: Int16 = 4
    private var isFlexible = false
    private var correlation: Int32 = 0
    private var mostBytes = 0
    /// Of the frame, not received yet.
    private var frameLeft = 0
    private var scratch = FetchBuffer(capacity: 4096)
    private var consumed = 0
    private var topicsLeft = 0
    private var partitionsLeft = 0
    private var topic: String?
    private var topicID = TopicID.none
    private var current = FetchedPartition()
    private var recordsLeft = 0
    private var buffer: FetchBuffer?

    /// Of the whole answer.
    package private(set) var error: Int16 = 0
    package private(set) var throttleMillis: Int32 = 0
    /// Bytes of records so far.
    package private(set) var recordBytes = 0
    package private(set) var hasBegun = false

    package init() {}

    package var isDone: Bool { phase == .done }

    /// - Parameter mostBytes: of the whole answer; a longer one is refused by its length.
    package func begin(version: Int16, correlation: Int32, mostBytes: Int) {
        phase = .frame
        self.version = version
        isFlexible = WireCall.fetch.isFlexible(version)
        self.correlation = correlation
        self.mostBytes = mostBytes
        frameLeft = 4
        scratch.count = 0
        consumed = 0
        error = 0
        throttleMillis = 0
        recordBytes = 0
        hasBegun = false
        buffer = nil
    }

    /// Gives an answer up.
    /// - Returns: the buffer that the receiver lent and that is not whole.
    package func abandon() -> FetchBuffer? {
        defer {
            buffer = nil
            phase = .done
        }
        return buffer
    }

    /// Where the next bytes go; never more than the frame still has.
    package func room() -> UnsafeMutableRawBufferPointer {
        if phase == .records && consumed == scratch.count {
            if let buffer { return buffer.room(most: recordsLeft) }
            scratch.count = 0
            consumed = 0
            return scratch.room(most: recordsLeft)
        }
        if consumed > 0 {
            let rest = scratch.count - consumed
            if rest > 0 { memmove(scratch.base, scratch.base + consumed, rest) }
            scratch.count = rest
            consumed = 0
        }
        return scratch.room(most: frameLeft)
    }

    /// So many bytes came into what `room` gave.
    /// - Throws: `WireError.malformed`, or what the receiver throws.
    package func received(_ count: Int, _ receiver: some FetchAnswerReceiver) throws {
        hasBegun = true
        frameLeft -= count
        if phase == .records && consumed == scratch.count {
            if let buffer { buffer.count += count }
            recordsLeft -= count
            if recordsLeft > 0 { return }
            phase = .partitionTail
        } else {
            scratch.count += count
        }
        do {
            while try step(receiver) {}
        } catch WireError.incomplete {
            if frameLeft == 0 && phase != .frame { throw WireError.malformed("the answer ends within its \(phase)") }
        }
    }

    /// - Returns: whether there may be another step with the bytes that are there.
    private func step(_ receiver: some FetchAnswerReceiver) throws -> Bool {
        if phase == .records {
            let here = min(recordsLeft, scratch.count - consumed)
            if here > 0 {
                if let buffer {
                    var done = 0
                    while done < here {
                        let room = buffer.room(most: here - done)
                        room.copyMemory(from: UnsafeRawBufferPointer(start: scratch.base + consumed + done, count: room.count))
                        buffer.count += room.count
                        done += room.count
                    }
                }
                consumed += here
                recordsLeft -= here
            }
            if recordsLeft > 0 { return false }
            phase = .partitionTail
            return true
        }
        var cursor = WireCursor(UnsafeRawBufferPointer(start: scratch.base + consumed, count: scratch.count - consumed))
        let next = try parse(&cursor, receiver)
        consumed += cursor.consumed
        phase = next
        if next == .done {
            guard frameLeft == 0 && consumed == scratch.count else { throw WireError.malformed("bytes behind the answer") }
            return false
        }
        return true
    }

    private func parse(_ cursor: inout WireCursor, _ receiver: some FetchAnswerReceiver) throws -> Phase {
        switch phase {
        case .frame:
            let length = Int(try cursor.int32())
            guard length >= 4, length <= mostBytes else { throw WireError.malformed("an answer of \(length) bytes") }
            frameLeft = length
            return .head
        case .head:
            let answered = try cursor.int32()
            guard answered == correlation else { throw WireError.malformed("an answer to request \(answered), not \(correlation)") }
            try cursor.tags(isFlexible)
            let throttle = try cursor.int32()
            if version >= 7 {
                error = try cursor.int16()
                _ = try cursor.int32()
            }
            topicsLeft = try cursor.claimedCount(isFlexible)
            throttleMillis = throttle
            return topicsLeft > 0 ? .topic : .answerTail
        case .topic:
            if version > FetchRequest.lastVersionWithNames {
                topicID = try cursor.topicID()
                topic = nil
            } else {
                topic = try cursor.text(isFlexible)
            }
            partitionsLeft = try cursor.claimedCount(isFlexible)
            topicsLeft -= 1
            return partitionsLeft > 0 ? .partition : .topicTail
        case .partition:
            let partition = try partitionHead(&cursor)
            partitionsLeft -= 1
            current = partition
            recordsLeft = partition.recordBytes
            guard recordsLeft <= cursor.left + frameLeft else {
                throw WireError.malformed("records of \(recordsLeft) bytes in an answer that has \(cursor.left + frameLeft) left")
            }
            recordBytes += recordsLeft
            buffer = recordsLeft > 0 ? try receiver.recordsCome(of: partition) : nil
            return .records
        case .partitionTail:
            try partitionTags(&cursor)
            buffer?.seal()
            let came = buffer
            buffer = nil
            try receiver.partitionCame(current, records: came)
            return partitionsLeft > 0 ? .partition : .topicTail
        case .topicTail:
            try cursor.tags(isFlexible)
            return topicsLeft > 0 ? .topic : .answerTail
        case .answerTail:
            try answerTags(&cursor, receiver)
            return .done
        case .records, .done: preconditionFailure("phase \(phase) reads no head")
        }
    }

    private func partitionHead(_ cursor: inout WireCursor) throws(WireError) -> FetchedPartition {
        var partition = FetchedPartition()
        partition.topic = topic
        partition.topicID = topicID
        partition.partition = try cursor.int32()
        partition.error = try cursor.int16()
        partition.highWatermark = try cursor.int64()
        partition.lastStableOffset = try cursor.int64()
        if version >= 5 { partition.logStart = try cursor.int64() }
        let count = try cursor.count(isFlexible, elementBytes: 16)
        if count > 0 { partition.aborted.reserveCapacity(count) }
        for _ in 0..<count {
            partition.aborted.append(AbortedTransaction(producerID: try cursor.int64(), firstOffset: try cursor.int64()))
            try cursor.tags(isFlexible)
        }
        if version >= 11 { partition.preferredReplica = try cursor.int32() }
        partition.recordBytes = try cursor.length(isFlexible, wide: true) ?? 0
        return partition
    }

    private func partitionTags(_ cursor: inout WireCursor) throws(WireError) {
        var (diverging, leader): ((epoch: Int32, endOffset: Int64)?, (broker: Int32, epoch: Int32)?) = (nil, nil)
        try cursor.tags(isFlexible) { tag, field throws(WireError) in
            switch tag {
            case 0: diverging = (try field.int32(), try field.int64())
            case 1: leader = (try field.int32(), try field.int32())
            default: break
            }
        }
        // Filled in only when there is something to say; a broker that always writes them writes -1.
        if let diverging, diverging.epoch >= 0 || diverging.endOffset >= 0 { current.diverging = diverging }
        if let leader, leader.broker >= 0, leader.epoch >= 0 { current.currentLeader = leader }
    }

    private func answerTags(_ cursor: inout WireCursor, _ receiver: some FetchAnswerReceiver) throws(WireError) {
        try cursor.tags(isFlexible) { tag, field throws(WireError) in
            guard tag == 0 else { return }
            for _ in 0..<(try field.count(true, elementBytes: 8)) {
                let broker = try field.int32()
                let address = BrokerAddress(host: try field.text(true), port: try field.int32())
                _ = try field.optionalText(true)
                try field.tags(true)
                if (1...65_535).contains(address.port) { receiver.brokerNamed(broker, at: address) }
            }
        }
    }
}
