import Engine
import Foundation
import Testing

private func file(_ name: String, _ version: BatchNumber, _ kind: StateFile.Kind = .delta, rows: Int = 1) -> StateFile {
    StateFile(kind: kind, version: version, name: name, inline: true, bytes: 10, rows: rows, digest: name)
}

extension StateManifest {
    fileprivate func files(for groups: Range<Int>) -> [StateFile] { StateSources(entries(for: groups)).files }
}

@Suite struct StateManifestTests {
    @Test(arguments: [StateFile.Kind.snapshot, .delta], [true, false])
    func `a file is one line of JSON and comes back`(_ kind: StateFile.Kind, _ inline: Bool) throws {
        let file = StateFile(
            kind: kind, version: 12, name: "v12 a", inline: inline, bytes: 812, rows: 7, digest: inline ? "d1" : "")
        let text = String(decoding: try JSONEncoder().encode([file]), as: UTF8.self)
        #expect(text.hasPrefix("[\"") && !text.contains("{"))
        #expect(try JSONDecoder().decode([StateFile].self, from: Data(text.utf8)) == [file])
    }

    @Test func `a file as earlier builds wrote it is still read, and nonsense is not`() throws {
        let old = #"{"kind":"delta","version":3,"name":"n","inline":true,"bytes":4,"rows":5,"digest":"d"}"#
        let file = try JSONDecoder().decode(StateFile.self, from: Data(old.utf8))
        #expect(file == StateFile(kind: .delta, version: 3, name: "n", inline: true, bytes: 4, rows: 5, digest: "d"))
        for text in [#""""#, #""xi 1 2 3 d n""#, #""di 1 2 3 d""#, #""di a 2 3 d n""#, "7"] {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(StateFile.self, from: Data(text.utf8)) }
        }
    }

    @Test func `a delta is added behind what its part had`() {
        let first = StateManifest.next(after: nil, version: 1, bounds: [0, 4, 8], offered: [0: file("a", 1), 1: file("b", 1)])
        let second = StateManifest.next(after: first, version: 2, bounds: [0, 4, 8], offered: [1: file("c", 2)])
        #expect(second.files(for: 0..<4).map(\.name) == ["a"])
        #expect(second.files(for: 4..<8).map(\.name) == ["b", "c"])
        #expect(second.version == 2)
    }

    @Test func `a snapshot replaces what its part had`() {
        let first = StateManifest.next(after: nil, version: 1, bounds: [0, 8], offered: [0: file("a", 1)])
        let second = StateManifest.next(after: first, version: 2, bounds: [0, 8], offered: [0: file("s", 2, .snapshot)])
        #expect(second.files(for: 0..<8).map(\.name) == ["s"])
    }

    @Test func `fewer parts read the files of all they cover, in version order`() {
        var manifest = StateManifest.next(after: nil, version: 1, bounds: [0, 4, 8], offered: [0: file("a1", 1), 1: file("b1", 1)])
        manifest = .next(after: manifest, version: 2, bounds: [0, 4, 8], offered: [0: file("a2", 2)])
        manifest = .next(after: manifest, version: 3, bounds: [0, 4, 8], offered: [1: file("b3", 3)])
        let merged = StateManifest.next(after: manifest, version: 4, bounds: [0, 8], offered: [:])
        #expect(merged.files(for: 0..<8).map(\.name) == ["a1", "b1", "a2", "b3"])
    }

    @Test func `more parts share the files and then go their own ways`() {
        var manifest = StateManifest.next(after: nil, version: 1, bounds: [0, 8], offered: [0: file("a", 1)])
        manifest = .next(after: manifest, version: 2, bounds: [0, 4, 8], offered: [1: file("b", 2)])
        #expect(manifest.files(for: 0..<4).map(\.name) == ["a"])
        #expect(manifest.files(for: 4..<8).map(\.name) == ["a", "b"])
        manifest = .next(after: manifest, version: 3, bounds: [0, 8], offered: [:])
        // `a` stands in both entries and is read once.
        #expect(manifest.files(for: 0..<8).map(\.name) == ["a", "b"])
        #expect(manifest.fileNames == ["a", "b"])
    }

    @Test func `a file is read only for the groups of the entries that name it`() {
        // `a` holds all groups; the first half has a snapshot by now, in which a key of `a` may be gone.
        var manifest = StateManifest.next(after: nil, version: 1, bounds: [0, 8], offered: [0: file("a", 1)])
        manifest = .next(after: manifest, version: 2, bounds: [0, 4, 8], offered: [0: file("s", 2, .snapshot), 1: file("b", 2)])
        manifest = .next(after: manifest, version: 3, bounds: [0, 8], offered: [0: file("c", 3)])
        let sources = StateSources(manifest.entries(for: 0..<8)).sources
        #expect(sources.map(\.file.name) == ["a", "s", "b", "c"])
        #expect(sources.map(\.groups) == [[4..<8], [0..<4], [4..<8], [0..<4, 4..<8]])
        #expect(manifest.keyGroups == 8)
        // A snapshot of the whole part ends the division.
        manifest = .next(after: manifest, version: 4, bounds: [0, 8], offered: [0: file("t", 4, .snapshot)])
        #expect(manifest.entries.map(\.files.count) == [1])
    }

