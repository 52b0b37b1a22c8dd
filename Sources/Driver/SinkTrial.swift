// What a sink is put through to prove that deliveries may be lost, repeated and killed: each step with what must come of it.
//
// Real failures come in orders that nobody chose; these come in one that meets all of them. For each recorded batch and
// part, in order: killed before its transaction is committed (nothing is there), the next batch before it (refused), killed
// when it is committed and nobody was told (it is there), then again (recognised), with other content and with an older
// number (refused). At the end a newer driver takes the sink, and the older one tries once more (refused).
//
// Pure values; `VerifySinkCommand` carries the steps out and compares the table before and after each.

import Engine

package struct SinkTrial: Sendable, Equatable {
    package enum Delivery: Sendable, Equatable {
        /// By a process that is killed at the failpoint of this name.
        case killed(at: String)
        case plain
        /// The same batch with another digest.
        case otherContent
        /// The first driver's epoch, after another has claimed the sink.
        case oldEpoch
    }

    package enum Expectation: Sendable, Equatable {
        /// The rows are there afterwards, once.
        case written
        /// The table is as before: nobody answered, or the answer was this.
        case unchanged(SealOutcome?)
        /// The table is as before, and the sink said why.
        case refused(Failure.Code)
    }

    package struct Step: Sendable, Equatable {
        package var batch: BatchNumber
        package var part: Int
        package var delivery: Delivery
        package var expected: Expectation

        /// For people.
        package var title: String {
            let what =
                switch delivery {
                case .killed(let point): "killed at \(point)"
                case .plain: "delivered"
                case .otherContent: "delivered with other content"
                case .oldEpoch: "delivered by the driver before"
                }
            return "batch \(batch), part \(part): \(what)"
        }

        /// For people.
        package var outcome: String {
            switch expected {
            case .written: "its rows are there, once"
            case .unchanged(nil): "nothing is there of it"
            case .unchanged: "recognised, nothing changes"
            case .refused(let code): "refused (\(code.rawValue)), nothing changes"
            }
        }
    }

    package static let beforeCommit = "sink-written"
    package static let afterCommit = "worker-sealed"

    /// - Parameter parts: the seals with rows of each batch, in the order of the log.
    package static func steps(_ parts: [SealMark]) -> [Step] {
        var steps: [Step] = []
        let chains = Dictionary(grouping: parts, by: \.part)
        for mark in parts {
            let chain = chains[mark.part]!
            let index = chain.firstIndex(of: mark)!
            func step(_ mark: SealMark, _ delivery: Delivery, _ expected: Expectation) {
                steps.append(Step(batch: mark.batch, part: mark.part, delivery: delivery, expected: expected))
            }
            step(mark, .killed(at: beforeCommit), .unchanged(nil))
            if index + 1 < chain.count { step(chain[index + 1], .plain, .refused(.ledgerConflict)) }
            step(mark, .killed(at: afterCommit), .written)
            step(mark, .plain, .unchanged(.alreadySealed))
            step(mark, .otherContent, .refused(.ledgerConflict))
            if index > 0 { step(chain[index - 1], .plain, .refused(.ledgerConflict)) }
        }
        for chain in chains.sorted(by: { $0.key < $1.key }).map(\.value) {
            guard let last = chain.last else { continue }
            steps.append(Step(batch: last.batch, part: last.part, delivery: .oldEpoch, expected: .refused(.staleEpoch)))
            steps.append(Step(batch: last.batch, part: last.part, delivery: .plain, expected: .unchanged(.alreadySealed)))
        }
        return steps
    }

    /// What the trial's own log knows before `mark`: batches that were left out of it are not followed.
    package static func predecessor(of mark: SealMark, in parts: [SealMark]) -> Predecessor {
        Predecessor(parts.last { $0.part == mark.part && $0.batch < mark.batch })
    }
}
