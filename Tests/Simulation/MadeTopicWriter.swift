// One part of the made topic, written by a worker or claimed by a driver: carries out the steps of the product's `TopicRound`, each a call
// of its own, so that its process may die or be paused between any two, and every answer may be lost.

import Driver
import Engine

final class MadeTopicWriter {
    private unowned let world: World
    private let topic: MadeTopic
    private let place: Place
    private let part: Int
    /// Does something when the process gets to run, or never.
    private let whenRunning: (@escaping () -> Void) -> Void
    /// Called in the midst of a transaction, behind its rows.
    private let midway: () -> Void
    /// The first is under way.
    private var orders: [() -> Void] = []
    /// The producer that has the id, under the epoch that took it, and the marker that stands while it lives.
    private var held: (producer: Int, epoch: Epoch, marker: TopicMarker?)?

    init(
        _ part: Int, at place: Place, in world: World, topic: MadeTopic, midway: @escaping () -> Void = {},
        whenRunning: @escaping (@escaping () -> Void) -> Void
    ) {
        self.midway = midway
        self.part = part
        self.place = place
        self.world = world
        self.topic = topic
        self.whenRunning = whenRunning
    }

    static func identity(_ epoch: Epoch) -> SinkIdentity {
        SinkIdentity(job: "made", jobID: JobID(text: "made"), epoch: epoch, sink: "made")
    }

    /// One order after the other, as they come: the product's writer has a thread.
    func carryOut(_ order: TopicRound.Order, epoch: Epoch, rows: MadeRows, _ answer: @escaping (Result<SealOutcome, Failure>) -> Void) {
        orders.append { [self] in
            begin(order, epoch: epoch, rows: rows) { [self] result in
                answer(result)
                orders.removeFirst()
                orders.first?()
            }
        }
        if orders.count == 1 { orders[0]() }
    }

    private func begin(_ order: TopicRound.Order, epoch: Epoch, rows: MadeRows, _ answer: @escaping (Result<SealOutcome, Failure>) -> Void) {
        var round = TopicRound(order, Self.identity(epoch), part: part, place: MadeTopic.place)
        func again(_ reason: Failure) {
            held = nil
            // Only what leaves a transaction in doubt makes another round.
            follow(reason.code == .kafkaTransient ? round.troubled(reason) : .fail(reason))
        }
        func follow(_ step: TopicRound.Step) {
            switch step {
            case .open:
                open(epoch) { [self] result in
                    switch result {
                    case .success(let (marker, isRemembered)):
                        let step = round.opened(marker, isRemembered: isRemembered)
                        if case .open = step { held = nil }
                        follow(step)
                    case .failure(let reason): again(reason)
                    }
                }
            case .write(let marker):
                write(rows, marker, epoch) { result in
                    switch result {
                    case .success: follow(round.written())
                    case .failure(let reason): again(reason)
                    }
                }
            case .look:
                call({ [topic, part] () throws(Failure) in try topic.marker(part, stable: true) }) { [self] result in
                    switch result {
                    case .success(let marker):
                        let step = round.looked(marker)
                        if case .open = step { held = nil }
                        follow(step)
                    case .failure(let reason): again(reason)
                    }
                }
            case .done(let outcome, let marker):
                held?.marker = marker
                if case .claim = order { held = nil }
                answer(.success(outcome))
            case .missing:
                held = nil
                answer(.failure(Failure(.sinkMismatch, "there is no marker of part \(part)", why: "it is gone", now: "start the job again")))
            case .fail(let reason):
                held = nil
                answer(.failure(reason))
            }
        }
        follow(.open)
    }

    private func open(_ epoch: Epoch, _ answer: @escaping (Result<(TopicMarker?, isRemembered: Bool), Failure>) -> Void) {
        if let held, held.epoch == epoch { return answer(.success((held.marker, isRemembered: true))) }
        held = nil
        let (topic, part) = (topic, part)
        func opened(_ producer: Int, _ result: Result<TopicMarker?, Failure>) {
            if case .success(let marker) = result { held = (producer, epoch, marker) }
            answer(result.map { ($0, isRemembered: false) })
        }
        call({ () throws(Failure) in topic.take(part) }) { [self] taken in
            guard case .success(let producer) = taken else { return answer(taken.map { _ in (nil, isRemembered: false) }) }
            call({ () throws(Failure) in try topic.marker(part, stable: true) }) { [self] found in
                guard case .failure = found else { return opened(producer, found) }
                // Undecided, and nobody was told that it is sealed.
                world.marks.insert("taken back")
                call({ () throws(Failure) in try topic.takeBack(part, producer: producer) }) { [self] gone in
                    guard case .success = gone else { return answer(gone.map { (nil, isRemembered: false) }) }
                    call({ () throws(Failure) in try topic.marker(part, stable: true) }) { opened(producer, $0) }
                }
            }
        }
    }

    private func write(_ rows: MadeRows, _ marker: TopicMarker, _ epoch: Epoch, _ answer: @escaping (Result<Void, Failure>) -> Void) {
        guard let producer = held?.producer else { return answer(.failure(MadeTopic.away)) }
        let (topic, part, world) = (topic, part, world)
        call({ () throws(Failure) in try topic.send(rows, part: part, producer: producer) }) { [self] sent in
            guard case .success = sent else { return answer(sent) }
            midway()
            call({ () throws(Failure) in try topic.send(marker, part: part, producer: producer) }) { [self] sent in
                guard case .success = sent else { return answer(sent) }
                call(
                    { () throws(Failure) in
                        let losesItsWay = !world.isHealed && world.random.chance(world.scenario.lostCommits)
                        try topic.commit(part, producer: producer, losesItsWay: losesItsWay)
                        if losesItsWay { return }
                        world.truth.written(rows, part: part, digest: marker.digest, batch: marker.batch, epoch: epoch)
                    }, answer)
            }
        }
    }

    private func call<Answer>(_ body: @escaping () throws(Failure) -> Answer, _ answer: @escaping (Result<Answer, Failure>) -> Void) {
        let topic = topic
        world.network.call(
            world, from: place, to: .outside, lost: MadeTopic.away,
            { () -> Result<Answer, Failure> in
                guard topic.isUp else { return .failure(MadeTopic.away) }
                do throws(Failure) { return .success(try body()) } catch { return .failure(error) }
            }
        ) { [self] result in whenRunning { answer(result) } }
    }
}
