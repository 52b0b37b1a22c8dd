// Rows in the order of their keys: column by column, NULL last, texts by their bytes.
//
// The first eight bytes of the first key decide nearly always, so they are taken out once as a number that sorts alike;
// only rows that agree on it are compared in full.

enum KeyOrder {
    /// The row numbers `0 ..< count`, sorted. Keys are distinct, so the order is the only one.
    static func sorted(_ keys: [Column], count: Int) -> [Int32] {
        var entries = (0..<count).map { (prefix: prefix(keys[0], $0), row: Int32(truncatingIfNeeded: $0)) }
        entries.sort { a, b in
            if a.prefix != b.prefix { return a.prefix < b.prefix }
            return isBefore(keys, Int(a.row), Int(b.row))
        }
        return entries.map(\.row)
    }

    private static func prefix(_ column: Column, _ row: Int) -> UInt64 {
        if column.isNull(row) { return .max }
        switch column {
        case .int64(let c), .timestamp(let c): return UInt64(bitPattern: c.values[row]) ^ 1 << 63
        case .float64(let c): return UInt64(bitPattern: FloatParts.sortable(c.values[row])) ^ 1 << 63
        case .bool(let c): return c.values[row] ? 1 : 0
        case .text(let c):
            let text = c.slice(row)
            var word: UInt64 = 0
            for index in 0..<8 { word = word << 8 | (index < text.count ? UInt64(text[index]) : 0) }
            return word
        }
    }

    private static func isBefore(_ keys: [Column], _ a: Int, _ b: Int) -> Bool {
        for column in keys {
            let (aNull, bNull) = (column.isNull(a), column.isNull(b))
            if aNull || bNull {
                if aNull == bNull { continue }
                return bNull
            }
            let order: Int
            switch column {
            case .int64(let c), .timestamp(let c): order = signed(c.values[a], c.values[b])
            case .float64(let c): order = signed(FloatParts.sortable(c.values[a]), FloatParts.sortable(c.values[b]))
            case .bool(let c): order = signed(c.values[a] ? 1 : 0, c.values[b] ? 1 : 0)
            case .text(let c):
                let (left, right) = (c.slice(a), c.slice(b))
                order =
                    left.baseAddress.flatMap { l in
                        right.baseAddress.map { Kernels.order(l, left.count, $0, right.count) }
                    } ?? 0
            }
            if order != 0 { return order < 0 }
        }
        return false
    }

    private static func signed(_ a: Int64, _ b: Int64) -> Int { a < b ? -1 : a > b ? 1 : 0 }
}
