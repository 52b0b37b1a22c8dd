// A made output topic with its transactions: producers by transactional id, rows that readers of committed records see or do not see,
// the markers of the parts as positions of a group. It can forget a marker, and lose its way behind a decided commit (KAFKA-20734).
//
// A row lies at its offset from the moment it was sent; whether it counts is decided with its transaction. So the newest row of a key is
// the one with the highest offset of all that were committed.

import Driver
import Engine

final class MadeTopic {
    static let name = "out"
    static let place = "kafka:out made"

    private struct Transaction {
        var rows: [(offset: Int, rows: MadeRows)] = []
        var marker: TopicMarker?
    }
    private struct Producer {
        var number = 0
        /// By the number of who has it.
        var open: [Int: Transaction] = [:]
        /// Decided, and forgotten before anybody was told.
        var undecided: Transaction?
    }

    private var producers: [Int: Producer] = [:]
    private var offset = 0
    private(set) var markers: [Int: TopicMarker] = [:]
    /// Of what is committed.
    private(set) var totals: [Int64: (offset: Int, total: Int64)] = [:]
    private(set) var rows: [String: Int] = [:]
    /// A row that readers see twice.
    private(set) var doubled: String?
    var partitions: Int
    /// Somebody removed a marker, or it expired: a refusal is the right answer from then on.
    private(set) var wasForgotten = false
    var isUp = true
    private let mutant: Mutant?

    init(partitions: Int, mutant: Mutant?) {
        self.partitions = partitions
        self.mutant = mutant
    }

    static let away = Failure(.kafkaTransient, "no broker answers", why: "made so", now: "wait")

    func fall(_ world: World, _ millis: Int64) {
        isUp = false
        world.after(millis) { self.isUp = true }
    }

    func forget(_ random: inout Draws) {
        guard let last = markers.keys.max() else { return }
        wasForgotten = true
        if random.chance(0.5) { markers = [:] } else { markers[Int(random.below(Int64(last + 1)))] = nil }
    }

    // MARK: a producer's side

    /// Takes the id of a part: whoever had it is fenced, and what it left open is aborted.
    func take(_ part: Int) -> Int {
        producers[part, default: Producer()].number += 1
        if mutant != .producerNotFenced { producers[part]?.open = [:] }
        return producers[part]?.number ?? 0
    }

    private func require(_ part: Int, _ producer: Int) throws(Failure) {
        guard mutant != .producerNotFenced, producers[part]?.number ?? 0 != producer else { return }
        throw Failure(.kafkaTransient, "producer \(producer) of part \(part) is fenced", why: "another took its id", now: "look")
    }

    func send(_ rows: MadeRows, part: Int, producer: Int) throws(Failure) {
        try require(part, producer)
        offset += 1
        producers[part]?.open[producer] = Transaction(rows: [(offset, rows)])
    }

    func send(_ marker: TopicMarker, part: Int, producer: Int) throws(Failure) {
        try require(part, producer)
        producers[part]?.open[producer]?.marker = marker
    }

    /// - Parameter losesItsWay: the commit is decided, and neither the partitions nor the group hear of it.
    func commit(_ part: Int, producer: Int, losesItsWay: Bool) throws(Failure) {
        try require(part, producer)
        guard let open = producers[part]?.open.removeValue(forKey: producer) else {
            throw Failure(.kafkaTransient, "there is no transaction to commit", why: "part \(part)", now: "look")
        }
        if losesItsWay { producers[part]?.undecided = open } else { apply(open, part) }
    }

    private func apply(_ transaction: Transaction, _ part: Int) {
        if let marker = transaction.marker { markers[part] = marker }
        for (offset, rows) in transaction.rows {
            for (key, total) in rows.totals where totals[key]?.offset ?? 0 < offset { totals[key] = (offset, total) }
            for row in rows.appended {
                self.rows[row, default: 0] += 1
                if self.rows[row] ?? 0 > 1 { doubled = row }
            }
        }
    }

    /// A transaction of the same producer that is aborted takes what it left undecided along.
    func takeBack(_ part: Int, producer: Int) throws(Failure) {
        try require(part, producer)
        producers[part]?.open[producer] = nil
        producers[part]?.undecided = nil
    }

    /// - Parameter stable: only when nothing is undecided.
    func marker(_ part: Int, stable: Bool) throws(Failure) -> TopicMarker? {
        if stable, producers[part]?.undecided != nil {
            throw Failure(.kafkaTransient, "the position of part \(part) is not settled", why: "a transaction is open", now: "wait")
        }
        return markers[part].flatMap { TopicMarker(batch: $0.batch, metadata: $0.metadata) }
    }

    // MARK: a driver's side

    /// What `TopicSink.sight` tells.
    var sight: SinkSight {
        let epoch = markers.values.map(\.epoch).max()
        var sight = SinkSight(owner: epoch.map { .job(JobID(text: "made"), $0) } ?? .nobody, table: "out-1")
        for (part, marker) in markers where marker.batch > 0 {
            sight.parts[part] = SinkSight.Part(batch: marker.batch, digest: marker.digest)
        }
        return sight
    }

    var sealed: [Int: BatchNumber] { markers.mapValues(\.batch).filter { $0.value > 0 } }
}
