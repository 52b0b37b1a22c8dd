// Comparing columns with columns and with literals; three-valued AND and OR.
//
// The comparison is chosen once per chunk, so each has a loop of its own. Texts compare by their bytes, which for UTF-8
// is the order of code points; floats compare as IEEE says (nothing equals NaN).

extension Kernels {
    static func compare<T: Comparable>(
        _ comparison: Comparison, _ a: FixedColumn<T>, _ b: FixedColumn<T>, _ count: Int, _ rows: SelectedRows
    ) -> FixedColumn<Bool> {
        switch comparison {
        case .equal: zip(a, b, false, count, rows) { $0 == $1 }
        case .notEqual: zip(a, b, false, count, rows) { $0 != $1 }
        case .less: zip(a, b, false, count, rows) { $0 < $1 }
        case .lessOrEqual: zip(a, b, false, count, rows) { $0 <= $1 }
        case .greater: zip(a, b, false, count, rows) { $0 > $1 }
        case .greaterOrEqual: zip(a, b, false, count, rows) { $0 >= $1 }
        }
    }

    static func compare<T: Comparable>(
        _ comparison: Comparison, _ a: FixedColumn<T>, _ literal: T, _ count: Int, _ rows: SelectedRows
    ) -> FixedColumn<Bool> {
        switch comparison {
        case .equal: map(a, false, count, rows) { $0 == literal }
        case .notEqual: map(a, false, count, rows) { $0 != literal }
        case .less: map(a, false, count, rows) { $0 < literal }
        case .lessOrEqual: map(a, false, count, rows) { $0 <= literal }
        case .greater: map(a, false, count, rows) { $0 > literal }
        case .greaterOrEqual: map(a, false, count, rows) { $0 >= literal }
        }
    }

    static func compare(
        _ comparison: Comparison, _ a: TextColumn, _ b: TextColumn, _ count: Int, _ rows: SelectedRows
    ) -> FixedColumn<Bool> {
        let result = FixedColumn<Bool>(rows: count, filler: false)
        let to = result.values
        rows.forEach { _, row in
            let (left, right) = (a.offsets[row], b.offsets[row])
            to[row] = holds(
                comparison, a.bytes + Int(left), Int(a.offsets[row + 1] - left), b.bytes + Int(right),
                Int(b.offsets[row + 1] - right))
        }
        mergeValidity(a.validity, b.validity, rows) { result.validityForWriting() }
        return result
    }

    static func compare(
        _ comparison: Comparison, _ a: TextColumn, _ literal: String, _ count: Int, _ rows: SelectedRows
    ) -> FixedColumn<Bool> {
        let result = FixedColumn<Bool>(rows: count, filler: false)
        let to = result.values
        let (offsets, bytes) = (a.offsets, a.bytes)
        withBytes(literal) { other, length in
            rows.forEach { _, row in
                let start = Int(offsets[row])
                to[row] = holds(comparison, bytes + start, Int(offsets[row + 1]) - start, other, length)
            }
        }
        if let theirs = a.validity { result.validityForWriting().update(from: theirs, count: count) }
        return result
    }

    /// The rows whose text equals `literal`: the filter that nearly every job starts with, without a column in between.
    static func keepEqual(
        _ column: TextColumn, _ literal: String, _ rows: SelectedRows, kept: UnsafeMutablePointer<Int32>
    ) -> Int {
        let (offsets, bytes, validity) = (column.offsets, column.bytes, column.validity)
        var count = 0
        withBytes(literal) { other, length in
            if (1...8).contains(length), validity == nil {
                // In one word and without a branch, because which row passes is anybody's guess.
                var wanted: UInt64 = 0
                withUnsafeMutableBytes(of: &wanted) { $0.copyMemory(from: UnsafeRawBufferPointer(start: other, count: length)) }
                wanted = UInt64(littleEndian: wanted)
                let mask = UInt64.max &>> UInt64(64 - 8 * length)
                rows.forEach { _, row in
                    let start = offsets[row]
                    let word = UInt64(littleEndian: UnsafeRawPointer(bytes + Int(start)).loadUnaligned(as: UInt64.self))
                    let other = ((word ^ wanted) & mask) | UInt64(truncatingIfNeeded: offsets[row + 1] &- start &- Int32(length))
                    kept[count] = Int32(truncatingIfNeeded: row)
                    count &+= other == 0 ? 1 : 0
                }
                return
            }
            rows.forEach { _, row in
                let start = Int(offsets[row])
                let same =
                    Int(offsets[row + 1]) &- start == length && areEqual(bytes + start, other, length)
                    && (validity == nil || validity![row] != 0)
                kept[count] = Int32(truncatingIfNeeded: row)
                count &+= same ? 1 : 0
            }
        }
        return count
    }

