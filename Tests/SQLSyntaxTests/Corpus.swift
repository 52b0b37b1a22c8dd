// The texts that parser, printer and fuzzer are tried on.

import Foundation
import SQLSyntax

enum Corpus: String, CaseIterable, Sendable {
    case contract, expressions, nexmark

    var text: SourceText {
        get throws {
            let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "corpus")
            return SourceText(try String(contentsOf: folder.appending(path: rawValue + ".sql"), encoding: .utf8), name: rawValue + ".sql")
        }
    }
}

/// A query out of one statement.
func parsedQuery(_ sql: String) throws -> Query {
    let script = try Script(parsing: SourceText(sql, name: "query"))
    guard script.statements.count == 1, case .select(let query) = script.statements[0].kind else { throw Unexpected(what: "\(script.statements)") }
    return query
}

/// The expression of `SELECT expression`.
func parsedExpression(_ sql: String) throws -> ExpressionSyntax {
    guard case .select(let block) = try parsedQuery("SELECT " + sql).body, case .expression(let expression, nil) = block.items[0].kind else {
        throw Unexpected(what: sql)
    }
    return expression
}

struct Unexpected: Error { let what: String }
