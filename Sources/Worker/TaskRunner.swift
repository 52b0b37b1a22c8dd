// One request's tasks on one slot, from spec to report.
//
// Stage 0 reads its offset range chunk by chunk, decodes only the needed columns and pushes them through the source
// pipeline; the result is a block per destination part, or rows for the sink where the job has no exchange. The last
// stage of a job with an exchange merges the blocks of its part with the state that batch N-1 left and offers the
// changed keys as a delta. Either way nothing leaves the worker here (protocol 3); memory is bounded by the chunk size
// and by what one batch groups into, whatever the backlog.
//
// A failed attempt closes its consumer, so that the next one starts from an absolute offset.

import Engine
import Foundation
import Wire

struct TaskRunner {
    /// Takes a part's rows until they are sealed: their name, the rows, their digest, the slot that seals them.
    typealias HoldRows = (HeldRows.Key, [Chunk], String, Int) throws -> Void

    let request: RunTasks
    let runtime: JobRuntime
    let slot: Slot
    /// Of a job whose batches come whole and as often as records do.
    let bell: ArrivalBell?
    let driver: any DriverLink
    let fetch: (BlockID, String) throws -> [UInt8]
    let isCancelled: () -> Bool
    /// Whether blocks leave this host, so that making them smaller is worth the time.
    let compressesBlocks: Bool

    func run(
        _ tasks: [TaskSpec], keepBlock: (BlockID, [UInt8]) throws -> Void,
        holdRows: HoldRows
    ) -> [TaskResult] {
        if let first = tasks.first, first.range != nil {
            do {
                // All ranges of the slot are announced first, so that the later ones are fetched while the first is read.
                let epochs = tasks.compactMap { task in task.range.flatMap { range in task.mark?.leaderEpoch.map { (range.topicPartition, $0) } } }
                try slot.reader(runtime, bell).follow(tasks.compactMap(\.range), epochs: Dictionary(epochs) { first, _ in first })
            } catch {
                slot.closeReader(request.job.jobID)
                return tasks.map { TaskResult(part: $0.part, attempt: $0.attempt, failure: failure(error)) }
            }
        }
        // The bound on what is kept of bad records holds over all partitions of a batch: of this slot here, of all in the driver.
        var quarantineBytes = runtime.settings.quarantine.bytesPerBatch
        return tasks.map { task in
            let start = ContinuousClock.now
            Failpoint.reach("worker-task")
            do {
                var report =
                    try task.range.map { try runSource(task, $0, quarantineBytes: &quarantineBytes, keepBlock: keepBlock, holdRows: holdRows) }
                    ?? runMerge(task, holdRows: holdRows)
                report.millis = (ContinuousClock.now - start) / .milliseconds(1)
                return TaskResult(part: task.part, attempt: task.attempt, report: report)
            } catch let lost as LostBlock {
                return TaskResult(part: task.part, attempt: task.attempt, failure: lost.failure, lost: lost.location)
            } catch {
                if task.range != nil { slot.closeReader(request.job.jobID) }
                var reason = failure(error)
                // The driver that asked is there: who does not reach it has trouble of its own.
                if reason.code == .driverUnreachable { reason.code = .workerTrouble }
                return TaskResult(part: task.part, attempt: task.attempt, failure: reason)
            }
        }
    }

    private struct LostBlock: Error {
        var failure: Failure
        var location: BlockLocation
    }

    private var listedRanges: Int { request.context.listedRanges ?? Limits.listedRanges }

    private func context(_ range: OffsetRange?) -> TaskContext {
        TaskContext(
            batchTimeMillis: request.context.batchTimeMillis,
            watermarkBeforeMillis: request.context.watermarkBeforeMillis,
            maxFutureMillis: runtime.settings.maxFutureMillis, seed: request.context.seed,
            topic: range?.topic ?? "", partition: range?.partition ?? -1, eventTimes: eventTimes)
    }

    private func workTask(_ range: OffsetRange?) throws -> WorkTask {
        WorkTask(
            context: context(range), keyGroups: request.context.keyGroups, parts: request.context.parts,
            lookups: try runtime.lookups(request.context.lookups, from: driver))
    }

    private func checkCancelled() throws {
        if isCancelled() {
            throw Failure(
                .taskCancelled, "a task of job \(request.job.name) was cancelled",
                why: "the driver gave the batch up or a newer epoch took the job over", now: "nothing")
        }
    }

    // MARK: stage 0

