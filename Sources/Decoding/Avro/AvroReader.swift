// Avro is not read yet: a table that says so is refused.

import Values

package struct AvroWriterSchema: Sendable, Hashable {
    /// The id in the framing of its records; nil for the only one, which then stands for any.
    package var id: UInt32?
    package var text: String

    package init(id: UInt32? = nil, text: String) {
        self.id = id
        self.text = text
    }
}

final class AvroReader: RecordReader {
    init(
        _ table: SlotTable, names: [String], optional: [Bool], of owner: String, writers: [AvroWriterSchema], takesBareValue: Bool = false, times: TimeReading, pool: BufferPool
    ) throws(DecodingError) {
        throw DecodingError("format avro of \(owner)", why: "Avro is not read here yet", now: "take format = 'json'")
    }
    func read(_ bytes: Place, _ count: Int, row: Int, stamp: UInt64) -> Bool { false }
    func fault(_ bytes: Place, _ count: Int) -> RowFault { .notText }
}
