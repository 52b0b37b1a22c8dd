// A worker that does nothing and says it has done everything: the other side of the driver in `sluice bench scale`.
//
// Its reports are as full as those of a real one: every source task holds a block for every part, knows its largest event
// time and its last record; every merge task has rows to seal and a small state delta. The processor time that it takes
// itself is added up, so that it can be taken off the driver's.

import Driver
import Engine
import Foundation
import Synchronization
import Wire

final class SimulatedWorker: WorkerLink {
    private let spent: Mutex<Double>
    private let digest: String

    init() {
        spent = Mutex(0)
        digest = hexadecimal(0x1234_5678_9abc_def0) + hexadecimal(100)
    }

    /// Milliseconds of processor time.
    var cpuMillis: Double { spent.withLock { $0 } }

    func run(_ request: RunTasks) throws -> RunTasksReply {
        counted {
            let destinations = Array(0..<request.context.parts)
            return RunTasksReply(
                to: request,
                results: request.tasks.map { task in
                    var report = TaskReport()
                    if let range = task.range {
                        report.records = range.count
                        report.rowsIn = range.count
                        report.bytes = range.count * 150
                        report.maxEventTimeMillis = request.context.batchTimeMillis
                        report.tailOffset = range.until - 1
                        report.tailHash = hexadecimal(UInt64(range.until))
                        report.destinations = destinations
                        report.blockBytes = Int64(destinations.count) * 100
                    } else {
                        report.sinkPart = task.part
                        report.rowsOut = 100
                        report.digest = digest
                        let bytes = Data(repeating: 1, count: 200)
                        let name = "v\(request.context.batch)-\(task.part)"
                        report.state = StateFile(
                            kind: .snapshot, version: request.context.batch, name: name, inline: true,
                            bytes: bytes.count, rows: 4, digest: digest)
                        report.inlineState = bytes
                    }
                    return TaskResult(part: task.part, attempt: task.attempt, report: report)
                })
        }
    }

    func seal(_ request: SealTasks) throws -> SealTasksReply {
        counted { SealTasksReply(results: request.parts.map { SealResult(part: $0.part, outcome: .written) }) }
    }

    func arrived(_ request: AwaitRecords) throws -> ArrivedRecords { ArrivedRecords(ends: nil) }
    func release(_ request: ReleaseBatch) throws {}
    func cancel(_ request: CancelJob) throws {}
    func checkState(_ request: CheckState) throws {}

    private func counted<Answer>(_ body: () -> Answer) -> Answer {
        let before = Self.threadMillis()
        let answer = body()
        let took = Self.threadMillis() - before
        spent.withLock { $0 += took }
        return answer
    }

    private static func threadMillis() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
    }
}
