// The other half of a fetching reader: whom it asks for what, and what it makes of the answers.
//
// Every turn (`pump`) takes over what inquiries found, sends a request to every broker that has one to answer, receives what has
// come, and asks again where an answer became whole. A partition is in one request at a time. The one that somebody
// waits for comes first in its request; the others follow in turn.
//
// Errors of a partition go by `FetchTrouble`. Only what a broker says of the partition itself ends its reading, and only when a range
// wants it; everything about connections and leaders is asked again, until the range has stood still for too long.

import Glibc

/// What a leader said about a partition that was asked for an offset in vain.
struct FoundLog: Sendable {
    var held: Range<Int64>?
    var epochEnd: EpochEnd?
}

extension FetchReader {
    /// No request sooner than this after an answer that was not full, unless somebody waits and it brought something.
    static let paceMillis = 4
    /// How long an answer that has begun to come is waited for, by who wants all that is there now.
    static let restMillis = 20
    /// How long the prompt connection waits at the log's end.
    private static let promptWaitMillis: Int32 = 10

    /// One turn.
    /// - Parameter waitMillis: how long to wait for something to come, when nothing has.
    func pump(waitMillis: Int) throws {
        try settle()
        try askForRecords(isPaced: true)
        if receive() {
            try askForRecords(isPaced: true)
            return
        }
        guard waitMillis > 0 else { return }
        wait(millis: waitMillis)
        if receive() { try askForRecords(isPaced: true) }
    }

    /// Asks without regard to the pace and takes what is there at once.
    /// - Returns: whether something came.
    func askForRest() throws -> Bool {
        try askForRecords(isPaced: false)
        return try takeRest(millis: 1)
    }

    /// Takes what brokers have begun to answer, or begin to within `millis`.
    /// - Returns: whether something came.
    func takeRest(millis: Int) throws -> Bool {
        guard links.values.joined().contains(where: { $0.awaited != nil }) else { return false }
        // An answer comes in pieces: its first bytes are not yet what was asked for.
        let deadline = ContinuousClock.now + .milliseconds(Self.restMillis)
        repeat {
            wait(millis: millis)
            if receive() { return true }
        } while links.values.joined().contains(where: \.isAnswering) && .now < deadline
        return false
    }

    private func wait(millis: Int) {
        var entries: [pollfd] = []
        for link in links.values.joined() {
            if let awaited = link.awaited { entries.append(pollfd(fd: awaited.descriptor, events: awaited.events, revents: 0)) }
        }
        let isInquiring = viewInquiry != nil || !lookups.isEmpty || links.values.joined().contains(where: \.isOpening)
        if entries.isEmpty, let viewInquiry { return viewInquiry.wait(millis: millis) }
        // An inquiry rings no descriptor; and with nothing under way something rests for some milliseconds.
        _ = poll(&entries, nfds_t(entries.count), Int32(isInquiring || entries.isEmpty ? min(2, millis) : millis))
    }

    func receive() -> Bool {
        var came = false
        for (_, both) in links { for link in both where link.isBusy { if link.receive() { came = true } } }
        return came
    }

    // MARK: the cluster

    func wantView() {
        if viewInquiry == nil && viewWantedAt == nil { viewWantedAt = .now }
    }

    func linkFailed() { wantView() }

    func learned(_ broker: Int32, at address: BrokerAddress) { view.brokers[broker] = address }

    /// Takes over what inquiries found, and begins those that are wanted.
    func settle() throws {
        let now = ContinuousClock.now
        if let answer = viewInquiry?.answer {
            viewInquiry = nil
            switch answer {
            case .success(let found): try take(found)
            case .failure(let error):
                let failure = LineFailure.of(error, at: settings.bootstrapText, doing: "tell who leads its partitions")
                viewFailure = failure
                viewWantedAt = now + .milliseconds(200)
                if failure.code == .notAllowed {
                    refusedLogins += 1
                    if refusedLogins > 1 { throw failure }
                } else if !failure.isOutage {
                    throw failure
                }
            }
        }
        for (partition, inquiry) in lookups {
            guard let answer = inquiry.answer else { continue }
            lookups[partition] = nil
            guard let stand = stands[partition], stand.outOfRange != nil else { continue }
            switch answer {
            case .success(let found): judge(stand, found)
            case .failure:
                stand.outOfRange = nil
                stand.restUntil = now + .milliseconds(max(100, settings.errorRestMillis))
                wantView()
            }
        }
        if viewInquiry != nil || order.isEmpty { return }
        let isOld = viewAt.map { now - $0 > .milliseconds(settings.metadataAgeMillis) } ?? true
        let lacks = order.contains { $0.failure == nil && view.leader(of: $0.partition) == nil }
        guard viewWantedAt.map({ $0 <= now }) ?? (isOld || lacks) else { return }
        viewWantedAt = nil
        let (asker, bell) = (asker, bell)
        let topics = Set(order.map(\.partition.topic)).sorted()
        viewInquiry = Inquiry({ bell?.ring() }) { try asker.view(of: topics) }
    }

