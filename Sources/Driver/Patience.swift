// How a job waits for what is outside (Kafka, catalog, sink, state place, registry): when to try again, when to say so, when
// to give up (protocol 14). Pure: instants in, a verdict out; the shell sleeps, logs and shows.
//
//   fails ---> wait `nextTryMillis` ---> fails ---> ...                   each wait twice as long, up to `longestMillis`
//     |  said at once, then at each minute, at 10 minutes, each hour
//     +-- answered: forgotten; the end of a wait that was said is said, too
//
// A standing job never gives up by itself. A run that is to end does, after `patience`; who asks a job to stop does not wait for
// the outside longer than `drainMillis`: the open batch stays in the log. A refusal that a person must decide is not
// waited for at all, and is no business of this value: ask it only about failures whose remedy is not to stop.
//
// Waits are spread by a share of the wait that the caller draws, so that a hundred jobs do not come back in one instant.
// Survives nothing: a new driver waits anew.

import Engine

package struct Patience: Sendable {
    package enum Kind: Sendable, Equatable {
        /// Until it comes back.
        case standing
        /// `--until-caught-up`.
        case bounded(Int64)
    }

    package enum Verdict: Sendable, Equatable {
        /// Try again then; `says` when it is time to say what is waited for.
        case tryAgain(afterMillis: Int64, says: Bool)
        case giveUp(Failure)
    }

    /// What is waited for, as `jobs` and `/v1/ready` show it.
    package struct Waiting: Sendable, Equatable {
        package var failure: Failure
        package var sinceMillis: Int64
        package var tries: Int64
        package var nextTryMillis: Int64
    }

    package static let shortestMillis: Int64 = 200
    package static let longestMillis: Int64 = 30_000
    package static let drainMillis: Int64 = 10_000

    private let kind: Kind
    private var saidMillis: Int64?
    package private(set) var waiting: Waiting?

    package init(_ kind: Kind) { self.kind = kind }

    /// - Parameters:
    ///   - isDraining: somebody asked the job to stop or to pause.
    ///   - spread: between 0 and 1; drawn by the caller.
    package mutating func failed(_ failure: Failure, nowMillis: Int64, isDraining: Bool = false, spread: Double = 0) -> Verdict {
        let since = waiting?.sinceMillis ?? nowMillis
        let tries = (waiting?.tries ?? 0) + 1
        if let limit = limit(isDraining: isDraining), nowMillis - since >= limit {
            var given = failure
            given.why += "; waited for \(roughDuration(nowMillis - since)), \(tries) tries"
            if !isDraining { given.now += "; setting patience says how long a run waits" }
            return .giveUp(given)
        }
        // Doubled with each try: the shift stays below 63 because the wait is bounded long before.
        let step = min(Self.longestMillis, Self.shortestMillis << min(tries - 1, 20))
        var pause = step + Int64(Double(step) * 0.25 * min(1, max(0, spread)))
        if let limit = limit(isDraining: isDraining) { pause = min(pause, max(1, since + limit - nowMillis)) }
        let says = isTimeToSay(since: since, nowMillis, isOther: waiting.map { $0.failure.code != failure.code } ?? true)
        if says { saidMillis = nowMillis }
        waiting = Waiting(failure: failure, sinceMillis: since, tries: tries, nextTryMillis: nowMillis + pause)
        return .tryAgain(afterMillis: pause, says: says)
    }

    /// It is there again.
    /// - Returns: how long it was away, in milliseconds, when that is to be said; nil when nobody was waiting.
    package mutating func answered(nowMillis: Int64) -> Int64? {
        defer {
            waiting = nil
            saidMillis = nil
        }
        return waiting.map { nowMillis - $0.sinceMillis }
    }

    private func limit(isDraining: Bool) -> Int64? {
        switch kind {
        case .standing: isDraining ? Self.drainMillis : nil
        case .bounded(let millis): isDraining ? min(millis, Self.drainMillis) : millis
        }
    }

    /// At once, again when the trouble is another one, then ever more rarely.
    private func isTimeToSay(since: Int64, _ now: Int64, isOther: Bool) -> Bool {
        guard let saidMillis, !isOther else { return true }
        let away = now - since
        let every: Int64 = away < 600_000 ? 60_000 : away < 3_600_000 ? 600_000 : 3_600_000
        return now - saidMillis >= every
    }
}

extension Failure {
    /// It may pass by itself; nobody has to decide anything.
    package var isWeather: Bool { blame == .external && remedy != .stopJob && code != .taskCancelled }
}
