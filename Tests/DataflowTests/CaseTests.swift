import Engine
import Foundation
import TestSupport
import Testing

/// Every file of `cases`: queries over batches, compared with PostgreSQL after each of them.
@Suite(.serialized) struct CaseTests {
    @Test(.enabled(if: PostgresFixture.missingReason == nil)) func `there are cases of every operator`() {
        #expect(CaseFile.all.count >= 40)
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil), arguments: CaseFile.all)
    func `a case gives what PostgreSQL gives`(file: URL) throws {
        let text = try String(contentsOf: file, encoding: .utf8)
        do {
            try CaseFile(text).run(PostgresDatabase(url: PostgresFixture.shared().newDatabase()))
        } catch {
            Issue.record("\(file.lastPathComponent): \(error)")
        }
    }
}
