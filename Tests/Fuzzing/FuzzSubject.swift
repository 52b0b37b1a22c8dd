// What is fuzzed: the formats whose bytes come from somewhere else, the values in them on their whole way, and the texts of jobs, each
// behind one call that judges the result.
//
// A subject takes any bytes and says what is wrong with what became of them, or nil. It holds the reader to its contract
// and not only to "no crash": an input lies between two good records in an allocation of exactly its size, and the
// neighbours must come out whole; text must be UTF-8; what a block decodes to must encode and decode to the same rows.
// A subject is made once and called millions of times, so it keeps its columns and must not grow.
//
// When adding a format: give it seeds that are accepted, tokens that its grammar knows, and checks beyond "it returned".

import Engine

/// The formats that can be fuzzed.
package enum FuzzFormat: String, CaseIterable, Sendable {
    case avro, json, block, value, fetch, unpack, scram, sql, bind, chunk, state

    package func makeSubject() throws -> any FuzzSubject {
        switch self {
        case .avro: try AvroFuzz()
        case .json: try JSONFuzz()
        case .block: BlockFuzz()
        case .value: try ValueFuzz()
        case .fetch: FetchFuzz()
        case .unpack: UnpackFuzz()
        case .scram: ScramFuzz()
        case .sql: SQLFuzz()
        case .bind: BindFuzz()
        case .chunk: ChunkFuzz()
        case .state: StateFuzz()
        }
    }
}

package protocol FuzzSubject: AnyObject {
    /// Inputs that are accepted.
    var seeds: [[UInt8]] { get }
    /// Pieces that the format gives a meaning to.
    var tokens: [[UInt8]] { get }
    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome
}

package enum FuzzOutcome: Sendable, Hashable {
    case accepted
    case refused
    /// A defect, in words.
    case defect(String)
}

/// A decoder with a good record, and the columns that it fills again and again.
final class DecoderBench {
    let decoder: any RowDecoder
    let good: [UInt8]
    private let columns: [Column]
    private let kept: UnsafeMutablePointer<Int32>
    private var rejected: [RejectedRecord] = []
    private let goodRow: [Value]

    init(_ decoder: any RowDecoder, good: [UInt8]) {
        self.decoder = decoder
        self.good = good
        let columns = decoder.schema.fields.map { Column($0.type, capacity: 16) }
        let kept = UnsafeMutablePointer<Int32>.allocate(capacity: 3)
        self.columns = columns
        self.kept = kept
        goodRow = good.withUnsafeBufferPointer { bytes in
            var none: [RejectedRecord] = []
            let records = [RawRecord(payload: bytes.baseAddress, length: bytes.count, offset: 0)]
            let rows = records.withUnsafeBufferPointer { decoder.decode($0, into: columns, kept: kept, rejected: &none) }
            precondition(rows == 1, "the good record is not one: \(none)")
            return columns.map { $0.value(0) }
        }
    }

    deinit { kept.deallocate() }

    /// Decodes good, input, good.
    func run(_ payload: UnsafePointer<UInt8>, _ length: Int) -> FuzzOutcome {
        for column in columns { column.removeAll() }
        rejected.removeAll(keepingCapacity: true)
        let rows = good.withUnsafeBufferPointer { good in
            withUnsafeTemporaryAllocation(of: RawRecord.self, capacity: 3) { records in
                records[0] = RawRecord(payload: good.baseAddress, length: good.count, offset: 10)
                records[1] = RawRecord(payload: payload, length: length, offset: 20)
                records[2] = RawRecord(payload: good.baseAddress, length: good.count, offset: 30)
                return decoder.decode(UnsafeBufferPointer(records), into: columns, kept: kept, rejected: &rejected)
            }
        }
        if rows + rejected.count != 3 { return .defect("\(rows) rows and \(rejected.count) rejected of 3 records") }
        if columns.contains(where: { $0.count != rows }) { return .defect("a column has another number of rows") }
        if rows < 2 || kept[0] != 0 || kept[rows - 1] != 2 { return .defect("a good record was not kept") }
        if let reject = rejected.first, reject.index != 1 || reject.offset != 20 { return .defect("another record was rejected") }
        for row in [0, rows - 1] where !isGood(row) { return .defect("a good record came out otherwise in row \(row)") }
        return rows == 3 ? isWellFormed(1) ? .accepted : .defect("a text is not UTF-8") : .refused
    }

    private func isGood(_ row: Int) -> Bool {
        for (column, wanted) in zip(columns, goodRow) {
            // Texts are compared by bytes, off the heap: this runs twice for each input.
            if case .text(let texts) = column, case .text(let text) = wanted {
                let bytes = texts.slice(row)
                if texts.isNull(row) || !text.utf8.elementsEqual(bytes) { return false }
            } else if column.value(row) != wanted {
                return false
            }
        }
        return true
    }

    private func isWellFormed(_ row: Int) -> Bool {
        for (column, field) in zip(columns, decoder.schema.fields) {
            if column.isNull(row) && !field.nullable { return false }
            if case .text(let texts) = column, String(validating: texts.slice(row), as: UTF8.self) == nil { return false }
        }
        return true
    }
}

/// A copy of exactly the input's size, so that the address sanitizer sees a byte read too far.
func withExactCopy<Result>(
    _ prefix: [UInt8], _ input: UnsafeBufferPointer<UInt8>.SubSequence, _ body: (UnsafePointer<UInt8>, Int) -> Result
) -> Result {
    let count = prefix.count + input.count
    let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
    defer { copy.deallocate() }
    for index in 0..<prefix.count { copy[index] = prefix[index] }
    if let base = UnsafeBufferPointer(rebasing: input).baseAddress {
        (copy + prefix.count).update(from: base, count: input.count)
    }
    return body(UnsafePointer(copy), count)
}
