// Values on their way to PostgreSQL: text as text, bytes as bytes, each with its format named.
//
// All values lie in one buffer, one after the other and each ending in 0, because libpq takes the length of a text from
// there. So a text that contains 0 would arrive cut; PostgreSQL cannot store it at all, and it is refused.

struct PostgresParameters {
    private var bytes: [UInt8] = []
    /// Where each value begins; nil for NULL.
    private var starts: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    init(_ values: [SQLValue]) throws {
        for value in values {
            let start = bytes.count
            var isBinary = false
            switch value {
            case .null: break
            case .int(let value): bytes.append(contentsOf: String(value).utf8)
            case .double(let value): bytes.append(contentsOf: String(value).utf8)
            case .text(let text):
                bytes.append(contentsOf: text.utf8)
                if bytes[start...].contains(0) { throw Self.zeroInText() }
            case .blob(let blob):
                bytes.append(contentsOf: blob)
                isBinary = true
            }
            lengths.append(Int32(bytes.count - start))
            formats.append(isBinary ? 1 : 0)
            starts.append(value == .null ? nil : start)
            bytes.append(0)
        }
    }

    func withPointers<Result>(
        _ body: (Int32, [UnsafePointer<CChar>?], [Int32], [Int32]) throws -> Result
    ) rethrows -> Result {
        try bytes.withUnsafeBytes { all in
            let base = all.assumingMemoryBound(to: CChar.self).baseAddress
            return try body(Int32(starts.count), starts.map { start in start.flatMap { base?.advanced(by: $0) } }, lengths, formats)
        }
    }

    static func zeroInText() -> Failure {
        Failure(
            .rowRefused, "a text cannot be stored in PostgreSQL", why: "it contains the character U+0000",
            now: "look for it in names and settings: records with such texts are rejected when they are decoded")
    }
}
