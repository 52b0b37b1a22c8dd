// A made disk with one job's folder of state files: what a process sees, and what would be there after a power cut.
//
// A put is carried out in `StatePut`'s steps, one event each, so that its process may die and the power may go between any two. What a
// power cut leaves of what was not synced is drawn: content is cut anywhere, a name that its folder was not synced with is there or is
// not, and so is the folder itself. What a DONE manifest names must be there and whole whatever is drawn.

import Driver
import Engine

final class MadeDisk {
    private struct File {
        var bytes: [UInt8]
        var isSynced = false
    }

    /// A change of the folder that a power cut may undo.
    private enum Change {
        case appeared(String, Int)
        case renamed(String, to: String, Int)
    }

    private var files: [Int: File] = [:]
    private var names: [String: Int] = [:]
    private var syncedNames: [String: Int] = [:]
    private var changes: [Change] = []
    private var hasFolder = false
    private var hasSyncedFolder = false
    private var made = 0
    /// Rises with whatever may take a file away.
    private(set) var losses = 0
    private let mutant: Mutant?

    init(mutant: Mutant?) { self.mutant = mutant }

    // MARK: a put

    /// One put, step by step.
    final class Put {
        let name: String
        let bytes: [UInt8]
        fileprivate let temporary: String
        fileprivate var file = 0
        fileprivate var steps = StatePut.allCases[...]

        fileprivate init(_ name: String, _ bytes: [UInt8], _ number: Int) {
            self.name = name
            self.bytes = bytes
            temporary = "\(name).\(number).tmp"
        }

        var isOver: Bool { steps.isEmpty }
    }

    func put(_ name: String, _ bytes: [UInt8]) -> Put {
        made += 1
        return Put(name, bytes, made)
    }

    /// - Parameter fails: the disk says that it could not sync.
    func step(_ put: Put, fails: Bool) throws(Failure) {
        guard let step = put.steps.popFirst() else { return }
        switch step {
        case .makeFolder: hasFolder = true
        case .syncRoot: hasSyncedFolder = true
        case .write:
            put.file = made
            made += 1
            files[put.file] = File(bytes: put.bytes)
            names[put.temporary] = put.file
            changes.append(.appeared(put.temporary, put.file))
        case .sync:
            if fails {
                names[put.temporary] = nil
                throw Failure(.stateUnreachable, "could not sync a state file", why: "made so", now: "look at the disk")
            }
            if mutant != .fileNotSynced { files[put.file]?.isSynced = true }
        case .rename:
            names[put.temporary] = nil
            names[put.name] = put.file
            changes.append(.renamed(put.temporary, to: put.name, put.file))
        case .syncFolder:
            changes = []
            syncedNames = names
        }
    }

    // MARK: reading

    func read(_ name: String) -> [UInt8]? { names[name].flatMap { files[$0]?.bytes } }

    /// What `StateStore.sweep` removes: files of versions up to `version` that nobody names.
    func sweep(upTo version: BatchNumber, kept: Set<String>) {
        for name in names.keys.sorted() where !kept.contains(name) {
            guard let number = Int64(name.dropFirst().prefix { $0.isNumber }), number <= version else { continue }
            names[name] = nil
            losses += 1
        }
    }

    // MARK: a power cut

    func cutPower(_ random: inout Draws) {
        losses += 1
        if hasFolder, !hasSyncedFolder, random.chance(0.5) {
            hasFolder = false
            (names, syncedNames, changes) = ([:], [:], [])
        }
        var left = syncedNames
        for change in changes where random.chance(0.5) {
            switch change {
            case .appeared(let name, let file): left[name] = file
            case .renamed(let old, let new, let file):
                left[old] = nil
                left[new] = file
            }
        }
        names = left
        syncedNames = left
        changes = []
        let named = Set(left.values)
        for file in files.keys.sorted() {
            guard named.contains(file) else {
                files[file] = nil
                continue
            }
            guard let content = files[file], !content.isSynced else { continue }
            files[file] = File(bytes: Array(content.bytes.prefix(Int(random.below(Int64(content.bytes.count + 1))))), isSynced: true)
        }
    }
}
