// The fastest loop that only reads by Kafka's own protocol: the bench's second baseline, what is left when nothing is checked.
//
// One connection, Fetch 11, all partitions in every request, uncompressed batches only. The next answer is asked for before the
// records of the last one are walked; each record's last byte is touched. No bound on a length, no aborted transactions, no
// second broker, no error but the end: it is the yardstick of `FetchReader`, never a part of it. An answer brings what the configuration
// says, so that both sides of the bench are given the same.

import Glibc

package struct FetchingLoop {
    package var checksCRC: Bool

    package init(checksCRC: Bool = true) { self.checksCRC = checksCRC }

    private static let version: Int16 = 11

    /// Reads the ranges to their ends. They must have no holes, and one broker must lead all their partitions.
    package func run(_ configuration: KafkaConfiguration, _ ranges: [OffsetRange], timeoutMillis: Int = 60_000) throws -> ReadingLoop.Result {
        let settings = FetchSettings(configuration)
        let view = try ClusterAsker(settings).view(of: Set(ranges.map(\.topic)).sorted())
        let leaders = Set(ranges.map { view.leader(of: $0.topicPartition)?.broker ?? -1 })
        guard leaders.count == 1, let leader = leaders.first, let address = view.brokers[leader] else {
            throw Failure(
                .notPossible, "The bare loop reads from one broker only", why: "brokers \(leaders.sorted()) lead these partitions",
                now: "bench on a cluster of one broker")
        }
        let line = try BrokerLine.open(address, settings)
        let wanted = ranges.reduce(0) { $0 + $1.count }
        var buffers = [FetchBuffer(capacity: 1 << 20), FetchBuffer(capacity: 1 << 20)]
        var next = ranges.map(\.from)
        var (records, sum) = (Int64(0), UInt64(0))
        let began = ProcessClocks.steadyNanos()
        let deadline = ContinuousClock.now + .milliseconds(timeoutMillis)
        try ask(line, ranges, next, settings.mostPartitionBytes)
        while records < wanted {
            let answer = buffers[0]
            try receive(line, into: answer, until: deadline)
            // Positions first, so that the next answer is on its way while records are walked.
            let pieces = try pieces(of: answer.bytes, ranges, &next)
            try ask(line, ranges, next, settings.mostPartitionBytes)
            for piece in pieces { try walk(piece, &records, &sum) }
            buffers.swapAt(0, 1)
        }
        let ended = ProcessClocks.steadyNanos()
        // What was added up is used, so that it is not left out.
        guard sum != 0 || wanted == 0 else { return ReadingLoop.Result(records: 0, beganNanos: began, endedNanos: ended, cpuNanos: 0) }
        return ReadingLoop.Result(records: records, beganNanos: began, endedNanos: ended, cpuNanos: ProcessClocks.usedNanos())
    }

    private func ask(_ line: BrokerLine, _ ranges: [OffsetRange], _ next: [Int64], _ partitionBytes: Int32) throws {
        let open = ranges.indices.filter { next[$0] < ranges[$0].until }
        if open.isEmpty { return }
        var fetch = FetchRequest(isolation: .readUncommitted, maxWaitMillis: 100, mostBytes: partitionBytes * Int32(open.count))
        for index in open {
            fetch.partitions.append(
                FetchRequest.Partition(
                    ranges[index].topicPartition, topicID: .none, offset: next[index], leaderEpoch: -1, lastEpoch: -1,
                    mostBytes: partitionBytes))
        }
        _ = try line.send(fetch, version: Self.version)
    }

    private func receive(_ line: BrokerLine, into buffer: FetchBuffer, until deadline: ContinuousClock.Instant) throws {
        var length: UInt32 = 0
        try withUnsafeMutableBytes(of: &length) { try line.stream.receiveAll($0, until: deadline) }
        let bytes = Int(length.bigEndian)
        buffer.grow(keeping: 0, to: bytes)
        buffer.count = bytes
        try line.stream.receiveAll(UnsafeMutableRawBufferPointer(start: buffer.base, count: bytes), until: deadline)
    }

    /// The whole batches of each partition; moves its position behind them.
    private func pieces(
        of bytes: UnsafeRawBufferPointer, _ ranges: [OffsetRange], _ next: inout [Int64]
    ) throws -> [UnsafeRawBufferPointer] {
        var cursor = WireCursor(bytes)
        var pieces: [UnsafeRawBufferPointer] = []
        try cursor.skip(4 + 4 + 2 + 4)
        for _ in 0..<(try cursor.int32()) {
            let topic = try cursor.text(false)
            for _ in 0..<(try cursor.int32()) {
                let partition = try cursor.int32()
                let error = try cursor.int16()
                guard error == 0, let index = ranges.firstIndex(where: { $0.topic == topic && $0.partition == partition }) else {
                    throw StreamError("partition \(partition): \(FetchTrouble.name(error))")
                }
                try cursor.skip(24)
                try cursor.skip(16 * max(0, Int(try cursor.int32())))
                try cursor.skip(4)
                let length = max(0, Int(try cursor.int32()))
                let all = UnsafeRawBufferPointer(start: cursor.place, count: length)
                var end = 0
                while case .whole(let header) = RecordBatchHeader.read(UnsafeRawBufferPointer(rebasing: all[end...])) {
                    next[index] = header.endOffset
                    end += header.bytes
                }
                pieces.append(UnsafeRawBufferPointer(rebasing: all[..<end]))
                try cursor.skip(length)
            }
        }
        return pieces
    }

    private func walk(_ piece: UnsafeRawBufferPointer, _ records: inout Int64, _ sum: inout UInt64) throws {
        var rest = piece
        while case .whole(let header) = RecordBatchHeader.read(rest) {
            if header.codec != BatchCodec.none { throw StreamError("the bare loop reads no compressed batches") }
            if checksCRC && !header.isIntact(rest) { throw StreamError("a batch came damaged") }
            var place = rest.baseAddress!.assumingMemoryBound(to: UInt8.self) + RecordBatchHeader.size
            for _ in 0..<header.recordCount {
                let length = Int(Varint.read(&place))
                let end = place + length
                place += 1
                _ = Varint.read(&place)
                _ = Varint.read(&place)
                let key = Int(Varint.read(&place))
                if key > 0 { place += key }
                let value = Int(Varint.read(&place))
                if value > 0 { sum &+= UInt64(place[value - 1]) }
                records += 1
                place = end
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[header.bytes...])
        }
    }
}
