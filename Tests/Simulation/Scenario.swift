// What a seed makes of the world: its size, its pace, and which faults it may meet. A swarm: each seed switches on some faults
// only, because with all of them at once the rare meetings of two never happen.

import Driver
import Engine
import Jobs
import Sluice

/// A rule of the protocol left out on purpose: the simulator must find each.
package enum Mutant: String, CaseIterable, Sendable {
    case noLedger, ledgerApart, epochNotCompared, attemptNotCompared, offsetFirst, sealWithoutPredecessor
}

struct Scenario {
    enum Fault: CaseIterable {
        case driverCrash, driverPause, workerCrash, workerPause, workerTrouble, kafkaOutage, catalogOutage, sinkOutage, cutOff, clockJump
        case buildChange, keyGroupsChange, partitionAdded, sinkRestored
    }

    /// Where made time begins, since 1970.
    static let epochMillis: Int64 = 1_772_366_400_000

    let isStateful: Bool
    let partitions: Int
    let workers: Int
    let drivers: Int
    let intervalMillis: Int64
    let healMillis: Int64
    let drainMillis: Int64 = 400_000
    let faults: [Fault: Int]
    let lostRequests: Double
    let lostAnswers: Double
    let readErrors: Double
    let slowAnswers: Double
    let records: Int
    let maxBatchRecords: Int64
    let keys: Int64
    /// The records among all that are fatal.
    let fatal: Set<Int>

    init(_ random: inout Draws) {
        isStateful = random.chance(0.6)
        partitions = 1 + Int(random.below(3))
        workers = 1 + Int(random.below(3))
        drivers = 1 + Int(random.below(2))
        intervalMillis = [0, 300, 700][Int(random.below(3))]
        healMillis = 12_000
        var faults: [Fault: Int] = [:]
        for fault in Fault.allCases where random.chance(fault == .sinkRestored ? 0.12 : 0.4) {
            faults[fault] = 1 + Int(random.below(4))
        }
        self.faults = faults
        lostRequests = random.chance(0.4) ? 0.05 : 0
        lostAnswers = random.chance(0.5) ? 0.08 : 0
        readErrors = random.chance(0.4) ? 0.1 : 0
        slowAnswers = random.chance(0.4) ? 0.05 : 0
        records = 20 + Int(random.below(100))
        maxBatchRecords = random.chance(0.5) ? 0 : 4 + random.below(12)
        keys = 2 + random.below(12)
        fatal = random.chance(0.25) ? Set((0...random.below(3)).map { _ in Int(random.below(20)) }) : []
    }

    var definition: String { isStateful ? "campaign-views" : "purchases" }
    static let jobs = JobDefinitions([CampaignViews(), Purchases()])

    func record() throws -> JobRecord {
        var values = try Settings.resolve(jobDefaults: try Self.jobs.job(definition).defaults).jobValues
        values["bootstrap"] = "made:1"
        values["interval"] = "\(intervalMillis)"
        values["poll"] = "100"
        values["max_batch_records"] = "\(maxBatchRecords)"
        values["sink"] = "discard:"
        return JobRecord(
            jobID: JobID(text: "made"), name: "made", definition: definition, settings: values, buildDigest: "b1",
            settingsDigest: "s1")
    }

    func job(_ record: JobRecord, build: String) throws -> RunningJob {
        let graph = try Self.jobs.graph(definition: definition, settings: record.settings)
        return RunningJob(
            record: record, graph: graph, settings: try EngineSettings(record.settings, source: graph.source), buildDigest: build)
    }

    /// Puts records and faults into the world's queue.
    func schedule(in world: World) {
        for index in 0..<records {
            world.at(world.random.below(healMillis - 2000)) { [unowned world] in
                world.kafka.append(key: world.random.below(keys), eventMillis: Int64(index) * 10, isFatal: fatal.contains(index), &world.random)
            }
        }
        world.at(healMillis) { [unowned world] in world.kafka.isClosed = true }
        for (fault, count) in faults.sorted(by: { "\($0.key)" < "\($1.key)" }) {
            for _ in 0..<count {
                world.at(500 + world.random.below(healMillis - 1500)) { [unowned world] in strike(fault, world) }
            }
        }
    }

    private func strike(_ fault: Fault, _ world: World) {
        guard !world.isHealed else { return }
        world.trace.say(world.nowMillis, "fault \(fault)")
        let lasts = 50 + (world.random.chance(0.3) ? world.random.below(9000) : world.random.below(1500))
        func one<Thing>(_ things: [Thing]) -> Thing { things[Int(world.random.below(Int64(things.count)))] }
        switch fault {
        case .driverCrash: one(world.drivers).crash(forMillis: lasts, build: nil)
        case .buildChange: one(world.drivers).crash(forMillis: lasts, build: world.random.chance(0.5) ? "b2" : "b1")
        case .keyGroupsChange:
            // A start with other settings; the driver that runs the job does not hear of it.
            world.catalog.record.settings["key_groups"] = "\([7, 64, 128, 256][Int(world.random.below(4))])"
            one(world.drivers).crash(forMillis: lasts, build: nil)
        case .driverPause: one(world.drivers).pause(forMillis: lasts + world.random.below(7000))
        case .workerCrash: one(world.workers).crash(forMillis: lasts)
        case .workerTrouble: one(world.workers).trouble(forMillis: lasts)
        case .workerPause: one(world.workers).pause(forMillis: lasts)
        case .kafkaOutage: world.kafka.fall(world, lasts)
        case .catalogOutage: world.catalog.fall(world, lasts)
        case .sinkOutage: world.sink.fall(world, lasts)
        case .cutOff:
            let place = one(world.drivers.map(\.place) + world.workers.map(\.place))
            world.network.cut(place, in: world, forMillis: lasts)
        case .clockJump: one(world.drivers).skewMillis = world.random.below(20_000) - 10_000
        case .partitionAdded: world.kafka.addPartition()
        case .sinkRestored:
            // Nobody puts a copy in place under a running server.
            world.sink.restoreOlder(&world.random)
            world.sink.fall(world, lasts)
        }
    }
}
