import Engine
import Testing
import Worker

private func file(_ name: String, _ version: BatchNumber, _ kind: StateFile.Kind = .delta) -> StateFile {
    StateFile(kind: kind, version: version, name: name, inline: true, bytes: 1, rows: 1, digest: name)
}

struct StateUseTests {
    private let groups = 0..<4
    private let entries = [StateManifest.Entry(firstGroup: 0, untilGroup: 4, files: [file("a", 1)])]

    private func use(
        _ kept: StateUse.Kept?, _ wanted: [StateManifest.Entry], keyGroups: Int = 8, isReplay: Bool = false, isRehash: Bool = false
    ) -> StateUse {
        StateUse.decide(kept, wanted: wanted, groups: groups, keyGroups: keyGroups, isReplay: isReplay, isRehash: isRehash)
    }

    private func kept(pending: StateFile? = nil) -> StateUse.Kept { StateUse.Kept(entries: entries, keyGroups: 8, pending: pending) }

    @Test func `what is kept is used where the plan names it, and else the files are`() {
        #expect(use(kept(), entries) == .asIs)
        #expect(use(nil, entries) == .fromFiles)
        #expect(use(kept(), entries, keyGroups: 16) == .fromFiles)
        #expect(use(kept(), entries, isReplay: true) == .fromFiles)
        #expect(use(kept(), entries, isRehash: true) == .fromFiles)
        #expect(use(kept(), []) == .fromFiles)
    }

    @Test func `a pending delta is taken once the log has it, and no other's`() {
        let (ours, theirs) = (file("ours", 2), file("theirs", 2))
        func following(_ offered: StateFile) -> [StateManifest.Entry] { StateManifest.following(entries, groups: groups, offered: offered) }
        #expect(use(kept(pending: ours), following(ours)) == .withPending)
        #expect(use(kept(pending: ours), following(theirs)) == .fromFiles)
        // The batch was given up: its delta is nobody's.
        #expect(use(kept(pending: ours), entries) == .asIs)
        #expect(use(kept(), following(ours)) == .fromFiles)
        let snapshot = file("whole", 2, .snapshot)
        #expect(use(kept(pending: snapshot), following(snapshot)) == .withPending)
        #expect(following(snapshot).flatMap(\.files) == [snapshot])
    }
}
