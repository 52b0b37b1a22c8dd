// How one part of a Kafka sink comes to a batch, or to a claim, whatever goes wrong on the way: which step follows what the broker told.
//
//   open -> opened(marker) -> write | done | missing | fail
//   write -> written -> look -> looked(marker) -> done | trouble
//   trouble in any of them: the producer is dropped, and it begins again at `open`; after some rounds the driver decides
//
// A batch counts as sealed when its marker has been read back: Kafka answers a commit when it has decided it, before the partitions
// know; if it loses its way in between (KAFKA-20734), the rows are not there, and nobody may have been told so. A commit without an
// answer is trouble: the next round takes the id, which ends whatever is open, and the marker says what became of it.
//
// Pure: `TopicPartWriter` carries out against librdkafka, the simulator against a made broker. When changing it: nothing is written
// before the marker was read by who has taken the id; no path leads from trouble to `done` without a marker that was read behind it.

package struct TopicRound: Sendable {
    package enum Order: Sendable {
        case seal(batch: BatchNumber, digest: String, after: Predecessor)
        /// The marker that the part shall have, but for the batch that is really there.
        case claim(TopicMarker, adopt: Bool)
    }

    package enum Step: Sendable, Equatable {
        /// Take the id, unless it is held, then read the marker. Behind any other step it is not held any more.
        case open
        /// One transaction: the rows of a seal, and this marker.
        case write(TopicMarker)
        /// Read the marker as everybody sees it.
        case look
        /// The marker is this, and stays so while the producer lives.
        case done(SealOutcome, TopicMarker)
        /// There is no marker to decide by.
        case missing
        case fail(Failure)
    }

    private let order: Order
    private let identity: SinkIdentity
    private let part: Int
    private let place: String
    package private(set) var number = 1
    private var wanted: TopicMarker?

    /// Two attempts at one part fence each other in turn for a while.
    private static let most = 4

    package init(_ order: Order, _ identity: SinkIdentity, part: Int, place: String) {
        self.order = order
        self.identity = identity
        self.part = part
        self.place = place
    }

    /// The id is taken, and the marker is `found`.
    /// - Parameter isRemembered: from an earlier round. Another worker may have had the part since, and its marker is newer then: what
    ///   does not fit is read anew by whoever takes the id again.
    package mutating func opened(_ found: TopicMarker?, isRemembered: Bool) -> Step {
        let step = next(found)
        switch step {
        case .missing where isRemembered, .fail where isRemembered: return .open
        default: return step
        }
    }

    private mutating func next(_ found: TopicMarker?) -> Step {
        do throws(Failure) {
            var marker: TopicMarker
            switch order {
            case .seal(let batch, let digest, let after):
                guard let found else { return .missing }
                switch try found.step(identity, part: part, batch: batch, digest: digest, after: after, place: place) {
                case .alreadySealed: return .done(.alreadySealed, found)
                case .write: break
                }
                marker = found
                marker.batch = batch
                marker.digest = digest
            case .claim(let claimed, let adopt):
                marker = claimed
                if var found {
                    if adopt { found.takenBy = nil }
                    try found.check(identity, place: place)
                    marker.batch = found.batch
                    marker.digest = found.digest
                }
            }
            wanted = marker
            return .write(marker)
        } catch { return .fail(error) }
    }

    /// The commit was answered with success.
    package func written() -> Step { .look }

    package mutating func looked(_ found: TopicMarker?) -> Step {
        if let wanted, found == wanted { return .done(.written, wanted) }
        return troubled(
            Failure(
                .kafkaTransient, "a transaction on part \(part) of \(place) was committed and is not there",
                why: found.map { "the marker says batch \($0.batch), epoch \($0.epoch)" } ?? "there is no marker",
                now: "nothing; another producer takes over"))
    }

    /// The producer is of no use any more, and nobody knows what became of its transaction.
    package mutating func troubled(_ reason: Failure) -> Step {
        guard number < Self.most else { return .fail(reason) }
        number += 1
        return .open
    }
}
