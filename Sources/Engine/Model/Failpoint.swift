// Named places where a crash test stops the world: `SLUICE_TEST_FAILPOINT=name` or `name@N` (the N-th time) kills the
// process there with SIGKILL, exactly as kill -9 would. Without the variable a failpoint is one comparison. With
// `SLUICE_TEST_FAILPOINT_ONCE=FILE` only the process that makes FILE dies there: workers that are started in its place live.
//
// The names that exist: planned (a plan is durable, nothing ran), before-seal, part-sealed (one sink part is durable),
// done (DONE is durable, offsets are not confirmed), worker-task (a worker is about to start a task), worker-sealed (a
// worker has sealed a part and not answered yet); in a database sink sink-written (a part's rows are in an open
// transaction), in a Kafka sink topic-written (rows and marker are) and topic-committed (it was just committed). At `commit-unanswered` and `plan-unanswered` the driver goes on,
// but as one that was never told that its transaction is committed. With `SLUICE_TEST_TRAP=TEXT` the process that is about to
// decode a record with TEXT in it traps, as a defect in a decoder or a C library does. A test enumerates the names, so a new point is tested
// when it is added there.

import Foundation
import Synchronization

package enum Failpoint {
    package static let driverNames = ["planned", "before-seal", "part-sealed", "done"]
    package static let workerNames = ["worker-task", "worker-sealed"]
    package static let databaseNames = ["sink-written"]
    package static let topicNames = ["topic-written", "topic-committed"]
    package static let unansweredNames = ["commit-unanswered", "plan-unanswered"]

    private struct Armed: Sendable {
        var name: String
        var hit: Int
        var onceFile: String?
    }
    private static let armed: Armed? = {
        guard let text = ProcessInfo.processInfo.environment["SLUICE_TEST_FAILPOINT"], !text.isEmpty else { return nil }
        let pieces = text.split(separator: "@", maxSplits: 1)
        return Armed(
            name: String(pieces[0]), hit: pieces.count > 1 ? Int(pieces[1]) ?? 1 : 1,
            onceFile: ProcessInfo.processInfo.environment["SLUICE_TEST_FAILPOINT_ONCE"])
    }()
    private static let hits = Mutex(0)

    package static func reach(_ name: String) {
        if isHit(name) { kill(getpid(), SIGKILL) }
    }

    private static let fatalText: [UInt8] = Array((ProcessInfo.processInfo.environment["SLUICE_TEST_TRAP"] ?? "").utf8)

    package static func trap(on records: UnsafeBufferPointer<RawRecord>) {
        if fatalText.isEmpty { return }
        for record in records {
            let bytes = UnsafeBufferPointer(start: record.payload, count: record.payload == nil ? 0 : record.length)
            let isFatal = bytes.indices.contains { bytes[$0...].starts(with: fatalText) }
            precondition(!isFatal, "a test wants this record to be fatal")
        }
    }

    private static let fatalGroup = ProcessInfo.processInfo.environment["SLUICE_TEST_TRAP_MERGE"] ?? ""

    package static func trap(onGroups chunk: Chunk) {
        if fatalGroup.isEmpty { return }
        chunk.forEachSelectedRow { row in
            let isFatal = chunk.columns.contains { column in "\(column.value(row))".contains(fatalGroup) }
            precondition(!isFatal, "a test wants this group to be fatal")
        }
    }

    /// Fails as a server does that is gone before it answers.
    package static func loseAnswer(_ name: String) throws {
        guard isHit(name) else { return }
        throw Failure(
            .databaseUnreachable, "the catalog did not answer", why: "a test cut the connection behind the commit",
            now: "nothing")
    }

    private static func isHit(_ name: String) -> Bool {
        guard let armed, armed.name == name else { return false }
        let count = hits.withLock { hits in
            hits += 1
            return hits
        }
        guard count == armed.hit, let path = armed.onceFile else { return count == armed.hit }
        let file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        if file >= 0 { close(file) }
        return file >= 0
    }
}