    private func runSource(
        _ task: TaskSpec, _ range: OffsetRange, quarantineBytes: inout Int,
        keepBlock: (BlockID, [UInt8]) throws -> Void, holdRows: HoldRows
    ) throws -> TaskReport {
        let reader = slot.reader(runtime, bell)
        let work = try slot.rangeWork(runtime)
        try work.begin(workTask(range))
        var rejects = RejectCollector(
            range: range, limits: runtime.settings.quarantine, bytesLeft: quarantineBytes, listed: listedRanges)
        var late = OffsetRanges(of: range, limit: listedRanges)
        var report = TaskReport()
        let excluded = task.excluded ?? []
        let skipped = task.only.map { OffsetRange.subtracting($0, from: [range]) } ?? []
        var passedOver: Int64 = 0

        let result = try reader.read(
            range, chunkRecords: runtime.settings.chunkRecords, timeoutMillis: runtime.settings.readTimeoutMillis,
            cancelled: isCancelled
        ) { records in
            try records.forEachPiece(
                excluding: excluded + skipped,
                leftOut: { record in
                    let isFatal = excluded.contains { $0.from <= record.offset && record.offset < $0.until }
                    if isFatal { rejects.add(record, reason: .crash) } else { passedOver += 1 }
                }
            ) { records in
                Failpoint.trap(on: records)
                try work.take(records) { rejects.add($0, reason: $1, timeMillis: $2) }
                rejects.endChunk()
                for offset in work.takeLateOffsets() { late.add(offset) }
                late.endChunk()
            }
            // A record that is left out may be the last one.
            rejects.endChunk()
        }
        try checkCancelled()
        let finished = try work.finish(compressing: compressesBlocks)

        report.records = result.records - passedOver
        report.bytes = result.bytes
        report.rowsIn = Int64(finished.rowsIn)
        report.late = Int64(finished.late)
        (report.lateRanges, report.lateUnlisted) = list(late, .late, of: range, task, in: &report)
        report.unmatched = Int64(finished.unmatched)
        report.failed = Int64(finished.failed)
        report.maxEventTimeMillis = finished.maxEventTimeMillis
        report.rejected = rejects.count
        (report.rejectedRanges, report.rejectedUnlisted) = list(rejects.offsets, .rejected, of: range, task, in: &report)
        report.rejectExample = rejects.example
        report.tombstones = rejects.tombstones
        report.schemaIDs = finished.schemaIDs
        quarantineBytes = rejects.bytesLeft
        report.quarantine = rejects.kept
        report.leaderEpoch = result.leaderEpoch
        report.tailOffset = result.tail?.offset
        report.tailHash = result.tail.map { hexadecimal($0.hash) }

        if runtime.graph.hasExchange {
            for (destination, block) in finished.blocks.enumerated() {
                guard let bytes = block else { continue }
                report.destinations.append(destination)
                report.blockBytes += Int64(bytes.count)
                try keepBlock(blockID(stage: 0, part: task.part, attempt: task.attempt, destination: destination), bytes)
            }
        } else {
            try finishOutput(finished.output, part: sinkPart(range), task: task, report: &report, holdRows: holdRows)
        }
        return report
    }

    /// What a report lists of `offsets`; the ranges beyond go into a file. Without a place for it they are counted, and the job says so.
    private func list(
        _ offsets: OffsetRanges, _ content: OffsetFile.Content, of range: OffsetRange, _ task: TaskSpec, in report: inout TaskReport
    ) -> (ranges: [OffsetRange], unlisted: Int64) {
        guard !offsets.rest.isEmpty, !request.replay else { return (offsets.ranges, offsets.unlisted) }
        do {
            let file = try OffsetFile.write(
                content, offsets.rest, of: range, jobID: request.job.jobID, batch: request.context.batch,
                mark: "\(request.context.epoch)-\(task.attempt)", to: StateStore(address: runtime.settings.state))
            if let file { report.offsetFiles.append(file) }
            return (offsets.ranges, offsets.unlisted)
        } catch {
            let why = failure(error)
            Log.warning(
                "offsets not written", [("job", request.job.name), ("batch.id", "\(request.context.batch)"), ("what", why.what), ("why", why.why)])
            return (offsets.ranges, offsets.unlisted.plus(offsets.rest.offsets))
        }
    }

    /// The sink part of a job without an exchange is its Kafka partition: stable whatever is read (protocol 1).
    private func sinkPart(_ range: OffsetRange) -> Int { Int(range.partition) }

    // MARK: the stage after the exchange

    private func runMerge(_ task: TaskSpec, holdRows: HoldRows) throws -> TaskReport {
        var report = TaskReport()
        let bounds = BatchPlan.keyGroupBounds(parts: request.context.parts, keyGroups: request.context.keyGroups)
        let groups = bounds[task.part]..<bounds[task.part + 1]
        let warm = try loadState(groups, task.state ?? [])
        // Work that is left in the middle of a batch is nobody's state.
        if warm.work.changesInPlace { slot.drop(request.job.jobID, warm) }
        try warm.work.begin(workTask(nil))
        for source in task.sources?.parts ?? [] {
            try checkCancelled()
            guard let location = request.holders?.location(source) else {
                throw Failure(
                    .internal, "task \(task.part) is not told where block \(source) is", why: "the request names no holder",
                    now: "report this with the log of this worker")
            }
            let id = blockID(
                stage: 0, part: location.sourcePart, attempt: location.attempt, destination: task.part)
            let bytes: [UInt8]
            do {
                bytes = try fetch(id, location.workerURL)
            } catch {
                var lost = failure(error)
                lost.code = .blockLost
                throw LostBlock(failure: lost, location: location)
            }
            report.bytes += Int64(bytes.count)
            try warm.work.take(block: bytes)
        }
        try checkCancelled()
        let result = try warm.work.finish(output: request.context.output)
        report.late = Int64(result.late)
        report.failed = Int64(result.failed)
        try finishOutput(result.output, part: task.part, task: task, report: &report, holdRows: holdRows)
        if !request.replay {
            if result.delta != nil || isRehash && warm.work.stateRows > 0 {
                try offerState(result.delta, task: task, groups: groups, warm: warm, report: &report)
            }
            if warm.work.changesInPlace { slot.keep(request.job.jobID, warm) }
        }
        report.stateRows = Int64(warm.work.stateRows)
        report.stateBytes = Int64(warm.work.stateBytes)
        return report
    }

