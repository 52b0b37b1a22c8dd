// What a task takes its state from: decided from what the slot keeps and what the plan names.
//
//   a replay, and a batch that rehashes                                       -> files: neither is the job's next batch
//   nothing is kept of these groups, or it counts in another number of them   -> files
//   the plan names exactly the entries of what is kept                        -> as it is
//   the plan names them with our own pending delta, or its snapshot           -> the delta first: the log has it by now
//   the same, but what is kept has its pending delta in it already             -> files: that batch was given up
//   anything else (another attempt or another worker moved on)                -> files
//
// Pure. When changing it: a delta that no DONE row names is never part of a state.

import Engine

package enum StateUse: Sendable, Equatable {
    case asIs, withPending, fromFiles

    /// What a slot keeps of a range of key groups.
    package struct Kept: Sendable {
        package var entries: [StateManifest.Entry]
        package var keyGroups: Int
        /// What the last attempt offered.
        package var pending: StateFile?
        /// What it offered is part of what is kept, whatever became of it.
        package var changesInPlace: Bool

        package init(entries: [StateManifest.Entry], keyGroups: Int, pending: StateFile?, changesInPlace: Bool = false) {
            self.entries = entries
            self.keyGroups = keyGroups
            self.pending = pending
            self.changesInPlace = changesInPlace
        }
    }

    /// - Parameter wanted: the entries that the plan names for `groups`.
    package static func decide(
        _ kept: Kept?, wanted: [StateManifest.Entry], groups: Range<Int>, keyGroups: Int, isReplay: Bool, isRehash: Bool
    ) -> StateUse {
        guard !isReplay, !isRehash, let kept, kept.keyGroups == keyGroups else { return .fromFiles }
        if kept.entries == wanted { return kept.changesInPlace && kept.pending != nil ? .fromFiles : .asIs }
        // A delta extends the entries, a snapshot replaces them. Either way the content is state + delta.
        guard let pending = kept.pending, wanted == StateManifest.following(kept.entries, groups: groups, offered: pending) else { return .fromFiles }
        return .withPending
    }
}
