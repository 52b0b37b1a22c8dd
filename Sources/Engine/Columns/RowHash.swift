// One 64-bit number for the key of a row: the same in every process, on every machine, in every build.
//
// The number decides to which key group a key belongs (`hash % keyGroups`), so state on disk depends on it: another
// function would look for keys in the wrong key group. `RowHashTests` pins its values; a change needs a new state
// format. Within a task it also finds groups: the lower half picks the key group, the upper half the slot of a
// `GroupTable`, so that the keys of one part do not crowd into the same slots.
//
// Columns are hashed one after the other over all rows of a chunk; each folds its value into the row's number by a full
// 64 x 64 bit multiplication. The seed is fixed: keys are chosen by people who may write to the topic, and all
// that a flood of equal hashes would cost is the time of their own job.
//
// Cost: about 1 ns a row for a number, 4 ns for a text of 36 bytes.

/// The rows that a kernel works on: positions `0 ..< count`, each naming a row of the columns.
struct SelectedRows {
    /// nil: position and row are the same.
    let rows: UnsafePointer<Int32>?
    let count: Int

    init(count: Int) {
        rows = nil
        self.count = count
    }

    init(_ rows: UnsafePointer<Int32>, count: Int) {
        self.rows = rows
        self.count = count
    }

    /// Calls `body(position, row)`; inlined, so that both forms of selection get their own loop.
    @inline(__always)
    func forEach(_ body: (Int, Int) -> Void) {
        if let rows {
            for position in 0..<count { body(position, Int(rows[position])) }
        } else {
            for position in 0..<count { body(position, position) }
        }
    }
}

extension Chunk {
    /// Calls `body` with this chunk's rows; the pointers are valid inside.
    @inline(__always)
    func withSelectedRows<Result>(_ body: (SelectedRows) throws -> Result) rethrows -> Result {
        guard let selection else { return try body(SelectedRows(count: rowCount)) }
        return try withExtendedLifetime(selection) { try body(SelectedRows($0.rows, count: $0.count)) }
    }
}

package enum RowHash {
    /// The key hash of every selected row, in the order of the selection.
    package static func hashes(_ columns: [Column], of chunk: Chunk) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: chunk.selectedCount) { buffer, count in
            count = chunk.selectedCount
            if count > 0 { chunk.withSelectedRows { hash(columns, $0, into: buffer.baseAddress!) } }
        }
    }

    /// Writes the hash of position `p` to `hashes[p]`.
    static func hash(_ columns: [Column], _ rows: SelectedRows, into hashes: UnsafeMutablePointer<UInt64>) {
        hashes.update(repeating: start, count: rows.count)
        for column in columns {
            switch column {
            case .int64(let c), .timestamp(let c): fold(c, rows, hashes) { UInt64(bitPattern: $0) }
            case .float64(let c): fold(c, rows, hashes) { bits($0) }
            case .bool(let c): fold(c, rows, hashes) { $0 ? 1 : 0 }
            case .text(let c): fold(c, rows, hashes)
            }
        }
        for position in 0..<rows.count { hashes[position] = finished(hashes[position]) }
    }

    /// Equal numbers have equal bits: one zero, one NaN.
    @inline(__always)
    static func bits(_ value: Double) -> UInt64 {
        value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : value.bitPattern
    }

    @inline(__always)
    private static func fold<T>(
        _ column: FixedColumn<T>, _ rows: SelectedRows, _ hashes: UnsafeMutablePointer<UInt64>,
        _ bits: (T) -> UInt64
    ) {
        let values = column.values
        if let validity = column.validity {
            rows.forEach { position, row in
                let value = validity[row] == 0 ? null : bits(values[row])
                hashes[position] = mix(hashes[position] ^ first, value ^ second)
            }
        } else {
            rows.forEach { position, row in
                hashes[position] = mix(hashes[position] ^ first, bits(values[row]) ^ second)
            }
        }
    }

    private static func fold(
        _ column: TextColumn, _ rows: SelectedRows, _ hashes: UnsafeMutablePointer<UInt64>
    ) {
        let offsets = column.offsets
        let bytes = UnsafeRawPointer(column.bytes)
        let validity = column.validity
        rows.forEach { position, row in
            let from = Int(offsets[row])
            let length = Int(offsets[row + 1]) - from
            let value = validity != nil && validity![row] == 0 ? null : text(bytes + from, length)
            hashes[position] = mix(hashes[position] ^ first, value ^ second)
        }
    }

    /// The hash of some bytes: 16 a step, the last step overlapping the one before; never reads past the text.
    @inline(__always)
    static func text(_ start: UnsafeRawPointer, _ length: Int) -> UInt64 {
        var low: UInt64
        var high: UInt64
        var seen = third
        if length > 16 {
            var index = 0
            let last = length - 16
            while index < last {
                seen = mix(word(start + index) ^ first, word(start + index + 8) ^ seen)
                index &+= 16
            }
            low = word(start + last)
            high = word(start + last + 8)
        } else if length >= 8 {
            low = word(start)
            high = word(start + length - 8)
        } else if length >= 4 {
            low = half(start)
            high = half(start + length - 4)
        } else {
            low = 0
            high = 0
            for index in 0..<length {
                low = low << 8 | UInt64(start.load(fromByteOffset: index, as: UInt8.self))
            }
        }
        return mix(low ^ fourth ^ UInt64(truncatingIfNeeded: length), high ^ seen)
    }

    @inline(__always)
    static func finished(_ hash: UInt64) -> UInt64 { mix(hash ^ third, hash ^ fourth) ^ (hash >> 32) }

    /// The number of a key whose row goes, made of the key's.
    static func deleted(_ hash: UInt64) -> UInt64 { finished(hash ^ gone) }

    @inline(__always)
    private static func word(_ pointer: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: pointer.loadUnaligned(as: UInt64.self))
    }

    @inline(__always)
    private static func half(_ pointer: UnsafeRawPointer) -> UInt64 {
        UInt64(UInt32(littleEndian: pointer.loadUnaligned(as: UInt32.self)))
    }

    @inline(__always)
    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    // Odd numbers with about as many ones as zeros: the fractional digits of pi, from the first on.
    private static let start: UInt64 = 0x243f_6a88_85a3_08d3
    private static let first: UInt64 = 0x1319_8a2e_0370_7345
    private static let second: UInt64 = 0xa409_3822_299f_31d1
    private static let third: UInt64 = 0x082e_fa98_ec4e_6c89
    private static let fourth: UInt64 = 0x4528_21e6_38d0_1377
    private static let null: UInt64 = 0xbe54_66cf_34e9_0c6d
    private static let gone: UInt64 = 0xc0ac_29b7_c97c_50dd
}
