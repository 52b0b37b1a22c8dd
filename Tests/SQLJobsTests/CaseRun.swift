// The queries of all cases as jobs, and a case's batches through one of them.

import Engine
import Foundation
import SQLSyntax
import TestSupport
import Values

struct CaseQuery: Sendable, CustomStringConvertible {
    let file: CaseFile
    let name: String
    let query: RigQuery

    var description: String { "\(name) \(query.name)" }

    static let all: [CaseQuery] = CaseFile.all.flatMap { url -> [CaseQuery] in
        guard let text = try? String(contentsOf: url, encoding: .utf8), let file = try? CaseFile(text) else { return [] }
        return file.queries.map { CaseQuery(file: file, name: url.deletingPathExtension().lastPathComponent, query: $0) }
    }

    /// - Returns: nil where no topic is read.
    func job(_ options: JobRig.Options) throws -> CaseJob? { try CaseJob(tables: file.tables, settings: file.settings, query: query, options) }

    /// The batches of the case.
    func run(_ job: CaseJob) throws {
        for step in file.steps {
            guard case .batch(let rows, let watermarks) = step else { continue }
            try job.run(rows, watermarks: watermarks.mapValues { try Self.micros($0) / 1000 })
        }
    }

    private static func micros(_ text: String) throws -> Int64 {
        guard case .word(let micros) = try TypeText.read(text, as: .timestamptz, context: EvaluationContext()) else { throw RigError.wrong(text) }
        return micros
    }
}
