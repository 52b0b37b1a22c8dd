// Asks one leader where a partition begins and ends, and where a leader's epoch ended: the questions behind "this offset is not
// there". Encoding and decoding only.
//
// Both carry the epoch of the leader as we know it, so that a broker that no longer leads, or another topic, refuses.

package struct OffsetLookup: Sendable, Hashable {
    package var error: Int16
    package var offset: Int64
    package var leaderEpoch: Int32

    package enum Place: Int64, Sendable {
        /// Behind the last record that the isolation level lets a reader see.
        case end = -1
        case start = -2
    }

    package static func ask(
        _ request: inout WireRequest, version: Int16, _ partition: TopicPartition, leaderEpoch: Int32, at place: Place,
        isolation: IsolationLevel
    ) {
        request.int32(-1)
        if version >= 2 { request.int8(isolation == .readCommitted ? 1 : 0) }
        request.count(1)
        request.text(partition.topic)
        request.count(1)
        request.int32(partition.partition)
        if version >= 4 { request.int32(leaderEpoch) }
        request.int64(place.rawValue)
        request.tags()
        request.tags()
        request.tags()
    }

    /// The answer of the only partition that was asked for.
    package init(_ cursor: inout WireCursor, version: Int16, _ partition: TopicPartition) throws(WireError) {
        let isFlexible = WireCall.listOffsets.isFlexible(version)
        if version >= 2 { _ = try cursor.int32() }
        guard try cursor.claimedCount(isFlexible) == 1, try cursor.text(isFlexible) == partition.topic,
            try cursor.claimedCount(isFlexible) == 1, try cursor.int32() == partition.partition
        else { throw .malformed("an answer to another question") }
        error = try cursor.int16()
        _ = try cursor.int64()
        offset = try cursor.int64()
        leaderEpoch = version >= 4 ? try cursor.int32() : -1
    }
}

/// Where the records of a leader's epoch end.
package struct EpochEnd: Sendable, Hashable {
    package var error: Int16
    /// The largest known epoch up to the one that was asked for; -1 when none is known.
    package var leaderEpoch: Int32
    package var endOffset: Int64

    package static func ask(
        _ request: inout WireRequest, version: Int16, _ partition: TopicPartition, leaderEpoch: Int32, of epoch: Int32
    ) {
        request.int32(-1)
        request.count(1)
        request.text(partition.topic)
        request.count(1)
        request.int32(partition.partition)
        request.int32(leaderEpoch)
        request.int32(epoch)
        request.tags()
        request.tags()
        request.tags()
    }

    package init(_ cursor: inout WireCursor, version: Int16, _ partition: TopicPartition) throws(WireError) {
        let isFlexible = WireCall.offsetForLeaderEpoch.isFlexible(version)
        _ = try cursor.int32()
        guard try cursor.claimedCount(isFlexible) == 1, try cursor.text(isFlexible) == partition.topic,
            try cursor.claimedCount(isFlexible) == 1
        else { throw .malformed("an answer to another question") }
        error = try cursor.int16()
        guard try cursor.int32() == partition.partition else { throw .malformed("an answer to another question") }
        leaderEpoch = try cursor.int32()
        endOffset = try cursor.int64()
    }
}
