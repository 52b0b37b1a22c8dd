// How many bytes of a partition one answer of a broker shall bring: few, so that they are still in the processor's cache when they are
// walked; more where the broker is far, because a partition is asked for once at a time and the way there and back is paid for each answer.
//
// The way is the shortest that one of the last answers took from request to first byte: a broker that waited for records, or a reader
// that was busy, only makes it look longer. A near broker's is a tenth of a millisecond. Pure; one a connection.
//
// Measured with `campaign-views`, 20,000,000 Avro events on two cores, three rounds in turn, million events a second: answers of 1 MiB
// 10.1 to 11.2, 512 KiB 10.1 to 11.5, 256 KiB 11.3 to 12.3, 128 KiB 11.3 to 11.5.

package struct AnswerSize: Sendable {
    /// Bytes of a near broker's answer.
    package static let nearBytes = 256 << 10
    /// How long the way to a near broker takes at most.
    package static let nearMicros = 1000

    /// Where nobody says how much, an answer brings at least `nearBytes` and at most this.
    private let most: Int
    private let isGiven: Bool
    /// The ways of the last answers, the oldest in turn.
    private var micros: InlineArray<16, Int>
    private var turn = 0

    /// - Parameter isGiven: `most` is what the settings ask for, and stays.
    package init(most: Int, isGiven: Bool) {
        self.most = most
        self.isGiven = isGiven
        // The first answers of a far broker are small.
        micros = InlineArray(repeating: 0)
    }

    /// Takes how long it took from the request of an answer with records to its first byte.
    package mutating func came(afterMicros way: Int) {
        micros[turn] = way
        turn = (turn + 1) % micros.count
    }

    package var bytes: Int {
        if isGiven { return most }
        var shortest = Int.max
        for index in micros.indices { shortest = min(shortest, micros[index]) }
        let (bytes, isOver) = shortest.multipliedReportingOverflow(by: Self.nearBytes)
        return min(most, isOver ? most : max(Self.nearBytes, bytes / Self.nearMicros))
    }
}

extension AnswerSize {
    package init(_ settings: FetchSettings) {
        self.init(most: Int(settings.mostPartitionBytes), isGiven: settings.isPartitionBytesGiven)
    }
}
