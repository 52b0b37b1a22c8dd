// A made worker: computes what a request names over the made topic, holds blocks, rows and warm state as the product's does, and
// seals on the driver's word. It crashes, is paused, and comes back as a new member.
//
// What it computes is small on purpose (a total per key, or a row per record), and a function of the plan alone.

import Driver
import Engine
import Foundation
import Wire

final class MadeWorker {
    struct Held: Hashable {
        var batch: BatchNumber
        var epoch: Epoch
        var part: Int
        var attempt: Int
    }

    let number: Int
    private unowned let world: World
    private(set) var incarnation = 1
    private(set) var isUp = true
    private(set) var pausedUntil: Int64 = 0
    /// Its disk is full until then.
    private var troubledUntil: Int64 = 0
    private var blocks: [Held: [Int: [Int64: Int64]]] = [:]
    private var rows: [Held: (rows: MadeRows, digest: String)] = [:]
    /// By first key group: files that are in it, totals, and what was offered but is not known to be done.
    private var warm: [Int: Warm] = [:]
    private var cancelled: (epoch: Epoch, run: Int64) = (0, 0)

    private struct Warm {
        var groups: Range<Int>
        var keyGroups: Int
        var entries: [StateManifest.Entry]
        var totals: [Int64: Int64]
        var offered: (file: StateFile, delta: [Int64: Int64])?
    }

    init(number: Int, world: World) {
        self.number = number
        self.world = world
    }

    var id: String { "w\(number).\(incarnation)" }
    var place: Place { .worker(number) }
    var member: BatchRun.Member { BatchRun.Member(id: id, url: "made:\(id)", slots: 1 + number % 2) }

    // MARK: life

    func crash(forMillis millis: Int64) {
        guard isUp else { return }
        isUp = false
        (blocks, rows, warm, cancelled) = ([:], [:], [:], (0, 0))
        incarnation += 1
        world.after(millis) { [unowned self] in isUp = true }
    }

    func pause(forMillis millis: Int64) { pausedUntil = max(pausedUntil, world.nowMillis + millis) }

    func trouble(forMillis millis: Int64) { troubledUntil = world.nowMillis + millis }

    func heal() {
        isUp = true
        troubledUntil = 0
        pausedUntil = 0
    }

