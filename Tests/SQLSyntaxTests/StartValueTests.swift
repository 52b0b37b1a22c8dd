import SQLSyntax
import Testing

/// `${name}`: a value is never anything but a literal, whatever is in it.
@Suite struct StartValueTests {
    /// Values that would be something else, were they pasted in.
    static let attacks = [
        "'", "''", "' OR 1 = 1 --", "'; DROP TABLE t; --", "\\", "\\'", "\\' OR 1 = 1 --", "x'::int4", "\\x27 OR 1", "\\u0027", "*/ 1 /*", "/*", "--", "$$", "$x$",
        "${other}", "${v}", "}", "\n'\n", "\r\n' '", "\"", "\" FROM u --", "E'a'", "U&'\\0027'", "'||(SELECT 1)||'", ")", "1; SELECT 2", "日本'語", "\u{feff}'", "",
    ]

    /// The only text literal that differs from the text's own.
    static func literals(in expression: ExpressionSyntax) -> [String] {
        switch expression.kind {
        case .literal(.text(let text)): [text]
        case .binary(_, let left, let right): literals(in: left) + literals(in: right)
        case .cast(let operand, _): literals(in: operand)
        default: []
        }
    }

    @Test(arguments: attacks) func `a value is one literal wherever it may stand`(attack: String) throws {
        for (text, whole) in [
            ("SELECT ${v}", attack), ("SELECT '${v}'", attack), ("SELECT 'a${v}b'", "a\(attack)b"), ("SELECT E'${v}'", attack), ("SELECT E'\\n${v}\\\\'", "\n\(attack)\\"),
            ("SELECT N'${v}'", attack), ("SELECT (${v})", attack), ("SELECT 'it''s ${v}'", "it's \(attack)"), ("SELECT/**/${v}--${v}", attack),
            ("SELECT '${v}${v}'", attack + attack), ("SELECT '\n--${v}'", "\n--\(attack)"), ("SELECT '/*${v}'", "/*\(attack)"), ("SELECT '$$${v}'", "$$\(attack)"),
            ("SELECT text ${v}", attack), ("SELECT ${v}::text", attack),
        ] {
            let script = try Script(parsing: SourceText(text, name: "q"), values: StartValues(["v": attack]))
            guard script.statements.count == 1, case .select(let query) = script.statements[0].kind, case .select(let block) = query.body,
                block.items.count == 1, case .expression(let expression, alias: nil) = block.items[0].kind
            else {
                Issue.record("\(text) became \(script.canonicalText)")
                continue
            }
            #expect(Self.literals(in: expression) == [whole], "\(text)")
        }
    }

    @Test(arguments: attacks) func `behind an ampersand it is no literal of another kind`(attack: String) throws {
        let script = try Script(parsing: SourceText("SELECT u&${v}", name: "q"), values: StartValues(["v": attack]))
        guard case .select(let query) = script.statements[0].kind, case .select(let block) = query.body, script.statements.count == 1,
            case .expression(let expression, alias: nil) = block.items[0].kind, case .binary("&", _, let right) = expression.kind
        else { throw Unexpected(what: script.canonicalText) }
        #expect(Self.literals(in: right) == [attack])
    }

    @Test func `comments and dollar quotes stay as they are`() throws {
        let text = "SELECT $$ ${a} $$, $x$ ${a} $$ ${b} $x$, -- ${a}\n /* ${a} /* ${b} */ ${c} */ '${v}' -- ${"
        let script = try Script(parsing: SourceText(text, name: "q"), values: StartValues(["v": "1"]))
        #expect(script.canonicalText == "SELECT E' \\${a} ', E' \\${a} $$ \\${b} ', '1';\n")
        #expect(try Script(parsing: SourceText(script.canonicalText, name: "printed")) == script)
    }

