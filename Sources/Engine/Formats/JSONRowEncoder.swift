// Rows of a chunk to JSON objects, one record a row, for the Kafka sink: {"campaign_id":"c1","window_start":0,"views":3}.
//
// Compiled once per schema: the text before each value, brace or comma and name, is ready made. Times are milliseconds
// since 1970, as our JSON decoder reads them; NULL, and a number that JSON has no word for (infinity), is null. Numbers
// with a fraction are written with the fewest of 15, 16 or 17 digits that give the same number again. Text is escaped where
// JSON demands it and otherwise copied; it is UTF-8 already. Per row nothing is allocated; `TopicSinkSpeed` prints what a
// row costs here and on its whole way into a topic.

import Glibc

/// Rows to records, one a selected row. Called once a chunk.
package protocol RowEncoder: AnyObject {
    func encode(_ chunk: Chunk, into buffer: RecordBuffer) throws
}

extension AvroEncoder: RowEncoder {}

package final class JSONRowEncoder: RowEncoder {
    private let columns: Schema
    /// `{"name":` of the first field, `,"name":` of the others, one after the other.
    private let names: UnsafeMutablePointer<UInt8>
    private let nameEnds: [Int]
    /// Enough for every name, number and brace of a row; text comes on top.
    private let fixedBytes: Int

    package init(columns: Schema) {
        self.columns = columns
        var bytes: [UInt8] = []
        var ends: [Int] = []
        for (index, field) in columns.fields.enumerated() {
            bytes += Array("\(index == 0 ? "{" : ",")\"\(field.name)\":".utf8)
            ends.append(bytes.count)
        }
        names = .allocate(capacity: max(1, bytes.count))
        names.initialize(from: bytes, count: bytes.count)
        nameEnds = ends
        fixedBytes = bytes.count + 32 * columns.fields.count + 2
    }

    deinit { names.deallocate() }

    package func encode(_ chunk: Chunk, into buffer: RecordBuffer) throws {
        precondition(chunk.columns.count == columns.fields.count, "the chunk has other columns than the encoder was made for")
        let cells = chunk.columns.map(RowCells.init)
        let selected = chunk.selection.map { UnsafePointer($0.rows) }
        withExtendedLifetime(chunk) {
            cells.withUnsafeBufferPointer { cells in
                nameEnds.withUnsafeBufferPointer { ends in
                    for index in 0..<chunk.selectedCount {
                        encode(Chunk.row(index, selected), cells, ends, buffer)
                    }
                }
            }
        }
    }

    @inline(__always)
    private func encode(
        _ row: Int, _ cells: UnsafeBufferPointer<RowCells>, _ ends: UnsafeBufferPointer<Int>, _ buffer: RecordBuffer
    ) {
        var bound = fixedBytes
        for column in 0..<cells.count where cells[column].type == .text {
            // A byte becomes six at most: \u0001.
            bound += 6 * cells[column].text(row).count
        }
        let start = buffer.reserve(bound)
        var target = start
        var nameStart = 0
        for column in 0..<cells.count {
            let nameEnd = ends[column]
            copyBytes(names + nameStart, nameEnd - nameStart, to: target)
            target += nameEnd - nameStart
            nameStart = nameEnd
            let cell = cells[column]
            if cell.isNull(row) {
                writeWord("null", &target)
                continue
            }
            switch cell.type {
            case .int64, .timestamp: writeDecimal(cell.int64(row), &target)
            case .float64: writeNumber(cell.float64(row), &target)
            case .bool: writeWord(cell.bool(row) ? "true" : "false", &target)
            case .text:
                let (text, count) = cell.text(row)
                writeText(text, count, &target)
            }
        }
        target[0] = UInt8(ascii: "}")
        buffer.endRecord(target + 1 - start)
    }
}

@inline(__always)
private func writeWord(_ word: StaticString, _ target: inout UnsafeMutablePointer<UInt8>) {
    target.update(from: word.utf8Start, count: word.utf8CodeUnitCount)
    target += word.utf8CodeUnitCount
}

@inline(__always)
private func writeDecimal(_ value: Int64, _ target: inout UnsafeMutablePointer<UInt8>) {
    var rest = value.magnitude
    if value < 0 {
        target[0] = UInt8(ascii: "-")
        target += 1
    }
    var digits = 1
    var limit: UInt64 = 10
    while rest >= limit {
        digits += 1
        if digits == 20 { break }
        limit &*= 10
    }
    var at = digits - 1
    while at >= 0 {
        let next = rest / 10
        target[at] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest &- next &* 10)
        rest = next
        at -= 1
    }
    target += digits
}

private func writeNumber(_ value: Double, _ target: inout UnsafeMutablePointer<UInt8>) {
    guard value.isFinite else {
        writeWord("null", &target)
        return
    }
    // At most 24 characters with the closing zero, in a room of 32.
    target.withMemoryRebound(to: CChar.self, capacity: 32) { text in
        for digits: Int32 in 15...17 {
            gcvt(value, digits, text)
            if strtod(text, nil) == value { break }
        }
        target += strlen(text)
    }
}

@inline(__always)
private func writeText(_ text: UnsafePointer<UInt8>, _ count: Int, _ target: inout UnsafeMutablePointer<UInt8>) {
    target[0] = UInt8(ascii: "\"")
    target += 1
    if mustEscape(text, count) {
        writeEscaped(text, count, &target)
    } else {
        copyBytes(text, count, to: target)
        target += count
    }
    target[0] = UInt8(ascii: "\"")
    target += 1
}

/// Whether a control character, a quote or a backslash is in the text. A loop without a way out, so that the compiler can
/// look at many bytes at a time.
@inline(__always)
private func mustEscape(_ text: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    var found: UInt8 = 0
    for index in 0..<count {
        let byte = text[index]
        found |= (byte < 0x20 ? 1 : 0) | (byte == 0x22 ? 1 : 0) | (byte == 0x5c ? 1 : 0)
    }
    return found != 0
}

@inline(never)
private func writeEscaped(_ text: UnsafePointer<UInt8>, _ count: Int, _ target: inout UnsafeMutablePointer<UInt8>) {
    for index in 0..<count {
        let byte = text[index]
        switch byte {
        case 0x22, 0x5c:
            target[0] = 0x5c
            target[1] = byte
            target += 2
        case 0..<0x20:
            writeWord("\\u00", &target)
            target[0] = byte >> 4 == 0 ? 0x30 : 0x31
            let low = byte & 15
            target[1] = low < 10 ? 0x30 + low : 0x57 + low
            target += 2
        default:
            target[0] = byte
            target += 1
        }
    }
}
