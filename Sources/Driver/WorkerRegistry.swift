// Who is there: the members of the cluster, by registration and heartbeat. Pure; `WorkerPool` is its shell.
//
//   registered -> (heartbeats) -> leaving -> gone
//                     |
//                     +-- silent for `timeoutMillis`, or a broken call -> gone
//
// One whose tasks fail for reasons of its own stays a member: what it holds is still fetched and sealed there. It gets no new
// tasks for a while.
//
// A restarted worker is a new member with a new id. A worker of another build is refused by digest (protocol, design 3).

import Engine
import Wire

package struct WorkerRegistry: Sendable {
    package struct Member: Sendable, Equatable {
        package var id: String
        package var url: String
        package var slots: Int
        package var pid: Int32
        package var host: String
        package var lastHeardMillis: Int64
        package var leaving = false
        /// It gets no new tasks until then, because its last ones failed for reasons of its own.
        package var avoidedUntilMillis: Int64 = 0
        /// How often in a row that was so.
        package var troubles = 0
        package var troubledAtMillis: Int64 = 0
    }

    /// A worker whose tasks fail for reasons of its own (disk, memory, descriptors) is avoided for so long, doubled each time.
    package static let avoidMillis: Int64 = 1000
    package static let mostAvoidMillis: Int64 = 60_000

    private let build: String
    private let timeoutMillis: Int64
    private var members: [String: Member] = [:]
    private var counter = 0

    package init(build: String, timeoutMillis: Int64) {
        self.build = build
        self.timeoutMillis = timeoutMillis
    }

    package mutating func register(_ request: RegisterWorker, nowMillis: Int64) throws -> Member {
        guard request.version == wireVersion, request.build == build else {
            throw Failure(
                .otherBuild, "worker \(request.url) was refused: it is another build",
                why: "build \(request.build) there, \(build) at the driver",
                now: "start the worker from the driver's build")
        }
        guard request.slots > 0, request.slots <= 1024 else {
            throw Failure(
                .wrongUsage, "worker \(request.url) was refused: \(request.slots) slots",
                why: "a worker has 1 to 1024 slots", now: "start it with --slots between 1 and 1024")
        }
        // The same address again is a restarted process: the older member is gone.
        for (id, member) in members where member.url == request.url { members[id] = nil }
        counter += 1
        let id = "w\(counter)"
        let member = Member(
            id: id, url: request.url, slots: request.slots, pid: request.pid, host: request.host,
            lastHeardMillis: nowMillis)
        members[id] = member
        return member
    }

    /// - Returns: false when the worker is not known (any more) and must register again.
    package mutating func heartbeat(_ id: String, leaving: Bool, nowMillis: Int64) -> Bool {
        guard members[id] != nil else { return false }
        members[id]!.lastHeardMillis = nowMillis
        members[id]!.leaving = leaving
        return true
    }

    /// Tasks failed there for reasons of its own. Several that fail at once are one trouble.
    /// - Returns: for how long it is avoided now; nil when it was avoided already.
    package mutating func troubled(_ id: String, nowMillis: Int64) -> Int64? {
        guard var member = members[id], nowMillis >= member.avoidedUntilMillis else { return nil }
        let isInARow = member.troubles > 0 && nowMillis - member.troubledAtMillis < 5 * Self.mostAvoidMillis
        member.troubles = isInARow ? member.troubles + 1 : 1
        member.troubledAtMillis = nowMillis
        let millis = min(Self.avoidMillis << min(member.troubles - 1, 10), Self.mostAvoidMillis)
        member.avoidedUntilMillis = nowMillis + millis
        members[id] = member
        return millis
    }

    package mutating func lost(_ id: String) { members[id] = nil }

    /// Members that fell silent; they are members no more.
    package mutating func expire(nowMillis: Int64) -> [Member] {
        let silent = members.values.filter { nowMillis - $0.lastHeardMillis > timeoutMillis }.sorted { $0.id < $1.id }
        for member in silent { members[member.id] = nil }
        return silent
    }

    /// Members that may get new tasks.
    package var available: [Member] { members.values.filter { !$0.leaving }.sorted { $0.id < $1.id } }
    package var all: [Member] { members.values.sorted { $0.id < $1.id } }
    package func contains(_ id: String) -> Bool { members[id] != nil }
}