    /// Whether `length` bytes are the same; words of 8 and 4, the last one overlapping the one before.
    @inline(__always)
    static func areEqual(_ a: UnsafePointer<UInt8>, _ b: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        let (left, right) = (UnsafeRawPointer(a), UnsafeRawPointer(b))
        if length >= 8 {
            let last = length &- 8
            var index = 0
            while index < last {
                if left.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    != right.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                {
                    return false
                }
                index &+= 8
            }
            return left.loadUnaligned(fromByteOffset: last, as: UInt64.self)
                == right.loadUnaligned(fromByteOffset: last, as: UInt64.self)
        }
        if length >= 4 {
            return left.loadUnaligned(as: UInt32.self) == right.loadUnaligned(as: UInt32.self)
                && left.loadUnaligned(fromByteOffset: length &- 4, as: UInt32.self)
                    == right.loadUnaligned(fromByteOffset: length &- 4, as: UInt32.self)
        }
        var index = 0
        while index < length {
            if a[index] != b[index] { return false }
            index &+= 1
        }
        return true
    }

    /// Below zero, zero, above zero, as the first text stands to the second.
    @inline(__always)
    static func order(
        _ a: UnsafePointer<UInt8>, _ aLength: Int, _ b: UnsafePointer<UInt8>, _ bLength: Int
    ) -> Int {
        var index = 0
        let shorter = aLength < bLength ? aLength : bLength
        while index < shorter {
            if a[index] != b[index] { return a[index] < b[index] ? -1 : 1 }
            index &+= 1
        }
        return aLength &- bLength
    }

    @inline(__always)
    private static func holds(
        _ comparison: Comparison, _ a: UnsafePointer<UInt8>, _ aLength: Int, _ b: UnsafePointer<UInt8>, _ bLength: Int
    ) -> Bool {
        switch comparison {
        case .equal: aLength == bLength && areEqual(a, b, aLength)
        case .notEqual: !(aLength == bLength && areEqual(a, b, aLength))
        case .less: order(a, aLength, b, bLength) < 0
        case .lessOrEqual: order(a, aLength, b, bLength) <= 0
        case .greater: order(a, aLength, b, bLength) > 0
        case .greaterOrEqual: order(a, aLength, b, bLength) >= 0
        }
    }

    /// Calls `body` with the text's bytes; the pointer is never nil, also for an empty text.
    private static func withBytes(_ text: String, _ body: (UnsafePointer<UInt8>, Int) -> Void) {
        let bytes = Array(text.utf8) + [0]
        bytes.withUnsafeBufferPointer { body($0.baseAddress!, $0.count - 1) }
    }

    // MARK: three-valued logic

    static func and(
        _ a: FixedColumn<Bool>, _ b: FixedColumn<Bool>, _ count: Int, _ rows: SelectedRows
    ) -> FixedColumn<Bool> {
        connect(a, b, count, rows, decisive: false)
    }

    static func or(
        _ a: FixedColumn<Bool>, _ b: FixedColumn<Bool>, _ count: Int, _ rows: SelectedRows
    ) -> FixedColumn<Bool> {
        connect(a, b, count, rows, decisive: true)
    }

    /// The `decisive` value on either side decides, whatever the other is, NULL too; otherwise NULL wins.
    private static func connect(
        _ a: FixedColumn<Bool>, _ b: FixedColumn<Bool>, _ count: Int, _ rows: SelectedRows, decisive: Bool
    ) -> FixedColumn<Bool> {
        let result = FixedColumn<Bool>(rows: count, filler: false)
        let (left, right, to) = (a.values, b.values, result.values)
        if a.validity == nil && b.validity == nil {
            rows.forEach { _, row in to[row] = left[row] == decisive || right[row] == decisive ? decisive : !decisive }
            return result
        }
        let valid = result.validityForWriting()
        let (leftValid, rightValid) = (a.validity, b.validity)
        rows.forEach { _, row in
            let leftKnown = (leftValid?[row] ?? 1) != 0
            let rightKnown = (rightValid?[row] ?? 1) != 0
            let decided = leftKnown && left[row] == decisive || rightKnown && right[row] == decisive
            to[row] = decided ? decisive : !decisive
            valid[row] = decided || leftKnown && rightKnown ? 1 : 0
        }
        return result
    }
}
