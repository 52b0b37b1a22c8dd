import Engine
import Foundation
import TestSupport
import Testing

/// Every file of `cases`: queries over batches, compared with PostgreSQL after each of them.
@Suite(.serialized) struct CaseTests {
    static let files: [URL] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "cases")
        let all = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return all.filter { $0.pathExtension == "case" }.sorted { $0.path < $1.path }
    }()

    @Test(.enabled(if: PostgresFixture.missingReason == nil)) func `there are cases of every operator`() {
        #expect(Self.files.count >= 40)
    }

    @Test(.enabled(if: PostgresFixture.missingReason == nil), arguments: files)
    func `a case gives what PostgreSQL gives`(file: URL) throws {
        let text = try String(contentsOf: file, encoding: .utf8)
        do {
            try CaseFile(text).run(PostgresDatabase(url: PostgresFixture.shared().newDatabase()))
        } catch {
            Issue.record("\(file.lastPathComponent): \(error)")
        }
    }
}
