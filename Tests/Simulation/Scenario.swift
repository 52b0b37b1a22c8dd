// What a seed makes of the world: its size, its pace, and which faults it may meet. A swarm: each seed switches on some faults
// only, because with all of them at once the rare meetings of two never happen. Faults after which a job has to stop are rarer still.

import Driver
import Engine
import Jobs
import Sluice

/// A rule of the protocol left out on purpose: the simulator must find each.
package enum Mutant: String, CaseIterable, Sendable {
    case noLedger, ledgerApart, epochNotCompared, attemptNotCompared, offsetFirst, sealWithoutPredecessor
    /// State files are named before their content is on the disk.
    case fileNotSynced
    /// Nobody asks whether the topic is still the same.
    case identityNotAsked
    /// A sealed part is recognised by the rows that were stored, those that were refused left out.
    case digestOfStored
    /// Who takes a transactional id lets the producer go on that had it.
    case producerNotFenced
    /// A worker keeps what was given up.
    case givenUpKept
    /// A job that is told to stop leaves its batch as it is.
    case drainLeavesPlan
}

struct Scenario {
    /// Where made time begins, since 1970.
    static let epochMillis: Int64 = 1_772_366_400_000

    let isStateful: Bool
    /// Rows go to a topic instead of a table.
    let hasTopic: Bool
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
    /// State that goes to files, not into the log.
    let filedState: Double
    let diskErrors: Double
    /// Commits that a coordinator decides and forgets.
    let lostCommits: Double
    /// Transactions in which a worker stands still for seconds.
    let hangs: Double
    let records: Int
    let maxBatchRecords: Int64
    let keys: Int64
    /// The records among all that are fatal.
    let fatal: Set<Int>

    init(_ random: inout Draws) {
        isStateful = random.chance(0.6)
        hasTopic = random.chance(0.35)
        partitions = 1 + Int(random.below(3))
        workers = 1 + Int(random.below(3))
        drivers = 1 + Int(random.below(2))
        intervalMillis = [0, 300, 700][Int(random.below(3))]
        healMillis = 12_000
        var faults: [Fault: Int] = [:]
        for fault in Fault.allCases where random.chance(fault.share) {
            faults[fault] = fault.isFinal ? 1 : 1 + Int(random.below(4))
        }
        self.faults = faults
        lostRequests = random.chance(0.4) ? 0.05 : 0
        lostAnswers = random.chance(0.5) ? 0.08 : 0
        readErrors = random.chance(0.4) ? 0.1 : 0
        slowAnswers = random.chance(0.4) ? 0.05 : 0
        filedState = [0, 0.5, 1][Int(random.below(3))]
        diskErrors = random.chance(0.3) ? 0.1 : 0
        lostCommits = random.chance(0.3) ? 0.1 : 0
        hangs = random.chance(0.5) ? 0.15 : 0
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
        values["topic"] = MadeKafka.topic
        values["interval"] = "\(intervalMillis)"
        values["poll"] = "100"
        values["sink_look"] = "3s"
        values["max_batch_records"] = "\(maxBatchRecords)"
        values["sink"] = hasTopic ? "kafka:\(MadeTopic.name)" : "discard:"
        return JobRecord(
            jobID: JobID(text: "made"), name: "made", definition: definition, settings: values, buildDigest: "b1",
            settingsDigest: "s1")
    }

    func job(_ record: JobRecord, build: String) throws -> RunningJob {
        let graph = try Self.jobs.graph(definition: definition, settings: record.settings)
        return RunningJob(
            record: record, graph: graph, settings: try EngineSettings(record.settings, graph: graph), buildDigest: build)
    }

    /// Puts records and faults into the world's queue.
    func schedule(in world: World) {
        for index in 0..<records {
            world.at(world.random.below(healMillis - 2000)) { [unowned world] in
                if world.kafka.isMissing { return }
                world.kafka.append(key: world.random.below(keys), eventMillis: Int64(index) * 10, isFatal: fatal.contains(index), &world.random)
            }
        }
        world.at(healMillis) { [unowned world] in world.kafka.isClosed = true }
        for (fault, count) in faults.sorted(by: { "\($0.key)" < "\($1.key)" }) {
            for _ in 0..<count {
                world.at(500 + world.random.below(healMillis - 1500)) { [unowned world] in fault.strike(world) }
            }
        }
    }
}
