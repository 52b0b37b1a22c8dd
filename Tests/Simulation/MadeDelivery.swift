// Recorded batches written again into the made sink, as `SinkDelivery` does: rows out of the log and the topic alone, each part
// under the ledger's compare-and-swap.

import Driver
import Engine

struct MadeDelivery {
    unowned let world: World

    func again(_ batch: BatchNumber, epoch: Epoch) throws {
        guard let logged = world.catalog.done.first(where: { $0.plan.batch == batch }), let outcome = logged.outcome else {
            throw Failure(.internal, "batch \(batch) is not in the log", why: "a part lacks it", now: "look")
        }
        guard world.topic == nil else { throw Failure(.internal, "a topic is written again", why: "its markers are its ledger", now: "look") }
        world.marks.insert("written again")
        let parts = outcome.parts.filter { $0.rows > 0 }
        if parts.allSatisfy({ world.sink.content.ledger[$0.part].map { $0.batch < batch } ?? true }) { world.sink.closeRefused(batch) }
        for part in parts {
            let found = world.sink.content.ledger[part.part]
            if let found, found.batch > batch { continue }
            let rows = rows(of: logged.plan, part: part.part)
            let digest = rows.digest(build: logged.plan.buildDigest)
            guard digest == part.digest else {
                throw Failure(.digestMismatch, "batch \(batch) gives other rows", why: "part \(part.part)", now: "look")
            }
            _ = try world.sink.seal(
                part: part.part, batch: batch, epoch: epoch, digest: digest,
                after: Predecessor(of: part.part, in: logged.plan), rows: rows, dies: false)
        }
    }

    /// A total per key counts all that was read before, too.
    private func rows(of plan: BatchPlan, part: Int) -> MadeRows {
        var made = MadeRows()
        guard world.scenario.isStateful else {
            for range in plan.ranges where Int(range.partition) == part {
                made.appended += read(range, of: plan).map { MadeWorker.row(part, $0) }
            }
            return made
        }
        let bounds = BatchPlan.keyGroupBounds(parts: plan.taskCounts[1], keyGroups: plan.keyGroups)
        let touched = Set(plan.ranges.flatMap { read($0, of: plan) }.map(\.key)).filter {
            bounds[part]..<bounds[part + 1] ~= MadeWorker.group($0, plan.keyGroups)
        }
        for done in world.catalog.done.map(\.plan) where done.batch <= plan.batch {
            for record in done.ranges.flatMap({ read($0, of: done) }) where touched.contains(record.key) {
                made.totals[record.key, default: 0] += 1
            }
        }
        return made
    }

    /// Without what the batch left out.
    private func read(_ range: OffsetRange, of plan: BatchPlan) -> [MadeKafka.Record] {
        world.kafka.read(range).filter { record in
            !(plan.excluded ?? []).contains { $0.topicPartition == range.topicPartition && $0.from <= record.offset && record.offset < $0.until }
        }
    }
}