    @Test(arguments: [
        ("SELECT \"a§${v}\" FROM t", "a value inside a name"),
        ("SELECT a§${v} FROM t", "a value right behind a"),
        ("SELECT 1§${v} FROM t", "a value right behind 1"),
        ("SELECT t§${v}.x FROM t", "a value right behind t"),
        ("SELECT §${v}x FROM t", "${v} touches what stands behind it"),
        ("SELECT §${v}'x' FROM t", "${v} touches what stands behind it"),
        ("SELECT §${v}\"x\" FROM t", "${v} touches what stands behind it"),
        ("SELECT 'x'§${v} FROM t", "a value right behind a literal"),
        ("SELECT 'x'\n  §${v} FROM t", "a value right behind a literal"),
        ("SELECT E'x' -- a comment\n  §${v} FROM t", "a value right behind a literal"),
        ("SELECT E'x' -- a comment\n /* b */ §'${v}' FROM t", "a literal that goes on in another line"),
        ("SELECT ${v}\n  §${v} FROM t", "a value right behind a literal"),
        ("SELECT $$x$$§${v} FROM t", "a value right behind a literal"),
        ("SELECT E§${v} FROM t", "a value right behind E"),
        ("SELECT $1§${v} FROM t", "a value right behind 1"),
        ("SELECT U&'§${v}' FROM t", "a value inside a literal of this kind"),
        ("SELECT B'§${v}' FROM t", "a value inside a literal of this kind"),
        ("SELECT x'§${v}' FROM t", "a value inside a literal of this kind"),
        ("SELECT U&'a' UESCAPE '§${v}'", "a value behind UESCAPE"),
        ("SELECT U&\"a\" UESCAPE §${v}", "a value behind UESCAPE"),
        ("SELECT §${} FROM t", "${ without a name and }"),
        ("SELECT §${1a} FROM t", "${ without a name and }"),
        ("SELECT §${a b} FROM t", "${ without a name and }"),
        ("SELECT §${v\n} FROM t", "${ without a name and }"),
        ("SELECT '§${", "${ without a name and }"),
        ("SELECT ${v}, '§${regoin}' FROM t", "no value for ${regoin}"),
        ("SELECT x FROM §${v}", "the value of ${v} cannot stand here"),
        ("SELECT x FROM t §${v}", "the value of ${v} cannot stand here"),
        ("SELECT x AS §${v} FROM t", "the value of ${v} cannot stand here"),
        ("SELECT 'ü${v}', '${v}'; §SELECT FROM t WHERE x = ${v}", "SELECT without columns"),
        ("SELECT '${v}',\n  §,", "syntax error at or near \",\""),
    ]) func `a value where no literal can stand is refused, at its place in the original`(marked: String, what: String) throws {
        let parts = marked.split(separator: "§", omittingEmptySubsequences: false)
        let values = StartValues(["v": "a longer value, with 'quotes' and\na line break"])
        let lines = parts[0].split(separator: "\n", omittingEmptySubsequences: false)
        let error = #expect(throws: SQLError.self) {
            try Script(parsing: SourceText(parts.joined(), name: "q"), values: values)
        }
        #expect(error?.what == what)
        #expect(error.map { [$0.line, $0.column] } == [lines.count, lines[lines.count - 1].count + 1])
        #expect(error?.description.contains("longer value") == false)
    }

    @Test func `a value that nothing uses is refused with the nearest name`() throws {
        let error = #expect(throws: SQLError.self) {
            try Script(parsing: SourceText("SELECT '${region}' FROM t", name: "q"), values: StartValues(["region": "eu", "regoin": "us"]))
        }
        #expect(error?.what == "no ${regoin} in the text")
        #expect(error?.hint == "did you mean \"region\"?")
    }

    @Test func `places behind a value are those of the original`() throws {
        let text = SourceText("SELECT '${v}' || a, ${v}, ü + b", name: "q")
        let script = try Script(parsing: text, values: StartValues(["v": "long long long 'value'"]))
        guard case .select(let query) = script.statements[0].kind, case .select(let block) = query.body else { throw Unexpected(what: "no block") }
        #expect(block.items.map { text.lineAndColumn($0.place).column } == [8, 21, 27])
        guard case .expression(let sum, alias: nil) = block.items[2].kind, case .binary(_, _, let b) = sum.kind else { throw Unexpected(what: "no sum") }
        #expect(text.lineAndColumn(sum.place).column == 29 && text.lineAndColumn(b.place).column == 31)
    }

    @Test func `options and settings take values`() throws {
        let text = "SET lateness = ${l}; CREATE TABLE t (x int) WITH (topic = 'events-${region}', lateness = ${l})"
        let script = try Script(parsing: SourceText(text, name: "q"), values: StartValues(["l": "10 s", "region": "e'u"]))
        #expect(script.canonicalText == "SET lateness = '10 s';\nCREATE TABLE t (x int4) WITH (topic = 'events-e''u', lateness = '10 s');\n")
    }
}
