// What a worker holds between a task's report and the end of its batch: blocks for the next stage, rows for the sink.
//
// Nothing here has left the worker (protocol 3). Blocks are encoded chunks, fetched by other tasks by their full name;
// rows wait for the driver's word to seal. Both go when the driver releases the batch, when a newer batch or epoch of
// the job arrives, or with the process: a lost block is a `blockLost` to whoever asks, and its task is run again.

import Engine
import Synchronization
import Wire

/// Encoded chunks of finished attempts, by name.
final class BlockStore: Sendable {
    private let blocks = Mutex<[BlockID: [UInt8]]>([:])

    func put(_ id: BlockID, _ bytes: [UInt8]) { blocks.withLock { $0[id] = bytes } }
    func get(_ id: BlockID) -> [UInt8]? { blocks.withLock { $0[id] } }
    var byteCount: Int { blocks.withLock { $0.values.reduce(0) { $0 + $1.count } } }

    func remove(_ jobID: JobID, upTo batch: BatchNumber) {
        blocks.withLock { blocks in
            for id in blocks.keys where id.jobID == jobID && id.batch <= batch { blocks[id] = nil }
        }
    }
}

/// Rows of finished last-stage attempts, waiting to be sealed.
final class HeldRows: Sendable {
    struct Key: Hashable, Sendable {
        var jobID: JobID
        var batch: BatchNumber
        var epoch: Epoch
        var part: Int
        var attempt: Int
    }
    struct Rows: Sendable {
        var chunks: [Chunk]
        var digest: String
        var slot: Int
    }
    private let rows = Mutex<[Key: Rows]>([:])

    func put(_ key: Key, _ value: Rows) { rows.withLock { $0[key] = value } }
    func get(_ key: Key) -> Rows? { rows.withLock { $0[key] } }

    func remove(_ jobID: JobID, upTo batch: BatchNumber) {
        rows.withLock { rows in
            for key in rows.keys where key.jobID == jobID && key.batch <= batch { rows[key] = nil }
        }
    }
}
