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
        world.marks.insert("written again")
        for part in outcome.parts where part.rows > 0 {
            let found = world.sink.content.ledger[part.part]
            if let found, found.batch > batch { continue }
            let rows = rows(of: logged.plan, part: part.part)
            let digest = rows.digest(build: logged.plan.buildDigest)
            guard digest == part.digest else {
                throw Failure(.digestMismatch, "batch \(batch) gives other rows", why: "part \(part.part)", now: "look")
            }
            _ = try world.sink.seal(
                part: part.part, batch: batch, epoch: epoch, digest: digest,
                after: found.map { .seal(batch: $0.batch, digest: $0.digest) } ?? .nothing, rows: rows, dies: false)
        }
    }

    /// A total per key counts all that was read before, too.
    private func rows(of plan: BatchPlan, part: Int) -> MadeRows {
        var made = MadeRows()
        guard world.scenario.isStateful else {
            for range in plan.ranges where Int(range.partition) == part {
                made.appended += world.kafka.read(range).map { "\(part)/\($0.offset)" }
            }
            return made
        }
        let bounds = BatchPlan.keyGroupBounds(parts: plan.taskCounts[1], keyGroups: plan.keyGroups)
        let touched = Set(plan.ranges.flatMap { world.kafka.read($0) }.map(\.key)).filter {
            bounds[part]..<bounds[part + 1] ~= MadeWorker.group($0, plan.keyGroups)
        }
        let read = world.catalog.done.filter { $0.plan.batch <= plan.batch }.flatMap(\.plan.ranges)
        for record in read.flatMap({ world.kafka.read($0) }) where touched.contains(record.key) {
            made.totals[record.key, default: 0] += 1
        }
        return made
    }
}
