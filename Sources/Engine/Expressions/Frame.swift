// The values that a chunk has while it passes through the operators of a task: one slot a column.
//
// Slots are numbered when the plan is made. Decoder columns fill some, a lookup join adds dictionary slots (a code a
// row into the lookup's distinct values), computed expressions add theirs. All are aligned: row r of every slot is
// row r of the chunk, and rows outside the selection hold anything. A dictionary slot becomes text only when somebody
// asks for text; grouping works on the codes.

/// A text column as codes into distinct values.
struct DictionarySlot {
    /// One code a row, -1 where the row has none.
    let codes: FixedColumn<Int32>
    let values: TextColumn
}

final class Frame {
    private(set) var rowCount = 0
    private var columns: [Column?]
    private var dictionaries: [DictionarySlot?]

    init(slotCount: Int) {
        columns = Array(repeating: nil, count: slotCount)
        dictionaries = Array(repeating: nil, count: slotCount)
    }

    /// Forgets the previous chunk.
    func start(rowCount: Int) {
        self.rowCount = rowCount
        for slot in columns.indices {
            columns[slot] = nil
            dictionaries[slot] = nil
        }
    }

    func set(_ slot: Int, _ column: Column) { columns[slot] = column }
    func set(_ slot: Int, _ dictionary: DictionarySlot) { dictionaries[slot] = dictionary }
    func dictionary(_ slot: Int) -> DictionarySlot? { dictionaries[slot] }

    func column(_ slot: Int) -> Column {
        if let column = columns[slot] { return column }
        guard let dictionary = dictionaries[slot] else {
            preconditionFailure("slot \(slot) is read before anything filled it")
        }
        let text = TextColumn(capacity: rowCount)
        let codes = dictionary.codes.values
        for row in 0..<rowCount {
            if codes[row] < 0 {
                text.append("")
            } else {
                let slice = dictionary.values.slice(Int(codes[row]))
                if let base = slice.baseAddress { text.append(base, slice.count) }
            }
        }
        columns[slot] = .text(text)
        return .text(text)
    }
}

extension FixedColumn {
    /// A column of `rows` equal values, to be written over.
    convenience init(rows: Int, filler: Value) {
        self.init(capacity: rows)
        values.update(repeating: filler, count: rows)
        commitWritten(rows)
    }
}
