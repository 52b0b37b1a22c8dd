// From the changes of an output to the rows that a sink is given.

import Dataflow
import Engine
import Values

final class SinkRows {
    private let work: SQLWork
    private let rows: OutputRows

    init(_ work: SQLWork, pool: BufferPool) {
        self.work = work
        rows = OutputRows(work.plan, key: work.key, pool: pool)
    }

    func add(_ chunk: Dataflow.Chunk) { rows.add(chunk) }

    /// Forgets what came of a range that is left.
    func removeAll() { rows.removeAll() }

    /// The rows of the batch; begins anew.
    func end() throws -> [Engine.Chunk] {
        let (put, removed): ([OutputRows.Listed], [OutputRows.Listed])
        do { (put, removed) = try rows.end() } catch {
            throw Failure(
                .internal, "table \(work.table.name) cannot be written", why: "\(error.what), and nothing of the batch was written", now: "report this with the text of the job")
        }
        let keys = work.table.key.map { name in work.columns.first { $0.field.name == name }! }
        return put.map { chunk($0, work.columns) }
            + removed.map { listed in
                var keysOnly = chunk(listed, keys)
                keysOnly.isDelete = true
                return keysOnly
            }
    }

    private func chunk(_ listed: OutputRows.Listed, _ columns: [SinkColumn]) -> Engine.Chunk {
        let pool = BufferPool()
        let made = columns.map { column in
            switch column.value {
            case .column(let number): Column(listed.chunk.columns[number], rows: listed.rows, context: work.context)
            case .constant(let value): Column(Vector.constant(value, column.type, pool: pool), rows: listed.rows, context: work.context)
            }
        }
        return Engine.Chunk(schema: Schema(columns.map(\.field)), columns: made, rowCount: listed.rows.count)
    }
}
