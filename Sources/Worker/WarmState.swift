// The state that a slot keeps in memory between batches, so that a batch loads nothing.
//
// A warm state is known by the list of files that made it. A task that finds the plan's list equal uses it as it is; one
// that finds exactly its own pending delta added applies that delta first; anything else loads from the files. So a
// delta becomes part of the state only after the log has named it in a DONE row (protocol 5), and a state that another
// attempt or another worker moved on is never mistaken for the current one. Nothing here survives a crash, and nothing
// needs to.

import Engine
import Wire

/// One key-group range of one job in memory, plus the delta of the last attempt.
final class WarmState {
    let groups: Range<Int>
    private(set) var state: KeyedState
    private(set) var files: [StateFile]
    private var pending: (file: StateFile, delta: Chunk)?

    init(groups: Range<Int>, state: KeyedState, files: [StateFile]) {
        self.groups = groups
        self.state = state
        self.files = files
    }

    /// Makes this the state that `wanted` names, if that needs no file.
    func advance(to wanted: [StateFile]) -> Bool {
        if files == wanted { return true }
        guard let pending, wanted.last == pending.file else { return false }
        // A delta extends our list; a snapshot replaces it. Either way the content is state + delta.
        let extendsOurs = pending.file.kind == .delta && wanted.dropLast().elementsEqual(files)
        let replacesOurs = pending.file.kind == .snapshot && wanted.count == 1
        guard extendsOurs || replacesOurs else { return false }
        state.apply(delta: pending.delta, groups: groups)
        files = wanted
        self.pending = nil
        return true
    }

    func offer(_ file: StateFile, delta: Chunk) { pending = (file, delta) }
    func forgetOffer() { pending = nil }
}
