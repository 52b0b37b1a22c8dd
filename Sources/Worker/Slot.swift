// One slot of a worker: its lanes, and what its tasks keep between batches.
//
// Consumers, work and warm state belong to one slot and are touched inside its lane only, sink connections inside its
// sealing lane; that is the reason for `@unchecked Sendable`. There are two so that a batch's first records are taken while the
// batch before it is sealed (`readOn`). All of it can be thrown away at any time: `forget` and `closeIdle` do.

import Engine
import Foundation
import Wire

final class Slot: @unchecked Sendable {
    let number: Int
    /// Slots of this worker; they share its fetch budget.
    private let slotCount: Int
    let lane = Lane()
    let sealing = Lane()
    /// For requests that keep several slots busy at once: the caller's own thread is in one of them.
    let thread: WorkThread
    private var readers: [JobID: (reader: any RecordReader, bell: ArrivalBell?, usedAt: ContinuousClock.Instant)] = [:]
    private var works: [JobID: (runtime: JobRuntime, work: any RangeWork)] = [:]
    private var sinks: [JobID: (sink: any Sink, usedAt: ContinuousClock.Instant)] = [:]
    private var states: [JobID: [Int: WarmState]] = [:]

    init(number: Int, of slotCount: Int) {
        self.number = number
        self.slotCount = slotCount
        thread = WorkThread("slot \(number)", stackBytes: 4 << 20)
    }

    func reader(_ runtime: JobRuntime, _ bell: ArrivalBell?) -> any RecordReader {
        let jobID = runtime.spec.jobID
        if let known = readers[jobID] {
            if known.bell === bell {
                readers[jobID]?.usedAt = .now
                return known.reader
            }
            // It fetches in another manner.
            closeReader(jobID)
        }
        let made = runtime.settings.reader.kind.make(
            runtime.settings.kafka, budgetBytes: runtime.settings.fetchBudgetBytes / slotCount, bell: bell)
        readers[jobID] = (made, bell, .now)
        return made
    }

    /// See `RecordReader.arrived`; nil when there is no reader with this bell, or it cannot tell.
    func arrived(_ jobID: JobID, _ bell: ArrivalBell, _ positions: [OffsetRange], most: Int) throws -> [Int64]? {
        guard let known = readers[jobID], known.bell === bell else { return nil }
        readers[jobID]?.usedAt = .now
        return try known.reader.arrived(positions, most: most)
    }

    private static let readingOn = CallerThreads("read on", most: 16, restMillis: 2_000)

    /// Fetches what comes next for a job, as far as it may wait here, until somebody wants the lane. Called inside it.
    func readOn(_ jobID: JobID) {
        guard let reader = readers[jobID]?.reader, (try? reader.prefetch(waitMillis: 0)) == true else { return }
        Self.readingOn.run { [self] in
            lane.perform {
                guard let reader = readers[jobID]?.reader else { return }
                // What goes wrong is found, and told, by the next range that is read.
                while !lane.isWaitedFor, (try? reader.prefetch(waitMillis: 1)) == true {}
            }
        }
    }

    /// After a failed read the consumer's position is not trusted any more.
    func closeReader(_ jobID: JobID) { readers.removeValue(forKey: jobID)?.reader.close() }

    func rangeWork(_ runtime: JobRuntime) throws -> any RangeWork {
        if let known = works[runtime.spec.jobID], known.runtime === runtime { return known.work }
        let made = try runtime.makeRangeWork()
        works[runtime.spec.jobID] = (runtime, made)
        return made
    }

    /// Seals parts: side by side where the sink can and the rows are in memory, else one after another, so that rows that
    /// went to disk come back a part at a time. One that fails closes the sink and leaves the others alone.
    func seal(runtime: JobRuntime, batch: BatchNumber, epoch: Epoch, parts: [(part: SealTasks.Part, rows: HeldRows.Rows)])
        -> [Result<Sealed, any Error>]
    {
        let spec = runtime.spec
        let identity = SinkIdentity(job: spec.name, jobID: spec.jobID, epoch: epoch, sink: runtime.graph.sink.name)
        func held(_ part: (part: SealTasks.Part, rows: HeldRows.Rows)) throws -> SealPart {
            SealPart(
                part: part.part.part, digest: part.rows.digest, after: part.part.predecessor, rows: try part.rows.chunks())
        }
        func sealed(_ result: Result<Sealed, any Error>) -> Result<Sealed, any Error> {
            switch result {
            case .success: Failpoint.reach("worker-sealed")
            case .failure: closeSink(spec.jobID)
            }
            return result
        }
        do {
            if parts.count > 1, parts.allSatisfy(\.rows.isInMemory), let together = try sink(runtime) as? any ParallelSink {
                return together.seal(identity, batch: batch, parts: try parts.map(held)).map(sealed)
            }
        } catch {
            return parts.map { _ in .failure(error) }
        }
        return parts.map { part in
            sealed(
                Result {
                    let part = try held(part)
                    return try sink(runtime).seal(
                        identity, part: part.part, batch: batch, digest: part.digest, after: part.after, rows: part.rows)
                })
        }
    }

    private func sink(_ runtime: JobRuntime) throws -> any Sink {
        let spec = runtime.spec
        let sink: any Sink
        if let known = sinks[spec.jobID] {
            sink = known.sink
        } else {
            sink = try openSink(runtime.settings, table: runtime.graph.sink)
        }
        sinks[spec.jobID] = (sink, .now)
        return sink
    }

    func closeSink(_ jobID: JobID) { sinks.removeValue(forKey: jobID)?.sink.close() }

    // MARK: warm state

    func state(_ jobID: JobID, _ groups: Range<Int>) -> WarmState? {
        guard let state = states[jobID]?[groups.lowerBound], state.groups == groups else { return nil }
        return state
    }

    func keep(_ jobID: JobID, _ state: WarmState) {
        // Ranges that overlap the new one belong to another parallelism.
        states[jobID] = states[jobID, default: [:]].filter { !$0.value.groups.overlaps(state.groups) }
        states[jobID]![state.groups.lowerBound] = state
    }

    /// Forgets this state, if it is the one that is kept.
    func drop(_ jobID: JobID, _ state: WarmState) {
        if states[jobID]?[state.groups.lowerBound] === state { states[jobID]?[state.groups.lowerBound] = nil }
    }

    // MARK: giving up

    /// Things that are kept for jobs.
    var keptCount: Int {
        lane.perform { readers.count + works.count + states.values.reduce(0) { $0 + $1.count } } + sealing.perform { sinks.count }
    }

    func forget(_ jobID: JobID) {
        lane.put { [self] in
            closeReader(jobID)
            works[jobID] = nil
            states[jobID] = nil
        }
        sealing.put { [self] in closeSink(jobID) }
    }

    func closeIdle(olderThanMillis idleMillis: Int) {
        let limit = ContinuousClock.now - .milliseconds(idleMillis)
        lane.put { [self] in
            for (jobID, entry) in readers where entry.usedAt < limit { closeReader(jobID) }
        }
        sealing.put { [self] in
            for (jobID, entry) in sinks where entry.usedAt < limit { closeSink(jobID) }
        }
    }
}
