// How one manifest becomes the next: pure, so that every case has a table row in the tests.
//
// A part owns a range of key groups; parallelism may change from plan to plan and rewrites no state (protocol 5): a new
// range takes over the old entries that overlap it, each cut to it, and the reader takes from a file only the groups of the
// entries that name it. So what an older, larger file holds of groups that have a snapshot by now is never read again.
// A range that no key changed in repeats its files. A snapshot replaces all entries of its part by one.
//
// The numbers of groups count in `keyGroups`. Where a job is to have another number, a batch of kind `rehash` reads every
// entry in the old numbers and leaves snapshots in the new ones; it takes nothing over.

extension StateManifest {
    /// What a part that owns `groups` starts from: the entries that overlap it, cut to it.
    package func entries(for groups: Range<Int>) -> [Entry] {
        entries.compactMap { entry in
            let common = (entry.firstGroup..<entry.untilGroup).clamped(to: groups)
            guard !common.isEmpty else { return nil }
            var cut = entry
            (cut.firstGroup, cut.untilGroup) = (common.lowerBound, common.upperBound)
            return cut
        }
    }

    /// The entries of a part after a batch in which it offered `file`, or nothing.
    package static func following(_ entries: [Entry], groups: Range<Int>, offered file: StateFile?) -> [Entry] {
        var following: [Entry] = []
        func add(_ entry: Entry) {
            if let last = following.last, last.untilGroup == entry.firstGroup, last.files == entry.files,
                last.operatorID == entry.operatorID
            {
                following[following.count - 1].untilGroup = entry.untilGroup
            } else {
                following.append(entry)
            }
        }
        if let file, file.kind == .snapshot || entries.isEmpty {
            return [Entry(firstGroup: groups.lowerBound, untilGroup: groups.upperBound, files: [file])]
        }
        var next = groups.lowerBound
        for entry in entries.sorted(by: { $0.firstGroup < $1.firstGroup }) {
            // Groups that no entry names have no state yet.
            if entry.firstGroup > next { add(Entry(firstGroup: next, untilGroup: entry.firstGroup, files: file.map { [$0] } ?? [])) }
            var entry = entry
            if let file { entry.files.append(file) }
            add(entry)
            next = entry.untilGroup
        }
        if next < groups.upperBound { add(Entry(firstGroup: next, untilGroup: groups.upperBound, files: file.map { [$0] } ?? [])) }
        return following
    }

    /// The manifest after batch `version`, whose part p owned `bounds[p] ..< bounds[p + 1]` and offered `offered[p]`.
    package static func next(
        after previous: StateManifest?, version: BatchNumber, bounds: [Int], offered: [Int: StateFile]
    ) -> StateManifest {
        var entries: [Entry] = []
        for part in 0..<(bounds.count - 1) {
            let groups = bounds[part]..<bounds[part + 1]
            entries += following(previous?.entries(for: groups) ?? [], groups: groups, offered: offered[part])
        }
        return StateManifest(version: version, entries: entries, keyGroups: bounds.last)
    }

    /// Every file name that the manifest keeps alive.
    package var fileNames: Set<String> { Set(entries.flatMap { $0.files.map(\.name) }) }
}

/// The files that make a state, in the order to apply them, each with the groups that it is to be read for.
package struct StateSources: Sendable {
    package struct Source: Sendable {
        package var file: StateFile
        package var groups: [Range<Int>]
    }
    package private(set) var sources: [Source] = []

    package init(_ entries: [StateManifest.Entry]) {
        var known: [String: Int] = [:]
        for entry in entries {
            let groups = entry.firstGroup..<entry.untilGroup
            for file in entry.files {
                if let index = known[file.name] {
                    sources[index].groups.append(groups)
                } else {
                    known[file.name] = sources.count
                    sources.append(Source(file: file, groups: [groups]))
                }
            }
        }
        // Sorting by version is stable here because a version writes each key in one file only.
        sources = sources.enumerated().sorted { ($0.element.file.version, $0.offset) < ($1.element.file.version, $1.offset) }
            .map(\.element)
    }

    package var files: [StateFile] { sources.map(\.file) }
}

/// When a task writes a snapshot instead of one more delta.
package enum StateCompaction {
    /// A load reads at most this many files a part ...
    package static let maxFiles = 64
    /// ... of a small state fewer, because each of them stands by name in every plan, outcome and task ...
    package static let maxFilesOfSmall = 8
    package static let smallRows = 2_000
    /// ... and about this many times the rows that the state really has.
    package static let maxRowsRatio = 4
    /// Below this many rows a snapshot is never worth more than the file count says.
    package static let freeRows = 20_000

    package static func isDue(files: [StateFile], stateRows: Int, deltaRows: Int) -> Bool {
        if files.count + 1 >= (stateRows + deltaRows <= smallRows ? maxFilesOfSmall : maxFiles) { return true }
        let rows = files.reduce(deltaRows) { $0 + $1.rows }
        return rows > max(freeRows, maxRowsRatio * (stateRows + deltaRows))
    }
}
