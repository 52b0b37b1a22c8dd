// The state that a slot keeps in memory between batches, so that a batch loads nothing.
//
// A warm state is known by the entries of the manifest that made it. A task that finds the plan's entries equal uses it as it
// is; one that finds exactly its own pending delta added applies that delta first; anything else loads from the files. So a
// delta becomes part of the state only after the log has named it in a DONE row (protocol 5), and a state that another
// attempt or another worker moved on is never mistaken for the current one. Nothing here survives a crash, and nothing
// needs to.

import Engine
import Wire

/// One key-group range of one job in memory, plus the delta of the last attempt.
final class WarmState {
    let groups: Range<Int>
    /// What `groups` counts in.
    let keyGroups: Int
    let state: KeyedState
    private(set) var entries: [StateManifest.Entry]
    private var pending: (file: StateFile, delta: Chunk)?

    init(groups: Range<Int>, keyGroups: Int, state: KeyedState, entries: [StateManifest.Entry]) {
        self.groups = groups
        self.keyGroups = keyGroups
        self.state = state
        self.entries = entries
    }

    /// Makes this the state that `wanted` names, if that needs no file.
    func advance(to wanted: [StateManifest.Entry]) -> Bool {
        if entries == wanted { return true }
        guard let pending else { return false }
        // A delta extends our entries, a snapshot replaces them. Either way the content is state + delta.
        guard wanted == StateManifest.following(entries, groups: groups, offered: pending.file) else { return false }
        state.apply(delta: pending.delta, groups: groups)
        entries = wanted
        self.pending = nil
        return true
    }

    func offer(_ file: StateFile, delta: Chunk) { pending = (file, delta) }
}
