// The work of a part, with its state, that a slot keeps in memory between batches, so that a batch loads nothing.
//
// Whether a task uses it is decided by `StateUse`. Nothing here survives a crash, and nothing needs to.

import Engine
import Wire

/// One key-group range of one job in memory, plus the delta of the last attempt.
final class WarmState {
    let groups: Range<Int>
    /// What `groups` counts in.
    let keyGroups: Int
    let work: any PartWork
    private(set) var entries: [StateManifest.Entry]
    private var pending: (file: StateFile, delta: (any PartDelta)?)?

    init(groups: Range<Int>, keyGroups: Int, work: any PartWork, entries: [StateManifest.Entry]) {
        self.groups = groups
        self.keyGroups = keyGroups
        self.work = work
        self.entries = entries
    }

    var kept: StateUse.Kept {
        StateUse.Kept(entries: entries, keyGroups: keyGroups, pending: pending?.file, changesInPlace: work.changesInPlace)
    }

    /// What was pending is part of the state from here on, which `wanted` names.
    func takePending(to wanted: [StateManifest.Entry]) {
        guard let pending else { return }
        if let delta = pending.delta { work.adopt(delta) }
        entries = wanted
        self.pending = nil
    }

    func offer(_ file: StateFile, delta: (any PartDelta)?) { pending = (file, delta) }
}
