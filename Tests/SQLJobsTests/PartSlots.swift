// Parts of a job as slots of workers keep them: warm from the batch before, or loaded anew from the files that a manifest names.
//
// An attempt may be lost at any moment: in the middle of its batch, or behind it, with what it offered never named by a manifest.

import Dataflow
import Engine
import TestSupport

final class PartSlots {
    private struct Warm {
        let work: any PartWork
        let entries: [StateManifest.Entry]
        let pending: StateFile?
    }

    let work: any StageWork
    private(set) var manifest: StateManifest?
    private var files: [String: [UInt8]] = [:]
    /// By slot and range of key groups.
    private var warm: [[Range<Int>: Warm]] = [[:], [:]]
    private var attempts = 0
    private(set) var counts = (warm: 0, loaded: 0, lost: 0, snapshots: 0)

    init(_ work: any StageWork) { self.work = work }

    struct Done {
        var output: [Engine.Chunk] = []
        var late = 0
        var failed = 0
    }

    /// The parts of a batch over its blocks, each until one attempt is not lost.
    func run(_ task: WorkTask, version: Int64, blocks: [[[UInt8]?]], random: inout SeededRandom, loses: Double) throws -> Done {
        let bounds = BatchPlan.keyGroupBounds(parts: task.parts, keyGroups: task.keyGroups)
        var done = Done()
        var offered: [Int: StateFile] = [:]
        for part in 0..<task.parts {
            let groups = bounds[part]..<bounds[part + 1]
            while true {
                let lost = random.chance(loses) ? random.below(3) : nil
                let made = try attempt(task, version, groups, blocks.compactMap { $0.isEmpty ? nil : $0[part] }, lost, &random)
                guard let made, lost == nil else {
                    counts.lost += 1
                    continue
                }
                done.output += made.result.output
                done.late += made.result.late
                done.failed += made.result.failed
                offered[part] = made.file
                break
            }
        }
        manifest = StateManifest.next(after: manifest, version: version, bounds: bounds, offered: offered)
        return done
    }

    /// - Parameter lost: 0 before its blocks, 1 among them, 2 behind all; nil: it is not.
    private func attempt(
        _ task: WorkTask, _ version: Int64, _ groups: Range<Int>, _ blocks: [[UInt8]], _ lost: Int?, _ random: inout SeededRandom
    ) throws -> (result: MadeOfPart, file: StateFile?)? {
        let wanted = manifest?.entries(for: groups) ?? []
        let slot = random.below(warm.count)
        let part: any PartWork
        if let known = warm[slot][groups], Self.isUsable(known.entries, known.pending, wanted, groups) {
            part = known.work
            counts.warm += 1
        } else {
            part = try work.makePartWork(keyGroups: task.keyGroups, groups: groups)
            if !wanted.isEmpty { try part.load(named(wanted), keyGroups: task.keyGroups) }
            counts.loaded += 1
        }
        warm[slot][groups] = nil
        try part.begin(task)
        if lost == 0 { return nil }
        for (index, block) in blocks.enumerated() {
            if lost == 1, index == blocks.count / 2 { return nil }
            try part.take(block: block)
        }
        if lost == 1 { return nil }
        let result = try part.finish(output: .changes)
        var file: StateFile?
        if let delta = result.delta {
            attempts += 1
            try checkGroups(of: delta, groups)
            let isSnapshot = random.chance(0.15) || StateCompaction.isDue(files: StateSources(wanted).files, stateRows: part.stateRows, deltaRows: delta.rowCount)
            let (bytes, rows) = isSnapshot ? try part.snapshot(with: delta) { named(wanted) } : (try delta.bytes(), delta.rowCount)
            if isSnapshot { counts.snapshots += 1 }
            let name = "v\(version)-\(groups)-\(attempts)"
            files[name] = bytes
            file = StateFile(kind: isSnapshot ? .snapshot : .delta, version: version, name: name, inline: true, bytes: bytes.count, rows: rows, digest: digest(of: bytes))
        }
        warm[slot][groups] = Warm(work: part, entries: wanted, pending: file)
        return (result, file)
    }

    /// A part keeps nothing of another one's key groups.
    private func checkGroups(of delta: any PartDelta, _ groups: Range<Int>) throws {
        for (id, changes) in try StateFileBytes.read(Array(ChunkCodec.unframed(delta.bytes(), for: .state))) {
            guard let other = changes.entries.first(where: { !groups.contains($0.group) }) else { continue }
            throw RigError.wrong("a part of the key groups \(groups) keeps something of group \(other.group) in operator \(id)")
        }
    }

    /// Work that changes in place stands behind what it offered: it goes on where the manifest has that, and only that.
    private static func isUsable(_ entries: [StateManifest.Entry], _ pending: StateFile?, _ wanted: [StateManifest.Entry], _ groups: Range<Int>) -> Bool {
        guard let pending else { return entries == wanted }
        return wanted == StateManifest.following(entries, groups: groups, offered: pending)
    }

    private func named(_ entries: [StateManifest.Entry]) -> [NamedState] {
        StateSources(entries).sources.map { NamedState(bytes: files[$0.file.name]!, groups: $0.groups) }
    }

    /// Entries of all operators, read from the files.
    func entries() throws -> Int {
        guard let manifest else { return 0 }
        let part = try work.makePartWork(keyGroups: 128, groups: 0..<128)
        return try part.snapshot(with: nil) { named(manifest.entries(for: 0..<128)) }.rows
    }
}
