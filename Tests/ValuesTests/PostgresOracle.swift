// A real PostgreSQL that answers expressions: the truth that our functions are held against.
//
// The database is what the contract names: encoding UTF8, LC_CTYPE C.UTF-8, order by bytes, TimeZone UTC. `answer` takes many
// expressions at once; one that fails does not disturb the others.

import Engine
import Foundation
import TestSupport
import Testing

/// What an expression gives: a text, NULL, or an error's SQLSTATE.
enum Answer: Hashable, CustomStringConvertible {
    case value(String)
    case null
    case error(String)

    var description: String {
        switch self {
        case .value(let text): "'\(text)'"
        case .null: "NULL"
        case .error(let state): "error \(state)"
        }
    }
}

final class PostgresOracle: Sendable {
    static let shared = Result { try PostgresOracle() }

    private let url: String

    private init() throws {
        let server = try PostgresFixture.shared()
        let first = try PostgresDatabase(url: server.url)
        try first.execute("CREATE DATABASE values_oracle TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'")
        url = server.url.replacing("/postgres", with: "/values_oracle")
        let database = try PostgresDatabase(url: url)
        try database.executeScript(
            """
            CREATE FUNCTION answer(expression text, zone text) RETURNS text LANGUAGE plpgsql AS $$
            DECLARE result text;
            BEGIN
              PERFORM set_config('TimeZone', zone, true), set_config('DateStyle', 'ISO, MDY', true);
              EXECUTE 'SELECT (' || expression || ')::text' INTO result;
              RETURN coalesce('=' || result, 'N');
            EXCEPTION WHEN OTHERS THEN
              RETURN '!' || SQLSTATE;
            END $$
            """)
    }

    /// The rows of a query, as text.
    func rows(_ sql: String) throws -> [[String]] {
        try PostgresDatabase(url: url).execute(sql, []).map { row in
            row.map { if case .text(let text) = $0 { text } else { "\($0)" } }
        }
    }

    /// One answer an expression.
    func answers(_ expressions: [String], zone: String = "UTC") throws -> [Answer] {
        let database = try PostgresDatabase(url: url)
        var answers: [Answer] = []
        for start in stride(from: 0, to: expressions.count, by: 4000) {
            let part = Array(expressions[start..<min(start + 4000, expressions.count)])
            let json = String(decoding: try JSONEncoder().encode(part), as: UTF8.self)
            let rows = try database.execute(
                "SELECT answer(e, $2) FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS u(e, n) ORDER BY n",
                [.text(json), .text(zone)])
            for row in rows {
                guard case .text(let text) = row[0] else { throw Failure(.internal, "no answer", why: "\(row)", now: "look at it") }
                switch text.first {
                case "=": answers.append(.value(String(text.dropFirst())))
                case "N": answers.append(.null)
                default: answers.append(.error(String(text.dropFirst())))
                }
            }
        }
        try #require(answers.count == expressions.count)
        return answers
    }
}
