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

    public init(payload: UnsafePointer<UInt8>?, length: Int, offset: Int64) {
        self.payload = payload
        self.length = length
        self.offset = offset
    }
}

/// Why a record did not become a row; the names are stored in the quarantine table.
public enum RejectReason: String, Sendable, Codable, CaseIterable {
    case empty, framing, unknownSchema, truncated, trailingBytes, invalidValue, invalidText, missingField, wrongType
    case nullField, tooDeep, tooLarge, futureTime
    /// No value at all: how a compacted topic deletes a key. Counted apart, and no bad record (protocol 11).
    case tombstone
    /// A time outside `rowTimes`.
    case timeOutOfRange
    /// A part of the key is NULL, or not a finite number: no row of a table could be found by it.
    case nullKey, notFiniteKey
    /// The process that reads it ends. It is left out of the batch, by the plan (protocol 3).
    case crash
}

/// A record of the current chunk that did not become a row.
public struct RejectedRecord: Sendable, Hashable {
    /// Index into the records of the call.
    public var index: Int
    public var offset: Int64
    public var reason: RejectReason
    /// The time that came out, in milliseconds since 1970, where that was what was wrong.
    public var timeMillis: Int64?

    public init(index: Int, offset: Int64, reason: RejectReason, timeMillis: Int64? = nil) {
        self.index = index
        self.offset = offset
        self.reason = reason
        self.timeMillis = timeMillis
    }
}

/// One rejected record for people: what stands in a message about many.
public struct RejectExample: Sendable, Hashable, Codable {
    public var partition: Int32
    public var offset: Int64
    public var reason: RejectReason
    public var timeMillis: Int64?
    /// The first five bytes: what an Avro value is framed with. They say which format it is, and nothing of its content.
    public var head: [UInt8]

    public init(partition: Int32, offset: Int64, reason: RejectReason, timeMillis: Int64?, head: [UInt8]) {
        self.partition = partition
        self.offset = offset
        self.reason = reason
        self.timeMillis = timeMillis
        self.head = head
    }

    /// `3 at 17: timeOutOfRange, the time 58133-06-12T00:00:00.000Z came out, which looks like microseconds`.
    package func text(format: RecordFormat, nowMillis: Int64) -> String {
        var text = "\(partition) at \(offset): \(reason.rawValue)"
        if let timeMillis {
            text += ", the time \(formatTime(timeMillis)) came out"
            if let unit = likelyUnit(ofMillis: timeMillis, nowMillis: nowMillis) { text += ", which looks like \(unit) taken for milliseconds" }
            return text
        }
        if reason == .unknownSchema, head.count == 5 {
            return text + ", its schema id is \(head[1...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })"
        }
        if reason == .nullKey || reason == .notFiniteKey || head.isEmpty { return text }
        text += ", its bytes begin with " + head.map { String(hexadecimal(UInt64($0)).suffix(2)) }.joined(separator: " ")
        switch format {
        case .avro: if head[0] == UInt8(ascii: "{") { text += ", which looks like JSON" }
        case .json: if head[0] == 0, head.count == 5 { text += ", which looks like Avro" }
        }
        return text
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