    private func take(_ found: ClusterView) throws {
        view = found
        viewAt = .now
        viewFailure = nil
        refusedLogins = 0
        for (broker, both) in links where both.contains(where: { $0.address != found.brokers[broker] }) {
            // The same number at another address is another machine.
            for link in both { link.close() }
            links[broker] = nil
        }
        for stand in order { judge(stand, found) }
    }

    /// What Metadata says of a partition.
    private func judge(_ stand: FetchStand, _ found: ClusterView) {
        let partition = stand.partition
        let topic = found.topics[partition.topic]
        let trouble = FetchTrouble(code: topic?.error ?? 3)
        switch trouble {
        case .notAllowed:
            stand.failure = Failure(
                .notAllowed, "Kafka did not let us read \(partition.topic)", why: FetchTrouble.name(topic?.error ?? 0),
                now: "give this user the right Read on that topic in Kafka's access lists, or use another user")
            return
        case .none, .unknownTopic: break
        default:
            stand.lastError = topic?.error ?? 0
            if trouble == .stop {
                stand.failure = Failure(
                    .invalidSetting, "Kafka did not tell who leads \(partition)", why: FetchTrouble.name(topic?.error ?? 0),
                    now: "check the topic's name")
            } else {
                viewWantedAt = .now + .milliseconds(100)
            }
            return
        }
        let listed = trouble == .unknownTopic ? nil : topic?.leaders.keys.sorted()
        if let id = topic?.id, id != .none, trouble == .none {
            if let known = topicIDs[partition.topic], known != id {
                stand.failure = Failure(
                    .topicRecreated, "Topic \(partition.topic) was deleted and made again",
                    why: "its id is no longer that with which this reading began",
                    now: "find out what happened to the topic; records of another topic must not be taken for ours")
                return
            }
            topicIDs[partition.topic] = id
        }
        let nowMillis = Int64((ContinuousClock.now - madeAt) / .milliseconds(1))
        switch sightings[partition, default: TopicSighting(expected: [partition.partition])].answered(listed, nowMillis: nowMillis) {
        case .there:
            sightings[partition] = nil
            if view.leader(of: partition)?.broker ?? -1 < 0 { viewWantedAt = .now + .milliseconds(100) }
        case .askAgain(let millis):
            viewWantedAt = .now + .milliseconds(Int(millis))
        case .missing:
            stand.failure =
                listed == nil
                ? Failure(
                    .topicMissing, "There is no topic \(partition.topic)", why: "the brokers at \(settings.bootstrapText) do not list it",
                    now: "check the topic's name, or create it")
                : Failure(
                    .topicMissing, "There is no partition \(partition)", why: "the brokers do not list it",
                    now: "check whether the topic was deleted or recreated with fewer partitions")
        }
    }

    // MARK: requests

    /// - Parameter isGathering: the answer may wait for company, see `arrived`.
    func askForRecords(isPaced: Bool, isGathering: Bool = false) throws {
        if viewAt == nil { return }
        let now = ContinuousClock.now
        let limit = usualAnswerBytes
        let share = isGathering ? mostShareBytes : shareBytes
        var wanting: [Int32: [FetchStand]] = [:]
        // With the second budget spent only who is waited for gets more: large batches would gather in all partitions.
        let isSpent = shop.extra.isSpent
        for stand in order where (!isSpent || stand === needed) && !stand.isAsked && stand.failure == nil && stand.outOfRange == nil && stand.restUntil <= now {
            guard stand.hasRoom(limit, of: share), let leader = view.leader(of: stand.partition), leader.broker >= 0 else { continue }
            var broker = leader.broker
            if let replica = stand.replica {
                if replica.until > now, view.brokers[replica.broker] != nil { broker = replica.broker } else { stand.replica = nil }
            }
            wanting[broker, default: []].append(stand)
        }
        for (broker, stands) in wanting { try ask(broker, stands, isPaced: isPaced, isGathering: isGathering, now) }
    }

