// A lookup table in memory: key to dense code, and per value column the code of one of its distinct values.
//
// Made once from the file's text columns and then only read, so that all tasks of a worker share it (`@unchecked
// Sendable` rests on that: nothing here changes after `init`). A join gives each row a code and no text: grouping by a
// value column works on codes, and a value becomes text only where rows leave the task.
//
// A key may come twice with the same values; with other values the file is refused, because a row has one answer.

package final class LookupTable: @unchecked Sendable {
    package let name: String
    package var rowCount: Int { index.groupCount }
    private let index: GroupTable
    /// For each value column its distinct values, and for each key the one that it has.
    private let values: [(distinct: TextColumn, codes: [Int32])]

    /// - Parameters:
    ///   - keys: the key column of every row.
    ///   - values: the value columns, in the order of `LookupSpec.valueColumns`.
    package init(name: String, keys: TextColumn, values: [TextColumn]) throws {
        self.name = name
        let (index, groups) = LookupTable.distinct(keys)
        self.index = index
        self.values = try values.map { column in
            precondition(column.count == keys.count)
            let (distinct, codes) = LookupTable.distinct(column)
            var codeOfKey = [Int32](repeating: -1, count: index.groupCount)
            for row in 0..<keys.count {
                let key = Int(groups[row])
                guard codeOfKey[key] < 0 || codeOfKey[key] == codes[row] else {
                    throw Failure(
                        .fileInvalid, "the lookup table \(name) has one key twice",
                        why: "data row \(row + 1) gives it other values than a row before",
                        now: "keep one row for each key")
                }
                codeOfKey[key] = codes[row]
            }
            guard case .text(let texts) = distinct.keys[0] else { preconditionFailure("a lookup value is not text") }
            return (texts, codeOfKey)
        }
    }

    private static func distinct(_ column: TextColumn) -> (table: GroupTable, codes: [Int32]) {
        let table = GroupTable(keyTypes: [.text], layout: nil, capacity: column.count)
        let rows = SelectedRows(count: column.count)
        var hashes = [UInt64](repeating: 0, count: column.count)
        var codes = [Int32](repeating: 0, count: column.count)
        hashes.withUnsafeMutableBufferPointer { hashes in
            codes.withUnsafeMutableBufferPointer { codes in
                guard let hashes = hashes.baseAddress, let codes = codes.baseAddress else { return }
                RowHash.hash([.text(column)], rows, into: hashes)
                table.assign([.text(column)], rows, hashes: hashes, groups: codes)
            }
        }
        return (table, codes)
    }

    /// Looks the selected rows of `column` up. Writes the rows that have a match to `kept` (which may be the memory of
    /// `rows`) and, for each of them, the key's code to `codes[row]`.
    /// - Returns: how many rows have a match.
    func match(
        _ column: TextColumn, _ rows: SelectedRows, scratch: Scratch, codes: UnsafeMutablePointer<Int32>,
        kept: UnsafeMutablePointer<Int32>
    ) -> Int {
        RowHash.hash([.text(column)], rows, into: scratch.hashes)
        index.find([.text(column)], rows, hashes: scratch.hashes, groups: scratch.groups)
        let (groups, validity) = (scratch.groups, column.validity)
        var count = 0
        rows.forEach { position, row in
            codes[row] = groups[position]
            let isMatch = groups[position] >= 0 && (validity == nil || validity![row] != 0)
            kept[count] = Int32(truncatingIfNeeded: row)
            count &+= isMatch ? 1 : 0
        }
        return count
    }

    /// The value column `column` of the matched rows, as a dictionary slot for a chunk of `rowCount` rows.
    func values(
        _ column: Int, _ rows: SelectedRows, codes: UnsafePointer<Int32>, rowCount: Int
    ) -> DictionarySlot {
        let result = FixedColumn<Int32>(rows: rowCount, filler: -1)
        let to = result.values
        values[column].codes.withUnsafeBufferPointer { codeOfKey in
            rows.forEach { _, row in to[row] = codeOfKey[Int(codes[row])] }
        }
        return DictionarySlot(codes: result, values: values[column].distinct)
    }
}

/// Memory by position that a task reuses from chunk to chunk.
final class Scratch {
    private(set) var rows: UnsafeMutablePointer<Int32>
    private(set) var hashes: UnsafeMutablePointer<UInt64>
    private(set) var groups: UnsafeMutablePointer<Int32>
    /// By row, not by position.
    private(set) var codes: UnsafeMutablePointer<Int32>
    private var capacity: Int

    init(capacity: Int = 4096) {
        self.capacity = capacity
        rows = .allocate(capacity: capacity)
        hashes = .allocate(capacity: capacity)
        groups = .allocate(capacity: capacity)
        codes = .allocate(capacity: capacity)
    }

    deinit {
        rows.deallocate()
        hashes.deallocate()
        groups.deallocate()
        codes.deallocate()
    }

    /// Makes room for `needed` rows; what was in it is lost.
    func reserve(_ needed: Int) {
        if needed <= capacity { return }
        rows.deallocate()
        hashes.deallocate()
        groups.deallocate()
        codes.deallocate()
        capacity = Swift.max(needed, capacity * 2)
        rows = .allocate(capacity: capacity)
        hashes = .allocate(capacity: capacity)
        groups = .allocate(capacity: capacity)
        codes = .allocate(capacity: capacity)
    }
}

extension LookupSpec {
    /// The table from the bytes of its CSV file, which must have the columns that the job declares (it may have more).
    package func build(from bytes: [UInt8]) throws -> LookupTable {
        let source = "the lookup table \(name)"
        let table = try CSVTable(bytes, source: source)
        return try LookupTable(
            name: name, keys: table.column(keyColumn, source: source),
            values: valueColumns.map { try table.column($0, source: source) })
    }
}
