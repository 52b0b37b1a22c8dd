import Engine
import Foundation
import SQLSyntax
import TestSupport
import Testing

/// PostgreSQL says whether a printed query means what the original does: it prints both as it understood them.
@Suite(.enabled(if: PostgresFixture.missingReason == nil, "needs a PostgreSQL server"))
struct PostgresTests {
    private let database: PostgresDatabase

    init() throws {
        database = try PostgresDatabase(url: try PostgresFixture.shared().newDatabase())
        for corpus in [Corpus.contract, .nexmark] {
            for statement in try Script(parsing: try corpus.text).statements {
                guard case .createTable(let table) = statement.kind else { continue }
                let bare = CreateTable(name: table.name, columns: table.columns, primaryKey: table.primaryKey, options: [])
                try database.executeScript(Statement(.createTable(bare), at: statement.place).canonicalText)
            }
        }
        try database.executeScript("INSERT INTO t (id, user_id, name, ts) VALUES (1, 2, 'xabcx', '2020-01-01'), (1, 3, 'b', '2021-01-01'), (2, 2, NULL, '2022-01-01')")
    }

    /// What PostgreSQL understood; nil when it does not understand it.
    private func understood(_ sql: String) throws -> String? {
        do {
            // RETURNS nothing but the body: a function in standard SQL keeps its tree, whatever its columns are called.
            try database.executeScript("CREATE FUNCTION f() RETURNS SETOF record LANGUAGE sql BEGIN ATOMIC \(sql); END")
        } catch is Failure {
            return nil
        }
        defer { try? database.executeScript("DROP FUNCTION f()") }
        guard case .text(let body)? = try database.execute("SELECT pg_get_function_sqlbody('f'::regproc)", []).first?.first else { throw Unexpected(what: sql) }
        return body
    }

    /// True when both give the same rows under the same names, at one moment.
    private func giveEqualRows(_ left: String, _ right: String) throws -> Bool {
        func rows(_ sql: String) throws -> [[SQLValue]] { try database.execute("SELECT row_to_json(q)::text FROM (\(sql)) AS q ORDER BY 1", []) }
        return try database.transaction { try rows(left) == rows(right) }
    }

    private func queries(_ corpus: Corpus) throws -> [(original: String, query: Query)] {
        let text = try corpus.text
        let script = try Script(parsing: text)
        let ends = script.statements.dropFirst().map(\.place.offset) + [text.text.utf8.count]
        return zip(script.statements, ends).compactMap { statement, end in
            guard let query = statement.query else { return nil }
            let bytes = Array(text.text.utf8)[query.place.offset..<end]
            return (String(decoding: bytes, as: UTF8.self).split(separator: ";")[0] + "", query)
        }
    }

    @Test(arguments: [(Corpus.expressions, 0), (.contract, 8), (.nexmark, 4)])
    func `PostgreSQL understands the printed query as it does the original`(corpus: Corpus, missing: Int) throws {
        var notUnderstood: [String] = []
        for (original, query) in try queries(corpus) {
            // The original of a view begins at its CREATE.
            let source = original.range(of: " AS\\s+(?=SELECT|WITH)", options: .regularExpression).map { String(original[$0.upperBound...]) }
            let text = original.hasPrefix("CREATE") ? source ?? original : original
            let (wanted, printed) = (try understood(text), try understood(query.sql))
            if wanted == nil { notUnderstood.append(text) }
            // PostgreSQL remembers some spellings: SUBSTRING ... FROM, LIMIT ALL. Then the rows and their names must be equal.
            if wanted != printed { #expect(try giveEqualRows(query.sql, text), "\(text)\nprinted as\n\(query.sql)") }
        }
        #expect(notUnderstood.count == missing, "\(notUnderstood)")
    }
}

extension Statement {
    fileprivate var query: Query? {
        switch kind {
        case .select(let query): query
        case .createView(let view): view.query
        default: nil
        }
    }
}
