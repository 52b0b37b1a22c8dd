// Whose turn it is to write to a SQLite file: one queue a file and process.
//
// SQLite lets one transaction write at a time. Parts of one process wait here, asleep until the one before them is done,
// instead of knocking at the file; other processes are met by the connection's busy timeout.

import Foundation
import Synchronization

final class WriterQueue: Sendable {
    private static let queues = Mutex<[String: WriterQueue]>([:])
    private let turn = Mutex<Void>(())

    /// The queue of the file at `path`, however the path is written.
    static func of(_ path: String) -> WriterQueue {
        let file = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        return queues.withLock { queues in
            if let queue = queues[file] { return queue }
            let queue = WriterQueue()
            queues[file] = queue
            return queue
        }
    }

    private init() {}

    func takeTurn<Result: Sendable>(_ body: () throws -> Result) throws -> Result {
        try turn.withLock { _ in try body() }
    }
}
