import SQLSyntax
import Testing

@Suite struct PrinterTests {
    @Test(arguments: Corpus.allCases) func `what is printed parses to the same tree`(corpus: Corpus) throws {
        let script = try Script(parsing: try corpus.text)
        #expect(script.statements.count > 15)
        for statement in script.statements {
            let printed = statement.canonicalText
            let again = try Script(parsing: SourceText(printed, name: "printed"))
            #expect(again.statements == [statement], "\(printed)")
            #expect(again.statements.map(\.canonicalText) == [printed])
        }
        #expect(try Script(parsing: SourceText(script.canonicalText, name: "printed")) == script)
    }
}
