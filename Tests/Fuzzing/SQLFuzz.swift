// Fuzzing of a job's text: parser, values given at the start, printer.
//
// An input is a text, and behind a byte 1 the value of its `${v}`. Whatever is taken must print to a text that parses to an equal tree. A
// value must stay what a value is: with another one in its place the tree must be the same but for that literal. Whatever is refused must be
// refused at a place in the text.

import SQLSyntax

final class SQLFuzz: FuzzSubject {
    private static let separator: UInt8 = 1
    /// A value that nothing else looks like.
    private static let harmless = "harmless5value"

    let seeds: [[UInt8]] = [
        "SELECT a, count(*) FILTER (WHERE b > 1) AS n FROM t WHERE x IN (1, 2) AND y LIKE 'a%' ESCAPE '!' GROUP BY a HAVING count(*) > 2 ORDER BY n DESC NULLS LAST LIMIT 5",
        "SELECT '${v}', ${v}, E'\\n${v}' FROM tumble(t, ts, interval '1' day, origin => timestamptz '2020-01-01') AS w -- ${v}\u{1}it's",
        "CREATE TABLE t (a int NOT NULL DEFAULT 1, b numeric(10, 2)[], c text GENERATED ALWAYS AS (a || 'x') STORED, PRIMARY KEY (a)) WITH (connector = 'kafka', topic = 'e-${v}', n = 4)\u{1}\\' OR",
        "CREATE MATERIALIZED VIEW v WITH (emit = 'final') AS SELECT DISTINCT ON (a) a.*, b FROM t a LEFT JOIN (SELECT 1 AS x) u USING (x) CROSS JOIN t c; SET x = 1; INSERT INTO t (a) SELECT 1",
        "WITH q (a) AS (SELECT 1 UNION ALL (SELECT 2 ORDER BY 1 LIMIT 1)) SELECT CASE a WHEN 1 THEN 'x' ELSE NULL END, CASE WHEN a IS NOT DISTINCT FROM 2 THEN TRUE END FROM q WHERE NOT EXISTS (SELECT 1) OR a NOT IN (SELECT 2)",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b), x[1], (r).f, ARRAY[1], ROW(1, 2), a -> 'b' #>> '{c}', -5 ^ 2, a BETWEEN 1 AND 2, extract(year FROM ts), ts AT TIME ZONE 'UTC' FROM a NATURAL JOIN b",
        "SELECT U&'\\0041' UESCAPE '!', $$ ${v} $$, /* /* ${v} */ */ \"A\"\"b\", 1.5e-3, coalesce(a, b), greatest(1, 2), x = ANY (ARRAY[1]), (SELECT 1), a IS NOT UNKNOWN, percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM (VALUES (1, 2), (3, 4)) AS v (a, b)",
    ].map { Array($0.utf8) }
    let tokens: [[UInt8]] = [
        "SELECT ", " FROM ", " WHERE ", " GROUP BY ", " ORDER BY ", " UNION ALL ", " JOIN ", " ON ", " USING (", " AS ", " AND ", " NOT ", " IN (", " IS ", " NULL", "::",
        "(", ")", ",", ";", "'", "''", "E'", "U&'", "\"", "$$", "$a$", "${v}", "'${v}'", "--", "\n", "/*", "*/", "\u{1}", "\\", "=>", " OVER (", " CASE WHEN ", " THEN ", " END",
        "*",
        "interval ", "cube(", "row(", "array[", "]", ".", "-", "1", "1.5", " DESC", " LIMIT ", " WITH (", " COLLATE \"C\"", " UESCAPE '!'", " BETWEEN ", " LIKE ", "é",
    ].map { Array($0.utf8) }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        let parts = input.split(separator: Self.separator, maxSplits: 1, omittingEmptySubsequences: false)
        let text = SourceText(String(decoding: parts[0], as: UTF8.self), name: "fuzz")
        guard parts.count == 2 else { return check(text, StartValues()).outcome }
        let value = String(decoding: parts[1], as: UTF8.self)
        let (outcome, printed) = check(text, StartValues(["v": value]))
        guard outcome == .accepted, let printed else { return outcome }
        let (_, plain) = check(text, StartValues(["v": Self.harmless]))
        // Texts that hold what looks like a place for a value are spelled by other rules.
        if printed.contains("\\${") { return .accepted }
        let wanted = plain?.replacing(Self.harmless, with: value.replacing("'", with: "''"))
        return wanted == printed ? .accepted : .defect("a value became more than a literal: \(printed) is not \(wanted ?? "a tree")")
    }

    private func check(_ text: SourceText, _ values: StartValues) -> (outcome: FuzzOutcome, printed: String?) {
        let script: Script
        do throws(SQLError) {
            script = try Script(parsing: text, values: values)
        } catch {
            let lines = text.text.split(separator: "\n", omittingEmptySubsequences: false)
            let isInside = error.line >= 1 && error.column >= 1 && error.line <= lines.count
            return (isInside && !error.what.isEmpty ? .refused : .defect("an error outside of the text: \(error)"), nil)
        }
        let printed = script.canonicalText
        do throws(SQLError) {
            let again = try Script(parsing: SourceText(printed, name: "printed"))
            if again != script { return (.defect("another tree: \(printed)"), nil) }
            return again.canonicalText == printed ? (.accepted, printed) : (.defect("another spelling: \(printed)"), nil)
        } catch {
            return (.defect("what is printed is refused: \(error)"), nil)
        }
    }
}
