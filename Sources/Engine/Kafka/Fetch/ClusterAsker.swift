// Asks brokers about the cluster and about offsets, over lines of its own, so that no question stands behind a long poll.
//
// Metadata is asked of whoever answers: the line that is open, the brokers that are known, the bootstrap addresses. When all known ones
// are gone, or a broker says so (error 129), it begins again with those. Look-ups go to the leader. Every call blocks and has a
// deadline; they run on the threads of inquiries, one after another.

import Foundation

/// The lock is held as long as a question is under way, which is what the unchecked Sendable rests on.
package final class ClusterAsker: @unchecked Sendable {
    package let settings: FetchSettings
    private struct State {
        var lines: [BrokerAddress: BrokerLine] = [:]
        var known: [BrokerAddress] = []
        /// Turns, so that a broker that is slow is not asked first every time.
        var turn = 0
    }
    private var state = State()
    private let lock = NSLock()

    package init(_ settings: FetchSettings) { self.settings = settings }

    /// Who leads these topics.
    /// - Throws: a `Failure`: what the last broker that was tried said.
    package func view(of topics: [String]) throws -> ClusterView {
        try lock.withLock {
            var candidates = state.lines.keys.sorted { $0.description < $1.description } + state.known + settings.bootstrap
            var seen: Set<BrokerAddress> = []
            candidates = candidates.filter { seen.insert($0).inserted }
            var last: any Error = StreamError("there is no address to ask")
            for address in candidates {
                do {
                    let view = try ask(address, .metadata) { request, version in
                        ClusterView.ask(&request, version: version, topics: topics)
                    } read: { cursor, version throws(WireError) in
                        try ClusterView(&cursor, version: version)
                    }
                    if view.error == ClusterView.beginAgain {
                        state.known = []
                        state.lines.removeAll()
                        last = StreamError("the broker asks to begin at the bootstrap addresses again")
                        continue
                    }
                    if view.error != 0 { throw StreamError("Metadata was refused: \(FetchTrouble.name(view.error))") }
                    state.known = view.brokers.sorted { $0.key < $1.key }.map(\.value)
                    return view
                } catch let failure as Failure {
                    throw failure
                } catch {
                    last = error
                }
            }
            throw LineFailure.of(last, at: settings.bootstrapText, doing: "tell who leads its partitions")
        }
    }

    /// Where a partition begins or ends, from its leader.
    package func lookup(
        _ partition: TopicPartition, leader: BrokerAddress, leaderEpoch: Int32, at place: OffsetLookup.Place, isolation: IsolationLevel
    ) throws -> OffsetLookup {
        try atLeader(leader, .listOffsets) { request, version in
            OffsetLookup.ask(&request, version: version, partition, leaderEpoch: leaderEpoch, at: place, isolation: isolation)
        } read: { cursor, version throws(WireError) in
            try OffsetLookup(&cursor, version: version, partition)
        }
    }

    /// Where an epoch ended, from the leader; nil when the broker cannot tell.
    package func epochEnd(
        _ partition: TopicPartition, leader: BrokerAddress, leaderEpoch: Int32, of epoch: Int32
    ) throws -> EpochEnd {
        try atLeader(leader, .offsetForLeaderEpoch) { request, version in
            EpochEnd.ask(&request, version: version, partition, leaderEpoch: leaderEpoch, of: epoch)
        } read: { cursor, version throws(WireError) in
            try EpochEnd(&cursor, version: version, partition)
        }
    }

    private func atLeader<Answer>(
        _ leader: BrokerAddress, _ call: WireCall, write: (inout WireRequest, Int16) -> Void,
        read: (inout WireCursor, Int16) throws(WireError) -> Answer
    ) throws -> Answer {
        try lock.withLock {
            do { return try ask(leader, call, write: write, read: read) } catch {
                throw LineFailure.of(error, at: "\(leader)", doing: "answer \(call)")
            }
        }
    }

    /// A line that was open may have been closed by the broker since: then once more over a new one.
    private func ask<Answer>(
        _ address: BrokerAddress, _ call: WireCall, write: (inout WireRequest, Int16) -> Void,
        read: (inout WireCursor, Int16) throws(WireError) -> Answer
    ) throws -> Answer {
        while true {
            let open = state.lines.removeValue(forKey: address).flatMap { $0.isUsable(settings) ? $0 : nil }
            let line = try open ?? BrokerLine.open(address, settings)
            do {
                let version = try line.known(call)
                let answer = try line.ask(call, until: .now + .milliseconds(settings.askMillis)) {
                    write(&$0, version)
                } read: { cursor throws(WireError) in
                    try read(&cursor, version)
                }
                state.lines[address] = line
                return answer
            } catch let error as StreamError {
                guard open != nil else { throw error }
            }
        }
    }
}

extension BrokerLine {
    /// Whether it can be used for another request: the login lasts, and the broker has no reason to have closed it.
    package func isUsable(_ settings: FetchSettings) -> Bool {
        if let usableUntil, ContinuousClock.now > usableUntil { return false }
        return ContinuousClock.now - lastUsed < .milliseconds(settings.idleMillis)
    }
}

/// What a failed line means, as a `Failure`.
enum LineFailure {
    /// - Parameter doing: completes "Kafka did not ...".
    static func of(_ error: any Error, at place: String, doing: String) -> Failure {
        if let failure = error as? Failure { return failure }
        var why = text(error)
        var now = "check that the address is right and that the brokers run"
        if let hint = ConnectionHint.of(why) {
            why += "; \(hint.why)"
            now = hint.now
        }
        return Failure(.brokerUnreachable, "Kafka at \(place) did not \(doing)", why: why, now: now)
    }

    static func text(_ error: any Error) -> String {
        switch error {
        case let error as StreamError: error.why
        case WireError.malformed(let what): "the broker's answer cannot be: \(what)"
        case WireError.incomplete: "the broker's answer ends too early"
        case let failure as Failure: "\(failure.what): \(failure.why)"
        default: "\(error)"
        }
    }
}
