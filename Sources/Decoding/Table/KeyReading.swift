// Keys of records as columns: by `key_format`, one row beside each row of values.
//
//   text   the bytes are the text of the one key column
//   json   an object with a field for each key column; of one column also its bare value
//   avro   a record with a field for each key column; of one column also its bare value
//
// A key that lacks a column, has NULL in one or does not decode is no key: its record changes nothing.

import SQLBinding
import Values

/// The bytes of a record are the text of one slot.
final class TextReader: ValueReader {
    let table: SlotTable
    private let input: TextInput

    init(_ table: SlotTable, times: TimeReading, pool: BufferPool) {
        self.table = table
        input = TextInput(table, times: times, pool: pool)
    }

    func read(_ bytes: Place, _ count: Int, row: Int, stamp: UInt64) -> Bool {
        let text = UnsafeRawBufferPointer(start: bytes, count: count)
        table.slots.pointee.mark = stamp | Found.value
        if isText(bytes, count) { input.store(text, table.slots, row, stamp) } else { table.fail(table.slots, stamp, .notText, at: text) }
        return true
    }

    func fault(_ bytes: Place, _ count: Int) -> RowFault { .notText }
}

/// `format = 'raw'`: the bytes of a record are its only column.
final class RawReader: ValueReader {
    let table: SlotTable

    init(_ table: SlotTable) { self.table = table }

    func read(_ bytes: Place, _ count: Int, row: Int, stamp: UInt64) -> Bool {
        guard table.count > 0 else { return true }
        let slot = table.slots
        slot.pointee.mark = stamp | Found.value
        if slot.pointee.conversion != .presence { table.store(UnsafeRawBufferPointer(start: bytes, count: count), slot, row) }
        return true
    }

    func fault(_ bytes: Place, _ count: Int) -> RowFault { .notText }
}

/// The key's columns of the chunk that is being made.
final class KeyReading {
    enum Reader {
        case text(TextReader)
        case json(JSONReader)
        case avro(AvroReader)
    }

    let table: SlotTable
    private let reader: Reader

    /// - Parameter schemas: what keys of Avro are written with.
    init(of table: TableDefinition, _ schemas: [AvroWriterSchema], _ times: TimeReading, _ pool: BufferPool) throws(DecodingError) {
        let columns = table.key.map { table.columns[$0] }
        let slots = SlotTable(columns.map(\.type), columns.map { Conversion($0.type) }, pool: pool)
        let names = columns.map(\.name)
        self.table = slots
        switch table.options[.keyFormat] ?? (table.options[.format] == "avro" ? "avro" : columns.count == 1 ? "text" : "json") {
        case "json": reader = .json(JSONReader(slots, names: names, times: times, takesBareValue: columns.count == 1, pool: pool))
        case "avro":
            reader = .avro(
                try AvroReader(
                    slots, names: names, optional: names.map { _ in false }, of: "\(table.name)'s key", writers: schemas, takesBareValue: columns.count == 1, times: times,
                    pool: pool))
        default:
            guard columns.count == 1 else {
                throw DecodingError(
                    "key_format = 'text' of table \(table.name), whose key has \(columns.count) columns", why: "a text is the value of one column",
                    now: "take key_format = 'json'")
            }
            reader = .text(TextReader(slots, times: times, pool: pool))
        }
    }

    /// Reads a key into a row.
    /// - Returns: what is wrong with it, and with which of the key's columns.
    func read(_ key: Place, _ count: Int, row: Int, stamp: UInt64) -> (RowRejectReason, RowFault, column: Int?)? {
        if count > RecordLimits.recordBytes { return (.keyUndecodable, .tooLarge, nil) }
        let isRead =
            switch reader {
            case .text(let reader): reader.read(key, count, row: row, stamp: stamp)
            case .json(let reader): reader.read(key, count, row: row, stamp: stamp)
            case .avro(let reader): reader.read(key, count, row: row, stamp: stamp)
            }
        guard isRead else { return (.keyUndecodable, fault(key, count), nil) }
        for index in 0..<table.count where table.slots[index].mark != stamp | Found.value {
            if table.slots[index].mark == stamp | Found.failed { return (.keyUndecodable, table.faults[index]!, index) }
            return (.keyMissing, .nullKey, index)
        }
        return nil
    }

    private func fault(_ key: Place, _ count: Int) -> RowFault {
        switch reader {
        case .text(let reader): reader.fault(key, count)
        case .json(let reader): reader.fault(key, count)
        case .avro(let reader): reader.fault(key, count)
        }
    }

    func setNull(_ row: Int) { for index in 0..<table.count { table.setNull(index, row) } }
}