    private var eventTimes: Range<Int64>? {
        guard let from = request.job.outputFromMillis, let until = request.job.outputUntilMillis else { return nil }
        return from..<until
    }

    /// The whole state is read in its old key groups, and written down in the batch's.
    private var isRehash: Bool { request.context.rehashFrom != nil }

    private func loadState(_ groups: Range<Int>, _ entries: [StateManifest.Entry]) throws -> WarmState {
        let jobID = request.job.jobID
        let keyGroups = request.context.keyGroups
        let known = slot.state(jobID, groups)
        let use = StateUse.decide(
            known?.kept, wanted: entries, groups: groups, keyGroups: keyGroups, isReplay: request.replay, isRehash: isRehash)
        if let known, use != .fromFiles {
            if use == .withPending { known.takePending(to: entries) }
            return known
        }
        let work = try runtime.graph.work.makePartWork(keyGroups: keyGroups, groups: groups)
        if !entries.isEmpty { try work.load(try files(of: entries), keyGroups: request.context.rehashFrom ?? keyGroups) }
        let warm = WarmState(groups: groups, keyGroups: keyGroups, work: work, entries: entries)
        if !request.replay { slot.keep(jobID, warm) }
        return warm
    }

    /// What the entries name, the oldest first.
    private func files(of entries: [StateManifest.Entry]) throws -> [NamedState] {
        let store = try StateStore(address: runtime.settings.state)
        let jobID = request.job.jobID
        return try StateSources(entries).sources.map { source in
            let file = source.file
            guard file.inline else { return NamedState(bytes: try store.get(jobID, file), groups: source.groups) }
            let bytes = try driver.inlineState(jobID: jobID, name: file.name)
            try StateStore.verify(bytes, file, jobID)
            return NamedState(bytes: bytes, groups: source.groups)
        }
    }

    private func offerState(
        _ delta: (any PartDelta)?, task: TaskSpec, groups: Range<Int>, warm: WarmState, report: inout TaskReport
    ) throws {
        let jobID = request.job.jobID
        let deltaRows = delta?.rowCount ?? 0
        let isSnapshot =
            isRehash
            || StateCompaction.isDue(
                files: StateSources(warm.entries).files, stateRows: warm.work.stateRows, deltaRows: deltaRows)
        let (bytes, rows) =
            isSnapshot ? try warm.work.snapshot(with: delta) { try files(of: warm.entries) } : (try delta?.bytes() ?? [], deltaRows)
        let inline = bytes.count <= runtime.settings.stateInlineBytes
        let contentDigest = digest(of: bytes)
        let batch = request.context.batch
        let name = "v\(batch)-\(groups.lowerBound)-\(groups.upperBound)-\(request.context.epoch)-\(task.attempt)-\(contentDigest)"
        let file = StateFile(
            kind: isSnapshot ? .snapshot : .delta, version: batch, name: name, inline: inline, bytes: bytes.count,
            rows: rows, digest: contentDigest)
        if inline {
            report.inlineState = Data(bytes)
        } else {
            try StateStore(address: runtime.settings.state).put(jobID, name: name, bytes: bytes)
        }
        report.state = file
        warm.offer(file, delta: delta)
    }

    // MARK: both

    private func finishOutput(
        _ chunks: [Chunk], part: Int, task: TaskSpec, report: inout TaskReport,
        holdRows: HoldRows
    ) throws {
        var rowDigest = RowDigest()
        for chunk in chunks { rowDigest.add(chunk) }
        let text = rowDigest.text
        report.rowsOut = chunks.reduce(0) { $0 + Int64($1.selectedCount) }
        report.digest = text
        report.sinkPart = part
        if request.returnRows { report.rows = chunks.map { Data(ChunkCodec.encode($0)) } }
        if request.replay { return }
        if report.rowsOut > 0 {
            let key = HeldRows.Key(madeBy: BatchTry(request), part: part, attempt: task.attempt)
            try holdRows(key, chunks, text, slot.number)
        }
    }

    private func blockID(stage: Int, part: Int, attempt: Int, destination: Int) -> BlockID {
        BlockID(
            jobID: request.job.jobID, batch: request.context.batch, epoch: request.context.epoch,
            run: request.context.run, stage: stage, part: part, attempt: attempt, destination: destination)
    }
}
