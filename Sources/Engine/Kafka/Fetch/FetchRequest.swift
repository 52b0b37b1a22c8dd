// Asks one broker for records of some partitions: Fetch 4 to 16, without sessions.
//
// The order of the partitions counts: a broker fills its answer in that order, and only the first of them gets a batch that
// is larger than its limit. Whoever is waited for comes first, the others turn. Fields of replicas are never
// filled in: the replica id is -1 (-2 would see past the high watermark), from version 15 on it is left out.

package struct FetchRequest: Sendable {
    package struct Partition: Sendable, Hashable {
        package var partition: TopicPartition
        package var topicID: TopicID
        package var offset: Int64
        /// Of the leader as we know it; -1 when unknown.
        package var leaderEpoch: Int32
        /// Of the last batch before `offset`; -1 when unknown. The leader answers with `diverging` when its log differs.
        package var lastEpoch: Int32
        /// Bytes; a first batch that is larger comes all the same.
        package var mostBytes: Int32

        package init(_ partition: TopicPartition, topicID: TopicID, offset: Int64, leaderEpoch: Int32, lastEpoch: Int32, mostBytes: Int32) {
            self.partition = partition
            self.topicID = topicID
            self.offset = offset
            self.leaderEpoch = leaderEpoch
            self.lastEpoch = lastEpoch
            self.mostBytes = mostBytes
        }
    }

    package var partitions: [Partition] = []
    package var isolation: IsolationLevel
    package var maxWaitMillis: Int32
    package var minBytes: Int32 = 1
    package var mostBytes: Int32
    package var rack = ""

    package init(isolation: IsolationLevel, maxWaitMillis: Int32, mostBytes: Int32) {
        self.isolation = isolation
        self.maxWaitMillis = maxWaitMillis
        self.mostBytes = mostBytes
    }

    /// Above it topics go by id.
    package static let lastVersionWithNames: Int16 = 12

    package func write(_ request: inout WireRequest, version: Int16) {
        if version <= 14 { request.int32(-1) }
        request.int32(maxWaitMillis)
        request.int32(minBytes)
        request.int32(mostBytes)
        request.int8(isolation == .readCommitted ? 1 : 0)
        if version >= 7 {
            request.int32(0)
            request.int32(-1)
        }
        // Neighbours of one topic are one entry.
        var starts: [Int] = []
        for index in partitions.indices where index == 0 || partitions[index].partition.topic != partitions[index - 1].partition.topic {
            starts.append(index)
        }
        request.count(starts.count)
        for (number, start) in starts.enumerated() {
            let end = number + 1 < starts.count ? starts[number + 1] : partitions.count
            if version > Self.lastVersionWithNames {
                request.topicID(partitions[start].topicID)
            } else {
                request.text(partitions[start].partition.topic)
            }
            request.count(end - start)
            for index in start..<end { write(&request, version, partitions[index]) }
            request.tags()
        }
        if version >= 7 { request.count(0) }
        if version >= 11 { request.text(rack) }
        request.tags()
    }

    private func write(_ request: inout WireRequest, _ version: Int16, _ one: Partition) {
        request.int32(one.partition.partition)
        if version >= 9 { request.int32(one.leaderEpoch) }
        request.int64(one.offset)
        if version >= 12 { request.int32(one.lastEpoch) }
        if version >= 5 { request.int64(-1) }
        request.int32(one.mostBytes)
        request.tags()
    }
}
