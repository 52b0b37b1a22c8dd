// Holds a job's lease while its loop runs: renews it each second on a thread of its own, and reads what the job is asked.
//
// The lease is the only thing that makes two drivers of one job impossible, so the keeper is strict: when the catalog
// says the lease is another's, or has not answered for the whole lease, the job is told `lost` and stops where it is.
// What a zombie still sends is refused by epoch in catalog and sinks (protocol 3); the keeper only makes it short.

import Dispatch
import Engine
import Foundation

/// Unchecked for the timer alone: dispatch sources may be used from any thread.
final class LeaseKeeper: @unchecked Sendable {
    private let catalog: Catalog
    private let job: String
    private let holder: LeaseHolder
    private let epoch: Epoch
    private let control: JobControl
    private let timer: any DispatchSourceTimer

    init(catalog: Catalog, job: String, holder: LeaseHolder, epoch: Epoch, control: JobControl) {
        self.catalog = catalog
        self.job = job
        self.holder = holder
        self.epoch = epoch
        self.control = control
        let queue = DispatchQueue(label: "sluice.lease.\(job)")
        let timer = DispatchSource.makeTimerSource(queue: queue)
        self.timer = timer
    }

    func start() {
        nonisolated(unsafe) var heardMillis = steadyMillis()
        timer.setEventHandler { [self] in
            do {
                guard try catalog.renewLease(job, holderID: holder.id, epoch: epoch) else {
                    control.ask(.lost(lostFailure("another driver took the job over")))
                    timer.cancel()
                    return
                }
                heardMillis = steadyMillis()
                if let record = try catalog.job(named: job) {
                    switch record.desired {
                    case .run: break
                    case .pause: control.ask(.drain(.paused))
                    case .stop: control.ask(.drain(.stopped))
                    case .kill: control.ask(.kill)
                    }
                }
            } catch {
                Log.warning("lease not renewed", [("job", job), ("why", failure(error).why)])
                if steadyMillis() - heardMillis > Catalog.leaseMillis {
                    control.ask(.lost(lostFailure("the catalog did not answer for \(Catalog.leaseMillis) ms")))
                    timer.cancel()
                }
            }
        }
        timer.schedule(deadline: .now() + 1, repeating: 1)
        timer.resume()
    }

    func stop() { timer.cancel() }

    private func lostFailure(_ why: String) -> Failure {
        Failure(
            .leaseLost, "this driver no longer holds job \(job)", why: why,
            now: "nothing: the driver that holds it goes on; this one adds nothing any more")
    }
}
