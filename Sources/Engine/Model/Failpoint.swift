// Named places where a crash test stops the world: `SLUICE_TEST_FAILPOINT=name` or `name@N` (the N-th time) kills the
// process there with SIGKILL, exactly as kill -9 would. Without the variable a failpoint is one comparison.
//
// The names that exist: planned (a plan is durable, nothing ran), before-seal, part-sealed (one sink part is durable),
// done (DONE is durable, offsets are not confirmed), worker-task (a worker is about to start a task), worker-sealed (a
// worker has sealed a part and not answered yet). A test enumerates `Failpoint.names`, so a new point is tested when it
// is added there.

import Foundation
import Synchronization

package enum Failpoint {
    package static let driverNames = ["planned", "before-seal", "part-sealed", "done"]
    package static let workerNames = ["worker-task", "worker-sealed"]

    private struct Armed: Sendable {
        var name: String
        var hit: Int
    }
    private static let armed: Armed? = {
        guard let text = ProcessInfo.processInfo.environment["SLUICE_TEST_FAILPOINT"], !text.isEmpty else { return nil }
        let pieces = text.split(separator: "@", maxSplits: 1)
        return Armed(name: String(pieces[0]), hit: pieces.count > 1 ? Int(pieces[1]) ?? 1 : 1)
    }()
    private static let hits = Mutex(0)

    package static func reach(_ name: String) {
        guard let armed, armed.name == name else { return }
        let count = hits.withLock { hits in
            hits += 1
            return hits
        }
        if count == armed.hit { kill(getpid(), SIGKILL) }
    }
}
