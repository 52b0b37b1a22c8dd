// What a worker does about its driver: register, tell that it lives, wait, leave, give up. A value: answers and instants in, the next
// step out; the shell is `WorkerProcess`.
//
//   unknown ──register──> member ──heartbeat each second──> member
//      ^                     │ the driver does not know it any more
//      └─────────────────────┘
//   no answer: again after 40 ms, 80 ms, ... 2 s; given up after the driver's time-out
//   leaving: told with each heartbeat, over when nothing runs any more, or when nobody answers
//
// Survives nothing: a new process registers anew. When changing it: what a person must decide ends the worker at once, everything
// else is tried until the time is over; and a worker that leaves never registers.

import Engine
import Wire

package struct WorkerMembership: Sendable {
    package enum Step: Sendable, Equatable {
        case register
        /// - Parameter leaving: told to the driver, which gives no more tasks.
        case heartbeat(id: String, leaving: Bool)
        case wait(millis: Int64)
        case leave
        case end(Failure)
    }

    package enum Answer: Sendable {
        case registered(id: String)
        case heartbeat(isKnown: Bool, leaving: Bool)
        case failed(Failure)
        /// The pause is over, or somebody woke the worker.
        case waited
    }

    private static let beatMillis: Int64 = 1000
    private static let leavingBeatMillis: Int64 = 50
    private static let longestPauseMillis: Int64 = 2000

    private let driverURL: String
    private let timeoutMillis: Int64
    private var id: String?
    private var hasToldLeaving = false
    private var awaySinceMillis: Int64?
    private var pauseMillis: Int64 = 20
    private var next: Step

    package init(driverURL: String, timeoutMillis: Int64) {
        self.driverURL = driverURL
        self.timeoutMillis = timeoutMillis
        next = .register
    }

    /// Whether the driver has the worker on its list, as of the last answer.
    package var isMember: Bool { id != nil && awaySinceMillis == nil }

    /// What to do now.
    /// - Parameters:
    ///   - isLeaving: somebody asked the worker to go.
    ///   - runningRequests: of drivers, being worked on.
    package func step(isLeaving: Bool, runningRequests: Int) -> Step {
        if case .heartbeat(let id, _) = next { return .heartbeat(id: id, leaving: isLeaving) }
        guard isLeaving else { return next }
        let end: Step = runningRequests == 0 ? .leave : .wait(millis: Self.leavingBeatMillis)
        if id == nil, case .register = next { return end }
        guard awaySinceMillis == nil else { return next }
        if let id, !hasToldLeaving { return .heartbeat(id: id, leaving: true) }
        return end
    }

    package mutating func take(_ answer: Answer, isLeaving: Bool, nowMillis: Int64) {
        switch answer {
        case .registered(let id):
            self.id = id
            answered()
        case .heartbeat(let isKnown, let told):
            hasToldLeaving = told
            answered()
            if !isKnown {
                id = nil
                next = .register
            }
        case .waited: next = id.map { .heartbeat(id: $0, leaving: isLeaving) } ?? .register
        case .failed(let reason): failed(reason, isLeaving, nowMillis)
        }
    }

    private mutating func answered() {
        awaySinceMillis = nil
        pauseMillis = 20
        next = .wait(millis: Self.beatMillis)
    }

    private mutating func failed(_ reason: Failure, _ isLeaving: Bool, _ nowMillis: Int64) {
        // Also when the driver is there and does not reach this worker: that may pass.
        guard reason.code == .driverUnreachable || reason.code == .workerUnreachable else { return next = .end(reason) }
        let since = awaySinceMillis ?? nowMillis
        awaySinceMillis = since
        if isLeaving { return next = .leave }
        guard nowMillis - since < timeoutMillis else {
            return next = .end(
                Failure(
                    .driverUnreachable, "the driver at \(driverURL) is gone",
                    why: "it did not answer for \(formatDuration(timeoutMillis)): \(reason.why)",
                    now: "start the driver, then this worker again; nothing is lost"))
        }
        pauseMillis = min(pauseMillis * 2, Self.longestPauseMillis)
        next = .wait(millis: pauseMillis)
    }
}
