// What a made worker computes: a total per key, or a row per record, out of ranges of the made topic, blocks and state.

import Driver
import Engine
import Foundation
import Wire
import Worker

extension MadeWorker {
    func key(_ request: RunTasks, _ part: Int, _ attempt: Int) -> Held {
        Held(madeBy: BatchTry(request), part: part, attempt: world.mutant == .attemptNotCompared ? 0 : attempt)
    }

    static func row(_ part: Int, _ record: MadeKafka.Record) -> String { "\(part)/\(record.offset)#\(record.hash)" }

    /// All tasks of a request, and the merge behind them that came along; then what they offer goes to the disk.
    func carryOut(_ request: RunTasks, _ answer: @escaping (RunTasksReply) -> Void) {
        var puts: [MadeDisk.Put] = []
        let results = request.tasks.map { compute($0, of: request, &puts) }
        var reply = RunTasksReply(to: request, results: results)
        if let onward = request.onward, results.allSatisfy({ $0.report != nil }) {
            var task = onward
            var sources = PartRuns()
            for result in results where result.report?.destinations.contains(onward.part) ?? false { sources.append(result.part) }
            task.sources = sources
            var merging = request
            merging.stage = 1
            merging.holders = BlockHolders(urls: ["made:\(id)"], worker: results.map { _ in 0 }, attempt: results.map(\.attempt))
            reply.onward = compute(task, of: merging, &puts)
        }
        store(puts[...], reply, answer)
    }

    /// One step of a put after the other; a report whose file could not be stored is a failure.
    private func store(_ puts: ArraySlice<MadeDisk.Put>, _ reply: RunTasksReply, _ answer: @escaping (RunTasksReply) -> Void) {
        guard let put = puts.first else { return answer(reply) }
        if put.isOver { return store(puts.dropFirst(), reply, answer) }
        whenRunning(afterMillis: world.random.below(4)) { [unowned self] in
            do throws(Failure) {
                try world.disk.step(put, fails: !world.isHealed && world.random.chance(world.scenario.diskErrors))
                store(puts, reply, answer)
            } catch {
                var reply = reply
                func failed(_ result: TaskResult) -> TaskResult {
                    result.report?.state?.name == put.name ? TaskResult(part: result.part, attempt: result.attempt, failure: error) : result
                }
                reply.results = reply.results.map(failed)
                reply.onward = reply.onward.map(failed)
                store(puts.dropFirst(), reply, answer)
            }
        }
    }

    private func compute(_ task: TaskSpec, of request: RunTasks, _ puts: inout [MadeDisk.Put]) -> TaskResult {
        do {
            guard !desk.isCancelled(BatchTry(request), isReplay: false) else {
                throw Failure(.taskCancelled, "cancelled", why: "made so", now: "nothing")
            }
            if world.nowMillis < troubledUntil { throw Failure(.workerTrouble, "the disk is full", why: "made so", now: "elsewhere") }
            if let range = task.range { return TaskResult(part: task.part, attempt: task.attempt, report: try source(task, range, request)) }
            return try merge(task, request, &puts)
        } catch { return TaskResult(part: task.part, attempt: task.attempt, failure: Engine.failure(error)) }
    }

    private func source(_ task: TaskSpec, _ range: OffsetRange, _ request: RunTasks) throws -> TaskReport {
        let kafka = world.kafka
        let partition = range.topicPartition
        guard kafka.isUp, !world.network.isCut(place, .outside) else { throw MadeKafka.away }
        guard let end = kafka.ends[partition], !kafka.isMissing else { throw MadeKafka.missing }
        if range.from > end { throw GoneOffsets.failure(range, held: 0..<end) }
        if let reason = kafka.diverges(partition, range.from, epoch: task.mark?.leaderEpoch) { throw reason }
        if range.until > end { throw standstill(range) }
        let excluded = task.excluded ?? []
        let reading = MadeReading(before: kafka.prefix(partition, range.from), until: kafka.prefix(partition, range.until))
        world.truth.read(request.context.batch, request.context.epoch, partition, reading)
        let records = kafka.read(range).filter { record in !excluded.contains { $0.from <= record.offset && record.offset < $0.until } }
        let breaks = !world.isHealed && world.random.chance(world.scenario.readErrors)
        let context = request.context
        var report = TaskReport()
        report.records = Int64(records.count)
        report.rowsIn = report.records
        report.maxEventTimeMillis = records.map(\.eventMillis).max()
        if let last = records.last { (report.tailOffset, report.tailHash) = (last.offset, last.hash) }
        report.leaderEpoch = kafka.leaderEpoch(partition, before: range.until)
        let taken = breaks ? records.prefix(records.count / 2) : records[...]
        let held = key(request, task.part, task.attempt)
        // Where attempts are not told apart, a later one adds to what an earlier one left.
        let mixes = world.mutant == .attemptNotCompared
        if !mixes { blocks[held] = nil }
        if world.scenario.isStateful {
            let bounds = BatchPlan.keyGroupBounds(parts: context.parts, keyGroups: context.keyGroups)
            for record in taken {
                let group = Self.group(record.key, context.keyGroups)
                let destination = (bounds.firstIndex { $0 > group } ?? bounds.count) - 1
                blocks[held, default: [:]][destination, default: Block()].counts[record.key, default: 0] += 1
                blocks[held]?[destination]?.readings[partition] = reading
            }
            report.destinations = (blocks[held] ?? [:]).keys.sorted()
        } else {
            let part = Int(range.partition)
            let held = key(request, part, task.attempt)
            var made = mixes ? rows[held]?.rows ?? MadeRows() : MadeRows()
            made.appended += taken.map { Self.row(part, $0) }
            made.readings[partition] = reading
            if breaks { rows[held] = (made, "") } else { finish(made, part: part, held: held, request, &report) }
        }
        if breaks { throw standstill(range) }
        return report
    }

