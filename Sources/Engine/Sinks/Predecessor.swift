// What a part's ledger must hold before a batch is sealed: a seal is a compare-and-swap (protocol 1).
//
// The log keeps each part's last seal with rows and names it to whoever seals the next one. A ledger that holds anything
// else was put back, emptied, or written by somebody who knows another log: writing on would hide what is missing below. So
// `step` knows three answers only, and SQL ledgers and markers in Kafka ask it in the same words.
//
// Pure values. Checklist when changing it: no path leads from "something else is there" to `write`; plans of builds that
// named no predecessor must still be finished (`unknown`: the ledger's batch only has to grow).

/// The seal that a part's ledger must hold, as the log knows it.
public enum Predecessor: Sendable, Hashable {
    /// The plan is of a build that named none.
    case unknown
    /// The log knows of no seal with rows of this part.
    case nothing
    case seal(batch: BatchNumber, digest: String)

    /// What `plan` says of a part.
    public init(of part: Int, sink: Int = 0, in plan: BatchPlan) {
        guard let known = plan.predecessors else {
            self = .unknown
            return
        }
        self.init(known.first { $0.sink == sink && $0.part == part })
    }

    /// A mark out of the log; nil where the log has none.
    public init(_ mark: SealMark?) { self = mark.map { .seal(batch: $0.batch, digest: $0.digest) } ?? .nothing }

    package enum Step: Sendable, Hashable {
        case write
        /// The same batch with the same content.
        case alreadySealed
        /// What is there is neither the predecessor nor this batch.
        case conflict
    }

    /// What to do with (`batch`, `digest`) where the ledger holds `found`; nil for no row.
    package func step(_ found: (batch: BatchNumber, digest: String)?, batch: BatchNumber, digest: String) -> Step {
        if let found, found.batch == batch { return found.digest == digest ? .alreadySealed : .conflict }
        return switch (self, found) {
        case (.unknown, nil), (.nothing, nil): .write
        case (.unknown, let found?): found.batch < batch ? .write : .conflict
        case (.nothing, _?), (.seal, nil): .conflict
        case (.seal(let last, let known), let found?):
            found.batch == last && found.digest == known && last < batch ? .write : .conflict
        }
    }
}

/// In messages: `?`, empty, or `BATCH DIGEST`.
extension Predecessor: Codable {
    public func encode(to encoder: any Encoder) throws {
        var single = encoder.singleValueContainer()
        switch self {
        case .unknown: try single.encode("?")
        case .nothing: try single.encode("")
        case .seal(let batch, let digest): try single.encode("\(batch) \(digest)")
        }
    }

    public init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        let text = try single.decode(String.self)
        let words = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        switch text {
        case "?": self = .unknown
        case "": self = .nothing
        default:
            guard words.count == 2, let batch = BatchNumber(words[0]) else {
                throw DecodingError.dataCorruptedError(in: single, debugDescription: "no predecessor of a seal")
            }
            self = .seal(batch: batch, digest: String(words[1]))
        }
    }
}
