// What a worker holds, beyond its memory: the same bytes come back, memory stays within the budget, nothing is left over.

import Engine
import Foundation
import TestSupport
import Testing
import Wire
import Worker

private let job = JobID.random()

private func blockID(_ part: Int, batch: BatchNumber = 1, of jobID: JobID = job) -> BlockID {
    BlockID(jobID: jobID, batch: batch, epoch: 1, run: 1, stage: 0, part: part, attempt: 1, destination: 0)
}

private func owner(batch: BatchNumber = 1) -> BatchTry { BatchTry(jobID: job, batch: batch, epoch: 1, run: 1) }

private func bytes(_ count: Int, _ seed: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) } }

private func chunk(rows: Int, from: Int) -> Chunk {
    var chunk = Chunk(schema: Schema([Field("id", .int64), Field("note", .text, nullable: true)]))
    for row in from..<from + rows {
        chunk.columns[0].append(.int64(Int64(row)))
        chunk.columns[1].append(row % 3 == 0 ? .null : .text("row \(row)"))
    }
    chunk.rowCount = rows
    return chunk
}

private func digest(_ chunks: [Chunk]) -> RowDigest {
    var digest = RowDigest()
    for chunk in chunks { digest.add(chunk) }
    return digest
}

/// Descriptors of this process whose file has lost its name.
private func spillFiles(in directory: String) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { name in
        var target = [UInt8](repeating: 0, count: 4096)
        let length = target.withUnsafeMutableBytes { bytes in
            readlink("/proc/self/fd/\(name)", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        return length > 0 && String(decoding: target[..<length], as: UTF8.self).hasPrefix(directory + "/sluice-spill-")
    }
}

struct HeldMemoryTests {
    @Test func `blocks of four times the budget come back as they were, and memory stays within it`() throws {
        let directory = try TemporaryDirectory()
        let memory = HeldMemory(budgetBytes: 1 << 20, directory: directory.path)
        let store = BlockStore(memory: memory)
        let blocks = (0..<64).map { bytes(1 << 16, $0) }
        for (part, block) in blocks.enumerated() {
            try store.put(blockID(part), block)
            #expect(memory.residentBytes <= 1 << 20)
        }
        #expect(memory.residentBytes == 1 << 20)
        #expect(memory.spilledBytes == 3 << 20)
        #expect(store.byteCount == 4 << 20)
        for (part, block) in blocks.enumerated() { #expect(try store.get(blockID(part)) == block) }
        #expect(try store.get(blockID(64)) == nil)
    }

    @Test func `a file on disk has no name, belongs to its batch and goes with it`() throws {
        let directory = try TemporaryDirectory()
        let memory = HeldMemory(budgetBytes: 0, directory: directory.path)
        let store = BlockStore(memory: memory)
        let other = JobID.random()
        try store.put(blockID(0), [1, 2, 3])
        try store.put(blockID(1), [4, 5])
        try store.put(blockID(0, batch: 2), [6])
        try store.put(blockID(0, of: other), [7])
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
        #expect(try spillFiles(in: directory.path) == 3)
        store.remove(owner())
        memory.closeFile(of: owner())
        #expect(try spillFiles(in: directory.path) == 2)
        #expect(try store.get(blockID(0)) == nil)
        #expect(try store.get(blockID(0, batch: 2)) == [6])
        #expect(try store.get(blockID(0, of: other)) == [7])
    }

    @Test func `what was let go makes room, also when an attempt puts its block a second time`() throws {
        let directory = try TemporaryDirectory()
        let memory = HeldMemory(budgetBytes: 100, directory: directory.path)
        let store = BlockStore(memory: memory)
        let rows = HeldRows(memory: memory)
        try store.put(blockID(0), bytes(60, 0))
        try store.put(blockID(0), bytes(40, 1))
        #expect(memory.residentBytes == 40)
        try store.put(blockID(1), bytes(61, 2))
        #expect(memory.spilledBytes == 61)
        store.remove(owner())
        #expect(memory.residentBytes == 0)
        let key = HeldRows.Key(madeBy: owner(), part: 0, attempt: 1)
        try rows.put(key, [chunk(rows: 2, from: 0)], digest: "", slot: 0)
        #expect(memory.residentBytes > 0)
        rows.remove(owner())
        #expect(memory.residentBytes == 0)
    }

    @Test(arguments: [0, 5_000, 1 << 30])
    func `rows wait in memory, on disk or in both, and are sealed as they were made`(budgetBytes: Int) throws {
        let directory = try TemporaryDirectory()
        let memory = HeldMemory(budgetBytes: budgetBytes, directory: directory.path)
        let rows = HeldRows(memory: memory)
        var chunks = (0..<10).map { chunk(rows: 100, from: $0 * 100) }
        // Only selected rows count.
        let selection = Selection(capacity: 3)
        for (index, row) in [Int32(1), 50, 99].enumerated() { selection.rows[index] = row }
        selection.commit(3)
        chunks[9].selection = selection
        let key = HeldRows.Key(madeBy: owner(batch: 3), part: 2, attempt: 1)
        try rows.put(key, chunks, digest: digest(chunks).text, slot: 1)
        let held = try #require(rows.get(key))
        #expect(digest(try held.chunks()).text == held.digest)
        #expect(digest(try held.chunks()).count == 903)
        #expect(memory.residentBytes <= budgetBytes)
        #expect((memory.spilledBytes > 0) == (budgetBytes < 1 << 30))
    }

    @Test func `writers side by side do not disturb each other`() throws {
        let directory = try TemporaryDirectory()
        let memory = HeldMemory(budgetBytes: 0, directory: directory.path)
        let store = BlockStore(memory: memory)
        DispatchQueue.concurrentPerform(iterations: 200) { part in
            do { try store.put(blockID(part), bytes(1000 + part, part)) } catch { Issue.record(error) }
        }
        for part in 0..<200 { #expect(try store.get(blockID(part)) == bytes(1000 + part, part)) }
    }

    @Test func `a full disk says what to do, and the part's other rows are let go`() throws {
        let descriptor = open("/dev/full", O_RDWR)
        #expect(descriptor >= 0)
        let file = SpillFile(descriptor: descriptor, directory: "/the/directory")
        let failure = #expect(throws: Failure.self) { try file.append([1, 2, 3]) }
        #expect(failure?.code == .workerTrouble)
        #expect(failure?.now.contains("block_memory") == true)

        let memory = HeldMemory(budgetBytes: 4_000, directory: "/no/such/directory")
        let rows = HeldRows(memory: memory)
        let key = HeldRows.Key(madeBy: owner(batch: 3), part: 2, attempt: 1)
        let missing = #expect(throws: Failure.self) {
            try rows.put(key, (0..<10).map { chunk(rows: 100, from: $0) }, digest: "", slot: 0)
        }
        #expect(missing?.code == .workerTrouble)
        #expect(missing?.why == "No such file or directory")
        #expect(memory.residentBytes == 0)
        #expect(rows.get(key) == nil)
    }

    @Test func `a place that was cut off is a lost block`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/held"
        let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
        let file = SpillFile(descriptor: descriptor, directory: directory.path)
        let place = try file.append(bytes(1000, 0))
        #expect(try place.read() == bytes(1000, 0))
        #expect(truncate(path, 999) == 0)
        let failure = #expect(throws: Failure.self) { try place.read() }
        #expect(failure?.code == .blockLost)
    }
}
