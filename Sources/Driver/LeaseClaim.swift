// Takes a job's lease before anything else, or says who has it; gives it back at the end.
//
// Who may wait, waits until the holder lets go, dies or falls silent for the lease's time, and hears meanwhile when it is
// told to stop. A lease that is not given back runs out by itself.

import Engine
import Glibc

struct LeaseClaim {
    let catalog: Catalog
    let job: String
    /// Wait for the lease instead of refusing.
    let waits: Bool
    let control: JobControl

    func acquire(_ holder: LeaseHolder) throws -> Epoch {
        var said = false
        while true {
            switch try catalog.acquireLease(job, holder: holder) {
            case .acquired(let epoch): return epoch
            case .held(let other, let remainingMillis):
                guard waits else {
                    throw Failure(
                        .leaseHeld, "job \(job) is already run by another driver",
                        why: "process \(other.pid) on \(other.host) holds its lease (\(other.address))",
                        now: "stop that one with `sluice jobs stop \(job)`, or start this one with --wait")
                }
                if case .run = control.wish {} else {
                    throw Failure(.taskCancelled, "job \(job) was stopped while it waited", why: "asked to", now: "nothing")
                }
                if !said { Log.notice("waiting for the lease", [("job", job), ("holder", "\(other.pid)@\(other.host)")]) }
                said = true
                usleep(UInt32(clamping: min(max(remainingMillis, 10), 200) * 1000))
            }
        }
    }

    func release(_ holder: LeaseHolder, epoch: Epoch) {
        do {
            try catalog.releaseLease(job, holderID: holder.id, epoch: epoch)
        } catch {
            Log.warning("lease not released", [("job", job), ("why", failure(error).why), ("then", "it runs out by itself")])
        }
    }
}
