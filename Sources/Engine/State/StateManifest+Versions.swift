// How one manifest becomes the next: pure, so that every case has a table row in the tests.
//
// A part owns a range of key groups; parallelism may change from plan to plan and rewrites no state (protocol 5): the
// files of a new range are those of all old entries that overlap it, in version order, and the reader keeps only the
// keys of its own groups. A range that no key changed in repeats its files. A snapshot replaces what it contains.

extension StateManifest {
    /// The files to apply, in order, for the key groups `groups`.
    package func files(for groups: Range<Int>) -> [StateFile] {
        var seen = Set<String>()
        var result: [StateFile] = []
        for entry in entries where (entry.firstGroup..<entry.untilGroup).overlaps(groups) {
            for file in entry.files where seen.insert(file.name).inserted { result.append(file) }
        }
        // Sorting by version is stable here because a version writes each key in one file only.
        return result.enumerated().sorted { ($0.element.version, $0.offset) < ($1.element.version, $1.offset) }
            .map(\.element)
    }

    /// The manifest after batch `version`, whose part p owned `bounds[p] ..< bounds[p + 1]` and offered `offered[p]`.
    package static func next(
        after previous: StateManifest?, version: BatchNumber, bounds: [Int], offered: [Int: StateFile]
    ) -> StateManifest {
        var entries: [Entry] = []
        for part in 0..<(bounds.count - 1) {
            let groups = bounds[part]..<bounds[part + 1]
            var files = previous?.files(for: groups) ?? []
            if let file = offered[part] {
                files = file.kind == .snapshot ? [file] : files + [file]
            }
            entries.append(Entry(firstGroup: groups.lowerBound, untilGroup: groups.upperBound, files: files))
        }
        return StateManifest(version: version, entries: entries)
    }

    /// Every file name that the manifest keeps alive.
    package var fileNames: Set<String> { Set(entries.flatMap { $0.files.map(\.name) }) }
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
