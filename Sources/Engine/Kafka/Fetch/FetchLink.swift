// One connection that fetches from one broker: opened when it is needed, with at most one request under way.
//
//   closed (until) → opening → idle ⇄ asked
//                       ↑_______________| anything that goes wrong
//
// An answer is taken as it comes, each partition's records into a buffer of their own, and handed to the partition's stand; a stand
// that was started anew since the request gets nothing of it. What goes wrong with the connection costs what was under way,
// and nothing that came whole before. The reader owns the link; both live on one thread.

import Glibc

package final class FetchLink: FetchAnswerReceiver {
    package enum Purpose: Sendable {
        /// Asks for everything and waits at the log's end.
        case patient
        /// Asks for what is needed while the other one waits.
        case prompt
    }

    package struct Asked {
        package var stand: FetchStand
        package var generation: Int
        package var topicID: TopicID
        package var offset: Int64
        package var isAnswered = false
    }

    package let broker: Int32
    package let address: BrokerAddress
    package let purpose: Purpose
    private unowned let reader: FetchReader
    /// The reader's; it is there as long as a link is.
    private let shop: FetchShop
    private enum State {
        case closed
        case opening(Inquiry<BrokerLine>)
        case open(BrokerLine)
    }
    private var state = State.closed
    private var restUntil = ContinuousClock.now
    private var reconnectMillis = 0
    private let parser = FetchAnswerParser()
    private(set) var asked: [Asked] = []
    private var askedAt = ContinuousClock.now
    /// From the request under way to the first byte of its answer.
    private var wayMicros: Int?
    private(set) var size: AnswerSize
    /// The answer under way, or the last one, may wait until it has gathered enough.
    private(set) var isGathering = false
    /// Where the next partition of the answer is looked for: answers keep the order of the request.
    private var turn = 0
    private var mutedUntil = ContinuousClock.now
    package private(set) var lastAnswerAt = ContinuousClock.now - .seconds(60)
    package private(set) var lastAnswerBytes = 0
    package private(set) var lastError: String?

    package init(broker: Int32, address: BrokerAddress, purpose: Purpose, reader: FetchReader) {
        self.broker = broker
        self.address = address
        self.purpose = purpose
        self.reader = reader
        shop = reader.shop
        size = AnswerSize(reader.settings)
    }

    package var isBusy: Bool { !asked.isEmpty }
    /// The first bytes of the answer are here, and not the last ones.
    package var isAnswering: Bool { isBusy && wayMicros != nil }

    /// The line's descriptor while an answer is due, and what it waits for.
    package var awaited: (descriptor: Int32, events: Int16)? {
        guard isBusy, case .open(let line) = state else { return nil }
        return (line.stream.descriptor, Int16(POLLIN) | line.stream.awaited)
    }

    package var isOpening: Bool { if case .opening = state { true } else { false } }

    /// Opens the line, or takes it over when it is open.
    /// - Returns: whether a request can be sent now.
    /// - Throws: a `Failure` when a person must act.
    package func isReady(_ now: ContinuousClock.Instant) throws -> Bool {
        if isBusy || now < mutedUntil { return false }
        switch state {
        case .open(let line):
            if line.isUsable(reader.settings) { return true }
            close()
            return try isReady(now)
        case .closed:
            guard now >= restUntil else { return false }
            let (address, settings, bell) = (address, reader.settings, reader.bell)
            state = .opening(Inquiry({ bell?.ring() }) { try BrokerLine.open(address, settings) })
            return false
        case .opening(let inquiry):
            guard let answer = inquiry.answer else { return false }
            switch answer {
            case .success(let line):
                state = .open(line)
                reconnectMillis = 0
                return true
            case .failure(let error):
                rest(error)
                if let failure = error as? Failure { throw failure }
                return false
            }
        }
    }

    /// - Parameter partitions: of the stands, in the same order.
    package func ask(_ fetch: FetchRequest, _ stands: [FetchStand], isGathering: Bool = false) {
        guard case .open(let line) = state else { return }
        do {
            var version = try line.known(.fetch)
            // Ids only where the brokers have them.
            if fetch.partitions.contains(where: { $0.topicID == .none }) { version = min(version, FetchRequest.lastVersionWithNames) }
            // Without the leader's epoch a follower answers as if it led; up to 10 it refuses.
            if fetch.rack.isEmpty, fetch.partitions.contains(where: { $0.leaderEpoch < 0 }) { version = min(version, 10) }
            let correlation = try line.send(fetch, version: version)
            parser.begin(version: version, correlation: correlation, mostBytes: reader.settings.mostAnswerBytes)
            asked.removeAll(keepingCapacity: true)
            for (stand, partition) in zip(stands, fetch.partitions) {
                stand.isAsked = true
                asked.append(Asked(stand: stand, generation: stand.generation, topicID: partition.topicID, offset: partition.offset))
            }
            askedAt = .now
            wayMicros = nil
            self.isGathering = isGathering
            turn = 0
        } catch {
            fail(error)
        }
    }

    /// Takes what has come, without waiting.
    /// - Returns: whether an answer is whole now, or the link has failed.
    package func receive() -> Bool {
        guard isBusy, case .open(let line) = state else { return false }
        do {
            while !parser.isDone {
                guard let count = try line.stream.receive(into: parser.room()) else {
                    let patience = Duration.milliseconds(reader.settings.answerMillis + Int(reader.settings.waitMillis))
                    if ContinuousClock.now - askedAt > patience { throw StreamError("no answer to Fetch came in time") }
                    return false
                }
                if wayMicros == nil { wayMicros = Int((ContinuousClock.now - askedAt) / .microseconds(1)) }
                try parser.received(count, self)
            }
            try finish()
        } catch {
            fail(error)
        }
        return true
    }

    private func finish() throws {
        if parser.error != 0 {
            guard FetchTrouble(code: parser.error) != .notAllowed else {
                throw StreamError("Fetch was refused: \(FetchTrouble.name(parser.error))")
            }
            throw StreamError("Fetch failed: \(FetchTrouble.name(parser.error))")
        }
        lastAnswerAt = .now
        lastAnswerBytes = parser.recordBytes
        lastError = nil
        if lastAnswerBytes > 0, !isGathering, let wayMicros {
            let before = size.bytes
            size.came(afterMicros: wayMicros)
            if size.bytes != before { reader.answerSizesChanged() }
        }
        if parser.throttleMillis > 0 {
            // The broker is mute for so long anyway; more than half a minute is not believed.
            let millis = min(30_000, Int(parser.throttleMillis))
            mutedUntil = .now + .milliseconds(millis)
            if millis >= 1000 {
                Log.warning("Kafka throttles the reading", [("broker", "\(address)"), ("for", formatDuration(Int64(millis)))])
            }
        }
        release()
    }

    /// Nothing is asked any more. What was answered may be in another link's request by now.
    private func release() {
        for one in asked where !one.isAnswered && one.generation == one.stand.generation { one.stand.isAsked = false }
        asked.removeAll(keepingCapacity: true)
    }

    private func fail(_ error: any Error) {
        if !(error is StreamError) { Log.warning("an answer of a Kafka broker was refused", [("broker", "\(address)"), ("why", LineFailure.text(error))]) }
        rest(error)
        reader.linkFailed()
    }

    private func rest(_ error: any Error) {
        lastError = "\(address): \(LineFailure.text(error))"
        Log.debug("a Kafka connection failed", [("broker", "\(address)"), ("why", LineFailure.text(error))])
        close()
        reconnectMillis = min(max(reader.settings.reconnectMillis, reconnectMillis * 2), reader.settings.reconnectMostMillis)
        restUntil = .now + .milliseconds(reconnectMillis)
    }

    /// Lets the line go, with whatever is under way.
    package func close() {
        if case .open(let line) = state { ArrivalWatch.shared.forget(line.stream.descriptor) }
        if let half = parser.abandon() { shop.put(half) }
        release()
        state = .closed
    }

    // MARK: receiver

    /// Whether the stand still waits for what it asked for then.
    private func isWanted(_ one: Asked) -> Bool {
        one.generation == one.stand.generation && one.offset == one.stand.fetchPosition
    }

    private func place(of partition: FetchedPartition) throws -> Int {
        for step in 0..<asked.count {
            let index = (turn + step) % asked.count
            let own = asked[index].stand.partition
            guard own.partition == partition.partition,
                partition.topic.map({ $0 == own.topic }) ?? (partition.topicID == asked[index].topicID)
            else { continue }
            guard !asked[index].isAnswered else { throw WireError.malformed("\(own) comes twice") }
            turn = index
            return index
        }
        throw WireError.malformed("a partition that was not asked for: \(partition.topic ?? "") \(partition.partition)")
    }

    package func recordsCome(of partition: FetchedPartition) throws -> FetchBuffer? {
        let one = asked[try place(of: partition)]
        guard isWanted(one), partition.error == 0 else { return nil }
        return shop.takeForAnswer(partition.recordBytes, usual: reader.usualAnswerBytes)
    }

    package func partitionCame(_ partition: FetchedPartition, records: FetchBuffer?) throws {
        let index = try place(of: partition)
        asked[index].isAnswered = true
        let stand = asked[index].stand
        guard isWanted(asked[index]) else {
            if let records { shop.put(records) }
            return
        }
        stand.isAsked = false
        reader.answered(stand, partition, records, by: broker)
    }

    package func brokerNamed(_ broker: Int32, at address: BrokerAddress) { reader.learned(broker, at: address) }
}
