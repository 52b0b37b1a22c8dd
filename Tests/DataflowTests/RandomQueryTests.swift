import Engine
import Foundation
import TestSupport
import Testing

/// Queries out of joins, groups, unions, ranks and nesting, over rows that come, are replaced and deleted, against PostgreSQL after each batch.
///
/// `SLUICE_SEED` runs one seed, `SLUICE_SEEDS` so many from there on; a failure prints the seed and the SQL.
@Suite(.serialized) struct RandomQueryTests {
    static let first = ProcessInfo.processInfo.environment["SLUICE_SEED"].flatMap { UInt64($0) }
    static let count = ProcessInfo.processInfo.environment["SLUICE_SEEDS"].flatMap { UInt64($0) } ?? (first == nil ? 60 : 1)

    @Test(.enabled(if: PostgresFixture.missingReason == nil))
    func `random queries over random changes give what PostgreSQL gives`() throws {
        let database = try PostgresDatabase(url: PostgresFixture.shared().newDatabase())
        let start = Self.first ?? 1
        for seed in start..<start + Self.count {
            var world = RandomWorld(seed: seed)
            let queries = (0..<3).map { number -> RigQuery in
                let select = world.query()
                return RigQuery(name: "q\(number)", options: "", select: select, oracle: select)
            }
            do {
                let rig = try DataflowRig(tables: RandomWorld.tables, queries: queries, database: database)
                for _ in 0..<5 { try rig.run(world.rows()) }
            } catch {
                Issue.record("SLUICE_SEED=\(seed)\n\(queries.map(\.select).joined(separator: "\n"))\n\(error)")
            }
        }
    }
}