    /// Does `body` when this incarnation gets to run; never, when it dies before.
    private func whenRunning(afterMillis: Int64, _ body: @escaping () -> Void) {
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

    // MARK: calls

    func run(_ request: RunTasks, from driver: Place, _ answer: @escaping (Result<RunTasksReply, Failure>) -> Void) {
        let lost = Self.gone(id)
        let born = incarnation
        world.network.call(world, from: driver, to: place, lost: lost, { .success(()) }) { [unowned self] (sent: Result<Void, Failure>) in
            guard case .success = sent, incarnation == born, isUp else { return world.after(5) { answer(.failure(lost)) } }
            // A call that its worker does not outlive breaks at once.
            var isAnswered = false
            watch(born) {
                if !isAnswered { answer(.failure(lost)) }
                isAnswered = true
            }
            whenRunning(afterMillis: 1 + world.random.below(40)) { [unowned self] in
                if isFatal(request) { return crash(forMillis: 300) }
                let results = request.tasks.map { compute($0, of: request) }
                var reply = RunTasksReply(to: request, results: results)
                if let onward = request.onward, results.allSatisfy({ $0.report != nil }) {
                    var task = onward
                    var sources = PartRuns()
                    for result in results where result.report?.destinations.contains(onward.part) ?? false { sources.append(result.part) }
                    task.sources = sources
                    var merging = request
                    merging.stage = 1
                    merging.holders = BlockHolders(
                        urls: ["made:\(id)"], worker: results.map { _ in 0 }, attempt: results.map(\.attempt))
                    reply.onward = compute(task, of: merging)
                }
                world.network.bringBack(world, from: driver, to: place, lost: lost, .success(reply)) { result in
                    if !isAnswered { answer(result) }
                    isAnswered = true
                }
            }
        }
    }

    private func isFatal(_ request: RunTasks) -> Bool {
        request.tasks.contains { task in
            guard let range = task.range else { return false }
            return world.kafka.read(range).contains { record in
                record.isFatal && !(task.excluded ?? []).contains { $0.from <= record.offset && record.offset < $0.until }
            }
        }
    }

    /// Dies apart, so that this one lives.
    func probe(_ request: RunTasks, from driver: Place, _ answer: @escaping (Result<ProbeReply, Failure>) -> Void) {
        let lost = Self.gone(id)
        world.network.call(world, from: driver, to: place, lost: lost, { .success(()) }) { [unowned self] (sent: Result<Void, Failure>) in
            guard case .success = sent, isUp else { return world.after(5) { answer(.failure(lost)) } }
            whenRunning(afterMillis: 1 + world.random.below(20)) { [unowned self] in
                let reply: Result<ProbeReply, Failure> =
                    world.kafka.isUp ? .success(ProbeReply(died: isFatal(request) ? "signal 4" : nil)) : .failure(MadeKafka.away)
                world.network.bringBack(world, from: driver, to: place, lost: lost, reply, answer)
            }
        }
    }

    private func watch(_ born: Int, _ died: @escaping () -> Void) {
        world.after(200) { [unowned self] in
            guard incarnation == born else { return died() }
            if !world.isHealed || world.nowMillis < world.scenario.healMillis + 20_000 { watch(born, died) }
        }
    }

    func seal(_ request: SealTasks, from driver: Place, _ answer: @escaping (Result<SealTasksReply, Failure>) -> Void) {
        let lost = Self.gone(id)
        let born = incarnation
        world.network.call(world, from: driver, to: place, lost: lost, { .success(()) }) { [unowned self] (sent: Result<Void, Failure>) in
            guard case .success = sent, incarnation == born, isUp else { return world.after(5) { answer(.failure(lost)) } }
            var isAnswered = false
            watch(born) {
                if !isAnswered { answer(.failure(lost)) }
                isAnswered = true
            }
            whenRunning(afterMillis: 1 + world.random.below(20)) { [unowned self] in
                var results: [SealResult] = []
                for part in request.parts {
                    results.append(seal(part, request))
                    if incarnation != born { return }
                }
                world.network.bringBack(world, from: driver, to: place, lost: lost, .success(SealTasksReply(results: results))) {
                    if !isAnswered { answer($0) }
                    isAnswered = true
                }
            }
        }
    }

    private func seal(_ part: SealTasks.Part, _ request: SealTasks) -> SealResult {
        guard let held = rows[key(request.batch, request.epoch, part.part, part.attempt)], held.digest == part.digest else {
            return SealResult(
                part: part.part, failure: Failure(.blockLost, "part \(part.part) is not held", why: "made so", now: "again"))
        }
        guard world.sink.isUp, !world.network.isCut(place, .outside), world.nowMillis >= troubledUntil else { return SealResult(part: part.part, failure: MadeSink.away) }
        do {
            let dies = !world.isHealed && world.random.chance(0.02) && world.scenario.faults[.workerCrash] != nil
            defer { if dies { crash(forMillis: 300) } }
            let outcome = try world.sink.seal(
                part: part.part, batch: request.batch, epoch: request.epoch, digest: part.digest, after: part.predecessor,
                rows: held.rows, dies: dies)
            return SealResult(part: part.part, outcome: outcome)
        } catch { return SealResult(part: part.part, failure: error) }
    }

    func cancel(_ request: CancelJob) {
        if (request.epoch, request.run) > cancelled { cancelled = (request.epoch, request.run) }
        blocks = blocks.filter { $0.key.epoch > request.epoch }
        rows = rows.filter { $0.key.epoch > request.epoch }
        warm = [:]
    }

    // MARK: work

    private func key(_ batch: BatchNumber, _ epoch: Epoch, _ part: Int, _ attempt: Int) -> Held {
        Held(batch: batch, epoch: epoch, part: part, attempt: world.mutant == .attemptNotCompared ? 0 : attempt)
    }

    private func compute(_ task: TaskSpec, of request: RunTasks) -> TaskResult {
        do {
            guard (request.context.epoch, request.context.run) > cancelled else {
                throw Failure(.taskCancelled, "cancelled", why: "made so", now: "nothing")
            }
            if world.nowMillis < troubledUntil { throw Failure(.workerTrouble, "the disk is full", why: "made so", now: "elsewhere") }
            if let range = task.range { return TaskResult(part: task.part, attempt: task.attempt, report: try source(task, range, request)) }
            return try merge(task, request)
        } catch { return TaskResult(part: task.part, attempt: task.attempt, failure: Engine.failure(error)) }
    }

    private func source(_ task: TaskSpec, _ range: OffsetRange, _ request: RunTasks) throws -> TaskReport {
        guard world.kafka.isUp, !world.network.isCut(place, .outside) else { throw MadeKafka.away }
        let excluded = task.excluded ?? []
        let records = world.kafka.read(range).filter { record in !excluded.contains { $0.from <= record.offset && record.offset < $0.until } }
        let breaks = !world.isHealed && world.random.chance(world.scenario.readErrors)
        let context = request.context
        var report = TaskReport()
        report.records = Int64(records.count)
        report.rowsIn = report.records
        report.maxEventTimeMillis = records.map(\.eventMillis).max()
        if let last = records.last { (report.tailOffset, report.tailHash) = (last.offset, hexadecimal(UInt64(last.offset))) }
        let taken = breaks ? records.prefix(records.count / 2) : records[...]
        let held = key(context.batch, context.epoch, task.part, task.attempt)
        // Where attempts are not told apart, a later one adds to what an earlier one left.
        let mixes = world.mutant == .attemptNotCompared
        if !mixes { blocks[held] = nil }
        if world.scenario.isStateful {
            let bounds = BatchPlan.keyGroupBounds(parts: context.parts, keyGroups: context.keyGroups)
            for record in taken {
                let group = Self.group(record.key, context.keyGroups)
                let destination = (bounds.firstIndex { $0 > group } ?? bounds.count) - 1
                blocks[held, default: [:]][destination, default: [:]][record.key, default: 0] += 1
            }
            report.destinations = (blocks[held] ?? [:]).keys.sorted()
        } else {
            let part = Int(range.partition)
            let held = key(context.batch, context.epoch, part, task.attempt)
            var made = mixes ? rows[held]?.rows ?? MadeRows() : MadeRows()
            made.appended += taken.map { "\(part)/\($0.offset)" }
            if breaks { rows[held] = (made, "") } else { finish(made, part: part, held: held, request, &report) }
        }
        if breaks { throw Failure(.readTimeout, "reading \(range) stands still", why: "made so", now: "again") }
        return report
    }

    static func group(_ key: Int64, _ keyGroups: Int) -> Int { Int((key &* 31) % Int64(keyGroups)) }

    private func finish(_ made: MadeRows, part: Int, held: Held, _ request: RunTasks, _ report: inout TaskReport) {
        report.sinkPart = part
        report.rowsOut = made.count
        report.digest = made.digest(build: request.job.buildDigest)
        if report.rowsOut > 0 { rows[held] = (made, report.digest ?? "") }
    }

    private func merge(_ task: TaskSpec, _ request: RunTasks) throws -> TaskResult {
        let context = request.context
        var added: [Int64: Int64] = [:]
        for source in task.sources?.parts ?? [] {
            guard let location = request.holders?.location(source) else { throw Failure(.internal, "no holder", why: "none", now: "look") }
            let holder = world.workers.first { "made:\($0.id)" == location.workerURL && $0.isUp && $0.pausedUntil <= world.nowMillis }
            guard let holder, !world.network.isCut(place, holder.place),
                let block = holder.blocks[key(context.batch, context.epoch, source, location.attempt)]?[task.part]
            else {
                return TaskResult(
                    part: task.part, attempt: task.attempt,
                    failure: Failure(.blockLost, "block \(source) is gone", why: "made so", now: "again"), lost: location)
            }
            added.merge(block, uniquingKeysWith: +)
        }
        let bounds = BatchPlan.keyGroupBounds(parts: context.parts, keyGroups: context.keyGroups)
        let groups = bounds[task.part]..<bounds[task.part + 1]
        var state = try load(groups, task.state ?? [], context)
        var made = MadeRows()
        for (key, count) in added { made.totals[key] = (state.totals[key] ?? 0) + count }
        var report = TaskReport()
        finish(made, part: task.part, held: key(context.batch, context.epoch, task.part, task.attempt), request, &report)
        let isRehash = context.rehashFrom != nil
        if !added.isEmpty || isRehash && !state.totals.isEmpty {
            // As many files as a small state keeps, then a snapshot.
            let isSnapshot = isRehash || StateSources(state.entries).files.count >= 5
            let content = isSnapshot ? state.totals.merging(made.totals) { $1 } : made.totals
            let bytes = [UInt8](content.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: ",").utf8)
            let name = "v\(context.batch)-\(groups.lowerBound)-\(context.epoch)-\(task.attempt)"
            let file = StateFile(
                kind: isSnapshot ? .snapshot : .delta, version: context.batch, name: name, inline: true, bytes: bytes.count,
                rows: content.count, digest: digest(of: bytes))
            report.state = file
            report.inlineState = Data(bytes)
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
        guard world.catalog.isUp else { throw MadeCatalog.away }
        var totals: [Int64: Int64] = [:]
        for source in StateSources(entries).sources {
            guard let bytes = world.catalog.state[source.file.name], digest(of: bytes) == source.file.digest else {
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
