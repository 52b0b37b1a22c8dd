// What a failure means for a job: wait and try again, take the lease again, or end.
//
// Trouble from outside is waited out with growing pauses; where the job goes on afterwards depends on what was under way
// (`resume`): after a write without an answer the log is asked what it holds.
//
// When changing it: only a refusal that a person must decide, a lost lease and a wish end a job (protocol 14).

import Engine

extension JobMachine {
    mutating func failed(_ reason: Failure, _ moment: Moment) {
        if case .ending = phase {
            say(.error, "job state not written", [("why", reason.why)])
            return phase = .over
        }
        if case .startAt = phase { found = [:] }
        // This batch is complete whatever the broker says about the next one; the tick asks again and reports.
        switch phase {
        case .nextEnds, .arrived:
            arrivedEnds = nil
            return phase = .finish
        default: break
        }
        guard reason.isWeather else { return giveUp(reason) }
        let verdict = patience.failed(
            reason, nowMillis: moment.steadyMillis, isDraining: wish != .run,
            spread: Double(moment.random >> 11) / 9_007_199_254_740_992)
        switch verdict {
        case .giveUp(let reason): outwaited(reason)
        case .tryAgain(let pause, let says):
            if let waiting = patience.waiting { notes.append(.waits(waiting, says: says)) }
            resume = Self.resume(phase)
            phase = .outside(pause)
        }
    }

    static func resume(_ phase: Phase) -> Resume {
        switch phase {
        case .lease: .lease
        case .load: .load
        case .facts, .claimSink, .write, .checkState, .expectWorkers: .facts
        case .writeAgain(let batch): .writeAgain(batch)
        case .ends, .source, .idle, .rest, .nextEnds, .arrived, .paceRest: .idle
        case .startAt, .append, .run, .finish, .log: .log
        case .outside, .ending, .over: .idle
        }
    }

    var again: Phase {
        switch resume {
        case .lease: .lease
        case .load: .load
        case .facts: .facts
        case .writeAgain(let batch): .writeAgain(batch)
        case .idle: .idle
        case .log: .log
        }
    }

    /// The outside was waited for as long as it may be. A job that was asked to rest or whose driver stops meanwhile is not failed by
    /// it: the next driver, or `resume`, finishes its open batch.
    mutating func outwaited(_ reason: Failure) {
        if case .drain(let state) = wish { return end(state, reason) }
        giveUp(reason)
    }

    /// The end for a reason, unless the job takes its lease again.
    mutating func giveUp(_ reason: Failure) {
        if silence != nil, wish.rank < JobWish.kill.rank {
            silence = nil
            return takeLeaseAgain(reason.why)
        }
        // A ledger that is not the log's may be one that was put back: a start knows what can be written again.
        if reason.code == .ledgerConflict, hasStarted, !hasCompared, wish == .run {
            hasCompared = true
            return takeLeaseAgain("\(reason.what): the sink is compared with the log")
        }
        // Who lost the lease writes nothing any more; the state is the other driver's.
        if reason.code == .leaseLost { return end(nil, reason) }
        end(reason.code == .taskCancelled ? .stopped : .failed, reason)
    }

    /// Drops what is under way and starts as after a crash, under a new epoch.
    mutating func takeLeaseAgain(_ why: String) {
        say(.warning, "the lease is taken again", [("why", why)])
        resume = .lease
        finished = nil
        planned = nil
        open = nil
        phase = .lease
    }

    var isEnding: Bool {
        switch phase {
        case .ending, .over: true
        default: false
        }
    }

    /// - Parameter state: nil leaves the job's row alone.
    mutating func end(_ state: JobState?, _ reason: Failure?) {
        failure = reason?.code == .taskCancelled ? nil : reason
        notes.append(.state(state ?? .failed, reason))
        if let state, epoch > 0 { phase = .ending(state, reason) } else { phase = .over }
    }

    var sortedPositions: [PartitionPosition] { positions.values.sorted { $0.topicPartition < $1.topicPartition } }

    mutating func say(_ level: Log.Level, _ what: StaticString, _ details: [(String, String)]) {
        notes.append(.say(level, what, [("job", name)] + details))
    }
}
