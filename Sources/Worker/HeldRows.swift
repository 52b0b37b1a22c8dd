// What a worker holds between a task's report and the end of its batch: blocks for the next stage, rows for the sink.
//
// Nothing here has left the worker (protocol 3). Blocks are encoded chunks, fetched by other tasks by their full name;
// rows wait for the driver's word to seal. Both go when the driver releases the batch, when a newer batch or epoch of
// the job arrives, or with the process: a lost block is a `blockLost` to whoever asks, and its task is run again.
//
// Both may be larger than memory: `HeldMemory` says what stays and what goes to disk. Rows that stay are kept as the
// columns they are; rows on disk are encoded chunks, read back when they are sealed.

import Engine
import Synchronization
import Wire

/// Encoded chunks of finished attempts, by name.
package final class BlockStore: Sendable {
    private enum Block: Sendable {
        case memory([UInt8])
        case aside(SpillFile.Place)
    }

    private let blocks = Mutex<[BlockID: Block]>([:])
    private let memory: HeldMemory

    package init(memory: HeldMemory) { self.memory = memory }

    package func put(_ id: BlockID, _ bytes: [UInt8]) throws {
        let block: Block =
            memory.take(bytes.count) ? .memory(bytes) : .aside(try memory.putAside(bytes, of: id.jobID, id.batch))
        let replaced = blocks.withLock { $0.updateValue(block, forKey: id) }
        if let replaced { letGo(replaced) }
    }

    package func get(_ id: BlockID) throws -> [UInt8]? {
        switch blocks.withLock({ $0[id] }) {
        case nil: nil
        case .memory(let bytes)?: bytes
        case .aside(let place)?: try place.read()
        }
    }

    /// Bytes of all blocks, wherever they are.
    package var byteCount: Int {
        blocks.withLock { blocks in
            blocks.values.reduce(0) { sum, block in
                switch block {
                case .memory(let bytes): sum + bytes.count
                case .aside(let place): sum + place.count
                }
            }
        }
    }

    package func remove(_ jobID: JobID, upTo batch: BatchNumber) {
        let removed = blocks.withLock { blocks in
            let ids = blocks.keys.filter { $0.jobID == jobID && $0.batch <= batch }
            return ids.compactMap { blocks.removeValue(forKey: $0) }
        }
        for block in removed { letGo(block) }
    }

    private func letGo(_ block: Block) {
        if case .memory(let bytes) = block { memory.letGo(bytes.count) }
    }
}

/// Rows of finished last-stage attempts, waiting to be sealed.
package final class HeldRows: Sendable {
    package struct Key: Hashable, Sendable {
        package var jobID: JobID
        package var batch: BatchNumber
        package var epoch: Epoch
        package var part: Int
        package var attempt: Int

        package init(jobID: JobID, batch: BatchNumber, epoch: Epoch, part: Int, attempt: Int) {
            self.jobID = jobID
            self.batch = batch
            self.epoch = epoch
            self.part = part
            self.attempt = attempt
        }
    }

    /// A part's rows, in memory or on disk, chunk by chunk.
    package struct Rows: Sendable {
        fileprivate enum Held: Sendable {
            case memory(Chunk, bytes: Int)
            case aside(SpillFile.Place)
        }
        fileprivate var held: [Held]
        package var digest: String
        package var slot: Int

        package var isInMemory: Bool {
            held.allSatisfy { part in
                if case .memory = part { true } else { false }
            }
        }

        /// The rows as they were put.
        /// - Throws: `blockLost`.
        package func chunks() throws -> [Chunk] {
            try held.map { part in
                switch part {
                case .memory(let chunk, _): chunk
                case .aside(let place): try ChunkCodec.decode(try place.read())
                }
            }
        }
    }

    private let rows = Mutex<[Key: Rows]>([:])
    private let memory: HeldMemory

    package init(memory: HeldMemory) { self.memory = memory }

    package func put(_ key: Key, _ chunks: [Chunk], digest: String, slot: Int) throws {
        var value = Rows(held: [], digest: digest, slot: slot)
        do {
            for chunk in chunks {
                let bytes = chunk.byteCount
                if memory.take(bytes) {
                    value.held.append(.memory(chunk, bytes: bytes))
                } else {
                    let encoded = ChunkCodec.encode(chunk, compressing: false)
                    value.held.append(.aside(try memory.putAside(encoded, of: key.jobID, key.batch)))
                }
            }
        } catch {
            letGo(value)
            throw error
        }
        let replaced = rows.withLock { $0.updateValue(value, forKey: key) }
        if let replaced { letGo(replaced) }
    }

    package func get(_ key: Key) -> Rows? { rows.withLock { $0[key] } }

    package func remove(_ jobID: JobID, upTo batch: BatchNumber) {
        let removed = rows.withLock { rows in
            let keys = rows.keys.filter { $0.jobID == jobID && $0.batch <= batch }
            return keys.compactMap { rows.removeValue(forKey: $0) }
        }
        for value in removed { letGo(value) }
    }

    private func letGo(_ rows: Rows) {
        for case .memory(_, let bytes) in rows.held { memory.letGo(bytes) }
    }
}