    private func ask(
        _ broker: Int32, _ stands: [FetchStand], isPaced: Bool, isGathering: Bool, _ now: ContinuousClock.Instant
    ) throws {
        guard let address = view.brokers[broker] else { return wantView() }
        if links[broker] == nil {
            links[broker] = [.patient, .prompt].map { FetchLink(broker: broker, address: address, purpose: $0, reader: self) }
        }
        let (patient, prompt) = (links[broker]![0], links[broker]![1])
        let isNeeded = needed.map { needed in stands.contains { $0 === needed } } ?? false
        do {
            if !patient.isBusy {
                // An answer without records may come at once, too: of a follower behind, of a tier that is slow.
                let isAnswered = isNeeded && patient.lastAnswerBytes > 0
                let isPausing = isPaced && !isAnswered && now - patient.lastAnswerAt < .milliseconds(Self.paceMillis)
                if isPausing && patient.lastAnswerBytes < usualAnswerBytes { return }
                if try patient.isReady(now) { send(patient, stands, isGathering: isGathering) }
            } else if isNeeded, let needed, !needed.hasAllThereIs, try prompt.isReady(now) {
                // At the log's end it would wait there, before whoever needs it next.
                send(prompt, [needed], isGathering: false)
            }
        } catch let failure as Failure {
            guard failure.code == .notAllowed else { throw failure }
            refusedLogins += 1
            if refusedLogins > 1 { throw failure }
        }
    }

    private func send(_ link: FetchLink, _ stands: [FetchStand], isGathering: Bool) {
        requestCount += 1
        let inTurn = stands.sorted { left, right in
            if left === needed || right === needed { return left === needed && right !== needed }
            return left.lastAsked < right.lastAsked
        }
        var fetch = FetchRequest(
            isolation: isolation, maxWaitMillis: link.purpose == .patient ? settings.waitMillis : min(settings.waitMillis, Self.promptWaitMillis),
            mostBytes: 0)
        fetch.minBytes = settings.minBytes
        if isGathering {
            fetch.maxWaitMillis = min(fetch.maxWaitMillis, Int32(RangeReader.gatheringMillis))
            fetch.minBytes = max(fetch.minBytes, Int32(RangeReader.gatheringBytes))
        }
        fetch.rack = settings.rack
        var total = 0
        for stand in inTurn {
            stand.lastAsked = requestCount
            let topic = view.topics[stand.partition.topic]
            let most = Int32(clamping: min(settings.mostAnswerBytes / 2, max(usualAnswerBytes, Int(stand.raisedLimit))))
            total += Int(most)
            fetch.partitions.append(
                FetchRequest.Partition(
                    stand.partition, topicID: topic?.id ?? .none, offset: stand.fetchPosition,
                    leaderEpoch: view.leader(of: stand.partition)?.epoch ?? -1, lastEpoch: stand.fetchedEpoch, mostBytes: most))
        }
        fetch.mostBytes = Int32(clamping: min(total, settings.mostAnswerBytes / 2))
        link.ask(fetch, inTurn, isGathering: isGathering)
    }

    // MARK: answers

    /// An answer came for a stand that still wants it.
    func answered(_ stand: FetchStand, _ answer: FetchedPartition, _ records: FetchBuffer?, by broker: Int32) {
        if let leader = answer.currentLeader {
            view.learn(ClusterView.Leader(broker: leader.broker, epoch: leader.epoch), of: stand.partition, at: nil)
        }
        if let diverging = answer.diverging, answer.error == 0 {
            if let records { shop.put(records) }
            stand.failure = truncated(stand, epoch: diverging.epoch, endOffset: diverging.endOffset)
            return
        }
        let trouble = FetchTrouble(code: answer.error)
        guard trouble == .none else {
            if let records { shop.put(records) }
            return react(to: trouble, answer.error, stand)
        }
        stand.lastError = 0
        let isEmpty = records == nil
        let before = stand.fetchPosition
        stand.came(answer, records, isolation: isolation, shop)
        if isEmpty, answer.preferredReplica >= 0, answer.preferredReplica != broker {
            stand.replicaBounces += 1
            stand.replica =
                stand.replicaBounces > 3
                ? nil : (answer.preferredReplica, .now + .milliseconds(settings.metadataAgeMillis))
            if stand.replicaBounces > 3 { stand.restUntil = .now + .milliseconds(100) }
        } else if stand.fetchPosition > before {
            stand.replicaBounces = 0
        }
    }

