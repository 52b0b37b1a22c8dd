import Engine
import Foundation
import TestSupport
import Testing

private let whole = OffsetRange(topic: "a topic", partition: 2, from: 5, until: .max)

private func collect(_ offsets: [Int64], limit: Int, packedLimit: Int = 1 << 20) -> OffsetRanges {
    var ranges = OffsetRanges(of: whole, limit: limit, packedLimit: packedLimit)
    for (number, offset) in offsets.enumerated() {
        ranges.add(offset)
        if number % 7 == 6 { ranges.endChunk() }
    }
    ranges.endChunk()
    return ranges
}

struct OffsetFileTests {
    private func store() throws -> (TemporaryDirectory, StateStore) {
        let directory = try TemporaryDirectory("offsets")
        return (directory, try StateStore(address: "file:" + directory.path))
    }

    @Test func `listed ranges and those of the file together are the offsets, whatever they are`() throws {
        let (directory, store) = try store()
        defer { withExtendedLifetime(directory) {} }
        var random = SeededRandom(seed: 7)
        for limit in [0, 1, 10, 1000] {
            var offset: Int64 = 5
            let offsets = (0..<3000).map { _ in
                offset += Int64.random(in: 1...3, using: &random) * (Int.random(in: 0..<50, using: &random) == 0 ? 1 << 33 : 1)
                return offset
            }
            let ranges = collect(offsets, limit: limit)
            #expect(ranges.ranges.count == limit && ranges.unlisted == 0)
            let file = try #require(
                try OffsetFile.write(.rejected, ranges.rest, of: whole, jobID: JobID(text: "j"), batch: 9, mark: "1-1", to: store))
            let read = try file.read(JobID(text: "j"), from: store)
            #expect(OffsetRange.joined(ranges.ranges + read) == OffsetRange.covering(offsets, of: whole))
            #expect(read.count == file.ranges && read.reduce(0) { $0 + $1.count } == file.offsets)
        }
    }

    @Test func `beyond the bound of a file offsets are counted, none twice`() {
        let ranges = collect((0..<5000).map { $0 * 2 + 5 }, limit: 10, packedLimit: 100)
        #expect(ranges.rest.count == 51 && ranges.unlisted == 5000 - 10 - 51)
        #expect(collect([], limit: 1).rest.isEmpty && collect([5, 7], limit: 2).rest.isEmpty)
    }

    @Test func `a file that is damaged, cut or of another kind is refused, and nothing of it is believed`() throws {
        let (directory, store) = try store()
        let id = JobID(text: "j")
        let file = try #require(
            try OffsetFile.write(.late, collect((0..<50).map { $0 * 2 + 5 }, limit: 0).rest, of: whole, jobID: id, batch: 9, mark: "1-1", to: store))
        let path = directory.path + "/j/" + file.name
        let bytes = [UInt8](try #require(FileManager.default.contents(atPath: path)))
        for changed: [UInt8] in [bytes.dropLast(), bytes + [0], [], Array(bytes.prefix(3)), bytes.map { $0 ^ 1 }] {
            try Data(changed).write(to: URL(filePath: path))
            #expect { try file.read(id, from: store) } throws: { ($0 as? Failure)?.code == .stateMissing }
        }
        let line = bytes[...bytes.firstIndex(of: 0x0a)!]
        for body: [UInt8] in [[0x80], [1], [1, 0], Array(repeating: 0xff, count: 12), [255, 255, 255, 255, 255, 255, 255, 255, 127, 2]] {
            #expect(OffsetFile.ranges(line + body) == nil)
        }
        #expect(OffsetFile.ranges([]) == nil && OffsetFile.ranges(Array(line))?.isEmpty == true)
    }

    @Test func `the files go with their batches, and other files stay`() throws {
        let (directory, store) = try store()
        let id = JobID(text: "j")
        let rest = collect([5, 7], limit: 0).rest
        for batch: BatchNumber in [9, 10] { _ = try OffsetFile.write(.late, rest, of: whole, jobID: id, batch: batch, mark: "1-1", to: store) }
        for name in ["v9-0-4-x", "readme"] { try store.put(id, name: name, bytes: [1]) }
        #expect(store.sweepOffsets(id, upTo: 9) == 1)
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/j").sorted().map { String($0.prefix(4)) }
        #expect(names == ["r10-", "read", "v9-0"])
        store.removeState(id)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/j").count == 2)
    }
}
