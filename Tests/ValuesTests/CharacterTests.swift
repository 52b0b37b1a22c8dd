import TestSupport
import Testing
import Values

@Suite(.enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server")) struct CharacterTests {
    /// The C library of the oracle knows another release of Unicode than the Swift runtime does: what only one of them has changed is
    /// named here, code point by code point, so that a new difference is seen.
    @Test(arguments: ["lower", "upper"]) func `every character of Unicode has PostgreSQL's upper and lower case`(_ name: String) throws {
        let oracle = try PostgresOracle.shared.get()
        let rows = try oracle.rows(
            "SELECT n, ascii(\(name)(chr(n))) FROM generate_series(1, 1114111) n WHERE NOT n BETWEEN 55296 AND 57343 AND \(name)(chr(n)) <> chr(n)")
        var theirs: [UInt32: UInt32] = [:]
        for row in rows { theirs[try number(row[0])] = try number(row[1]) }
        let pool = BufferPool()
        let scalars = (UInt32(1)...0x10FFFF).compactMap { Unicode.Scalar($0) }
        let column = Vector.flat(scalars.map { .text(String($0)) }, .text, pool: pool)
        var results: [Vector] = []
        let call = try ExpressionBuilder().call(name, [.column(0, .text)], at: 0)
        Program([call], pool: pool).run([column], count: scalars.count, .all(scalars.count), into: &results, errors: RowErrors())
        var different: [String] = []
        for (row, scalar) in scalars.enumerated() {
            guard case .text(let text) = results[0].datum(row) else { continue }
            let own = text.unicodeScalars.first!.value
            if own != theirs[scalar.value] ?? scalar.value && !added.contains(scalar.value) { different.append(String(scalar.value, radix: 16)) }
        }
        #expect(different == [], "\(different.count) differ")
    }

    /// Letters whose case came with Unicode 16 and 17.
    private let added: Set<UInt32> = {
        var added: Set<UInt32> = [0x19B, 0x264, 0x1C89, 0x1C8A]
        for range in [0xA7CB...0xA7DC, 0x10D50...0x10D65, 0x10D70...0x10D85, 0x16EA0...0x16EB8, 0x16EBB...0x16ED3] as [ClosedRange<UInt32>] { added.formUnion(range) }
        return added
    }()

    private func number(_ text: String) throws -> UInt32 { try #require(UInt32(text.filter(\.isNumber))) }
}
