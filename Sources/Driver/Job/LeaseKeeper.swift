// Holds a job's lease while its loop runs: renews it each second on a thread of its own, and reads what the job is asked.
//
// The lease is the only thing that makes two drivers of one job impossible, so the keeper is strict: when the catalog says
// the lease is another's the job is told `lost` and stops where it is; when the catalog has not answered for the whole lease,
// the job is told so, drops what it does and takes the lease again. What a zombie still sends is refused by epoch in catalog
// and sinks (protocol 3); the keeper only makes it short.

import Engine
import Foundation

/// What the answers to renewals mean, as a value.
package struct LeaseWatch: Sendable {
    package enum Verdict: Sendable, Equatable { case held, waiting, taken, silent }

    private var heardMillis: Int64
    private let leaseMillis: Int64

    package init(now: Int64, leaseMillis: Int64 = Catalog.leaseMillis) {
        heardMillis = now
        self.leaseMillis = leaseMillis
    }

    /// - Parameter isOurs: what the catalog said; nil when it did not answer.
    package mutating func renewed(isOurs: Bool?, now: Int64) -> Verdict {
        guard let isOurs else { return now - heardMillis > leaseMillis ? .silent : .waiting }
        guard isOurs else { return .taken }
        heardMillis = now
        return .held
    }
}

final class LeaseKeeper: Sendable {
    private let catalog: Catalog
    private let job: String
    private let holder: LeaseHolder
    private let epoch: Epoch
    private let control: JobControl
    private let stopped = Flag()
    private static let renewMillis = 1000

    init(catalog: Catalog, job: String, holder: LeaseHolder, epoch: Epoch, control: JobControl) {
        self.catalog = catalog
        self.job = job
        self.holder = holder
        self.epoch = epoch
        self.control = control
    }

    func start() {
        let thread = Thread { [self] in keep() }
        thread.name = "lease \(job)"
        thread.stackSize = 1 << 20
        thread.start()
    }

    func stop() { stopped.set() }

    private func keep() {
        var watch = LeaseWatch(now: steadyMillis())
        var patience = Patience(.standing)
        while !stopped.wait(millis: Self.renewMillis) {
            var isOurs: Bool?
            do {
                let clock = try catalog.renewedLease(job, holderID: holder.id, epoch: epoch)
                isOurs = clock != nil
                _ = patience.answered(nowMillis: steadyMillis())
                if let clock {
                    control.hearCatalogClock(clock)
                    try hearWishes()
                }
            } catch {
                let reason = failure(error)
                if case .tryAgain(_, says: true) = patience.failed(reason, nowMillis: steadyMillis()) {
                    Log.warning("lease not renewed", [("job", job), ("why", reason.why)])
                }
            }
            if stopped.isSet { return }
            switch watch.renewed(isOurs: isOurs, now: steadyMillis()) {
            case .held, .waiting: break
            case .taken: return control.ask(.lost(lost("another driver took the job over")))
            case .silent: return control.fellSilent(lost("the catalog did not answer for \(Catalog.leaseMillis) ms"))
            }
        }
    }

    private func hearWishes() throws {
        switch try catalog.job(named: job)?.desired {
        case .run, nil: break
        case .pause: control.ask(.drain(.paused))
        case .stop: control.ask(.drain(.stopped))
        case .kill: control.ask(.kill)
        }
    }

    private func lost(_ why: String) -> Failure {
        Failure(
            .leaseLost, "this driver no longer holds job \(job)", why: why,
            now: "nothing: the driver that holds it goes on; this one adds nothing any more")
    }

    /// Set once; waiting for it is how the thread sleeps.
    private final class Flag: @unchecked Sendable {
        private let condition = NSCondition()
        private var value = false

        var isSet: Bool {
            condition.lock()
            defer { condition.unlock() }
            return value
        }

        func set() {
            condition.lock()
            value = true
            condition.broadcast()
            condition.unlock()
        }

        /// True when it is set, false after the time.
        func wait(millis: Int) -> Bool {
            condition.lock()
            defer { condition.unlock() }
            let until = steadyMillis() + Int64(millis)
            while !value {
                let left = until - steadyMillis()
                if left <= 0 { return false }
                _ = condition.wait(until: Date(timeIntervalSinceNow: Double(min(left, 250)) / 1000))
            }
            return true
        }
    }
}
