// What a batch says to the table of an output: rows to be put, and rows to be taken out, of each key one of the two at most.
//
// Changes are added up first, where the node above has not done that: what came and went within the batch is not said. Of a key the row
// that came is put in place of the old one; where none came, the row that was taken back goes. A key for which two different rows came is
// none, and that is a defect of whoever proved it.

import Values

package struct OutputFault: Error, Hashable {
    package let what: String
}

package final class OutputRows {
    /// Rows of a chunk by number.
    package struct Listed {
        package let chunk: Chunk
        package let rows: [Int]
    }

    private let key: [Int]?
    private let keyTypes: [SQLType]
    private let consolidator: Consolidator?
    private var chunks: [Chunk] = []

    /// - Parameter key: numbers of the columns that are the table's key; nil for a table to which rows are only added.
    package init(_ plan: Plan, key: [Int]?, pool: BufferPool) {
        let node = plan.nodes[plan.outputs[0].node]
        let types = node.columns.map(\.type)
        self.key = node.kind == .append ? nil : key
        keyTypes = (key ?? []).map { types[$0] }
        consolidator = node.kind == .append || node.operation.consolidates ? nil : Consolidator(types, pool: pool)
    }

    package func add(_ chunk: Chunk) {
        if let consolidator { return consolidator.add(chunk) }
        if chunk.count > 0 { chunks.append(chunk) }
    }

    /// Forgets what came since the last end.
    package func removeAll() {
        chunks = []
        consolidator?.end(into: ChunkList())
    }

    /// What is to be put and what is to be taken out; begins anew.
    package func end() throws(OutputFault) -> (put: [Listed], removed: [Listed]) {
        if let consolidator {
            let list = ChunkList()
            consolidator.end(into: list)
            chunks = list.removeAll()
        }
        defer { chunks = [] }
        guard let key else { return (try added(), []) }
        let table = KeyTable(keyTypes)
        // Of each key: the chunk and the row of what came, and of what went.
        var came: [(chunk: Int32, row: Int32)] = []
        var gone: [(chunk: Int32, row: Int32)] = []
        var numbers = [Int32](repeating: 0, count: chunks.map(\.count).max() ?? 0)
        var hashes = [UInt64](repeating: 0, count: numbers.count)
        for (index, chunk) in chunks.enumerated() {
            let vectors = key.map { chunk.columns[$0] }
            let cells = ChunkCells(vectors, count: chunk.count)
            KeyOrder.hash(vectors, .all(chunk.count), into: &hashes)
            numbers.withUnsafeMutableBufferPointer { numbers in
                hashes.withUnsafeBufferPointer { table.assign(cells.views, nil, count: chunk.count, hashes: $0.baseAddress!, into: numbers.baseAddress!) }
            }
            while came.count < table.store.bound {
                came.append((-1, -1))
                gone.append((-1, -1))
            }
            for row in 0..<chunk.count {
                let (number, weight) = (Int(numbers[row]), chunk.weight(row))
                if weight > 0 {
                    guard came[number].chunk < 0, weight == 1 else { throw OutputFault(what: "two rows came for one key") }
                    came[number] = (Int32(index), Int32(row))
                } else if weight < 0 {
                    gone[number] = (Int32(index), Int32(row))
                }
            }
            withExtendedLifetime(cells) {}
        }
        return (listed(came.filter { $0.chunk >= 0 }), listed(zip(came, gone).filter { $0.0.chunk < 0 && $0.1.chunk >= 0 }.map(\.1)))
    }

    /// A row for each of its weight.
    private func added() throws(OutputFault) -> [Listed] {
        var lists: [Listed] = []
        for chunk in chunks {
            var rows: [Int] = []
            rows.reserveCapacity(chunk.count)
            for row in 0..<chunk.count {
                let weight = chunk.weight(row)
                guard weight > 0 else { throw OutputFault(what: "a row was taken back from a table to which rows are only added") }
                for _ in 0..<weight { rows.append(row) }
            }
            if !rows.isEmpty { lists.append(Listed(chunk: chunk, rows: rows)) }
        }
        return lists
    }

    private func listed(_ places: [(chunk: Int32, row: Int32)]) -> [Listed] {
        var rows = [[Int]](repeating: [], count: chunks.count)
        for place in places { rows[Int(place.chunk)].append(Int(place.row)) }
        return chunks.indices.filter { !rows[$0].isEmpty }.map { Listed(chunk: chunks[$0], rows: rows[$0].sorted()) }
    }
}
