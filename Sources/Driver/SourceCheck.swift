// One look at the topic before rows leave the workers, or when an end or a read was doubtful (protocol 6): whether brokers have to be
// asked, what their answer means for the job, when to ask again. `SourceIdentity` knows what an answer proves; this keeps it from batch
// to batch.
//
//   begin -> ask -> answered -> pass | stop | rest -> ask -> ...          begin -> pass, where an answer is younger than a second
//                            -> readTail -> tailRead -> pass | stop       without an id: of one partition after the other
//
// Whoever finds that the topic is another one (this look, a reader, the next start of the job in this process) stops the job with the
// batches named that were DONE since the last equal answer (`named`).
//
// Pure: `JobLoop` asks the brokers, the simulator its made ones, and both carry out the steps that come back. Survives nothing: a start
// that finds the topic equal to the log's is an equal answer (`forget`).
//
// When changing it: no path leads from an answer that is not ours to `pass`.

import Engine

package struct SourceCheck: Sendable {
    package enum Step: Sendable, Equatable {
        /// Ask the brokers for the topic's identity, then say what they `answered`, or let their silence be the check's failure.
        case ask
        /// No id is told: read the record that the log remembers there, then say what was read (`tailRead`).
        case readTail(TopicPartition, offset: Int64)
        /// Ask again after this.
        case rest(millis: Int64)
        case pass
        case stop(Failure)
    }

    private var identity: SourceIdentity?
    private var reached: [TopicPartition: Int64] = [:]
    /// The position of which the last record is read.
    private var tail: PartitionPosition?
    private var tailTurn = 0
    /// It names its suspects itself.
    private var stopped: Failure?

    mutating func begin(
        topic: String, topicID: String?, lastDone: BatchNumber, reached: [TopicPartition: Int64], isDoubtful: Bool, nowMillis: Int64
    ) -> Step {
        var known = identity ?? SourceIdentity(topic: topic, topicID: topicID, lastDone: lastDone)
        known.batchDone(lastDone)
        identity = known
        self.reached = reached
        return isDoubtful || known.isDue(nowMillis: nowMillis) ? .ask : .pass
    }

    mutating func answered(_ answer: SourceAnswer, positions: [PartitionPosition], nowMillis: Int64) -> Step {
        switch identity?.answered(answer, positions: positions, reached: reached, nowMillis: nowMillis) {
        case .same: return .pass
        case .unknown:
            let known = positions.filter { $0.tailOffset != nil && $0.tailHash != nil }.sorted { $0.topicPartition < $1.topicPartition }
            guard !known.isEmpty else { return .pass }
            tailTurn += 1
            let tail = known[tailTurn % known.count]
            self.tail = tail
            return .readTail(tail.topicPartition, offset: tail.tailOffset ?? 0)
        case .askAgain(let millis): return .rest(millis: millis)
        case .other(let failure): return stop(failure)
        // An answer that nobody asked for decides nothing.
        case nil: return .ask
        }
    }

    /// - Parameter hash: nil where no record is any longer, which proves nothing.
    mutating func tailRead(_ hash: String?) -> Step {
        guard let hash, let tail, let failure = identity?.tail(of: tail, isEqual: hash == tail.tailHash) else { return .pass }
        return stop(failure)
    }

    private mutating func stop(_ failure: Failure) -> Step {
        stopped = failure
        return .stop(failure)
    }

    /// The topic is the one that the log knows.
    mutating func forget() { identity = nil }

    /// `reason` with the batches that may have read another topic, where that is what it says.
    mutating func named(_ reason: Failure, lastDone: BatchNumber) -> Failure {
        identity?.batchDone(lastDone)
        guard reason.code == .topicRecreated, reason != stopped, let suspects = identity?.suspects else { return reason }
        var named = reason
        named.now += SourceIdentity.text(suspects)
        return named
    }
}

extension JobMachine {
    /// - Parameters:
    ///   - reached: the ends of what was read and is not sealed.
    ///   - isDoubtful: somebody saw what should not be, so an answer of a moment ago does not count.
    package mutating func beginSourceCheck(
        reached: [TopicPartition: Int64], isDoubtful: Bool, nowMillis: Int64
    ) -> SourceCheck.Step {
        sourceCheck.begin(
            topic: job?.settings.topics.joined(separator: ", ") ?? "", topicID: topicID, lastDone: lastBatch, reached: reached, isDoubtful: isDoubtful,
            nowMillis: nowMillis)
    }

    package mutating func sourceAnswered(_ answer: SourceAnswer, nowMillis: Int64) -> SourceCheck.Step {
        sourceCheck.answered(answer, positions: Array(positions.values), nowMillis: nowMillis)
    }

    package mutating func tailRead(_ hash: String?) -> SourceCheck.Step { sourceCheck.tailRead(hash) }
}
