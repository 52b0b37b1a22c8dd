// One record that did not become a row, for the task that reads it and for people.

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
