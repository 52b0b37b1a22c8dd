// From the bytes of Kafka records to columns: the contract that the Avro and the JSON decoder fulfil.
//
// A decoder is made once per (writer schema, needed columns) and called once per chunk of records. It appends one row
// to every column for each record that decodes, in the records' order, and lists the others in `rejected`; it never
// throws and never drops a record silently: rows appended + rejected == records given. A record that fails halfway
// leaves no partial row. Bytes are read where librdkafka holds them; nothing is copied but what the plan needs.

/// One record where the Kafka client holds it; valid until the messages of its chunk are destroyed.
public struct RawRecord {
    /// The record's value; nil for a tombstone.
    public var payload: UnsafePointer<UInt8>?
    public var length: Int
    public var offset: Int64
    /// nil for a record without a key; an empty one is somewhere.
    package var key: UnsafePointer<UInt8>?
    package var keyLength: Int
    /// Since 1970, as its producer or its broker stamped it; `noTime` where it has none.
    package var timeMillis: Int64

    package static let noTime = Int64.min

    public init(payload: UnsafePointer<UInt8>?, length: Int, offset: Int64) {
        self.init(payload: payload, length: length, offset: offset, key: nil, keyLength: 0, timeMillis: Self.noTime)
    }

    @inline(__always)
    package init(payload: UnsafePointer<UInt8>?, length: Int, offset: Int64, key: UnsafePointer<UInt8>?, keyLength: Int, timeMillis: Int64) {
        self.payload = payload
        self.length = length
        self.offset = offset
        self.key = key
        self.keyLength = keyLength
        self.timeMillis = timeMillis
    }
}

public protocol RowDecoder: AnyObject {
    /// The columns that `decode` fills, in order.
    var schema: Schema { get }

    /// Decodes all `records`, appending to `columns` (one per field of `schema`) and to `rejected`.
    /// After the call every column has grown by `records.count - (rejected grown by)`.
    /// `kept` receives the index of each record that became a row, in order, when the caller wants to know (source
    /// coordinates); it has room for `records.count` entries.
    /// - Returns: the number of rows appended.
    func decode(
        _ records: UnsafeBufferPointer<RawRecord>, into columns: [Column], kept: UnsafeMutablePointer<Int32>?,
        rejected: inout [RejectedRecord]
    ) -> Int
}
