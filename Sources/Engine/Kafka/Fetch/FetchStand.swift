// Where a fetching reader stands in one partition: what came and was not handed on yet, and what is asked for next.
//
//   next            everything below it was handed to a range; nil after a range ended halfway
//   fetchPosition   behind the last batch that came: what the next request asks for
//
// Between them lie `segments`, each the records of one answer. They are walked once, in order, by `take`. Every batch is
// checked when it is reached (where it begins, its checksum, its format), so that what is wrong behind a good batch stops a
// range exactly there. Aborted transactions are known for each answer: the first offset of one brings its producer into the set, its
// marker takes it out.
//
// `generation` counts the starts: what was asked for before a start is dropped when it comes. Nothing survives a crash. One
// thread uses a stand; pointers that `take` gave hold until its next call.

package final class FetchStand {
    package let partition: TopicPartition
    package private(set) var next: Int64?
    package private(set) var fetchPosition: Int64 = 0
    package private(set) var generation = 0
    /// Of the last batch that was read; -1 before one was.
    private var lastEpoch: Int32 = -1
    /// Of the last batch that came; what the leader compares its log with.
    package private(set) var fetchedEpoch: Int32 = -1
    /// The end that the last answer told: as far as the isolation level lets a reader see. -1 before one came.
    package private(set) var endSeen: Int64 = -1
    /// The reader's count of ranges when this partition was read last.
    package var lastRead = 0
    /// The reader's count of followings when this partition was named last.
    package var lastNamed = 0
    /// The reader's count of requests when this partition was asked for last.
    package var lastAsked = 0

    /// In a request whose answer has not come.
    package var isAsked = false
    /// Not asked for before this.
    package var restUntil = ContinuousClock.Instant.now
    /// The last error that may pass by itself.
    package var lastError: Int16 = 0
    /// Why it cannot be read; thrown when a range wants it.
    package var failure: Failure?
    /// The leader has no such offset; what it holds instead, when it said so.
    package var outOfRange: (isAnswered: Bool, held: Range<Int64>?)?
    /// Read from this broker instead of the leader, until then.
    package var replica: (broker: Int32, until: ContinuousClock.Instant)?
    package var replicaBounces = 0
    /// Bytes of the next answer, where a batch was larger than the usual limit.
    package var raisedLimit: Int32 = 0
    /// The offset at which records came broken once.
    package var brokenAt: Int64 = -1

    private var segments: [Segment] = []
    private var batchEnd: Int64 = -1
    private var open: OpenBatch?
    private var pending: [FetchBuffer] = []

    private struct Segment {
        var buffer: FetchBuffer
        var place = 0
        var end: Int
        var endPosition: Int64
        var records: Int
        /// By first offset.
        var aborted: [AbortedTransaction]
        var abortedPlace = 0
        var abortedProducers: Set<Int64> = []
    }
    private struct OpenBatch {
        var header: RecordBatchHeader
        var run: RecordRun
        /// What it was unpacked to; nil when it lies in its segment.
        var unpacked: FetchBuffer?
    }

    package init(_ partition: TopicPartition) { self.partition = partition }

    // MARK: asking

    /// - Parameter epoch: of the last batch before the offset; -1 when unknown.
    package func start(at offset: Int64, epoch: Int32 = -1, _ shop: FetchShop) {
        stop(shop)
        next = offset
        fetchPosition = offset
        batchEnd = -1
        lastEpoch = epoch
        fetchedEpoch = epoch
        endSeen = -1
    }

    package func stop(_ shop: FetchShop) {
        generation += 1
        next = nil
        isAsked = false
        failure = nil
        outOfRange = nil
        lastError = 0
        restUntil = .now
        for segment in segments { shop.put(segment.buffer) }
        segments.removeAll(keepingCapacity: true)
        putBack(shop)
        if let unpacked = open?.unpacked { shop.put(unpacked) }
        open = nil
    }

    /// Until a range is complete its position is unknown to the next one.
    package func leave() { next = nil }
    /// A range has ended, and what was given out for it is not used any more.
    package func stay(at position: Int64, _ shop: FetchShop) {
        next = position
        putBack(shop)
        // One that ends behind the range tells the next one how far a hole reaches.
        while open == nil, let first = segments.first, first.place == first.end, first.endPosition <= position {
            shop.put(segments.removeFirst().buffer)
        }
    }

    /// The leader's epoch of the batch that reaches up to the position; nil where a hole lies between, because a leader
    /// that is asked with that epoch says that its log ends before the hole.
    package func epoch(before position: Int64) -> Int32? { batchEnd >= position && lastEpoch >= 0 ? lastEpoch : nil }

    /// The leader cannot compare: it knows no such epoch.
    package func forgetEpoch() { fetchedEpoch = -1 }

    package var bufferedBytes: Int { segments.reduce(0) { $0 + $1.end - $1.place } }
    /// Records that came and were not handed on; those of aborted transactions are counted, too.
    package var bufferedRecords: Int { segments.reduce(open?.run.left ?? 0) { $0 + $1.records } }

    /// More is known to lie behind what is here.
    package var isBehind: Bool { failure == nil && outOfRange == nil && endSeen > fetchPosition }

    /// Whether an answer of so many bytes may wait here, too.
    package func hasRoom(_ bytes: Int, of share: Int) -> Bool {
        let held = bufferedBytes
        return held == 0 || held + bytes <= share
    }

    /// Records are here, and the last answer told of no others.
    package var hasAllThereIs: Bool { bufferedBytes > 0 && endSeen <= fetchPosition }

    /// Records of an answer came for this stand.
    package func came(_ answer: FetchedPartition, _ buffer: FetchBuffer?, isolation: IsolationLevel, _ shop: FetchShop) {
        endSeen = isolation == .readCommitted && answer.lastStableOffset >= 0 ? answer.lastStableOffset : answer.highWatermark
        guard let buffer else { return }
        // Only where the batches are; what they hold is looked at when a range comes to them.
        var segment = Segment(
            buffer: buffer, end: 0, endPosition: fetchPosition, records: 0,
            aborted: answer.aborted.count > 1 ? answer.aborted.sorted { $0.firstOffset < $1.firstOffset } : answer.aborted)
        let bytes = buffer.bytes
        scan: while segment.end < bytes.count {
            switch RecordBatchHeader.read(UnsafeRawBufferPointer(rebasing: bytes[segment.end...])) {
            case .whole(let header):
                segment.end += header.bytes
                segment.records += Int(header.recordCount)
                segment.endPosition = max(segment.endPosition, header.endOffset)
                fetchedEpoch = header.leaderEpoch
            case .cut: break scan
            case .oldFormat, .broken:
                // The range that comes here says what is wrong.
                segment.end = bytes.count
                break scan
            }
        }
        if segment.end == 0 {
            // Not even the first batch came whole: a larger limit next time.
            raisedLimit = Int32(clamping: max(Int(raisedLimit), bytes.count) * 2)
            shop.put(buffer)
            return
        }
        raisedLimit = 0
        fetchPosition = segment.endPosition
        segments.append(segment)
    }

    // MARK: walking

    /// Appends the next records of the range to `room`; 0 when nothing more is here or the passage is complete.
    package func take(
        into room: UnsafeMutableBufferPointer<RawRecord>, _ passage: inout RangePassage, bytes: inout Int,
        last: inout RecordRun.Last, _ shop: FetchShop
    ) throws -> Int {
        putBack(shop)
        var count = 0
        while count < room.count && !passage.isComplete {
            if open == nil {
                guard try openNext(&passage, hasRecords: count > 0, shop) else { break }
                continue
            }
            let before = count
            let stop = open!.run.take(
                from: passage.next, until: passage.until, into: room, count: &count, bytes: &bytes, last: &last)
            if count > before { _ = passage.record(at: last.offset) }
            switch stop {
            case .ran: if open!.run.left == 0 { try close(&passage) }
            case .beyond: passage.reachedEnd(at: passage.until)
            case .broken(let why): throw StandTrouble.broken(offset: open!.header.baseOffset, why)
            }
        }
        return count
    }

    private func putBack(_ shop: FetchShop) {
        for buffer in pending { shop.put(buffer) }
        pending.removeAll(keepingCapacity: true)
    }

    private func close(_ passage: inout RangePassage) throws {
        let batch = open!
        if batch.unpacked == nil, batch.run.trailingBytes != 0 {
            throw StandTrouble.broken(offset: batch.header.baseOffset, "\(batch.run.trailingBytes) bytes behind its last record")
        }
        open = nil
        // Its records were just given out.
        if let unpacked = batch.unpacked { pending.append(unpacked) }
        passage.reachedEnd(at: batch.header.endOffset)
    }

    /// Comes to the next batch with records to look at.
    /// - Parameter hasRecords: whether pointers into what is here are given out by this call.
    /// - Returns: false when nothing is here, or the records have to be handed on first.
    private func openNext(_ passage: inout RangePassage, hasRecords: Bool, _ shop: FetchShop) throws -> Bool {
        guard !segments.isEmpty else { return false }
        if segments[0].place == segments[0].end {
            if hasRecords { return false }
            passage.reachedEnd(at: segments[0].endPosition)
            shop.put(segments.removeFirst().buffer)
            return true
        }
        let rest = UnsafeRawBufferPointer(rebasing: segments[0].buffer.bytes[segments[0].place..<segments[0].end])
        let header: RecordBatchHeader
        switch RecordBatchHeader.read(rest) {
        case .whole(let read): header = read
        case .cut: throw StandTrouble.broken(offset: passage.next, "it is cut")
        case .oldFormat(let format): throw StandTrouble.oldFormat(offset: passage.next, format)
        case .broken(let why): throw StandTrouble.broken(offset: passage.next, why)
        }
        if header.baseOffset < batchEnd {
            throw StandTrouble.broken(offset: header.baseOffset, "it begins below \(batchEnd), where the batch before it ended")
        }
        if batchEnd < 0 && header.endOffset <= passage.next {
            throw StandTrouble.broken(offset: header.baseOffset, "it ends at \(header.endOffset), and \(passage.next) was asked for")
        }
        if header.baseOffset >= passage.until {
            passage.reachedEnd(at: header.baseOffset)
            return true
        }
        // What is unpacked for this call must be handed on before more is.
        if hasRecords, let codec = header.codec, codec != .none, shop.extra.isSpent { return false }
        if shop.checksCRC && !header.isIntact(rest) { throw StandTrouble.corrupt(offset: header.baseOffset) }
        if try isVisible(header, rest) {
            let records = UnsafeRawBufferPointer(rebasing: rest[RecordBatchHeader.size..<header.bytes])
            guard let codec = header.codec else {
                throw StandTrouble.unknownCodec(offset: header.baseOffset, Int(header.attributes & 7))
            }
            if codec == .none {
                open = OpenBatch(header: header, run: RecordRun(header, records: records))
            } else {
                let output = shop.takeForUnpacking(max(records.count, shop.usualUnpackedBytes))
                do throws(UnpackError) { try shop.unpacker.unpack(codec, records, into: output) } catch {
                    shop.put(output)
                    throw StandTrouble.packed(offset: header.baseOffset, codec, error)
                }
                shop.usualUnpackedBytes = min(output.count + output.count / 8, 1 << 20)
                open = OpenBatch(header: header, run: RecordRun(header, records: output.bytes), unpacked: output)
            }
        }
        segments[0].place += header.bytes
        segments[0].records -= Int(header.recordCount)
        batchEnd = header.endOffset
        lastEpoch = header.leaderEpoch
        if open == nil { passage.reachedEnd(at: header.endOffset) }
        return true
    }

    /// Whether a batch has records for a reader: no marker, not of an aborted transaction, not empty.
    private func isVisible(_ header: RecordBatchHeader, _ bytes: UnsafeRawBufferPointer) throws -> Bool {
        // With read_uncommitted an answer names no aborted transactions.
        if header.producerID >= 0 && (segments[0].abortedPlace < segments[0].aborted.count || !segments[0].abortedProducers.isEmpty) {
            while segments[0].abortedPlace < segments[0].aborted.count,
                segments[0].aborted[segments[0].abortedPlace].firstOffset < header.endOffset
            {
                segments[0].abortedProducers.insert(segments[0].aborted[segments[0].abortedPlace].producerID)
                segments[0].abortedPlace += 1
            }
            if header.isControl {
                if header.isAbortMarker(bytes) { segments[0].abortedProducers.remove(header.producerID) }
            } else if header.isTransactional && segments[0].abortedProducers.contains(header.producerID) {
                return false
            }
        }
        return !header.isControl && header.recordCount > 0
    }
}