    @Test func `entries are cut to a part, and neighbours with the same files are one`() {
        var manifest = StateManifest.next(after: nil, version: 1, bounds: [0, 8], offered: [0: file("a", 1)])
        #expect(manifest.entries(for: 2..<5).map { $0.firstGroup..<$0.untilGroup } == [2..<5])
        manifest = .next(after: manifest, version: 2, bounds: [0, 2, 4, 8], offered: [:])
        manifest = .next(after: manifest, version: 3, bounds: [0, 8], offered: [0: file("b", 3)])
        #expect(manifest.entries.map { $0.firstGroup..<$0.untilGroup } == [0..<8])
        // Groups that nothing names start empty.
        let holes = StateManifest(version: 1, entries: [.init(firstGroup: 2, untilGroup: 4, files: [file("a", 1)])], keyGroups: 8)
        let next = StateManifest.next(after: holes, version: 2, bounds: [0, 8], offered: [0: file("b", 2)])
        #expect(next.entries.map { $0.files.map(\.name) } == [["b"], ["a", "b"], ["b"]])
    }

    @Test func `a snapshot is due by files or by rows`() {
        #expect(!StateCompaction.isDue(files: [], stateRows: 0, deltaRows: 1_000_000))
        #expect(StateCompaction.isDue(files: (0..<63).map { file("f\($0)", 1) }, stateRows: 1, deltaRows: 1))
        #expect(StateCompaction.isDue(files: [file("f", 1, rows: 90_000)], stateRows: 10_000, deltaRows: 10_000))
        #expect(!StateCompaction.isDue(files: [file("f", 1, rows: 10_000)], stateRows: 10_000, deltaRows: 10_000))
    }
}

@Suite struct StateStoreTests {
    private func withStore(_ body: (StateStore, JobID) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.path + "/sluice-state-\(UInt64.random(in: 0...UInt64.max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try StateStore(address: "file:" + directory)
        try store.makeRoot()
        try body(store, .random())
    }

    @Test func `a place that is not mounted is said, and is not made by who writes or reads there`() throws {
        try withStore { store, job in
            try store.put(job, name: "v1-a", bytes: [1])
            try FileManager.default.removeItem(atPath: store.directory)
            let file = StateFile(kind: .delta, version: 1, name: "v1-a", inline: false, bytes: 1, rows: 1, digest: "d")
            for call in [{ try store.put(job, name: "v2-b", bytes: [2]) }, { _ = try store.get(job, file) }, { try store.requireRoot() }] {
                let failure = #expect(throws: Failure.self) { try call() }
                #expect(failure?.code == .stateUnreachable && failure?.what.contains(store.directory) ?? false)
            }
            #expect(!FileManager.default.fileExists(atPath: store.directory))
            // An empty place is what is left of one that is not mounted.
            try store.makeRoot()
            let empty = #expect(throws: Failure.self) { try store.get(job, file) }
            #expect(empty?.code == .stateUnreachable)
            // A file that went from a place that is there is another matter: nobody brings it back by waiting.
            try store.put(job, name: "v2-b", bytes: [2])
            let failure = #expect(throws: Failure.self) { try store.get(job, file) }
            #expect(failure?.code == .stateMissing)
        }
    }

    @Test func `what was put comes back, and only as it was`() throws {
        try withStore { store, job in
            let bytes = [UInt8](0..<200)
            try store.put(job, name: "v1-x", bytes: bytes)
            let named = StateFile(
                kind: .delta, version: 1, name: "v1-x", inline: false, bytes: bytes.count, rows: 1, digest: digest(of: bytes))
            #expect(try store.get(job, named) == bytes)
            var damaged = bytes
            damaged[7] ^= 1
            try store.put(job, name: "v1-x", bytes: damaged)
            let failure = #expect(throws: Failure.self) { try store.get(job, named) }
            #expect(failure?.code == .stateMissing)
        }
    }

    @Test func `the sweep takes old files that nobody names and nothing else`() throws {
        try withStore { store, job in
            for name in ["v1-a", "v2-b", "v9-c", "other"] { try store.put(job, name: name, bytes: [1]) }
            #expect(store.sweep(job, upTo: 5, kept: ["v2-b"]) == 1)
            #expect(throws: Failure.self) { try store.read(job, name: "v1-a") }
            for name in ["v2-b", "v9-c", "other"] { #expect(try store.read(job, name: name) == [1]) }
        }
    }

    @Test(arguments: ["", "file:", "s3:bucket", "dir"]) func `an address that is no directory is refused`(_ address: String) {
        let failure = #expect(throws: Failure.self) { _ = try StateStore(address: address) }
        #expect(failure?.code == .invalidSetting)
    }
}
