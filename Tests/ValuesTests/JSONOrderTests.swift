import TestSupport
import Testing
import Values

/// The order of jsonb is PostgreSQL's, at the top of a document and inside of it.
@Suite(.enabled(if: PostgresFixture.missingReason == nil, "no PostgreSQL server")) struct JSONOrderTests {
    private let pool = BufferPool()

    private func document(_ random: inout SeededRandom, depth: Int) -> String {
        switch random.below(depth == 0 ? 5 : 8) {
        case 0: return random.pick(["null", "true", "false"])
        case 1: return random.pick(["0", "1", "1.0", "-2", "1e2", "0.5"])
        case 2: return random.pick(["\"\"", "\"a\"", "\"b\"", "\"aa\"", "\"\\n\"", "\"\\\"\"", "\"ä\""])
        case 3: return "[]"
        case 4: return "{}"
        case 5, 6: return "[\((0..<random.below(3)).map { _ in document(&random, depth: depth - 1) }.joined(separator: ","))]"
        default:
            return "{\((0..<random.below(3)).map { _ in "\(random.pick(["\"a\"", "\"b\"", "\"aa\"", "\"\\n\""])):\(document(&random, depth: depth - 1))" }.joined(separator: ","))}"
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func `any two documents are in PostgreSQL's order`(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let pairs = (0..<4000).map { _ in (document(&random, depth: 3), document(&random, depth: 3)) }
        let values = pairs.map { "('\($0)','\($1)')" }.joined(separator: ",")
        let theirs = try PostgresOracle.shared.get().rows("SELECT sign(jsonb_cmp(a::jsonb, b::jsonb))::text FROM (VALUES \(values)) AS v(a, b)").map { $0[0] }
        func column(_ texts: [String]) throws -> Vector {
            .flat(try texts.map { try TypeText.read($0, as: .jsonb, context: EvaluationContext()) }, .jsonb, pool: pool)
        }
        let order = KeyOrder.rows(.jsonb, try column(pairs.map(\.0)), try column(pairs.map(\.1)))
        try #require(theirs.count == pairs.count)
        let different = pairs.indices.filter { "\(order.compare($0, $0))" != theirs[$0] }
        #expect(different.isEmpty, "\(different.prefix(5).map { "\(pairs[$0]): ours \(order.compare($0, $0)), PostgreSQL \(theirs[$0])" })")
        #expect(Set(theirs) == ["-1", "0", "1"])
    }
}
