// A small world in one thread and made time: drivers and workers of the real logic over a made Kafka, catalog, sink, disk, network.
//
// Everything that happens is an event in a queue by (time, number); a seed fixes all of it, so a failing seed replays. The
// drivers are `JobMachine`, `BatchRun`, `StartDecision`, `SourceCheck` and `LeaseWatch` as the product runs them: here their asks are
// carried out against parts that crash, fall silent, answer late or not at all. After each event `Invariants` are looked at. When the
// faults are over everything is healed, the job must drain, and an independent fold of the topic must equal the sink. A fault after
// which a person must decide (`Fault.isFinal`) ends a world by the job's refusal, if it names that reason.
//
// When adding a fault: let the swarm switch it on per seed, heal it in `heal`, and plant a mutant that only it can find.

import Driver
import Engine

package final class World {
    package let seed: UInt64
    let mutant: Mutant?
    let scenario: Scenario
    var random: Draws
    private(set) var nowMillis: Int64 = 0
    private var queue = EventQueue()
    private(set) var eventCount = 0
    /// Lines of what happened, kept for a seed that is replayed.
    let trace: Trace

    let kafka: MadeKafka
    let catalog: MadeCatalog
    let sink: MadeSink
    /// The sink of a job that writes into Kafka; nil where `sink` is it.
    let topic: MadeTopic?
    let disk: MadeDisk
    let truth = Truth()
    let network: Network
    var workers: [MadeWorker] = []
    var drivers: [MadeDriver] = []
    private(set) var violation: String?
    private(set) var isHealed = false
    /// Branches that were taken, by name.
    var marks: Set<String> = []
    /// The job was refused by name, with reason: somebody must decide.
    private(set) var isRefused = false

    package init(seed: UInt64, mutant: Mutant? = nil, traced: Bool = false) throws {
        self.seed = seed
        self.mutant = mutant
        random = Draws(seed: seed)
        scenario = Scenario(&random)
        trace = Trace(isOn: traced)
        kafka = MadeKafka(partitions: scenario.partitions)
        catalog = MadeCatalog(record: try scenario.record(), mutant: mutant)
        sink = MadeSink(mutant: mutant)
        topic = scenario.hasTopic ? MadeTopic(partitions: scenario.partitions, mutant: mutant) : nil
        disk = MadeDisk(mutant: mutant)
        network = Network(scenario)
        for index in 0..<scenario.workers { workers.append(MadeWorker(number: index, world: self)) }
        for index in 0..<scenario.drivers { drivers.append(try MadeDriver(number: index, world: self)) }
    }

    /// Runs to the end; nil when nothing was violated.
    package func run() -> String? {
        for driver in drivers { driver.start() }
        scenario.schedule(in: self)
        at(scenario.healMillis) { [unowned self] in heal() }
        while violation == nil, !isRefused, let event = queue.next() {
            nowMillis = event.time
            event.body()
            eventCount += 1
            if let broken = Invariants.broken(in: self) ?? truth.violation { violate(broken) }
            if isHealed, isAtRest { break }
            if nowMillis > scenario.healMillis + scenario.drainMillis { violate("the job did not drain: \(stand)") }
        }
        if violation == nil { violation = Invariants.atRest(self) }
        return violation
    }

    func at(_ time: Int64, _ body: @escaping () -> Void) { queue.add(max(time, nowMillis), body) }
    func after(_ millis: Int64, _ body: @escaping () -> Void) { at(nowMillis + millis, body) }

    func stopByRefusal() { isRefused = true }

    func violate(_ what: String) { if violation == nil { violation = "at \(nowMillis) ms: \(what)" } }

    /// A host has been up for a while when a driver starts.
    private static let steadyMillis: Int64 = 100_000

    func moment(skewMillis: Int64) -> Moment {
        Moment(
            steadyNanos: (Self.steadyMillis + nowMillis) * 1_000_000 + Int64(eventCount % 1_000_000), wallMillis: Scenario.epochMillis + nowMillis + skewMillis,
            random: random.next())
    }

    private func heal() {
        trace.say(nowMillis, "healed")
        isHealed = true
        network.heal()
        kafka.isUp = true
        catalog.isUp = true
        sink.isUp = true
        topic?.isUp = true
        catalog.desired = .run
        writeMore()
        for worker in workers { worker.heal() }
        for driver in drivers { driver.heal() }
    }

    /// A topic that is another one is found by the next batch, so there has to be one; and a plan of what an election took away waits
    /// for its offsets to come again.
    private func writeMore() {
        guard !kafka.lossMillis.isEmpty else { return }
        let reaches = catalog.openPlan?.ranges.contains { kafka.ends[$0.topicPartition] ?? 0 < $0.until } ?? false
        if !kafka.isMissing, !truth.holds(kafka) || reaches && kafka.wasTruncated {
            for partition in kafka.partitions { kafka.append(key: 0, eventMillis: nowMillis, to: partition, &random) }
        }
        after(500) { [unowned self] in writeMore() }
    }

    private var isAtRest: Bool {
        guard kafka.isClosed, !kafka.isMissing, catalog.openPlan == nil, !catalog.positions.isEmpty else { return false }
        guard truth.holds(kafka) else { return false }
        // A copy that was put in place has to be found before it counts as rest.
        if sink.wasRestored, mutant == nil, catalog.seals.contains(where: { sink.content.ledger[$0.part]?.batch != $0.batch }) { return false }
        return kafka.ends.allSatisfy { catalog.positions[$0.key]?.position == $0.value }
    }

    private var lookedAt = (losses: 0, done: 0)

    /// A file that a DONE manifest names and that is not there, or not whole.
    func lostState() -> String? {
        guard lookedAt != (disk.losses, catalog.done.count) else { return nil }
        lookedAt = (disk.losses, catalog.done.count)
        for (name, known) in catalog.namedFiles.sorted(by: { $0.key < $1.key }) {
            guard let bytes = disk.read(name) else { return "state file \(name) is named by a DONE manifest and is not there" }
            if digest(of: bytes) != known { return "state file \(name) is named by a DONE manifest and is not whole" }
        }
        return nil
    }

    private var stand: String {
        let positions = catalog.positions.values.map { "\($0.topicPartition) \($0.position)" }.sorted()
        return "positions \(positions), ends \(kafka.ends.map { "\($0.key) \($0.value)" }.sorted()), open \(catalog.openPlan?.batch ?? 0), "
            + drivers.map(\.stand).joined(separator: "; ")
    }
}

