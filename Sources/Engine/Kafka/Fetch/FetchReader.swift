// Reads exact offset ranges by Kafka's own protocol, the records where the socket put them: the contract of `RecordReader`.
//
// One reader per (job, lane, slot) of a worker, on one thread, and no thread of its own: the kernel takes the next answer while this
// one is walked. A call works in turns of
//
//   take     the next records of the range out of what has come (`FetchStand`)
//   pump     what came since is received, and as soon as an answer is whole the next one is asked for (`FetchReader+Asking`)
//   body     the caller decodes the records where they lie
//
// in this order, so that a request is on its way before records are decoded. Two connections a broker: the patient one asks for
// everything and waits at the log's end, the prompt one asks for what somebody needs meanwhile. Whatever blocks is an
// `Inquiry`. What an answer says about a partition that nobody reads now is kept with its stand until somebody does.
//
// Memory: each partition may hold its share of the budget, and an answer brings at most half of it. What a larger first batch and what
// unpacking take has a second budget (`FetchShop`); when that is spent, only who is waited for is asked for more.
//
// Nothing here survives a crash: positions are the plan's. When changing this file: what is delivered is exactly [from, until), and
// `RangePassage` alone decides; a batch that looks wrong is an error, never skipped.

import CXXHash
import Glibc

package final class FetchReader: RecordReader {
    package let settings: FetchSettings
    package let isolation: IsolationLevel
    package let bell: ArrivalBell?
    let shop: FetchShop
    let asker: ClusterAsker
    private let budget: FetchBudget
    var stands: [TopicPartition: FetchStand] = [:]
    /// The stands in the order in which they were made, for loops.
    var order: [FetchStand] = []
    private var rangesRead = 0
    private var followings = 0
    private var raws = UnsafeMutableBufferPointer<RawRecord>(start: nil, count: 0)
    package private(set) var startCount = 0

    // What `FetchReader+Asking` keeps.
    var view = ClusterView()
    var viewAt: ContinuousClock.Instant?
    var viewInquiry: Inquiry<ClusterView>?
    var viewWantedAt: ContinuousClock.Instant?
    var viewFailure: Failure?
    var topicIDs: [String: TopicID] = [:]
    var sightings: [TopicPartition: TopicSighting] = [:]
    let madeAt = ContinuousClock.now
    var lookups: [TopicPartition: Inquiry<FoundLog>] = [:]
    var links: [Int32: [FetchLink]] = [:]
    var requestCount = 0
    /// Who is waited for.
    var needed: FetchStand?
    /// What the last failed login said; one refusal alone says nothing.
    var refusedLogins = 0

    package init(
        _ configuration: KafkaConfiguration, budgetBytes: Int, isolation: IsolationLevel? = nil, bell: ArrivalBell? = nil
    ) {
        settings = FetchSettings(configuration)
        self.isolation = isolation ?? configuration.isolation
        self.bell = bell
        budget = FetchBudget(bytes: budgetBytes)
        answerBytes = AnswerSize(settings).bytes
        asker = ClusterAsker(settings)
        shop = FetchShop(
            answerBytes: budget.bytes, extraBytes: Self.extraBytes, mostUnpackedBytes: settings.mostAnswerBytes,
            checksCRC: settings.checksCRC)
    }

    deinit {
        close()
        raws.deallocate()
    }

    /// The second budget: some batches of the usual megabyte, unpacked.
    private static let extraBytes = 4 << 20

    /// Bytes that records take here, waiting or unpacked, and that free buffers hold.
    package var memoryBytes: Int { shop.bytes }

    /// Bytes that one partition may hold.
    var shareBytes: Int { min(mostShareBytes, Self.mostAnswersHeld * answerBytes) }
    /// The same for what gathers before it is wanted: with no room left nothing would be asked for, and nothing would ring.
    var mostShareBytes: Int { budget.bytes / max(1, order.count) }
    /// More answers of a partition waiting would only take memory: one is walked, one is there, one is coming.
    private static let mostAnswersHeld = 3
    /// Bytes that an answer may bring for one partition.
    var usualAnswerBytes: Int { max(4096, min(answerBytes, shareBytes / 2)) }
    /// What the farthest of the brokers should bring for one partition, if there is room.
    private(set) var answerBytes: Int

    /// A link knows its way better now.
    func answerSizesChanged() { answerBytes = links.values.joined().map(\.size.bytes).max() ?? answerBytes }

    // MARK: following

    package func follow(_ positions: [OffsetRange], epochs: [TopicPartition: Int32] = [:]) throws {
        followings += 1
        // Of a range that was split only the first piece says where to begin.
        var named: Set<TopicPartition> = []
        let positions = positions.filter { named.insert($0.topicPartition).inserted }
        for position in positions { stands[position.topicPartition]?.lastNamed = followings }
        letGo { self.followings - $0.lastNamed >= Self.followingsKept }
        if order.count + positions.count(where: { stands[$0.topicPartition] == nil }) > budget.mostStanding {
            letGo { $0.lastNamed < self.followings }
        }
        for position in positions {
            if let stand = stands[position.topicPartition] {
                if stand.next != position.from { start(stand, at: position.from, epoch: epochs[position.topicPartition]) }
            } else if order.count < budget.mostStanding {
                start(stand(position.topicPartition), at: position.from, epoch: epochs[position.topicPartition])
            }
        }
        try pump(waitMillis: 0)
    }

    /// How many times `follow` may leave a partition out before it is let go.
    private static let followingsKept = 64

    private func letGo(_ condition: (FetchStand) -> Bool) {
        for stand in order where condition(stand) {
            stand.stop(shop)
            stands[stand.partition] = nil
        }
        order.removeAll { stands[$0.partition] == nil }
    }

    package func close() {
        letGo { _ in true }
        for link in links.values.joined() { link.close() }
        links.removeAll()
        shop.removeAll()
        (view, viewAt, viewInquiry) = (ClusterView(), nil, nil)
        topicIDs.removeAll()
        sightings.removeAll()
        lookups.removeAll()
    }

    private func stand(_ partition: TopicPartition) -> FetchStand {
        if let stand = stands[partition] { return stand }
        let stand = FetchStand(partition)
        stand.lastNamed = followings
        stands[partition] = stand
        order.append(stand)
        return stand
    }

    private func start(_ stand: FetchStand, at offset: Int64, epoch: Int32? = nil) {
        startCount += 1
        stand.start(at: offset, epoch: epoch ?? -1, shop)
        lookups[stand.partition] = nil
        sightings[stand.partition] = nil
    }

    /// The stand of a range, at its beginning.
    private func stand(for range: OffsetRange) -> FetchStand {
        let partition = range.topicPartition
        if stands[partition] == nil {
            // In turns: the one read last is needed again last.
            while order.count >= budget.mostStanding, let latest = order.max(by: { $0.lastRead < $1.lastRead }) {
                letGo { $0 === latest }
            }
        }
        let stand = stand(partition)
        stand.lastNamed = followings
        if stand.next != range.from || stand.failure != nil { start(stand, at: range.from) }
        rangesRead += 1
        stand.lastRead = rangesRead
        return stand
    }

    package func arrived(_ positions: [OffsetRange], most: Int) throws -> [Int64]? {
        if positions.contains(where: { stands[$0.topicPartition]?.next != $0.from }) { try follow(positions) }
        try settle()
        let before = ContinuousClock.now
        let gathering = links.values.compactMap(\.first).filter { $0.isBusy && $0.isGathering }
        if gathering.isEmpty {
            // The first look, or the answer under way is one that waits for nothing: the next one gathers.
            try pump(waitMillis: 0)
            if links.values.joined().contains(where: \.isAnswering) { _ = try takeRest(millis: 1) }
        } else {
            // They were asked at the same moment, and wait equally long: what one has the others have within a millisecond.
            _ = receive()
            while gathering.contains(where: \.isBusy), try takeRest(millis: 2), .now - before < .milliseconds(Self.restMillis) {}
            // One that was full waited for nothing, and then for the caller's rest.
            if gathering.contains(where: { $0.lastAnswerBytes >= RangeReader.gatheringBytes }) { _ = try askForRest() }
        }
        // The next answer waits for as long as batches are apart, so that one brings all that comes until then; it rings.
        try askForRecords(isPaced: false, isGathering: true)
        if let bell { for link in links.values.joined() { link.awaited.map { ArrivalWatch.shared.watch($0.descriptor, bell) } } }
        var ends: [Int64] = []
        ends.reserveCapacity(positions.count)
        for position in positions {
            guard let stand = stands[position.topicPartition], stand.next == position.from, stand.failure == nil,
                stand.outOfRange == nil, stand.endSeen <= stand.fetchPosition, stand.bufferedRecords < most,
                stand.bufferedBytes < budget.bytes / 4 / positions.count
            else { return nil }
            ends.append(max(stand.fetchPosition, position.from))
        }
        return ends
    }

    package func prefetch(waitMillis: Int) throws -> Bool {
        guard hasMoreToTake else { return false }
        try pump(waitMillis: waitMillis)
        return hasMoreToTake
    }

    /// Nothing is taken at the log's end: there a fetch is under way anyway, and what it brings rings.
    private var hasMoreToTake: Bool {
        let (limit, share, isSpent) = (usualAnswerBytes, shareBytes, shop.extra.isSpent)
        return !isSpent && order.contains { $0.isBehind && ($0.isAsked || $0.hasRoom(limit, of: share)) }
    }

    // MARK: reading

    package func read(
        _ range: OffsetRange, chunkRecords: Int, timeoutMillis: Int, cancelled: () -> Bool = { false },
        _ body: (UnsafeBufferPointer<RawRecord>) throws -> Void
    ) throws -> RangeResult {
        var result = RangeResult()
        var passage = RangePassage(from: range.from, until: range.until)
        if passage.isComplete { return result }
        let stand = stand(for: range)
        needed = stand
        defer { needed = nil }
        if raws.count < chunkRecords {
            raws.deallocate()
            raws = .allocate(capacity: chunkRecords)
        }
        // Until the range is complete the stand's position is unknown to the next one.
        stand.leave()
        var limit = Standstill(millis: timeoutMillis)
        var last = RecordRun.Last()
        while !passage.isComplete {
            if cancelled() {
                throw Failure(
                    .taskCancelled, "Reading \(range) was cancelled", why: "its attempt is no longer wanted", now: "nothing")
            }
            let before = passage.next
            let count = try take(stand, .init(rebasing: raws[..<chunkRecords]), &passage, &result, &last)
            if count > 0 {
                result.tail = (last.offset, Self.hash(last))
                result.records += Int64(count)
                // The next answer is asked for before this one is decoded.
                if !passage.isComplete { try pump(waitMillis: 0) }
                try body(UnsafeBufferPointer(rebasing: raws[..<count]))
            } else if !passage.isComplete {
                try check(stand, range, passage, &limit)
                try pump(waitMillis: 20)
            }
            if passage.next > before { limit.moved() }
        }
        result.leaderEpoch = stand.epoch(before: range.until)
        stand.stay(at: range.until, shop)
        return result
    }

    /// The next records; records that came damaged are asked for once more over a new connection.
    private func take(
        _ stand: FetchStand, _ room: UnsafeMutableBufferPointer<RawRecord>, _ passage: inout RangePassage,
        _ result: inout RangeResult, _ last: inout RecordRun.Last
    ) throws -> Int {
        var bytes = 0
        do {
            let count = try stand.take(into: room, &passage, bytes: &bytes, last: &last, shop)
            result.bytes += Int64(bytes)
            return count
        } catch let trouble as StandTrouble {
            guard case .corrupt(let offset) = trouble, stand.brokenAt != offset else { throw trouble.failure(stand.partition) }
            Log.warning("a batch came damaged and is asked for again", [("partition", "\(stand.partition)"), ("offset", "\(offset)")])
            stand.start(at: passage.next, shop)
            stand.leave()
            stand.brokenAt = offset
            for link in links.values.joined() { link.close() }
            return 0
        }
    }

    /// Throws what ends a range that stands still.
    private func check(_ stand: FetchStand, _ range: OffsetRange, _ passage: RangePassage, _ limit: inout Standstill) throws {
        if let failure = stand.failure { throw failure }
        if let known = stand.outOfRange, known.isAnswered {
            let rest = OffsetRange(topic: range.topic, partition: range.partition, from: passage.next, until: range.until)
            throw GoneOffsets.failure(passage.next > range.from ? rest : range, held: known.held)
        }
        let now = ContinuousClock.now
        if limit.isOver(now) {
            throw Standstill.failure(
                range, at: passage.next, millis: limit.millis,
                connection: viewFailure?.why ?? links.values.joined().compactMap(\.lastError).first,
                partition: stand.lastError == 0 ? nil : FetchTrouble.name(stand.lastError))
        }
        // Nobody says that a leader has moved when its broker is frozen.
        if limit.mayAsk(now, pauseMillis: 2_000) { wantView() }
    }

    package func readOne(_ partition: TopicPartition, offset: Int64, timeoutMillis: Int = 10_000) throws -> RecordContent? {
        guard offset >= 0 else { return nil }
        let range = OffsetRange(topic: partition.topic, partition: partition.partition, from: offset, until: offset + 1)
        let stand = stand(for: range)
        needed = stand
        // One record is wanted, not what follows it.
        defer {
            needed = nil
            letGo { $0 === stand }
        }
        var passage = RangePassage(from: range.from, until: range.until)
        var limit = Standstill(millis: timeoutMillis)
        var (result, last) = (RangeResult(), RecordRun.Last())
        return try withUnsafeTemporaryAllocation(of: RawRecord.self, capacity: 1) { room in
            while !passage.isComplete {
                if try take(stand, room, &passage, &result, &last) == 1 {
                    return RecordContent(
                        key: Self.bytes(last.key, last.keyBytes), value: Self.bytes(last.value, last.valueBytes), hash: Self.hash(last))
                }
                if passage.isComplete { break }
                if stand.outOfRange?.isAnswered == true { return nil }
                // Behind the end, where nothing is to come.
                if stand.bufferedBytes == 0, stand.endSeen >= 0, stand.endSeen <= passage.next { return nil }
                try check(stand, range, passage, &limit)
                try pump(waitMillis: 20)
            }
            return nil
        }
    }

    private static func bytes(_ pointer: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8]? {
        pointer.map { [UInt8](UnsafeBufferPointer(start: $0, count: count)) }
    }

    /// XXH64 over value, seeded with that of the key: equal only for equal key and value.
    private static func hash(_ record: RecordRun.Last) -> UInt64 {
        let key = record.key.map { XXH64($0, record.keyBytes, 0) } ?? 0
        guard let value = record.value else { return key }
        return XXH64(value, record.valueBytes, key)
    }
}
