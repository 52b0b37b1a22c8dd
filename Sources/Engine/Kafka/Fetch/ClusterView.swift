// What brokers say of the cluster: who leads which partition in which epoch, where brokers are, what id a topic has. A value.
//
// It is made from one answer to Metadata and never changed in part, except that a fetch may learn a newer leader (`learn`).
// Leader epochs are there from version 9 on (earlier ones count otherwise), topic ids from 10 on; where a broker knows neither,
// -1 and the id of zeros stand for that. A topic that the answer names with an error is in `errors`.

package struct BrokerAddress: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int32

    package init(host: String, port: Int32) {
        self.host = host
        self.port = port
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Those of a list as in bootstrap: `host:port,host:port`; a scheme before one is ignored, 9092 is the usual port.
    package static func list(_ text: String) -> [BrokerAddress] {
        text.split(separator: ",").compactMap { piece in
            var piece = piece.trimmingSpaces()
            if let scheme = piece.range(of: "://") { piece = piece[scheme.upperBound...] }
            if piece.isEmpty { return nil }
            guard let colon = piece.lastIndex(of: ":"), !piece[colon...].contains("]"),
                let port = Int32(piece[piece.index(after: colon)...])
            else { return BrokerAddress(host: bare(piece), port: 9092) }
            return BrokerAddress(host: bare(piece[..<colon]), port: port)
        }
    }

    private static func bare(_ host: Substring) -> String {
        host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }

    fileprivate func range(of word: String) -> Range<Index>? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(word) { return index..<self.index(index, offsetBy: word.count) }
            index = self.index(after: index)
        }
        return nil
    }
}

package struct ClusterView: Sendable, Hashable {
    package struct Leader: Sendable, Hashable {
        /// -1 while there is none.
        package var broker: Int32
        package var epoch: Int32
        package var error: Int16 = 0
    }
    package struct Topic: Sendable, Hashable {
        package var id: TopicID
        package var error: Int16
        package var leaders: [Int32: Leader]
    }

    package var brokers: [Int32: BrokerAddress] = [:]
    package var topics: [String: Topic] = [:]
    /// Of the whole answer: 129 asks to begin at the bootstrap addresses again.
    package var error: Int16 = 0

    package init() {}

    package static let beginAgain: Int16 = 129

    package func leader(of partition: TopicPartition) -> Leader? {
        topics[partition.topic]?.leaders[partition.partition]
    }

    /// A leader that a broker named in an answer; an older epoch than the known one is no news.
    package mutating func learn(_ leader: Leader, of partition: TopicPartition, at address: BrokerAddress?) {
        guard let known = self.leader(of: partition), leader.epoch > known.epoch, leader.broker >= 0 else { return }
        if let address { brokers[leader.broker] = address }
        guard brokers[leader.broker] != nil else { return }
        topics[partition.topic]?.leaders[partition.partition] = leader
    }

    /// Topics by name; none are made by asking.
    package static func ask(_ request: inout WireRequest, version: Int16, topics: [String]) {
        request.count(topics.count)
        for topic in topics {
            if version >= 10 { request.topicID(.none) }
            request.text(topic)
            request.tags()
        }
        request.bool(false)
        if version >= 8 {
            if version <= 10 { request.bool(false) }
            request.bool(false)
        }
        request.tags()
    }

    /// - Parameter cursor: behind the header.
    package init(_ cursor: inout WireCursor, version: Int16) throws(WireError) {
        let isFlexible = WireCall.metadata.isFlexible(version)
        _ = try cursor.int32()
        for _ in 0..<(try cursor.count(isFlexible, elementBytes: 10)) {
            let id = try cursor.int32()
            let address = BrokerAddress(host: try cursor.text(isFlexible), port: try cursor.int32())
            _ = try cursor.optionalText(isFlexible)
            try cursor.tags(isFlexible)
            guard (1...65_535).contains(address.port) else { throw .malformed("broker \(id) at port \(address.port)") }
            brokers[id] = address
        }
        _ = try cursor.optionalText(isFlexible)
        _ = try cursor.int32()
        for _ in 0..<(try cursor.count(isFlexible, elementBytes: 6)) {
            var topic = Topic(id: .none, error: try cursor.int16(), leaders: [:])
            let name = try cursor.optionalText(isFlexible)
            if version >= 10 { topic.id = try cursor.topicID() }
            _ = try cursor.bool()
            for _ in 0..<(try cursor.count(isFlexible, elementBytes: 13)) {
                let error = try cursor.int16()
                let partition = try cursor.int32()
                let broker = try cursor.int32()
                var epoch = version >= 7 ? try cursor.int32() : -1
                if version < 9 { epoch = -1 }
                for _ in 0..<(version >= 5 ? 3 : 2) { try cursor.skipInt32s(isFlexible) }
                try cursor.tags(isFlexible)
                topic.leaders[partition] = Leader(broker: broker, epoch: epoch, error: error)
            }
            if version >= 8 { _ = try cursor.int32() }
            try cursor.tags(isFlexible)
            if let name { topics[name] = topic }
        }
        if (8...10).contains(version) { _ = try cursor.int32() }
        if version >= 13 { error = try cursor.int16() }
        try cursor.tags(isFlexible)
    }
}