    private func standstill(_ range: OffsetRange) -> Failure {
        Failure(.readTimeout, "reading \(range) stands still", why: "made so", now: "again")
    }

    static func group(_ key: Int64, _ keyGroups: Int) -> Int { Int((key &* 31) % Int64(keyGroups)) }

    private func finish(_ made: MadeRows, part: Int, held: Held, _ request: RunTasks, _ report: inout TaskReport) {
        report.sinkPart = part
        report.rowsOut = made.count
        report.digest = made.digest(build: request.job.buildDigest)
        if report.rowsOut > 0 { rows[held] = (made, report.digest ?? "") }
    }

    private func merge(_ task: TaskSpec, _ request: RunTasks, _ puts: inout [MadeDisk.Put]) throws -> TaskResult {
        let context = request.context
        var added: [Int64: Int64] = [:]
        var made = MadeRows()
        for source in task.sources?.parts ?? [] {
            guard let location = request.holders?.location(source) else { throw Failure(.internal, "no holder", why: "none", now: "look") }
            let holder = world.workers.first { "made:\($0.id)" == location.workerURL && $0.isUp && $0.pausedUntil <= world.nowMillis }
            guard let holder, !world.network.isCut(place, holder.place),
                let block = holder.blocks[key(request, source, location.attempt)]?[task.part]
            else {
                return TaskResult(
                    part: task.part, attempt: task.attempt,
                    failure: Failure(.blockLost, "block \(source) is gone", why: "made so", now: "again"), lost: location)
            }
            added.merge(block.counts, uniquingKeysWith: +)
            made.readings.merge(block.readings) { $1 }
        }
        let bounds = BatchPlan.keyGroupBounds(parts: context.parts, keyGroups: context.keyGroups)
        let groups = bounds[task.part]..<bounds[task.part + 1]
        var state = try load(groups, task.state ?? [], context)
        for (key, count) in added { made.totals[key] = (state.totals[key] ?? 0) + count }
        var report = TaskReport()
        finish(made, part: task.part, held: key(request, task.part, task.attempt), request, &report)
        let isRehash = context.rehashFrom != nil
        if !added.isEmpty || isRehash && !state.totals.isEmpty {
            // As many files as a small state keeps, then a snapshot.
            let isSnapshot = isRehash || StateSources(state.entries).files.count >= 5
            let content = isSnapshot ? state.totals.merging(made.totals) { $1 } : made.totals
            let bytes = [UInt8](content.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: ",").utf8)
            let inline = !world.random.chance(world.scenario.filedState)
            let contentDigest = digest(of: bytes)
            let name = "v\(context.batch)-\(groups.lowerBound)-\(groups.upperBound)-\(context.epoch)-\(task.attempt)-\(contentDigest)"
            let file = StateFile(
                kind: isSnapshot ? .snapshot : .delta, version: context.batch, name: name, inline: inline, bytes: bytes.count,
                rows: content.count, digest: contentDigest)
            report.state = file
            if inline { report.inlineState = Data(bytes) } else { puts.append(world.disk.put(name, bytes)) }
            state.offered = (file, content)
        }
        warm = warm.filter { !$0.value.groups.overlaps(groups) }
        warm[groups.lowerBound] = state
        return TaskResult(part: task.part, attempt: task.attempt, report: report)
    }

    private func load(_ groups: Range<Int>, _ entries: [StateManifest.Entry], _ context: BatchContext) throws -> Warm {
        if var known = warm[groups.lowerBound], known.groups == groups, known.keyGroups == context.keyGroups, context.rehashFrom == nil {
            if let offered = known.offered, entries == StateManifest.following(known.entries, groups: groups, offered: offered.file) {
                known.totals.merge(offered.delta) { $1 }
                known.entries = entries
                known.offered = nil
                return known
            }
            if known.entries == entries {
                known.offered = nil
                return known
            }
        }
        var totals: [Int64: Int64] = [:]
        for source in StateSources(entries).sources {
            if source.file.inline, !world.catalog.isUp { throw MadeCatalog.away }
            let found = source.file.inline ? world.catalog.state[source.file.name] : world.disk.read(source.file.name)
            guard let bytes = found, digest(of: bytes) == source.file.digest else {
                throw Failure(.stateMissing, "state \(source.file.name) is not there", why: "made so", now: "look")
            }
            for pair in String(decoding: bytes, as: UTF8.self).split(separator: ",") {
                let numbers = pair.split(separator: ":").compactMap { Int64($0) }
                let named = Self.group(numbers[0], context.rehashFrom ?? context.keyGroups)
                guard source.groups.contains(where: { $0.contains(named) }) else { continue }
                if groups.contains(Self.group(numbers[0], context.keyGroups)) { totals[numbers[0]] = numbers[1] }
            }
        }
        return Warm(groups: groups, keyGroups: context.keyGroups, entries: entries, totals: totals)
    }
}
