// Rows into nothing: for measuring everything that comes before a sink.
//
// It takes every part and keeps none, so there is no owner, no epoch and nothing to look up, as with the console.

final class DiscardSink: Sink {
    func owner(job: String) throws -> SinkOwner { .nobody }
    func sight(_ identity: SinkIdentity) throws -> SinkSight? { nil }
    func claim(_ identity: SinkIdentity, _ claim: SinkClaim) throws {}
    func sealedBatches(_ identity: SinkIdentity) throws -> [Int: BatchNumber] { [:] }
    func existing(keysOf rows: Chunk) throws -> [[Value]?] { Array(repeating: nil, count: rows.selectedCount) }
    func close() {}

    func seal(
        _ identity: SinkIdentity, part: Int, batch: BatchNumber, digest: String, after: Predecessor, rows: [Chunk]
    ) throws -> Sealed { .written }
}
