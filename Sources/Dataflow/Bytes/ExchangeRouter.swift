// To which part each row of a chunk goes: the row lists from which chunks for other parts are made, in memory (`Chunk.rows`) or as
// bytes (`ChunkBytes.append`).
//
// By hash, a row goes to the part that owns the key group of its columns; `single` is the empty key, which has one owner; a broadcast goes to
// all. One router serves one edge of one part and one thread. Its memory grows to the longest chunk and stays: routing allocates nothing
// after that. Checklist: a change of `KeyGroup` or of the hash moves state between parts, and stored state does not move along.

import Values

package final class ExchangeRouter {
    private let exchange: Exchange
    private let parts: Int
    private let single: Int
    /// The part of each key group.
    private let owners: [Int32]
    private var columns: [Vector] = []
    private var hashes = Scratch<UInt64>()
    private var targets = Scratch<Int32>()
    private var rows = Scratch<Int32>()
    private var ends = Scratch<Int>()

    /// - Parameter exchange: not `none`, in which no row goes anywhere.
    package init(_ exchange: Exchange, parts: Int) {
        precondition(exchange != .none && parts > 0, "rows that stay have no router")
        self.exchange = exchange
        self.parts = parts
        owners = (0..<KeyGroup.count).map { Int32(KeyGroup.part(of: $0, parts: parts)) }
        single = KeyGroup.part(of: KeyGroup.ofNothing, parts: parts)
    }

    /// Calls for each part that rows go to, in ascending order.
    /// - Parameter deliver: the part, and its rows, ascending: nil for all `count` of the chunk. The list is valid during the call.
    package func route<Failure: Error>(
        _ chunk: Chunk, to deliver: (_ part: Int, _ rows: UnsafePointer<Int32>?, _ count: Int) throws(Failure) -> Void
    ) throws(Failure) {
        let count = chunk.count
        if count == 0 { return }
        switch exchange {
        case .none: preconditionFailure("rows that stay have no router")
        case .single: try deliver(single, nil, count)
        case .broadcast: for part in 0..<parts { try deliver(part, nil, count) }
        case .hash(let numbers):
            if parts == 1 { return try deliver(0, nil, count) }
            if numbers.isEmpty { return try deliver(single, nil, count) }
            let (rows, ends) = sort(chunk, by: numbers)
            var start = 0
            for part in 0..<parts where ends[part] > start {
                let end = ends[part]
                try deliver(part, end - start == count ? nil : UnsafePointer(rows + start), end - start)
                start = end
            }
        }
    }

    /// The rows by part, and where those of each part end.
    private func sort(_ chunk: Chunk, by numbers: [Int]) -> (rows: UnsafeMutablePointer<Int32>, ends: UnsafeMutablePointer<Int>) {
        let count = chunk.count
        let (hashes, targets, rows, ends) = (hashes.room(count), targets.room(count), rows.room(count), ends.room(parts))
        for number in numbers { columns.append(chunk.columns[number]) }
        KeyOrder.hash(columns, .all(count), into: hashes)
        // Buffers go back to their pool.
        columns.removeAll(keepingCapacity: true)
        ends.update(repeating: 0, count: parts)
        owners.withUnsafeBufferPointer { owners in
            for row in 0..<count {
                let target = owners[KeyGroup.of(hashes[row])]
                targets[row] = target
                ends[Int(target)] &+= 1
            }
        }
        var sum = 0
        for part in 0..<parts { (ends[part], sum) = (sum, sum + ends[part]) }
        for row in 0..<count {
            let target = Int(targets[row])
            rows[ends[target]] = Int32(truncatingIfNeeded: row)
            ends[target] &+= 1
        }
        return (rows, ends)
    }
}
