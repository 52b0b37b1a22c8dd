// What a marker says, what follows from it, and when a missing one stops the job: pure values.

import Engine
import Testing

@Suite struct TopicMarkerTests {
    static let id = String(repeating: "a", count: 32)

    @Test(arguments: [
        TopicMarker(batch: 0, epoch: 1, digest: "", parts: 4),
        TopicMarker(batch: 7, epoch: 3, digest: "b0b4aefb481b90940000000000000960", parts: 1),
        TopicMarker(batch: .max, epoch: .max, digest: "d", parts: 100_000, takenBy: JobID(text: id)),
    ])
    func `a marker is read as it was written`(marker: TopicMarker) {
        #expect(TopicMarker(batch: marker.batch, metadata: marker.metadata) == marker)
    }

    @Test(arguments: [nil, "", "batch=3 epoch=1", "epoch=x parts=2", "epoch=1", "parts=3", "epoch parts"])
    func `a position that somebody else wrote is no marker`(metadata: String?) {
        #expect(TopicMarker(batch: 3, metadata: metadata) == nil)
        #expect(TopicMarker(batch: -1, metadata: "epoch=1 parts=2") == nil)
    }

    struct StepCase: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var marker: TopicMarker
        var batch: BatchNumber
        var digest = "d"
        var after = Predecessor.unknown
        var step: TopicMarker.Step?
        var refusal: Failure.Code?
    }

    static func marker(_ batch: BatchNumber, _ epoch: Epoch = 2, taken: JobID? = nil) -> TopicMarker {
        TopicMarker(batch: batch, epoch: epoch, digest: "d", parts: 4, takenBy: taken)
    }

    @Test(arguments: [
        StepCase(testDescription: "the next batch is written", marker: marker(4), batch: 5, step: .write),
        StepCase(testDescription: "batches without rows leave no marker", marker: marker(4), batch: 9, step: .write),
        StepCase(testDescription: "the same batch is there", marker: marker(5), batch: 5, step: .alreadySealed),
        StepCase(testDescription: "the same batch with other rows", marker: marker(5), batch: 5, digest: "e", refusal: .ledgerConflict),
        StepCase(testDescription: "an older batch", marker: marker(6), batch: 5, refusal: .ledgerConflict),
        StepCase(testDescription: "a newer driver", marker: marker(4, 3), batch: 5, refusal: .staleEpoch),
        StepCase(testDescription: "a newer driver, the same batch", marker: marker(5, 3), batch: 5, refusal: .staleEpoch),
        StepCase(testDescription: "never claimed", marker: marker(4, 1), batch: 5, refusal: .staleEpoch),
        StepCase(testDescription: "behind what the log knows", marker: marker(3), batch: 5, after: .seal(batch: 4, digest: "d"), refusal: .ledgerConflict),
        StepCase(testDescription: "other content than the log knows", marker: marker(4), batch: 5, after: .seal(batch: 4, digest: "e"), refusal: .ledgerConflict),
        StepCase(testDescription: "ahead of a log that knows of nothing", marker: marker(4), batch: 5, after: .nothing, refusal: .ledgerConflict),
        StepCase(testDescription: "what the log knows", marker: marker(4), batch: 5, after: .seal(batch: 4, digest: "d"), step: .write),
        StepCase(testDescription: "made by a claim", marker: TopicMarker(batch: 4, epoch: 2, digest: "", parts: 4), batch: 5, after: .nothing, step: .write),
        StepCase(testDescription: "taken over", marker: marker(4, 2, taken: JobID(text: id)), batch: 5, refusal: .sinkOwnedByOther),
    ])
    func `a marker decides about a batch`(row: StepCase) {
        let identity = SinkTable.bare.identity("b", epoch: 2)
        do throws(Failure) {
            #expect(try row.marker.step(identity, part: 0, batch: row.batch, digest: row.digest, after: row.after, place: "kafka:t") == row.step)
        } catch {
            #expect(error.code == row.refusal)
        }
    }

    struct ClaimCase: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var found: [Int: (batch: BatchNumber, parts: Int)]
        var partitions = 3
        var after: BatchNumber = 0
        var open: BatchNumber?
        var isFixed = false
        var adopt = false
        var batches: [Int: BatchNumber]?
    }

    @Test(arguments: [
        ClaimCase(testDescription: "the first claim", found: [:], batches: [0: 0, 1: 0, 2: 0]),
        ClaimCase(testDescription: "a first claim that was killed", found: [2: (0, 3)], batches: [0: 0, 1: 0, 2: 0]),
        ClaimCase(testDescription: "all are there", found: [0: (5, 3), 1: (0, 3), 2: (4, 3)], after: 4, batches: [0: 5, 1: 0, 2: 4]),
        ClaimCase(testDescription: "one is lost", found: [0: (5, 3), 1: (5, 3)], after: 4),
        ClaimCase(testDescription: "the first is lost", found: [1: (5, 3), 2: (5, 3)], after: 4),
        ClaimCase(testDescription: "one is lost before the first batch is done", found: [0: (1, 3), 1: (0, 3)]),
        ClaimCase(testDescription: "one is lost while the first batch is planned", found: [1: (0, 3), 2: (0, 3)], open: 1),
        ClaimCase(testDescription: "all are lost while the first batch is planned", found: [:], open: 1),
        ClaimCase(testDescription: "all are there while the first batch is planned", found: [0: (1, 2), 1: (0, 2)], partitions: 2, open: 1, batches: [0: 1, 1: 0]),
        ClaimCase(testDescription: "all are lost", found: [:], after: 4),
        ClaimCase(testDescription: "all are lost and accepted", found: [:], after: 4, adopt: true, batches: [0: 4, 1: 4, 2: 4]),
        ClaimCase(testDescription: "the topic has grown", found: [0: (5, 2), 1: (5, 2)], after: 5, batches: [0: 5, 1: 5, 2: 5]),
        ClaimCase(testDescription: "it has grown and keys are spread", found: [0: (5, 2), 1: (5, 2)], after: 5, isFixed: true, batches: [0: 5, 1: 5]),
        ClaimCase(testDescription: "growing was interrupted", found: [0: (5, 2), 1: (5, 2), 2: (5, 3)], after: 5, batches: [0: 5, 1: 5, 2: 5]),
        ClaimCase(testDescription: "the topic has shrunk", found: [0: (5, 4), 1: (5, 4), 2: (5, 4)], after: 5, adopt: true),
    ])
    func `a claim makes markers, keeps them, or misses one and stops`(row: ClaimCase) {
        let found = row.found.mapValues { TopicMarker(batch: $0.batch, epoch: 1, digest: "", parts: $0.parts) }
        do throws(Failure) {
            let markers = try TopicMarker.claimed(
                found, partitions: row.partitions, after: row.after, open: row.open, isFixed: row.isFixed, adopt: row.adopt, epoch: 9,
                place: "kafka:t")
            #expect(markers.mapValues(\.batch) == row.batches)
            #expect(markers.values.allSatisfy { $0.epoch == 9 && $0.parts == markers.count })
        } catch {
            #expect(error.code == .sinkMismatch && row.batches == nil)
        }
    }

    @Test func `a group's name gives the job id back, and only of the very job and sink`() {
        let identity = SinkTable.bare.identity("f", job: "shop.eu")
        let group = TopicMarkerGroup.name(identity)
        #expect(group == "sluice.shop.eu.\(String(repeating: "f", count: 32)).bare")
        #expect(TopicMarkerGroup.jobID(in: group, job: "shop.eu", sink: "bare") == identity.jobID)
        for (job, sink) in [("shop", "bare"), ("shop.eu", "are"), ("shop.eu.", "bare"), ("shop.eu", "bare.x"), ("", "bare")] {
            #expect(TopicMarkerGroup.jobID(in: group, job: job, sink: sink) == nil, "\(job) \(sink)")
        }
        #expect(TopicMarkerGroup.jobID(in: "sluice.shop.eu", job: "shop.eu", sink: "bare") == nil)
        let owner = TopicMarkerGroup.owner(of: group, sink: "bare")
        #expect(owner?.job == "shop.eu" && owner?.id == identity.jobID)
        #expect(TopicMarkerGroup.owner(of: group, sink: "are") == nil && TopicMarkerGroup.owner(of: "sluice.shop.eu", sink: "bare") == nil)
    }
}
