import Engine
import Foundation
import SQLSyntax
import TestSupport
import Testing

/// Random queries over random changes as jobs: one part's answer after each batch, PostgreSQL's at the end.
///
/// `SLUICE_SEED` runs one seed, `SLUICE_SEEDS` so many from there on; a failure prints the seed and the SQL.
@Suite(.serialized) struct RandomJobTests {
    static let first = ProcessInfo.processInfo.environment["SLUICE_SEED"].flatMap { UInt64($0) }
    static let count = ProcessInfo.processInfo.environment["SLUICE_SEEDS"].flatMap { UInt64($0) } ?? (first == nil ? 120 : 1)

    @Test func `a random query has one part's answer, and PostgreSQL's`() throws {
        let database = PostgresFixture.missingReason == nil ? try PostgresDatabase(url: PostgresFixture.shared().newDatabase()) : nil
        var done: UInt64 = 0
        var parted: UInt64 = 0
        for seed in (Self.first ?? 1)..<(Self.first ?? 1) + Self.count {
            var world = RandomWorld(seed: seed)
            let select = world.query()
            let query = RigQuery(name: "q", options: "", select: select, oracle: select)
            do {
                guard let job = try CaseJob(tables: RandomWorld.tables, settings: "", query: query, .init(seed: seed)) else { continue }
                for _ in 0..<6 { try job.run(world.rows()) }
                if let database, let truth = try job.truth(database), truth != job.rig.lines {
                    throw RigError.wrong("the table is\n\(job.rig.lines.joined(separator: "\n"))\nPostgreSQL has\n\(truth.joined(separator: "\n"))\n\(job.text)")
                }
                done += 1
                if job.rig.graph.work.mostParts == nil { parted += 1 }
            } catch let error as SQLError where error.what.contains("has no key") {
                continue
            } catch {
                Issue.record("SLUICE_SEED=\(seed)\n\(select)\n\(error)")
            }
        }
        if Self.count > 50 { #expect(done > Self.count / 2 && parted > Self.count / 12, "\(done) of \(Self.count) were run, \(parted) in several parts") }
    }
}
