// What a worker holds between a task's report and the end of its batch: blocks for the next stage, rows for the sink.
//
// Nothing here has left the worker (protocol 3). Blocks are encoded chunks, fetched by other tasks by their full name;
// rows wait for the driver's word to seal. Both are kept under the try that made them and go with it, when `WorkerDesk` says
// so: a lost block is a `blockLost` to whoever asks, and its task is run again.
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

    private let blocks = Mutex<[BatchTry: [BlockID: Block]]>([:])
    private let memory: HeldMemory

    package init(memory: HeldMemory) { self.memory = memory }

    package func put(_ id: BlockID, _ bytes: [UInt8]) throws {
        let block: Block =
            memory.take(bytes.count) ? .memory(bytes) : .aside(try memory.putAside(bytes, of: id.madeBy))
        let replaced = blocks.withLock { $0[id.madeBy, default: [:]].updateValue(block, forKey: id) }
        if let replaced { letGo(replaced) }
    }

    package func get(_ id: BlockID) throws -> [UInt8]? {
        switch blocks.withLock({ $0[id.madeBy]?[id] }) {
        case nil: nil
        case .memory(let bytes)?: bytes
        case .aside(let place)?: try place.read()
        }
    }

    /// Bytes of all blocks, wherever they are.
    package var byteCount: Int {
        blocks.withLock { blocks in
            blocks.values.joined().reduce(0) { sum, block in
                switch block.value {
                case .memory(let bytes): sum + bytes.count
                case .aside(let place): sum + place.count
                }
            }
        }
    }

    package func remove(_ owner: BatchTry) {
        let removed = blocks.withLock { $0.removeValue(forKey: owner) }
        for block in removed?.values ?? [:].values { letGo(block) }
    }

    private func letGo(_ block: Block) {
        if case .memory(let bytes) = block { memory.letGo(bytes.count) }
    }
}

extension BlockID {
    package var madeBy: BatchTry { BatchTry(jobID: jobID, batch: batch, epoch: epoch, run: run) }
}

/// Rows of finished last-stage attempts, waiting to be sealed.
package final class HeldRows: Sendable {
    package struct Key: Hashable, Sendable {
        package var madeBy: BatchTry
        package var part: Int
        package var attempt: Int

        package init(madeBy: BatchTry, part: Int, attempt: Int) {
            self.madeBy = madeBy
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

    private let rows = Mutex<[BatchTry: [Key: Rows]]>([:])
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
                    value.held.append(.aside(try memory.putAside(encoded, of: key.madeBy)))
                }
            }
        } catch {
            letGo(value)
            throw error
        }
        let replaced = rows.withLock { $0[key.madeBy, default: [:]].updateValue(value, forKey: key) }
        if let replaced { letGo(replaced) }
    }

    package func get(_ key: Key) -> Rows? { rows.withLock { $0[key.madeBy]?[key] } }

    /// What the driver's word to seal names. Two tries under one epoch give equal rows, so it does not say which.
    package func get(_ jobID: JobID, batch: BatchNumber, epoch: Epoch, part: Int, attempt: Int) -> Rows? {
        rows.withLock { rows in
            let tries = rows.keys.filter { $0.jobID == jobID && $0.batch == batch && $0.epoch == epoch }
            for owner in tries.sorted(by: { $0.run > $1.run }) {
                if let found = rows[owner]?[Key(madeBy: owner, part: part, attempt: attempt)] { return found }
            }
            return nil
        }
    }

    package func remove(_ owner: BatchTry) {
        let removed = rows.withLock { $0.removeValue(forKey: owner) }
        for value in removed?.values ?? [:].values { letGo(value) }
    }

    private func letGo(_ rows: Rows) {
        for case .memory(_, let bytes) in rows.held { memory.letGo(bytes) }
    }
}
