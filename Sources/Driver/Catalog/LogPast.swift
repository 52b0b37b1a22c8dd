// What the batches before hold already: for writing, so that a row need not repeat it; for reading, to put it back.
//
// The writer remembers the newest manifest that it wrote for a job, and the parts of the newest DONE batch, per epoch of the
// lease: whoever takes a job over begins with a row that says everything, because somebody else may have folded meanwhile what
// the memory still holds. A chain of manifests that say only what changed has at most `longestChain` rows.

import Engine
import Synchronization

/// What the writer of a job's log knows to be in it.
package struct LogPast: Sendable {
    /// Rows that have to be read for one manifest, at most; one in so many says everything.
    static let longestChain = 32

    var epoch: Epoch
    /// The newest state in the log, and how many rows it takes to read it.
    var state: StateManifest?
    var chain = 0
    /// Parts with rows of the newest DONE batch.
    var batch: BatchNumber = 0
    var parts: [SealedPart] = []

    package init(epoch: Epoch) { self.epoch = epoch }

    /// The state that the next outcome may refer to.
    var stateToBuildOn: StateManifest? { chain < Self.longestChain ? state : nil }

    func holds(_ mark: SealMark) -> Bool {
        mark.batch == batch && parts.contains { $0.part == mark.part && ($0.sink ?? 0) == mark.sink && $0.digest == mark.digest }
    }

    /// The past once `batch` is DONE.
    package func after(_ batch: BatchNumber, _ outcome: BatchOutcome) -> LogPast {
        var past = self
        past.batch = batch
        past.parts = outcome.parts.filter { $0.rows > 0 }
        if let state = outcome.state {
            past.chain = stateToBuildOn == nil ? 1 : chain + 1
            // A state is found by the batch that left it; one of another number can only stand whole.
            past.state = state.version == batch ? state : nil
        }
        return past
    }

    /// Completes rows from the rows before them. Keeps what it saw last, so that batches read in ascending order are read once.
    package struct Reader {
        private let stored: (BatchNumber) throws -> StateText?
        private let parts: (BatchNumber) throws -> [SealedPart]?
        private var states: [BatchNumber: StateManifest] = [:]
        private var sealed: [BatchNumber: [SealedPart]] = [:]

        /// - Parameters:
        ///   - stored: the state that a batch left, as the log has it.
        ///   - parts: the parts of a batch, if its row is still there.
        package init(stored: @escaping (BatchNumber) throws -> StateText?, parts: @escaping (BatchNumber) throws -> [SealedPart]?) {
            self.stored = stored
            self.parts = parts
        }

        mutating func whole(_ text: StateText) throws -> StateManifest {
            var pending: [StateText] = []
            var next = text
            var state: StateManifest
            while true {
                if let whole = next.whole {
                    state = whole
                    break
                }
                // A text without changes only names the state.
                let version = next.since ?? next.version
                if next.since != nil { pending.append(next) }
                if let known = states[version] {
                    state = known
                    break
                }
                guard pending.count <= LogPast.longestChain, let before = try stored(version),
                    before.whole != nil || before.since != nil
                else { throw Self.missing(version) }
                next = before
            }
            for change in pending.reversed() {
                guard let changed = change.applied(to: state) else { throw Self.missing(change.version) }
                state = changed
            }
            remember(state)
            return state
        }

        /// The mark with its digest; nil when the batch that it names is folded.
        mutating func completed(_ mark: SealMark) throws -> SealMark? {
            let found = try sealed[mark.batch] ?? parts(mark.batch)
            sealed[mark.batch] = found
            guard let part = found?.first(where: { $0.part == mark.part && ($0.sink ?? 0) == mark.sink }) else { return nil }
            var mark = mark
            mark.digest = part.digest
            return mark
        }

        mutating func note(_ record: BatchRecord) {
            guard let outcome = record.outcome else { return }
            if sealed.count > 256 { sealed.removeAll() }
            sealed[record.plan.batch] = outcome.parts
        }

        private mutating func remember(_ state: StateManifest) {
            if states.count > 256 { states.removeAll() }
            states[state.version] = state
        }

        private static func missing(_ version: BatchNumber) -> Failure {
            Failure(
                .catalogFailed, "the log no longer says what state batch \(version) left",
                why: "a later batch refers to it, and neither its row nor its hour holds it",
                now: "`sluice catalog check` lists what is wrong; restore the catalog from a backup")
        }
    }
}
