// The part behind the exchange of a job written in SQL: its nodes over the rows of the blocks, with the state of its key groups.
//
// Operators change their state as they run, so a part's work is at the state behind its last batch, whatever becomes of that batch
// (`changesInPlace`): where the log does not name what it offered, a task begins again from the files. A node with one input takes the
// rows of an edge as they come; one with several waits until all are there, because a lookup's rows, and the right side of a join, come
// before those that see them.

import Dataflow
import Engine
import SQLBinding
import Values

final class SQLPartWork: PartWork {
    private struct Delta: PartDelta {
        let rowCount: Int
        let file: [UInt8]
        func bytes() -> [UInt8] { ChunkCodec.framed(file, for: .state) }
    }

    /// Of one chunk: far more than a range's work gives at once.
    private static let mostRows = 1 << 24

    private let work: SQLWork
    private let groups: Range<Int>
    private let pool = BufferPool()
    private let lookups: LookupNodes
    private var operators: [Int: any Dataflow.Operator] = [:]
    /// Made when the number of parts is known.
    private var loaded: StateMerge?
    private let sink: SinkRows
    private let given: [ChunkList]
    /// Of each edge's rows.
    private let types: [[SQLType]]
    /// For each edge the inputs that it feeds.
    private var fed: [[(node: Int, input: Int)]] = []
    private var waiting: [Int: [(input: Int, chunk: Dataflow.Chunk)]] = [:]
    private(set) var stateRows = 0

    init(_ work: SQLWork, _ groups: Range<Int>) {
        self.work = work
        self.groups = groups
        lookups = LookupNodes(work)
        sink = SinkRows(work, pool: pool)
        given = work.plan.nodes.map { _ in ChunkList() }
        types = work.cut.edges.map { work.plan.nodes[$0.from].columns.map(\.type) }
        fed = Array(repeating: [], count: work.cut.edges.count)
        for number in work.cut.behind {
            for (input, from) in work.plan.nodes[number].inputs.enumerated() {
                if let edge = work.cut.edge(of: from, in: work.plan) { fed[edge].append((number, input)) }
            }
        }
    }

    var changesInPlace: Bool { true }
    var stateBytes: Int { operators.values.reduce(0) { $0 + $1.stateBytes } }

    func load(_ files: [NamedState], keyGroups: Int) throws {
        guard keyGroups == KeyGroup.count else { preconditionFailure("state in \(keyGroups) key groups") }
        var merge = StateMerge()
        do { for file in files { try merge.add(Array(ChunkCodec.unframed(file.bytes, for: .state)), groups: file.groups.map { $0.clamped(to: groups) }) } } catch let fault
            as StateFault
        {
            throw unreadable(fault)
        }
        loaded = merge
    }

    private func unreadable(_ fault: StateFault) -> Failure {
        Failure(
            .stateMissing, "a state file of the job cannot be read", why: fault.what,
            now: "run the job with the build that wrote it, or under another --name, with empty state")
    }

    func begin(_ task: WorkTask) throws {
        let moment = work.moment(task.context)
        if operators.isEmpty {
            let part = KeyGroup.part(of: groups.lowerBound, parts: task.parts)
            for number in work.cut.behind where !work.plan.nodes[number].isLookupJoin { operators[number] = work.makeOperator(number, part: part, parts: task.parts, pool: pool) }
            if var merge = loaded {
                for (number, part) in operators {
                    let entries = merge.entries(of: work.plan.nodes[number].id)
                    stateRows += entries.count
                    do { if !entries.isEmpty { try part.load(entries) } } catch { throw unreadable(error) }
                }
            }
            loaded = nil
        }
        for (number, join) in try lookups.take(task.lookups, among: work.cut.behind, pool: pool, at: moment) { operators[number] = join }
        for number in work.cut.behind { operators[number]!.begin(moment) }
    }

    func take(block: [UInt8]) throws {
        let body = try ChunkCodec.unframed(block)
        do {
            try body.withUnsafeBytes { bytes in
                var reader = ByteReader(bytes)
                while !reader.isAtEnd {
                    let edge = try reader.number()
                    guard types.indices.contains(edge) else { throw BytesFault(what: "rows of edge \(edge), and there are \(types.count)") }
                    let chunk = try ChunkBytes.read(types[edge], from: &reader, pool: pool)
                    // Rows without columns take no bytes: their number could not be held against anything.
                    guard chunk.count <= Self.mostRows else { throw BytesFault(what: "a chunk of \(chunk.count) rows") }
                    for (node, input) in fed[edge] {
                        if work.plan.nodes[node].inputs.count == 1 {
                            try run { try operators[node]!.take(chunk, input: input, into: given[node]) }
                        } else {
                            waiting[node, default: []].append((input, chunk))
                        }
                    }
                }
            }
        } catch let fault as BytesFault {
            throw Failure(
                .blockLost, "a block of rows cannot be read", why: fault.what,
                now: "nothing, the task that made it runs again; if it comes back, check memory and disk of that host")
        }
    }

    private func run(_ body: () throws -> Void) throws {
        do { try body() } catch let stop as RowStop {
            throw work.failure(stop)
        }
    }

    func finish(output: BatchPlan.OutputMode) throws -> MadeOfPart {
        for number in work.cut.behind {
            let (part, node) = (operators[number]!, work.plan.nodes[number])
            for input in node.inputs.indices.reversed() {
                for entry in waiting[number] ?? [] where entry.input == input { try run { try part.take(entry.chunk, input: input, into: given[number]) } }
                if work.cut.still.contains(node.inputs[input].node) { continue }
                for chunk in given[node.inputs[input].node].chunks { try run { try part.take(chunk, input: input, into: given[number]) } }
            }
            try run { try part.end(into: given[number]) }
        }
        waiting = [:]
        for chunk in given[work.output].chunks { sink.add(chunk) }
        var result = MadeOfPart()
        let rows = try sink.end()
        if output != .nothing { result.output = rows }
        for list in given { _ = list.removeAll() }
        var deltas: [(id: OperatorID, delta: StateDelta)] = []
        for number in work.cut.behind {
            let part = operators[number]!
            result.late += part.counts.late
            result.failed += part.counts.failed
            var delta: StateDelta? = work.plan.nodes[number].operation.keepsState ? StateDelta() : nil
            part.finish(into: &delta)
            if let delta, !delta.entries.isEmpty { deltas.append((work.plan.nodes[number].id, delta)) }
        }
        let count = deltas.reduce(0) { $0 + $1.delta.entries.count }
        if count > 0 {
            // Entries that are written over are counted twice until the next snapshot.
            stateRows = max(0, stateRows + deltas.reduce(0) { $0 + $1.delta.entries.reduce(0) { $0 + ($1.value == nil ? -1 : 1) } })
            result.delta = Delta(rowCount: count, file: StateFileBytes.write(deltas))
        }
        return result
    }

    func adopt(_ delta: any PartDelta) {}

    func snapshot(with delta: (any PartDelta)?, of files: () throws -> [NamedState]) throws -> (bytes: [UInt8], rows: Int) {
        var merge = StateMerge()
        do {
            for file in try files() { try merge.add(Array(ChunkCodec.unframed(file.bytes, for: .state)), groups: file.groups.map { $0.clamped(to: groups) }) }
            if let delta = delta as? Delta { try merge.add(delta.file, groups: [groups]) }
        } catch let fault as StateFault {
            throw unreadable(fault)
        }
        let whole = merge.snapshot()
        stateRows = whole.counts.entries
        return (ChunkCodec.framed(whole.bytes, for: .state), whole.counts.entries)
    }
}