/// What stands lend and give back; one a reader. Memory has two budgets that do not take from each other: answers of the usual size,
/// and beside them what a first batch beyond its limit and what is unpacked take.
package final class FetchShop {
    package private(set) var answers: FetchBuffers
    package private(set) var extra: FetchBuffers
    package let unpacker: BatchUnpacker
    package let checksCRC: Bool
    /// Of the last batches: a guess that fits needs no second one.
    package var usualUnpackedBytes = 16 << 10

    package init(answerBytes: Int, extraBytes: Int, mostUnpackedBytes: Int, checksCRC: Bool) {
        answers = FetchBuffers(budgetBytes: answerBytes)
        extra = FetchBuffers(budgetBytes: extraBytes, isExtra: true)
        unpacker = BatchUnpacker(mostBytes: mostUnpackedBytes)
        self.checksCRC = checksCRC
    }

    /// Bytes that are lent or kept.
    package var bytes: Int { answers.bytes + extra.bytes }

    /// - Parameter usual: bytes that an answer was told to bring at most; a first batch may be larger.
    package func takeForAnswer(_ bytes: Int, usual: Int) -> FetchBuffer {
        if bytes <= usual { return answers.take(bytes) }
        // It grows as bytes come, and is counted as what was announced: nothing else is asked for beside it.
        let buffer = extra.take(usual)
        extra.count(buffer, as: bytes)
        return buffer
    }

    package func takeForUnpacking(_ bytes: Int) -> FetchBuffer { extra.take(bytes) }

    package func put(_ buffer: FetchBuffer) {
        if buffer.isExtra { extra.put(buffer) } else { answers.put(buffer) }
    }

    package func removeAll() {
        answers.removeAll()
        extra.removeAll()
    }
}

