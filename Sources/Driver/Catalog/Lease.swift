// Who may drive a job: the decision behind the lease, as a value.
//
// Decides from the stored lease, the database's clock and what this host knows of the holder's process. Every
// acquisition raises the epoch, also one by the same holder, so that whatever an earlier hold still has in flight is
// refused everywhere. Epochs of a name only grow; releasing keeps the number.
//
//   free ──acquire──▶ held (until now + length) ──renew each second──▶ held
//                      │ time over, released, or its process is dead on this host ──▶ free
//
// Does not decide what a driver does without it: every log write checks the epoch itself. Checklist when changing this:
// a holder whose process cannot be judged (other host, other boot, other process namespace) is held until its time is
// over; dead is only what was seen to be dead.

import Engine
import Foundation

/// The process that holds a lease, and enough of it to see from the same host that it is gone.
package struct LeaseHolder: Sendable, Codable, Hashable {
    /// Chosen once per driver process.
    package var id: String
    package var pid: Int32
    /// Identifies one start of one kernel.
    package var bootID: String
    package var host: String
    /// Where people and workers reach this driver.
    package var address: String
    /// Start of the process in clock ticks since boot: tells it from a later process with the same number.
    package var processStart: String
    /// Two containers of one kernel have different process numbers for the same process.
    package var pidNamespace: String

    package init(
        id: String, pid: Int32, bootID: String, host: String, address: String, processStart: String,
        pidNamespace: String
    ) {
        self.id = id
        self.pid = pid
        self.bootID = bootID
        self.host = host
        self.address = address
        self.processStart = processStart
        self.pidNamespace = pidNamespace
    }

    /// This process as a holder.
    package static func thisProcess(id: String, address: String) -> LeaseHolder {
        let pid = getpid()
        return LeaseHolder(
            id: id, pid: pid, bootID: HostProcesses.bootID, host: ProcessInfo.processInfo.hostName, address: address,
            processStart: HostProcesses.start(of: pid) ?? "", pidNamespace: HostProcesses.pidNamespace)
    }
}

package enum LeaseAnswer: Sendable, Equatable {
    case acquired(Epoch)
    case held(LeaseHolder, remainingMillis: Int64)
}

/// The stored lease of one job name.
package struct Lease: Sendable, Equatable {
    package var epoch: Epoch
    /// Nil while nobody holds it.
    package var holder: LeaseHolder?
    /// By the database's clock.
    package var untilMillis: Int64

    package init(epoch: Epoch, holder: LeaseHolder?, untilMillis: Int64) {
        self.epoch = epoch
        self.holder = holder
        self.untilMillis = untilMillis
    }

    /// What to answer to `asker` at `nowMillis`; `holderLife` is what the asker's host can tell of the holder.
    package func answer(to asker: LeaseHolder, nowMillis: Int64, holderLife: ProcessLife) -> LeaseAnswer {
        guard let holder, holder.id != asker.id, untilMillis > nowMillis, holderLife != .dead else {
            return .acquired(epoch + 1)
        }
        return .held(holder, remainingMillis: untilMillis - nowMillis)
    }
}