    private func react(to trouble: FetchTrouble, _ code: Int16, _ stand: FetchStand) {
        stand.lastError = code
        stand.restUntil = .now + .milliseconds(settings.errorRestMillis)
        let isReplica = stand.replica != nil
        stand.replica = nil
        switch trouble {
        case .none: break
        case .again: break
        case .refresh, .unknownTopic: wantView()
        case .askLeader:
            // Of a replica it says nothing: the leader is asked first.
            if isReplica { return }
            lookUp(stand)
        case .onceAgain:
            guard stand.brokenAt != stand.fetchPosition else {
                stand.failure = StandTrouble.corrupt(offset: stand.fetchPosition).failure(stand.partition)
                return
            }
            stand.brokenAt = stand.fetchPosition
        case .notAllowed:
            stand.failure = Failure(
                .notAllowed, "Kafka did not let us read \(stand.partition)", why: FetchTrouble.name(code),
                now: "give this user the right Read on that topic in Kafka's access lists, or use another user")
        case .stop:
            stand.failure = Failure(
                .kafkaFatal, "Kafka does not give \(stand.partition) to reader = fetch", why: FetchTrouble.name(code),
                now: "read the topic with the setting reader = librdkafka")
        }
    }

    /// What a leader answered that did not have our offset, or not the epoch before it.
    private func judge(_ stand: FetchStand, _ found: FoundLog) {
        guard let held = found.held, stand.fetchedEpoch >= 0, held.lowerBound <= stand.fetchPosition, stand.fetchPosition <= held.upperBound else {
            stand.outOfRange = (true, found.held)
            return
        }
        stand.outOfRange = nil
        if let end = found.epochEnd, end.error == 0, end.leaderEpoch >= 0, end.endOffset >= 0,
            end.leaderEpoch < stand.fetchedEpoch || end.endOffset < stand.fetchPosition
        {
            stand.failure = truncated(stand, epoch: end.leaderEpoch, endOffset: end.endOffset)
        } else {
            // The leader no longer knows that epoch (or never did): what else is known of the topic decides, not we.
            stand.forgetEpoch()
        }
    }

    private func truncated(_ stand: FetchStand, epoch: Int32, endOffset: Int64) -> Failure {
        Failure(
            .topicRecreated, "\(stand.partition) was truncated",
            why:
                "its leader's log agrees with what was read only up to offset \(endOffset) in epoch \(epoch), and we stand at \(stand.fetchPosition) in epoch \(stand.fetchedEpoch)",
            now: "find out which records were lost in the unclean leader election; a job that read them has counted them")
    }

    /// What the leader holds of a partition that does not have our offset.
    private func lookUp(_ stand: FetchStand) {
        guard let leader = view.leader(of: stand.partition), let address = view.brokers[leader.broker] else { return wantView() }
        stand.outOfRange = (false, nil)
        let (asker, bell, partition, epoch) = (asker, bell, stand.partition, stand.fetchedEpoch)
        lookups[partition] = Inquiry({ bell?.ring() }) {
            func place(_ place: OffsetLookup.Place) throws -> Int64 {
                let found = try asker.lookup(
                    partition, leader: address, leaderEpoch: leader.epoch, at: place, isolation: .readUncommitted)
                guard found.error == 0, found.offset >= 0 else {
                    throw StreamError("ListOffsets of \(partition): \(FetchTrouble.name(found.error))")
                }
                return found.offset
            }
            let (start, end) = (try place(.start), try place(.end))
            guard start <= end else { return FoundLog(held: nil) }
            // A broker that knows no such question says nothing about epochs.
            let epochEnd = epoch < 0 ? nil : try? asker.epochEnd(partition, leader: address, leaderEpoch: leader.epoch, of: epoch)
            return FoundLog(held: start..<end, epochEnd: epochEnd)
        }
    }
}