/// What a stand finds wrong with the batch at an offset.
package enum StandTrouble: Error, Hashable {
    case corrupt(offset: Int64)
    case broken(offset: Int64, String)
    case oldFormat(offset: Int64, Int8)
    case unknownCodec(offset: Int64, Int)
    case packed(offset: Int64, BatchCodec, UnpackError)

    package func failure(_ partition: TopicPartition) -> Failure {
        let elsewhere = "read the topic with the setting reader = librdkafka"
        switch self {
        case .corrupt(let offset):
            return Failure(
                .kafkaFatal, "The batch of \(partition) at offset \(offset) is damaged", why: "its checksum is not that of its bytes, twice",
                now: "check the broker's disk; delete its records and start with --accept-loss to go on behind them")
        case .broken(let offset, let why):
            return Failure(
                .kafkaFatal, "The batch of \(partition) at offset \(offset) cannot be read", why: why,
                now: "check who writes the topic; \(elsewhere) to see whether another client takes it")
        case .oldFormat(let offset, let format):
            return Failure(
                .kafkaFatal, "The records of \(partition) at offset \(offset) cannot be read by reader = fetch",
                why: "they are stored in record format \(format), from before Kafka 0.11", now: elsewhere)
        case .unknownCodec(let offset, let number):
            return Failure(
                .kafkaFatal, "The batch of \(partition) at offset \(offset) cannot be read by reader = fetch",
                why: "its compression has the number \(number), which is not known here", now: elsewhere)
        case .packed(let offset, let codec, .tooLarge):
            return Failure(
                .kafkaFatal, "The batch of \(partition) at offset \(offset) cannot be unpacked",
                why: "a compressed batch (\(codec)) unpacks to more than the client allows",
                now: "raise kafka.receive.message.max.bytes if such batches are meant; else delete its records and start with --accept-loss")
        case .packed(let offset, let codec, .broken(let why)):
            return Failure(
                .kafkaFatal, "The batch of \(partition) at offset \(offset) cannot be unpacked",
                why: "its \(codec) data are broken: \(why)",
                now: "check who writes the topic; delete its records and start with --accept-loss to go on behind them")
        }
    }
}
