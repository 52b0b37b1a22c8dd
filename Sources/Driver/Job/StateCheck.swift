// Before the first batch of a stateful job: every worker must reach the state place (protocol 5).
//
// The driver writes a probe file with random content and asks each worker to read it back. On one host this is a few
// hundred microseconds; past one host it finds the directory that is not shared before a batch depends on it.

import Engine
import Wire

enum StateCheck {
    static func run(job: RunningJob, pool: WorkerPool) throws {
        guard job.isStateful else { return }
        let store = try StateStore(address: job.settings.state)
        let name = "probe-\(hexadecimal(UInt64.random(in: 0...UInt64.max)))"
        try store.put(job.record.jobID, name: name, bytes: Array(name.utf8))
        defer { store.remove(job.record.jobID, name: name) }
        for worker in pool.available {
            do {
                try worker.link.checkState(
                    CheckState(address: job.settings.state, jobID: job.record.jobID, name: name))
            } catch {
                let reason = failure(error)
                if reason.code == .workerUnreachable {
                    pool.lost(worker.id, reason)
                    continue
                }
                throw Failure(
                    .stateUnreachable, "worker \(worker.id) does not see the state of job \(job.record.name)",
                    why: "\(job.settings.state) as the driver sees it is not there for \(worker.url): \(reason.why)",
                    now: "set `state` to a directory that the driver and every worker share")
            }
        }
    }
}
