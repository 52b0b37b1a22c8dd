// Partial aggregation before the exchange: a task's own groups, and the blocks that they become.
//
// A key column that came from a lookup is grouped by its dictionary code; only when groups leave does the code become
// text again, so that the hash that picks the key group is that of the text. Codes of one column come from one lookup
// table and do not change within a task.

final class PartialGroups {
    /// Bytes of keys, sums and index at which the table is emptied into the blocks: a million groups by a text of 36 bytes.
    /// What leaves early leaves again with the same key, and is copied, sent and merged twice.
    static let maxBytes = 96 << 20

    private let grouping: Grouping
    private let partOfKeyGroup: [Int32]
    private let parts: Int
    private let keyTypes: [ValueType]
    private var table: GroupTable?
    /// For each key that is kept as codes: what the codes stand for.
    private var dictionaries: [TextColumn?]
    private var blocks: [[Column]?]
    private let blockTypes: [ValueType]
    /// What a part would take that is larger than a block may be; nothing was added to it any more.
    private(set) var refusedBytes: Int?

    init(_ grouping: Grouping, keyGroups: Int, parts: Int) {
        self.grouping = grouping
        self.parts = parts
        keyTypes = grouping.keys.map(\.field.type)
        blockTypes = keyTypes + grouping.layout.fields.map(\.type)
        dictionaries = keyTypes.map { _ in nil }
        blocks = Array(repeating: nil, count: parts)
        let bounds = BatchPlan.keyGroupBounds(parts: parts, keyGroups: keyGroups)
        partOfKeyGroup = (0..<parts).flatMap { part in
            Array(repeating: Int32(part), count: bounds[part + 1] - bounds[part])
        }
    }

    func add(_ frame: Frame, _ rows: SelectedRows, _ scratch: Scratch) {
        let columns = grouping.keys.indices.map { keyColumn($0, frame, rows) }
        let table = self.table ?? makeTable()
        RowHash.hash(columns, rows, into: scratch.hashes)
        table.assign(columns, rows, hashes: scratch.hashes, groups: scratch.groups)
        grouping.layout.feed(table.accumulators, frame, rows, groups: scratch.groups)
        if table.byteCount >= PartialGroups.maxBytes { flush() }
    }

    /// One block for each part, nil where nothing belongs to it.
    func finish(schema: Schema) -> [Chunk?] {
        flush()
        return blocks.map { columns in
            columns.map { Chunk(schema: schema, columns: $0, rowCount: $0[0].count) }
        }
    }

    private func makeTable() -> GroupTable {
        let types = zip(keyTypes, dictionaries).map { $1 == nil ? $0 : .int64 }
        let fresh = GroupTable(keyTypes: types, layout: grouping.layout, capacity: 1024)
        table = fresh
        return fresh
    }

    private func keyColumn(_ index: Int, _ frame: Frame, _ rows: SelectedRows) -> Column {
        let slot = grouping.keys[index].slot
        guard let dictionary = frame.dictionary(slot) else { return frame.column(slot) }
        dictionaries[index] = dictionary.values
        let codes = FixedColumn<Int64>(rows: frame.rowCount, filler: 0)
        let (from, to) = (dictionary.codes.values, codes.values)
        rows.forEach { _, row in to[row] = Int64(from[row]) }
        return .int64(codes)
    }

    /// Moves all groups to the blocks of their parts.
    private func flush() {
        guard let table, table.groupCount > 0 else { return }
        let count = table.groupCount
        let keys = zip(table.keys, dictionaries).map { key, dictionary -> Column in
            guard let dictionary, case .int64(let codes) = key else { return key }
            let rows = [Int32](unsafeUninitializedCapacity: count) { buffer, filled in
                for group in 0..<count { buffer[group] = Int32(truncatingIfNeeded: codes.values[group]) }
                filled = count
            }
            return rows.withUnsafeBufferPointer {
                Column.text(dictionary).gathered(SelectedRows($0.baseAddress!, count: count))
            }
        }
        table.accumulators.settle(grouping.layout)
        let columns = keys + table.accumulators.columns(count: count)
        var hashes = [UInt64](repeating: 0, count: count)
        hashes.withUnsafeMutableBufferPointer {
            RowHash.hash(keys, SelectedRows(count: count), into: $0.baseAddress!)
        }
        var rowsOfPart: [[Int32]] = Array(repeating: [], count: parts)
        for (group, hash) in hashes.enumerated() {
            rowsOfPart[Int(partOfKeyGroup[KeyGroups.group(hash, of: partOfKeyGroup.count)])].append(Int32(group))
        }
        for (part, rows) in rowsOfPart.enumerated() where !rows.isEmpty {
            let block = blocks[part] ?? blockTypes.map { Column($0, capacity: rows.count) }
            // A column of texts holds 2 GiB, and whoever reads the block refuses more than `blockBytes`.
            let bytes = block.reduce(0) { $0 + $1.byteCount } + columns.reduce(0) { $0 + $1.byteCount }
            guard bytes <= Limits.blockBytes else {
                refusedBytes = bytes
                continue
            }
            rows.withUnsafeBufferPointer {
                let chosen = SelectedRows($0.baseAddress!, count: $0.count)
                for (target, column) in zip(block, columns) { target.append(chosen, of: column) }
            }
            blocks[part] = block
        }
        self.table = nil
    }
}

/// Keys belong to key groups, key groups to parts.
enum KeyGroups {
    @inline(__always)
    static func group(_ hash: UInt64, of keyGroups: Int) -> Int { Int(truncatingIfNeeded: hash % UInt64(keyGroups)) }
}