/// What happened, a line each; nothing while it is off.
final class Trace {
    private let isOn: Bool
    private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325

    init(isOn: Bool) { self.isOn = isOn }

    func say(_ millis: Int64, _ text: @autoclosure () -> String) {
        guard isOn else { return }
        print("\(millis)\t\(text())")
    }
}

/// Events by time, then by the order in which they were added.
struct EventQueue {
    struct Event {
        var time: Int64
        var number: Int
        var body: () -> Void
    }
    private var heap: [Event] = []
    private var count = 0

    private static func isBefore(_ left: Event, _ right: Event) -> Bool {
        left.time != right.time ? left.time < right.time : left.number < right.number
    }

    mutating func add(_ time: Int64, _ body: @escaping () -> Void) {
        count += 1
        heap.append(Event(time: time, number: count, body: body))
        var child = heap.count - 1
        while child > 0, Self.isBefore(heap[child], heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func next() -> Event? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [parent * 2 + 1, parent * 2 + 2] where child < heap.count && Self.isBefore(heap[child], heap[least]) {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

/// Draws out of a seed (SplitMix64).
package struct Draws: RandomNumberGenerator {
    private var state: UInt64
    package init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1 }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int64) -> Int64 { bound <= 0 ? 0 : Int64(next() % UInt64(bound)) }
    mutating func chance(_ share: Double) -> Bool { Double(next() >> 11) / 9_007_199_254_740_992 < share }
}
