// A made worker around the real `WorkerDesk`: computes what a request names over the made topic, holds blocks, rows and warm state as the
// product's does, lets go of them when the desk says so, and seals on the driver's word. It crashes, is paused, and comes back as a new member.
//
// What it computes is small on purpose (a total per key, or a row per record), and a function of the plan alone.

import Driver
import Engine
import Foundation
import Wire
import Worker

final class MadeWorker {
    struct Held: Hashable {
        var madeBy: BatchTry
        var part: Int
        var attempt: Int
    }

    let number: Int
    unowned let world: World
    private(set) var incarnation = 1
    private(set) var isUp = true
    private(set) var pausedUntil: Int64 = 0
    private var pausedSince: Int64 = 0
    /// Its disk is full until then.
    var troubledUntil: Int64 = 0
    var blocks: [Held: [Int: Block]] = [:]
    var rows: [Held: (rows: MadeRows, digest: String)] = [:]
    /// By first key group: files that are in it, totals, and what was offered but is not known to be done.
    var warm: [Int: Warm] = [:]
    var desk: WorkerDesk
    /// By part, where the sink is a topic.
    var writers: [Int: MadeTopicWriter] = [:]

    struct Warm {
        var groups: Range<Int>
        var keyGroups: Int
        var entries: [StateManifest.Entry]
        var totals: [Int64: Int64]
        var offered: (file: StateFile, delta: [Int64: Int64])?
    }

    /// What a source task made for one part, and what its partition held then.
    struct Block {
        var counts: [Int64: Int64] = [:]
        var readings: [TopicPartition: MadeReading] = [:]
    }

    init(number: Int, world: World) {
        self.number = number
        self.world = world
        desk = WorkerDesk(slots: Self.slots(number))
        beat()
    }

    var id: String { "w\(number).\(incarnation)" }
    var place: Place { .worker(number) }
    var member: BatchRun.Member { BatchRun.Member(id: id, url: "made:\(id)", slots: Self.slots(number)) }
    private static func slots(_ number: Int) -> Int { 1 + number % 2 }

    // MARK: life

    func crash(forMillis millis: Int64) {
        guard isUp else { return }
        isUp = false
        (blocks, rows, warm, writers) = ([:], [:], [:], [:])
        desk = WorkerDesk(slots: Self.slots(number))
        incarnation += 1
        world.after(millis) { [unowned self] in isUp = true }
    }

    func pause(forMillis millis: Int64) {
        if pausedUntil <= world.nowMillis { pausedSince = world.nowMillis }
        pausedUntil = max(pausedUntil, world.nowMillis + millis)
    }

    /// Its heartbeats have been missing for so long that nobody counts on it.
    var isSilent: Bool { world.nowMillis < pausedUntil && world.nowMillis - pausedSince > Self.silenceMillis }
    private static let silenceMillis: Int64 = 2500

    func trouble(forMillis millis: Int64) { troubledUntil = world.nowMillis + millis }

    func heal() {
        isUp = true
        troubledUntil = 0
        pausedUntil = 0
    }

    /// Does `body` when this incarnation gets to run; never, when it dies before.
    func whenRunning(afterMillis: Int64, _ body: @escaping () -> Void) {
        let born = incarnation
        world.at(max(world.nowMillis + afterMillis, pausedUntil)) { [unowned self] in
            guard incarnation == born, isUp else { return }
            if world.nowMillis < pausedUntil { return whenRunning(afterMillis: 0, body) }
            body()
        }
    }

    static func gone(_ id: String) -> Failure {
        Failure(.workerUnreachable, "worker \(id) is gone", why: "made so", now: "its tasks run elsewhere")
    }

    // MARK: the desk

    /// The desk's time passes faster, so that what nobody claims ends within a world.
    var deskMillis: Int64 { world.nowMillis * 20 }

    /// Asks the desk and does what it says.
    func decide(_ ask: (inout WorkerDesk) throws -> [WorkerDesk.Action]) rethrows {
        for action in try ask(&desk) {
            switch action {
            case .drop(let gone):
                if world.mutant == .givenUpKept { continue }
                blocks = blocks.filter { $0.key.madeBy != gone }
                rows = rows.filter { $0.key.madeBy != gone }
            case .forget: (warm, writers) = ([:], [:])
            case .closeReaders: break
            }
        }
    }

    /// Each driver that it reaches says which jobs it runs; what nobody claims ends by time.
    private func beat() {
        world.after(1000) { [unowned self] in
            if isUp, world.nowMillis >= pausedUntil {
                for driver in world.drivers where driver.isUp && !world.network.isCut(place, driver.place) {
                    if let claim = driver.claim { desk.claimed([claim], nowMillis: deskMillis) }
                }
                decide { $0.expire(nowMillis: deskMillis) }
            }
            beat()
        }
    }

    func cancel(_ request: CancelJob) { decide { $0.cancel(request, nowMillis: deskMillis) } }
    func release(_ request: ReleaseBatch) { decide { $0.release(request, nowMillis: deskMillis) } }

    /// Rows that wait for their seal.
    func held(_ batch: BatchNumber, _ epoch: Epoch) -> [(part: Int, digest: String, rows: MadeRows)] {
        rows.filter { $0.key.madeBy.batch == batch && $0.key.madeBy.epoch == epoch }.map { ($0.key.part, $0.value.digest, $0.value.rows) }
    }

    /// What is held here against the desk's word, in words.
    var strayHold: String? {
        let held = Set(blocks.keys.map(\.madeBy)).union(rows.keys.map(\.madeBy))
        if held.contains(where: { desk.requests(of: $0) == nil }) { return "worker \(id) holds what it let go of" }
        let resting = held.filter { desk.requests(of: $0) == 0 }
        return resting.count > 1 ? "worker \(id) holds \(resting.count) tries of one job" : nil
    }
}
