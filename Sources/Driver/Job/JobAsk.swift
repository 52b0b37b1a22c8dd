// Everything that a job's life asks of the outside, and what comes back: the seam between `JobMachine`, which decides, and
// whoever carries out: `JobLoop` against the real catalog, Kafka, sink and workers, or the simulator against made ones.
//
// One ask is under way at a time, and each is answered once, with an answer or a `Failure`. A failure of a write does not
// mean that nothing was written: only the log knows, and the machine asks it.

import Engine

/// The clocks and the chance that a decision may use; read by whoever carries out, never by who decides.
package struct Moment: Sendable {
    /// Of a clock that never jumps.
    package var steadyNanos: Int64
    /// Since 1970.
    package var wallMillis: Int64
    package var random: UInt64

    package init(steadyNanos: Int64, wallMillis: Int64, random: UInt64) {
        self.steadyNanos = steadyNanos
        self.wallMillis = wallMillis
        self.random = random
    }

    package var steadyMillis: Int64 { steadyNanos / 1_000_000 }

    package static var now: Moment {
        Moment(steadyNanos: ProcessClocks.steadyNanos(), wallMillis: Engine.wallMillis(), random: .random(in: 0...UInt64.max))
    }
}

package enum JobAsk: Sendable {
    /// The job's lease.
    case lease
    /// The job's record, compiled.
    case load
    /// What a start decides by.
    case facts
    /// Take the sink over under our epoch; the table is what the log has as begun, or begins.
    case claimSink(SinkClaim, table: Catalog.BegunTable?)
    /// Into the log, in this order.
    case write([StartWrite])
    /// Every worker must reach the state place.
    case checkState
    /// Wait for workers that are starting beside the driver.
    case expectWorkers(count: Int, millis: Int64)
    /// Where these partitions end, and with `discovers` which others there are and where those begin.
    case ends([TopicPartition], discovers: Bool)
    /// Whether the topic is still the one that was read; a failure says that it is not.
    case checkSource
    /// What has come at the worker that reads the job's batches whole.
    case arrived(worker: String, [PartitionPosition], restMillis: Int64, paceMillis: Int64)
    /// First positions of partitions that were added.
    case startAt([PartitionPosition])
    case append(BatchPlan)
    case run(BatchRun)
    /// A recorded batch once more into the sink, where that lacks it.
    case writeAgain(BatchNumber)
    /// A batch of kind repair.
    case repair(BatchPlan)
    /// One transaction: DONE, and the next plan if there is one.
    case finish(FinishedBatch, next: BatchPlan?)
    /// What the log holds, after a write whose answer is in doubt.
    case log
    case rest(millis: Int64)
    case renewSink
    case lookAtLookups
    case lookAtSink(seals: [SealMark], last: BatchNumber)
    case housekeep(last: BatchNumber, state: StateManifest?)
    case setState(JobState, Failure?)
}

package enum JobAnswer: Sendable {
    case done
    case lease(LeaseAnswer)
    case loaded(RunningJob, desired: DesiredState)
    case facts(StartFacts)
    case claimed(SinkClaimed)
    case ends([TopicPartition: Int64], found: [TopicPartition: Int64])
    case arrived([TopicPartition: Int64]?)
    case ran(RanBatch)
    case repaired(RepairedRows)
    case log(LogStand)
}

/// How a run of a batch ended: with its reports, or with a reason and the sink parts that may hold its rows.
package struct RanBatch: Sendable {
    package var result: Result<BatchRunner.Finished, Failure>
    package var partsWithRows: Set<Int>
    package var homes: TaskPlacement
    /// The sink did not answer for a while, and may be another than before.
    package var sinkWasSilent: Bool

    /// Records of the batch that end the process that reads them.
    package var crashing: [OffsetRange]
    /// The sink was waited for as long as the job waits.
    package var isOutwaited: Bool

    package init(
        result: Result<BatchRunner.Finished, Failure>, partsWithRows: Set<Int>, homes: TaskPlacement, sinkWasSilent: Bool = false,
        crashing: [OffsetRange] = [], isOutwaited: Bool = false
    ) {
        self.crashing = crashing
        self.isOutwaited = isOutwaited
        self.sinkWasSilent = sinkWasSilent
        self.result = result
        self.partsWithRows = partsWithRows
        self.homes = homes
    }
}

/// What becomes durable with DONE.
package struct FinishedBatch: Sendable {
    package var plan: BatchPlan
    package var outcome: BatchOutcome
    /// Of the partitions that the batch read.
    package var positions: [PartitionPosition]
    package var quarantine: [QuarantinedRecord]
    package var inlineState: [InlineState]
    package var workers: Set<String>
    /// Bad records that the batch looked at again: older entries of the quarantine end with it.
    package var closes: [OffsetRange] = []
}

package enum StartWrite: Sendable {
    case settings([String: String], digest: String)
    case startAt([PartitionPosition])
    case jump([Jump], [PartitionPosition], replacing: BatchPlan?)
    case replacePlan(BatchPlan)
    /// A person accepted positions: they are the group's, too.
    case confirmAll([TopicPartition: Int64], after: BatchNumber)
}

package struct SinkClaimed: Sendable {
    /// Parts of the last stage that the sink prescribes.
    package var fixedParts: Int?
    /// The highest batch that each part has sealed.
    package var sealed: [Int: BatchNumber]
    /// All that it holds of the job now; nil for a sink that keeps nothing.
    package var sight: SinkSight?
    package init(fixedParts: Int?, sealed: [Int: BatchNumber], sight: SinkSight? = nil) {
        self.fixedParts = fixedParts
        self.sealed = sealed
        self.sight = sight
    }
}

/// What a machine says beside what it asks: for people, metrics and the confirming of offsets. Nothing depends on it.
package enum JobNote: Sendable {
    case state(JobState, Failure?)
    case epoch(Epoch)
    case positions([PartitionPosition])
    case ends([TopicPartition: Int64], areArrived: Bool)
    /// A batch is DONE: report it and confirm its offsets.
    case done(BatchRecord, tookMillis: Int64, isOverrun: Bool)
    case confirm([TopicPartition: Int64], batch: BatchNumber, epoch: Epoch)
    /// Small batches go to one worker from here on: the others may let go.
    case release(but: Set<String>, upTo: BatchNumber)
    /// - Parameter says: it is time to say so again.
    case waits(Patience.Waiting, says: Bool)
    /// The outside is there again, after so long.
    case isBack(afterMillis: Int64)
    case say(Log.Level, StaticString, [(String, String)])
}
