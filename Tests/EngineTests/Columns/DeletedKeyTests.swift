// Keys whose rows go, on their way to the sink: as bytes, and in the digest of a batch.

import CXXHash
import Engine
import Foundation
import Testing

@Suite struct DeletedKeyTests {
    private func keys(_ keys: [Int64?], isDelete: Bool) -> Chunk {
        var chunk = Chunk(schema: Schema([Field("k", .int64, nullable: true)]))
        for key in keys { chunk.columns[0].append(key.map { .int64($0) } ?? .null) }
        chunk.rowCount = keys.count
        chunk.isDelete = isDelete
        return chunk
    }

    private func empty(_ rowCount: Int, isDelete: Bool) -> Chunk {
        var chunk = Chunk(schema: Schema([]), columns: [], rowCount: rowCount)
        chunk.isDelete = isDelete
        return chunk
    }

    private func digest(_ chunks: Chunk...) -> RowDigest {
        var digest = RowDigest()
        for chunk in chunks { digest.add(chunk) }
        return digest
    }

    @Test(arguments: [false, true], [10, 10_000])
    func `a chunk is read back as what it was, compressed or not`(isDelete: Bool, count: Int) throws {
        let chunk = keys((0..<count).map { $0 % 7 == 0 ? nil : Int64($0 % 3) }, isDelete: isDelete)
        for compressing in [true, false] {
            let bytes = ChunkCodec.encode(chunk, compressing: compressing)
            #expect(bytes[4] == 1, "the version stays")
            #expect(bytes[5] == (isDelete ? 2 : 0) + (compressing && count > 1000 ? 1 : 0))
            let back = try ChunkCodec.decode(bytes)
            #expect(back.isDelete == isDelete && back.schema == chunk.schema && back.selectedCount == count)
            #expect((0..<count).allSatisfy { back.values($0) == chunk.values($0) })
        }
    }

    @Test func `the empty key is one row without columns, and nothing else may be`() throws {
        let back = try ChunkCodec.decode(ChunkCodec.encode(empty(1, isDelete: true)))
        #expect(back.isDelete && back.columns.isEmpty && back.selectedCount == 1)
        for (rows, isDelete) in [(2, true), (1, false), (1_000_000_000, true)] {
            let failure = #expect(throws: Failure.self) { try ChunkCodec.decode(ChunkCodec.encode(empty(rows, isDelete: isDelete))) }
            #expect(failure?.why == "it claims rows without columns")
        }
    }

    @Test func `a flag of a newer build is refused by name`() throws {
        var bytes = ChunkCodec.encode(keys([1], isDelete: true), compressing: false)
        bytes[5] |= 4
        let body = Array(bytes[24...])
        let checksum = XXH64(body, body.count, XXH64(Array(bytes[..<16]), 16, 0))
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(16..<24, with: $0) }
        let failure = #expect(throws: Failure.self) { try ChunkCodec.decode(bytes) }
        #expect(failure?.why == "a newer build wrote it")
    }

    @Test func `a deleted key is no row of the same values, and counts like one`() {
        let (gone, there) = (digest(keys([1, 2], isDelete: true)), digest(keys([1, 2], isDelete: false)))
        #expect(gone != there && gone.count == 2 && there.count == 2)
        #expect(gone == digest(keys([2], isDelete: true), keys([1], isDelete: true)))
        #expect(digest(keys([1], isDelete: true), keys([2], isDelete: false)) != digest(keys([2], isDelete: true), keys([1], isDelete: false)))
        #expect(digest(empty(1, isDelete: true)).count == 1 && digest(empty(1, isDelete: true)).sum != 0)
        // Stored in ledgers: these may not change.
        #expect(there.text == RowDigest(text: there.text)?.text)
        #expect(gone.text == "9e9c9bd46631a5050000000000000002")
    }

    @Test func `a field says its type in SQL only where it has one, and one of an earlier build has none`() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let plain = String(decoding: try encoder.encode(Field("a", .text)), as: UTF8.self)
        #expect(plain == #"{"name":"a","nullable":false,"type":"text"}"#)
        let typed = Field("a", .text, sqlType: "numeric(12,2)")
        #expect(try JSONDecoder().decode(Field.self, from: encoder.encode(typed)) == typed)
        #expect(try JSONDecoder().decode(Field.self, from: Data(plain.utf8)).sqlType == nil)
    }
}
