// What comes out of a decoder: chunks that know their records, and what became of the others.

import Dataflow
import Values

/// Some rows, and where they come from.
package struct DecodedChunk: Sendable {
    package let chunk: Chunk
    /// Of each row the number of its record within its run, as `Int32`.
    package let records: Buffer

    init(chunk: Chunk, records: Buffer) {
        self.chunk = chunk
        self.records = records
    }

    /// Number of a row's record within its run: for edges, not for row loops.
    package func record(of row: Int) -> Int { Int(records.base.assumingMemoryBound(to: Int32.self)[row]) }
}

/// What became of a run of records, beside its chunks.
package struct DecodeOutcome: Sendable {
    /// The greatest event time that decodes and is not too far ahead, in microseconds; nil where there is none.
    package var newestEventMicros: Int64?
    package var counts = DecodeCounts()
    /// In the order of the records.
    package var rejected: [RejectedRow] = []

    package init() {}
}
