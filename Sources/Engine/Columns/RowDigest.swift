// A digest of rows that does not depend on their order: what the log keeps of a batch's output, so that a replay on
// another number of parts can be compared with it.
//
// Each row gives a 64-bit hash over all its columns, NULLs included; the digest is the sum of them (wrapping), and the
// number of rows. Digests of parts are added to get the digest of the whole. It finds differences; it does not
// defend against someone who looks for two sets of rows with the same sum. A key whose row goes counts like a row, and never as
// the row that has no other columns than that key.
//
// Digests are stored in catalogs and ledgers: `RowHash` and the text form must not change.

package struct RowDigest: Sendable, Hashable {
    package private(set) var sum: UInt64 = 0
    package private(set) var count: UInt64 = 0

    package init() {}

    /// Reads what `text` wrote.
    package init?(text: String) {
        guard text.utf8.count == 32, let sum = UInt64(text.prefix(16), radix: 16),
            let count = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.sum = sum
        self.count = count
    }

    /// Adds the selected rows of `chunk`.
    package mutating func add(_ chunk: Chunk) {
        for hash in RowHash.hashes(chunk.columns, of: chunk) { sum &+= chunk.isDelete ? RowHash.deleted(hash) : hash }
        count &+= UInt64(chunk.selectedCount)
    }

    /// Adds the rows of another digest.
    package mutating func add(_ other: RowDigest) {
        sum &+= other.sum
        count &+= other.count
    }

    /// 32 lower-case hexadecimal digits: the sum, then the number of rows.
    package var text: String { hexadecimal(sum) + hexadecimal(count) }
}
