// Which step of a Kafka sink's part follows what the broker told: pure values.

import Engine
import Testing

@Suite struct TopicRoundTests {
    private static let identity = SinkTable.bare.identity("b", epoch: 2)
    private static let doubt = Failure(.kafkaTransient, "a commit was not answered", why: "a test says so", now: "nothing")

    private static func marker(_ batch: BatchNumber, _ digest: String = "d", epoch: Epoch = 2) -> TopicMarker {
        TopicMarker(batch: batch, epoch: epoch, digest: digest, parts: 2)
    }

    private static func seal(_ batch: BatchNumber, after: Predecessor = .seal(batch: 4, digest: "d")) -> TopicRound {
        TopicRound(.seal(batch: batch, digest: "new", after: after), identity, part: 1, place: "kafka:t")
    }

    private func code(_ step: TopicRound.Step) -> Failure.Code? { if case .fail(let reason) = step { reason.code } else { nil } }

    @Test func `a batch is sealed when its marker has been read back`() {
        var round = Self.seal(5)
        let new = Self.marker(5, "new")
        #expect(round.opened(Self.marker(4), isRemembered: false) == .write(new))
        #expect(round.written() == .look)
        #expect(round.looked(new) == .done(.written, new))
    }

    @Test func `a commit without an answer is decided by the marker`() {
        // It was made.
        var made = Self.seal(5)
        _ = made.opened(Self.marker(4), isRemembered: false)
        #expect(made.troubled(Self.doubt) == .open)
        #expect(made.opened(Self.marker(5, "new"), isRemembered: false) == .done(.alreadySealed, Self.marker(5, "new")))
        // It was not.
        var lost = Self.seal(5)
        _ = lost.opened(Self.marker(4), isRemembered: false)
        #expect(lost.troubled(Self.doubt) == .open)
        #expect(lost.opened(Self.marker(4), isRemembered: false) == .write(Self.marker(5, "new")))
    }

    @Test func `a commit that was answered and is not there is written again`() {
        var round = Self.seal(5)
        _ = round.opened(Self.marker(4), isRemembered: false)
        #expect(round.looked(Self.marker(4)) == .open)
        #expect(round.looked(nil) == .open)
        #expect(round.number == 3)
    }

    @Test func `trouble without an end is the driver's to decide`() {
        var round = Self.seal(5)
        for _ in 0..<3 { #expect(round.troubled(Self.doubt) == .open) }
        #expect(round.troubled(Self.doubt) == .fail(Self.doubt))
    }

    @Test func `nothing is written without a marker, past a newer driver, or over something else`() {
        var none = Self.seal(5)
        #expect(none.opened(nil, isRemembered: false) == .missing)
        var old = Self.seal(5)
        #expect(code(old.opened(Self.marker(4, epoch: 3), isRemembered: false)) == .staleEpoch)
        var other = Self.seal(5)
        #expect(code(other.opened(Self.marker(3), isRemembered: false)) == .ledgerConflict)
    }

    @Test func `a part that another worker had meanwhile was taken for a sink put back to an older copy`() {
        // What this worker wrote last is older than what the log says; whoever had the part since has fenced its producer.
        var round = Self.seal(5)
        #expect(round.opened(Self.marker(3), isRemembered: true) == .open)
        #expect(round.opened(Self.marker(4), isRemembered: false) == .write(Self.marker(5, "new")))
        // What it remembers as sealed is sealed, and what stands under a newer driver is read anew, then refused.
        var sealed = Self.seal(5)
        #expect(sealed.opened(Self.marker(5, "new"), isRemembered: true) == .done(.alreadySealed, Self.marker(5, "new")))
        var lost = Self.seal(5)
        #expect(lost.opened(nil, isRemembered: true) == .open)
        #expect(lost.opened(nil, isRemembered: false) == .missing)
    }

    @Test func `a claim keeps the batch that is really there`() {
        let wanted = TopicMarker(batch: 0, epoch: 2, digest: "", parts: 3)
        var round = TopicRound(.claim(wanted, adopt: false), Self.identity, part: 0, place: "kafka:t")
        var kept = wanted
        (kept.batch, kept.digest) = (7, "d")
        #expect(round.opened(Self.marker(7, epoch: 1), isRemembered: false) == .write(kept))
        var first = TopicRound(.claim(wanted, adopt: false), Self.identity, part: 0, place: "kafka:t")
        #expect(first.opened(nil, isRemembered: false) == .write(wanted))
        var newer = TopicRound(.claim(wanted, adopt: false), Self.identity, part: 0, place: "kafka:t")
        #expect(code(newer.opened(Self.marker(7, epoch: 3), isRemembered: false)) == .staleEpoch)
    }
}
