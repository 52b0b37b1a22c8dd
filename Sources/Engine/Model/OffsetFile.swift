// Which offsets of a batch lie in a file, because a row of the log has no room for them (`OffsetFiles` writes and reads it).

/// A file of offsets, as an outcome names it.
public struct OffsetFile: Codable, Sendable, Equatable {
    public enum Content: String, Codable, Sendable { case rejected, late }
    public var content: Content
    public var topic: String
    public var partition: Int32
    public var name: String
    public var offsets: Int64
    public var ranges: Int
    public var digest: String

    public init(content: Content, topic: String, partition: Int32, name: String, offsets: Int64, ranges: Int, digest: String) {
        self.content = content
        self.topic = topic
        self.partition = partition
        self.name = name
        self.offsets = offsets
        self.ranges = ranges
        self.digest = digest
    }
}
