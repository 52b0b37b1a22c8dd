// What one part's operators changed in a batch, as one file; whoever stores it checks and compresses it.
//
//   file      version of this form (a byte), version of keys and values, how many operators, operators
//   operator  id (16 bytes), how many entries, entries in the order of the delta
//   entry     key group, length of the key, key, length of the value and one more (0: the key is gone), value
//
// Numbers are those of `ByteReader`. Nothing here knows what keys and values mean: that is each operator's, under `StateDelta.version`.
// A snapshot is a file in which no key is gone; it is written and read in the same way.
//
// When changing the form: raise `version`. Files of an older one are refused, and the state in them is lost: keep the old reader beside.

package enum StateFileBytes {
    /// Of the form above.
    package static let version: UInt8 = 1

    /// - Parameter deltas: in the order in which they stand in the file.
    package static func write(_ deltas: [(id: OperatorID, delta: StateDelta)]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(deltas.reduce(16) { sum, part in part.delta.entries.reduce(sum + 32) { $0 + $1.key.count + ($1.value?.count ?? 0) + 6 } })
        begin(operators: deltas.count, &bytes)
        for (id, delta) in deltas {
            begin(id, entries: delta.entries.count, &bytes)
            for entry in delta.entries {
                bytes.append(number: entry.group)
                bytes.append(number: entry.key.count)
                bytes += entry.key
                bytes.append(number: entry.value.map { $0.count + 1 } ?? 0)
                if let value = entry.value { bytes += value }
            }
        }
        return bytes
    }

    package static func read(_ bytes: [UInt8]) throws(StateFault) -> [(id: OperatorID, delta: StateDelta)] {
        var deltas: [(id: OperatorID, delta: StateDelta)] = []
        try walk(bytes) { id in
            deltas.append((id, StateDelta()))
        } entry: { entry in
            let key = Array(bytes[entry.key])
            if let value = entry.value {
                deltas[deltas.count - 1].delta.put(entry.group, key, Array(bytes[value]))
            } else {
                deltas[deltas.count - 1].delta.remove(entry.group, key)
            }
        }
        return deltas
    }

    static func begin(operators count: Int, _ bytes: inout [UInt8]) {
        bytes.append(version)
        bytes.append(number: StateDelta.version)
        bytes.append(number: count)
    }

    static func begin(_ id: OperatorID, entries count: Int, _ bytes: inout [UInt8]) {
        bytes.append(word: id.high)
        bytes.append(word: id.low)
        bytes.append(number: count)
    }

    /// An entry where it lies in its file.
    struct Place {
        let group: Int
        let key: Range<Int>
        /// nil where the key is gone.
        let value: Range<Int>?
    }

    /// Goes through a file from the front to the end.
    static func walk(_ bytes: [UInt8], operator begin: (OperatorID) -> Void, entry: (Place) -> Void) throws(StateFault) {
        let fault: BytesFault? = bytes.withUnsafeBytes { all in
            var reader = ByteReader(all)
            do throws(BytesFault) {
                try walk(&reader, of: all.count, begin, entry)
                return nil
            } catch {
                return error
            }
        }
        if let fault { throw StateFault(what: fault.what) }
    }

    private static func walk(_ reader: inout ByteReader, of total: Int, _ begin: (OperatorID) -> Void, _ body: (Place) -> Void) throws(BytesFault) {
        let form = try reader.byte()
        guard form == version else { throw BytesFault(what: "a file of form \(form), known is \(version)") }
        let content = try reader.number()
        guard content == StateDelta.version else { throw BytesFault(what: "entries of version \(content), known is \(StateDelta.version)") }
        for _ in 0..<(try reader.number()) {
            let high = try reader.word()
            begin(OperatorID(high: high, low: try reader.word()))
            for _ in 0..<(try reader.number()) {
                let group = try reader.number()
                guard group < KeyGroup.count else { throw BytesFault(what: "a key group \(group), there are \(KeyGroup.count)") }
                let keyCount = try reader.number()
                let keyStart = total - reader.left
                _ = try reader.take(keyCount)
                let valueCount = try reader.number() - 1
                let valueStart = total - reader.left
                if valueCount >= 0 { _ = try reader.take(valueCount) }
                body(Place(group: group, key: keyStart..<keyStart + keyCount, value: valueCount < 0 ? nil : valueStart..<valueStart + valueCount))
            }
        }
        guard reader.isAtEnd else { throw BytesFault(what: "\(reader.left) bytes behind the last entry") }
    }
}
