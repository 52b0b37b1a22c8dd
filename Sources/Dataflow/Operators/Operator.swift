// The contract of an operator.
//
//   begin   a batch begins: its number, its watermarks, its time
//   take    some rows of one input; what can be said at once is given at once
//   end     no more rows in this batch: what is left is given, consolidated and in the order of keys; what the watermark closes, closes
//   finish  the batch is over: what it changed in the operator's state, and what was kept for the batch alone is let go
//   load    once, before the first batch: the entries of the operator's key groups, in any order
//
// The same rows of a batch give the same answer however they are cut into chunks and in whatever order the chunks come, where the
// operator does not say otherwise. An operator belongs to one part, and so to one thread; it sees the keys of its part alone.
// Everything that it knows from one batch to the next is in its deltas. Dispatch is per chunk.
//
// When adding one: a file of its own, its case in `PlanOperation`, its line in `OperatorMaker`, its cases in `Tests/DataflowTests/cases`.

import Values

/// What every operator of a batch is told.
package struct BatchMoment: Sendable {
    /// From 1.
    package let number: Int
    /// Of the tables that have one, by name, in microseconds: no row before it is waited for.
    package let watermarks: [String: Int64]
    /// The batch's time, in microseconds.
    package let time: Int64
    /// The job's zone among it.
    package let context: EvaluationContext

    package init(number: Int, watermarks: [String: Int64] = [:], time: Int64 = 0, context: EvaluationContext = EvaluationContext()) {
        self.number = number
        self.watermarks = watermarks
        self.time = time
        self.context = context
    }
}

/// What an operator met that is no row.
package struct OperatorCounts: Sendable, Hashable {
    /// Rows that came when their window was closed.
    package var late = 0
    /// Retractions whose state was gone.
    package var expired = 0
    /// Rows, or under `null` values, that failed; those taken back are not counted.
    package var failed = 0
    /// The first ones of them.
    package var faults: [RowError] = []
    /// What rows came of that failed and are left out, where that is known: those are not in `failed`.
    package var failedOrigins: [Int32] = []

    package init() {}

    static let faultsKept = 100

    mutating func note(_ error: RowError, times: Int, origin: Int32? = nil) {
        if let origin { failedOrigins.append(origin) } else { failed += times }
        if faults.count < Self.faultsKept { faults.append(error) }
    }

    package mutating func add(_ other: OperatorCounts) {
        late += other.late
        expired += other.expired
        failed += other.failed
        failedOrigins += other.failedOrigins
        faults += other.faults.prefix(max(Self.faultsKept - faults.count, 0))
    }
}

/// A row that failed where failing stops the job.
package struct RowStop: Error, Hashable, CustomStringConvertible {
    package let error: RowError
    package var description: String {
        "a row failed at byte \(error.position) of the text: \(error.fault.message) (\(error.fault.sqlState)), and on_error is 'stop' "
            + "(now: mend the record or the query, or set on_error = 'quarantine')"
    }
}

package protocol Operator: AnyObject {
    /// Of the batch that is under way.
    var counts: OperatorCounts { get }
    func begin(_ moment: BatchMoment)
    func take(_ chunk: Chunk, input: Int, into output: ChunkList) throws(RowStop)
    func end(into output: ChunkList) throws(RowStop)
    /// - Parameter delta: nil where nobody stores state.
    func finish(into delta: inout StateDelta?)
    func load(_ entries: [StateDelta.Entry]) throws(StateFault)
    /// Bytes of its state in memory.
    var stateBytes: Int { get }
}

extension Operator {
    package func finish(into delta: inout StateDelta?) {}
    package func load(_ entries: [StateDelta.Entry]) throws(StateFault) {
        if let first = entries.first { throw StateFault(what: "an operator without state was given an entry of \(first.key.count) bytes") }
    }
    package var stateBytes: Int { 0 }
}

/// Memory of one operator for the length of a call: it grows, and stays.
struct Scratch<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private var capacity: Int

    init() {
        capacity = 16
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    /// Room for `count` elements, whose content is undefined.
    mutating func room(_ count: Int) -> UnsafeMutablePointer<Element> {
        if count > capacity {
            base.deallocate()
            capacity = max(count, capacity * 2)
            base = .allocate(capacity: capacity)
        }
        return base
    }
}
