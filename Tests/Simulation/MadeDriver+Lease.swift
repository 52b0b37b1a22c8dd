// The lease of a made driver, taken and renewed at the made catalog; what the answers mean is the product's `LeaseWatch`.

import Driver
import Engine

extension MadeDriver {
    func lease() {
        let (world, holder, born) = (self.world, self.holder, incarnation)
        world.network.call(
            world, from: place, to: .outside, lost: MadeCatalog.away,
            {
                world.catalog.isUp ? .success(.lease(world.catalog.acquire(holder, now: world.nowMillis))) : .failure(MadeCatalog.away)
            }
        ) { [unowned self] (result: Result<JobAnswer, Failure>) in
            if case .success(.lease(.acquired(let epoch))) = result, born == incarnation {
                watch = LeaseWatch(now: world.nowMillis)
                machine?.hear(CatalogClock(millis: Scenario.epochMillis + world.nowMillis, steadyNanos: moment.steadyNanos))
                keep(epoch)
            }
            answer(result, to: born)
        }
    }

    func keep(_ epoch: Epoch) {
        later(1000) { [unowned self] in
            guard machine?.epoch == epoch || machine?.epoch == 0 || (machine?.epoch ?? 0) < epoch, watch != nil else { return }
            let (world, holder, born) = (self.world, self.holder, incarnation)
            world.network.call(
                world, from: place, to: .outside, lost: MadeCatalog.away,
                {
                    guard world.catalog.isUp else { return .failure(MadeCatalog.away) }
                    return .success((world.catalog.renew(holder, epoch: epoch, now: world.nowMillis), world.catalog.desired))
                }
            ) { [unowned self] (result: Result<(Bool, DesiredState), Failure>) in
                guard incarnation == born else { return }
                later { [unowned self] in
                    var isOurs: Bool?
                    if case .success(let (ours, desired)) = result {
                        isOurs = ours
                        if ours { hear(desired) }
                    }
                    heard(watch?.renewed(isOurs: isOurs, now: world.nowMillis) ?? .held, epoch)
                }
            }
        }
    }

    /// What a person wants, as the product's `LeaseKeeper` hears it.
    private func hear(_ desired: DesiredState) {
        switch desired {
        case .run: return
        case .pause, .stop:
            let state: JobState = desired == .pause ? .paused : .stopped
            machine?.hear(world.mutant == .drainLeavesPlan ? .kill : .drain(state))
        case .kill: machine?.hear(.kill)
        }
        heardWish = max(heardWish, desired == .kill ? 2 : 1)
    }

    func heard(_ verdict: LeaseWatch.Verdict, _ epoch: Epoch) {
        guard machine?.epoch ?? 0 <= epoch else { return }
        let lost = Failure(.leaseLost, "the lease is lost", why: "\(verdict)", now: "nothing")
        switch verdict {
        case .held, .waiting: return keep(epoch)
        case .taken: machine?.hear(.lost(lost))
        case .silent:
            watch = nil
            machine?.leaseFellSilent(lost)
        }
        if let reason = machine?.stopReason, run != nil { step(.stop(reason)) }
    }
}
