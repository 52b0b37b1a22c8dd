import Driver
import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits) struct LookupFilesTests {
    /// A file, and what was kept of it.
    private final class Place {
        let directory: TemporaryDirectory
        let path: String
        var files: LookupFiles
        private(set) var kept: [String: [UInt8]]

        init(_ text: String) throws {
            directory = try TemporaryDirectory("lookups")
            path = directory.file("ads.csv")
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            var kept: [String: [UInt8]] = [:]
            let spec = LookupSpec(name: "ads", path: path, keyColumn: "ad_id", columns: ["ad_id", "campaign_id"])
            files = try LookupFiles([spec], job: "j") { kept[$0] = $1 }
            self.kept = kept
        }

        func write(_ text: String, ageMillis: Int64 = 10_000) throws {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -Double(ageMillis) / 1000)], ofItemAtPath: path)
        }

        func look(takesIn: Bool) throws -> [LookupFiles.Change] {
            try files.look(takesIn: takesIn, wallMillis: wallMillis()) { kept[$0] = $1 }
        }

        var current: String? { files.digests["ads"].flatMap { kept[$0] }.map { String(decoding: $0, as: UTF8.self) } }
    }

    private let first = "ad_id,campaign_id\na,c1\n"
    private let second = "ad_id,campaign_id\na,c2\nb,c2\n"

    @Test func `a changed file is taken in under a new digest, its bytes kept first`() throws {
        let place = try Place(first)
        #expect(place.current == first)
        #expect(try place.look(takesIn: true) == [])
        try place.write(second)
        let changes = try place.look(takesIn: true)
        #expect(changes == [.taken(name: "ads", digest: try #require(place.files.digests["ads"]))])
        #expect(place.current == second && place.kept.count == 2)
        #expect(try place.look(takesIn: true) == [])
        // The same bytes, written again.
        try place.write(second, ageMillis: 5000)
        #expect(try place.look(takesIn: true) == [])
    }

    @Test func `a changed file that waits for the next start is said once and changes nothing`() throws {
        let place = try Place(first)
        try place.write(second)
        #expect(try place.look(takesIn: false) == [.waits(name: "ads", path: place.path)])
        #expect(try place.look(takesIn: false) == [])
        #expect(place.current == first && place.kept.count == 1)
    }

    @Test func `a file that is gone, no table, or just being written leaves what is there`() throws {
        let place = try Place(first)
        try place.write("nonsense\n1\n")
        guard case .unreadable("ads", _)? = try place.look(takesIn: true).first else { return #expect(Bool(false), "nonsense was taken in") }
        #expect(try place.look(takesIn: true) == [] && place.current == first)
        try FileManager.default.removeItem(atPath: place.path)
        guard case .unreadable("ads", let gone)? = try place.look(takesIn: true).first else { return #expect(Bool(false), "nobody said it") }
        #expect(gone.code == .fileMissing)
        #expect(try place.look(takesIn: true) == [])
        try place.write(second, ageMillis: 0)
        #expect(try place.look(takesIn: true) == [] && place.current == first)
        try place.write(second)
        #expect(try place.look(takesIn: true).count == 1 && place.current == second)
    }

    @Test func `a file that cannot be read is said once, and taken in when it can be`() throws {
        let place = try Place(first)
        // A folder of its name: nobody reads that, whatever his rights.
        try FileManager.default.removeItem(atPath: place.path)
        try FileManager.default.createDirectory(atPath: place.path, withIntermediateDirectories: false)
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -10)], ofItemAtPath: place.path)
        guard case .unreadable("ads", let closed)? = try place.look(takesIn: true).first else { return #expect(Bool(false), "nobody said it") }
        #expect(closed.what.contains("cannot be read") && place.current == first)
        #expect(try place.look(takesIn: true) == [])
        try FileManager.default.removeItem(atPath: place.path)
        try place.write(second)
        #expect(try place.look(takesIn: true).count == 1 && place.current == second)
    }

    @Test func `one that was written a moment before the start is read again`() throws {
        // As new as it gets, so that a later write need not show in its stamp.
        let place = try Place(first)
        let stamp = try FileManager.default.attributesOfItem(atPath: place.path)[.modificationDate] as? Date
        let other = first.replacing("c1", with: "c9")
        try other.write(toFile: place.path, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.modificationDate: try #require(stamp)], ofItemAtPath: place.path)
        let isTaken = try eventually { try !place.look(takesIn: true).isEmpty }
        #expect(isTaken)
        #expect(place.current == other)
    }
}
