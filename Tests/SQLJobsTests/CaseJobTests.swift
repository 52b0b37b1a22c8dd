import Engine
import Foundation
import SQLSyntax
import TestSupport
import Testing
import Values

/// Every query of the cases as a job: cut into ranges, parts and attempts at random, it has the answer of one part after each batch, and
/// PostgreSQL's at the end.
@Suite(.serialized) struct CaseJobTests {
    /// Queries that read no topic.
    static let uncovered: Set<String> = ["filter-project v", "filter-project one"]
    /// Those whose rows change and have no key, so that no view can keep them.
    static let keyless: Set<String> = ["distinct-union ua", "empty-input l"]
    static let seeds = ProcessInfo.processInfo.environment["SLUICE_SEEDS"].flatMap { UInt64($0) } ?? 6

    private static func micros(_ text: String) throws -> Int64 {
        guard case .word(let micros) = try TypeText.read(text, as: .timestamptz, context: EvaluationContext()) else { throw RigError.wrong(text) }
        return micros
    }

    @Test func `the cases are found`() { #expect(CaseFile.all.count >= 40) }

    @Test(arguments: CaseFile.all) func `a case gives one part's answer, and PostgreSQL's`(file: URL) throws {
        let name = file.deletingPathExtension().lastPathComponent
        let whole = try CaseFile(String(contentsOf: file, encoding: .utf8))
        let database = PostgresFixture.missingReason == nil ? try PostgresDatabase(url: PostgresFixture.shared().newDatabase()) : nil
        for query in whole.queries {
            do {
                for seed in 1...Self.seeds {
                    guard let job = try CaseJob(tables: whole.tables, settings: whole.settings, query: query, .init(seed: seed)) else {
                        #expect(Self.uncovered.contains("\(name) \(query.name)"), "\(name) \(query.name) reads no topic")
                        break
                    }
                    #expect(!Self.uncovered.contains("\(name) \(query.name)"))
                    do {
                        for step in whole.steps {
                            guard case .batch(let rows, let watermarks) = step else { continue }
                            try job.run(rows, watermarks: watermarks.mapValues { try Self.micros($0) / 1000 })
                        }
                        if let database, let truth = try job.truth(database), truth != job.rig.lines {
                            throw RigError.wrong("the table is\n\(job.rig.lines.joined(separator: "\n"))\nPostgreSQL has\n\(truth.joined(separator: "\n"))")
                        }
                    } catch {
                        Issue.record("\(name) \(query.name), seed \(seed): \(error)\n\(job.text)")
                        break
                    }
                }
                #expect(!Self.keyless.contains("\(name) \(query.name)"))
            } catch let error as SQLError where error.what.contains("has no key") {
                #expect(Self.keyless.contains("\(name) \(query.name)"), "\(error)")
            } catch {
                Issue.record("\(name) \(query.name): \(error)")
            }
        }
    }
}
