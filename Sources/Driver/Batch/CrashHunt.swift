// Which record ends the process that reads it: found by halves, by trying ranges of the batch in a process of its own.
//
//   nothing at all dies? (where a batch has a state) -> nothing: it is the state, no record
//   suspects: what was read twice when a worker died
//   all of them die again? -> half of them -> ... -> one range -> half of it -> ... -> one offset, which dies alone: found
//                      no -> nothing: the workers died of something else
//
// Pure: a probe is asked for, one at a time, and its answer comes in. A half that passes leaves the other one suspected, not
// convicted: only an offset that died by itself is found. So records that are fatal together and not alone are nothing, too.
// A probe that could not be made says nothing and is made again, a few times.
//
// Survives nothing; a driver that takes over sees its own workers die and hunts again. What is found goes into the plan
// before the batch runs without it (`StartDecision`).

import Engine

package struct CrashHunt: Sendable, Equatable {
    /// A task of stage 0, or what is left of its range.
    package struct Piece: Sendable, Equatable {
        package var part: Int
        package var range: OffsetRange

        package init(part: Int, range: OffsetRange) {
            self.part = part
            self.range = range
        }
    }

    package enum Answer: Sendable, Equatable {
        case died, passed
        /// The probe was not made, or its task failed as tasks do.
        case unknown(Failure)
    }

    package enum Step: Sendable, Equatable {
        case probe([Piece])
        case found(OffsetRange)
        /// - Parameter reason: why it is not known, where probes could not be made.
        case nothing(reason: Failure?)
    }

    /// Whether the first probe reads nothing: what dies of that died of no record.
    private var isControl: Bool
    /// What is suspected, and whether it has died by itself.
    private var suspects: [Piece]
    private var isConvicted = false
    /// What the next probe reads.
    private var asked: [Piece]
    private var unknown = 0
    private var result: Step?
    private static let mostUnknown = 5

    /// - Parameters:
    ///   - suspects: not empty, ranges not empty.
    ///   - hasControl: the first probe reads nothing.
    package init(_ suspects: [Piece], hasControl: Bool = false) {
        isControl = hasControl
        self.suspects = suspects
        asked = suspects
    }

    package var step: Step { result ?? .probe(isControl ? [] : asked) }

    /// Before the next probe, when the last ones could not be made.
    package var pauseMillis: Int { unknown == 0 ? 0 : min(100 << unknown, 2000) }

    package mutating func probed(_ answer: Answer) {
        guard result == nil else { return }
        if isControl, answer == .passed { return isControl = false }
        if isControl, answer == .died { return result = .nothing(reason: Self.ofState) }
        let isHalf = asked != suspects
        switch answer {
        case .unknown(let reason):
            unknown += 1
            if unknown >= Self.mostUnknown { result = .nothing(reason: reason) }
            return
        case .died:
            suspects = asked
            isConvicted = true
        case .passed:
            guard isHalf else { return result = .nothing(reason: nil) }
            suspects = Self.halves(suspects).second
            isConvicted = false
        }
        if let only = suspects.first, suspects.count == 1, only.range.count == 1 {
            if isConvicted { result = .found(only.range) } else { asked = suspects }
        } else {
            asked = Self.halves(suspects).first
        }
    }

    private static let ofState = Failure(
        .workerUnreachable, "processes die that load the state of the job", why: "one died that read no record",
        now: "look at the trace of a worker; an earlier state is kept, see `sluice jobs` and docs/trouble.md")

    /// Two halves, neither of them empty.
    private static func halves(_ pieces: [Piece]) -> (first: [Piece], second: [Piece]) {
        guard pieces.count == 1 else {
            return (Array(pieces[..<(pieces.count / 2)]), Array(pieces[(pieces.count / 2)...]))
        }
        var (first, second) = (pieces[0], pieces[0])
        let middle = first.range.from + first.range.count / 2
        first.range.until = middle
        second.range.from = middle
        return ([first], [second])
    }
}
