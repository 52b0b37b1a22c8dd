import Engine
import Foundation
import SQLSyntax
import TestSupport
import Testing

/// Every query of the cases as a job: cut into ranges, parts and attempts at random, it has the answer of one part after each batch, and
/// PostgreSQL's at the end.
@Suite(.serialized) struct CaseJobTests {
    /// Queries that read no topic.
    static let uncovered: Set<String> = ["filter-project v", "filter-project one"]
    /// Those whose rows change and have no key, so that no view can keep them.
    static let keyless: Set<String> = ["distinct-union ua", "empty-input l"]
    static let seeds = ProcessInfo.processInfo.environment["SLUICE_SEEDS"].flatMap { UInt64($0) } ?? 5

    @Test func `the cases are found, and all but a few can be jobs`() {
        #expect(CaseFile.all.count >= 40)
        let names = Set(CaseQuery.all.map(\.description))
        #expect(names.count > 120 && names.isSuperset(of: Self.uncovered) && names.isSuperset(of: Self.keyless))
    }

    @Test(arguments: CaseQuery.all) func `a query has one part's answer, and PostgreSQL's`(query: CaseQuery) throws {
        let isUncovered = Self.uncovered.contains(query.description)
        let database = PostgresFixture.missingReason == nil && !isUncovered ? try PostgresDatabase(url: PostgresFixture.shared().newDatabase()) : nil
        do {
            for seed in 1...Self.seeds {
                guard let job = try query.job(.init(seed: seed)) else {
                    #expect(isUncovered, "no topic is read")
                    return
                }
                #expect(!isUncovered && !Self.keyless.contains(query.description))
                do {
                    try query.run(job)
                    if let database, let truth = try job.truth(database), truth != job.rig.lines {
                        throw RigError.wrong("the table is\n\(job.rig.lines.joined(separator: "\n"))\nPostgreSQL has\n\(truth.joined(separator: "\n"))")
                    }
                } catch {
                    Issue.record("seed \(seed): \(error)\n\(job.text)")
                    return
                }
            }
        } catch let error as SQLError where error.what.contains("has no key") {
            #expect(Self.keyless.contains(query.description), "\(error)")
        }
    }
}
