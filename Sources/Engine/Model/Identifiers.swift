// The names by which everything durable is known.
//
// A job's *name* is for people; everything durable outside the catalog carries its *id* (protocol 1), because two
// catalogs can both hold a job of the same name. A batch is a number that only grows within one job id. Epochs are the
// lease's numbers: whoever carries the higher one has taken the job over.
//
// When changing this file: ids are stored in catalogs and sinks of running jobs; their text form must not change.

/// A job's identity: 128 random bits as 32 lower-case hexadecimal digits.
public struct JobID: Hashable, Sendable, Codable, CustomStringConvertible {
    public let text: String

    public init(text: String) { self.text = text }

    public static func random() -> JobID {
        var generator = SystemRandomNumberGenerator()
        return JobID(text: hexadecimal(generator.next()) + hexadecimal(generator.next()))
    }

    public init(from decoder: any Decoder) throws { text = try decoder.singleValueContainer().decode(String.self) }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
    public var description: String { text }
}

/// The number of a batch within its job id; the first is 1. Version N of a state is what batch N left.
public typealias BatchNumber = Int64

/// The lease's number, raised at each takeover; whatever carries a lower one is refused.
public typealias Epoch = Int64

/// One Kafka partition of one topic.
public struct TopicPartition: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    public var topic: String
    public var partition: Int32

    public init(topic: String, partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    public static func < (left: TopicPartition, right: TopicPartition) -> Bool {
        (left.topic, left.partition) < (right.topic, right.partition)
    }
    public var description: String { "\(topic)/\(partition)" }
}

/// The half-open interval `[from, until)` of offsets of one topic partition.
public struct OffsetRange: Hashable, Sendable, Codable, CustomStringConvertible {
    public var topic: String
    public var partition: Int32
    public var from: Int64
    public var until: Int64

    public init(topic: String, partition: Int32, from: Int64, until: Int64) {
        self.topic = topic
        self.partition = partition
        self.from = from
        self.until = until
    }

    public var topicPartition: TopicPartition { TopicPartition(topic: topic, partition: partition) }
    /// Offsets in the range. Transaction markers and compaction leave holes, so records can be fewer.
    public var count: Int64 { until.minus(from) }
    public var isEmpty: Bool { until <= from }
    public var description: String { "\(topic)/\(partition) [\(from), \(until))" }
}

/// 16 lower-case hexadecimal digits.
public func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

extension OffsetRange {
    /// The fewest ranges of `whole`'s partition that hold exactly `offsets`.
    package static func covering(_ offsets: [Int64], of whole: OffsetRange) -> [OffsetRange] {
        var result: [OffsetRange] = []
        for offset in offsets.sorted() {
            if let last = result.last, offset < last.until { continue }
            if let last = result.last, offset == last.until {
                result[result.count - 1].until = offset.plus(1)
            } else {
                result.append(
                    OffsetRange(topic: whole.topic, partition: whole.partition, from: offset, until: offset.plus(1)))
            }
        }
        return result
    }
}
