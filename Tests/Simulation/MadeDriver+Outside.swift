// What a driver does with topic and sink itself: it asks whether the topic is the same, by the product's `SourceCheck`, and takes the sink
// over, a table in one step, a topic part by part as `TopicSink.claim` does.

import Driver
import Engine

extension MadeDriver {
    // MARK: topic

    func checkSource(reached: [TopicPartition: Int64], isDoubtful: Bool, _ answer: @escaping (Failure?) -> Void) {
        guard world.mutant != .identityNotAsked else { return answer(nil) }
        let now = moment.steadyMillis
        guard let step = machine?.beginSourceCheck(reached: reached, isDoubtful: isDoubtful, nowMillis: now) else { return }
        follow(step, machine?.positions.keys.sorted() ?? [], answer)
    }

    private func follow(_ step: SourceCheck.Step, _ partitions: [TopicPartition], _ answer: @escaping (Failure?) -> Void) {
        switch step {
        case .pass: answer(nil)
        case .stop(let failure): answer(failure)
        // Every made broker tells ids.
        case .readTail: answer(Failure(.internal, "a tail is read though there are ids", why: "\(step)", now: "look"))
        case .rest(let millis):
            later(millis) { [unowned self] in
                if let reason = machine?.stopReason { answer(reason) } else { follow(.ask, partitions, answer) }
            }
        case .ask:
            let (world, born) = (self.world, incarnation)
            world.network.call(
                world, from: place, to: .outside, lost: MadeKafka.away,
                { () -> Result<(SourceAnswer, isTrue: Bool), Failure> in
                    if let trouble = world.kafka.trouble { return .failure(trouble) }
                    do throws(Failure) {
                        return .success((try world.kafka.identity(partitions), world.truth.holds(world.kafka)))
                    } catch { return .failure(error) }
                }
            ) { [unowned self] result in
                guard incarnation == born else { return }
                later { [unowned self] in
                    switch result {
                    case .failure(let reason): answer(reason)
                    case .success(let (found, isTrue)):
                        if isTrue { provedMillis = world.nowMillis }
                        let now = moment.steadyMillis
                        guard let step = machine?.sourceAnswered(found, nowMillis: now) else { return }
                        follow(step, partitions, answer)
                    }
                }
            }
        }
    }

    // MARK: sink

    func take(_ claim: SinkClaim, _ table: Catalog.BegunTable?, _ epoch: Epoch) {
        let (catalog, born) = (world.catalog, incarnation)
        let catalogUp: () -> Failure? = { [unowned self] in catalogTrouble() }
        func taken(_ fixedParts: Int?) {
            call({ [unowned self] in sinkTrouble() }, { [world] in (world.topic?.sight ?? world.sink.sight, world.topic?.sealed ?? world.sink.sealed) }) {
                [unowned self] found in
                let (sight, sealed) = found
                let claimed = SinkClaimed(fixedParts: fixedParts, sealed: sealed, sight: sight)
                guard var table, let known = sight.table, table.identity != known else { return answer(.success(.claimed(claimed)), to: born) }
                table.identity = known
                call(catalogUp, { [table] in try catalog.begin(table, epoch: epoch) }) { [unowned self] in
                    answer(.success(.claimed(claimed)), to: born)
                }
            }
        }
        func begun() {
            if let topic = world.topic { return take(topic, claim, epoch, taken) }
            call({ [unowned self] in sinkTrouble() }, { [world] in try world.sink.claim(epoch, anew: claim.anew) }) { (_: Void) in taken(nil) }
        }
        guard let table, claim.begins else { return begun() }
        call(catalogUp, { try catalog.begin(table, epoch: epoch) }) { (_: Void) in begun() }
    }

    private func take(_ topic: MadeTopic, _ claim: SinkClaim, _ epoch: Epoch, _ taken: @escaping (Int?) -> Void) {
        let (isStateful, identity) = (world.scenario.isStateful, MadeTopicWriter.identity(epoch))
        call(
            { [unowned self] in sinkTrouble() },
            { () throws(Failure) -> [Int: TopicMarker] in
                for marker in topic.markers.values.sorted(by: { $0.epoch > $1.epoch }) { try marker.check(identity, place: MadeTopic.place) }
                return try TopicMarker.claimed(
                    topic.markers, partitions: topic.partitions, after: claim.after, open: claim.open, seals: claim.seals, isFixed: isStateful,
                    adopt: claim.adopt, epoch: epoch, place: MadeTopic.place)
            }
        ) { [unowned self] wanted in
            // Part 0 last, because it says how many there are.
            write(topic, wanted, (wanted.keys.filter { $0 != 0 }.sorted() + [0])[...], epoch, taken)
        }
    }

    private func write(
        _ topic: MadeTopic, _ wanted: [Int: TopicMarker], _ parts: ArraySlice<Int>, _ epoch: Epoch, _ taken: @escaping (Int?) -> Void
    ) {
        guard let part = parts.first, let marker = wanted[part] else { return taken(wanted.count) }
        let born = incarnation
        let writer = MadeTopicWriter(part, at: place, in: world, topic: topic) { [unowned self] in if incarnation == born { later(0, $0) } }
        writer.carryOut(.claim(marker, adopt: false), epoch: epoch, rows: MadeRows()) { [unowned self] result in
            switch result {
            case .success: write(topic, wanted, parts.dropFirst(), epoch, taken)
            case .failure(let reason): answer(.failure(reason), to: born)
            }
        }
    }
}
