// Text to statements: PostgreSQL's own parser, and the reader of its tree. The sole owner of libpg_query.
//
// The library recurses by the depth of its tree, without a bound, and the trees of hostile or generated texts are deep: each `1+` is one
// level. So a parse runs on a thread of its own, whose stack grows with the text (only what is touched takes memory), and texts have
// a longest length. Our own tree is bounded by `TreeReader.mostDepth`. The thread also takes the library's memory with it when it ends.
//
// Errors name places in the original text, before values were put in; where the parser stumbles over a value, its name is said and not the
// value.

import CPGQuery
import Glibc
import Synchronization

extension Script {
    /// The longest text that is parsed, in bytes.
    public static let mostBytes = 256 << 10

    /// Parses a text of several statements.
    /// - Parameters:
    ///   - text: PostgreSQL's grammar, with `${name}` where values go.
    ///   - values: what `${name}` stands for.
    /// - Throws: the first thing that is wrong.
    public init(parsing text: SourceText, values: StartValues = StartValues()) throws(SQLError) {
        do throws(SQLFault) {
            let filled = try values.fill(text.text)
            guard filled.bytes.count <= Self.mostBytes else {
                throw SQLFault(
                    "a text of \(filled.bytes.count) bytes", at: Place(0), why: "no more than \(Self.mostBytes) are parsed at once",
                    hint: "load long lists of values as a table")
            }
            self.init(text: text, statements: try ParserThread(filled).run(stackBytes: Self.stackBytes(for: filled.bytes.count)))
        } catch {
            throw error.error(in: text)
        }
    }

    /// A level of the library's tree takes two bytes of text at least, and was measured to take less than 2,000 bytes of stack.
    private static func stackBytes(for textBytes: Int) -> Int { (16 << 20) + 1200 * textBytes }
}

private func parse(_ text: FilledText) -> Result<[Statement], SQLFault> {
    do throws(SQLFault) {
        let result = (text.bytes + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { pg_query_parse_protobuf($0.baseAddress) }
        }
        defer { pg_query_free_protobuf_parse_result(result) }
        if let error = result.error?.pointee {
            throw syntaxFault(String(cString: error.message), at: text.offset(ofCharacter: Int(error.cursorpos)), in: text)
        }
        let tree = result.parse_tree
        let unpacked = tree.data.withMemoryRebound(to: UInt8.self, capacity: tree.len) { pg_query__parse_result__unpack(nil, tree.len, $0) }
        guard let unpacked else {
            throw SQLFault("the text cannot be read", at: Place(0), why: "its tree is broken", hint: "report this with the text")
        }
        defer { pg_query__parse_result__free_unpacked(unpacked, nil) }
        var reader = TreeReader(text: text)
        var statements: [Statement] = []
        for index in 0..<unpacked.pointee.n_stmts {
            guard let raw = unpacked.pointee.stmts[index] else { continue }
            statements.append(try reader.statement(raw))
        }
        return .success(statements)
    } catch {
        return .failure(error)
    }
}

private func syntaxFault(_ message: String, at offset: Int, in text: FilledText) -> SQLFault {
    if let value = text.value(at: offset) {
        return SQLFault(
            "the value of ${\(value)} cannot stand here", at: text.place(offset), why: "the grammar wants something else than a literal",
            hint: "write out names and keywords: values are literals only")
    }
    if message.hasPrefix("memory exhausted") {
        return SQLFault("nested too deeply", at: text.place(offset), why: "the parser gave up", hint: "name parts of it in WITH or in views of their own")
    }
    return SQLFault(
        message, at: text.place(offset), why: "PostgreSQL's grammar does not go on like that",
        hint: "look at what stands right before the caret: a comma, a bracket, a quote, a name that needs \"\"")
}

extension FilledText {
    /// The library counts characters, from 1.
    fileprivate func offset(ofCharacter position: Int) -> Int {
        guard position > 0 else { return 0 }
        let scalars = String(decoding: bytes, as: UTF8.self).unicodeScalars
        let index = scalars.index(scalars.startIndex, offsetBy: position - 1, limitedBy: scalars.endIndex) ?? scalars.endIndex
        return scalars[..<index].utf8Length
    }
}

extension Substring.UnicodeScalarView {
    fileprivate var utf8Length: Int { Substring(self).utf8.count }
}

/// Parses one text on a thread with a stack of its own size.
private final class ParserThread: Sendable {
    private let text: FilledText
    private let answer = Mutex<Result<[Statement], SQLFault>?>(nil)

    init(_ text: FilledText) { self.text = text }

    /// Waits for the thread's end.
    func run(stackBytes: Int) throws(SQLFault) -> [Statement] {
        let pageBytes = 4096
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, (stackBytes + pageBytes - 1) / pageBytes * pageBytes)
        let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { pointer in
            guard let pointer else { return nil }
            let thread = Unmanaged<ParserThread>.fromOpaque(pointer).takeUnretainedValue()
            let statements = parse(thread.text)
            thread.answer.withLock { $0 = statements }
            return nil
        }
        var thread = pthread_t()
        // This object outlives the thread, because the caller waits for it.
        let code = pthread_create(&thread, &attributes, body, Unmanaged.passUnretained(self).toOpaque())
        guard code == 0 else {
            throw SQLFault(
                "the text cannot be parsed now", at: Place(0), why: "no thread with a stack of \(stackBytes >> 20) MiB: \(String(cString: strerror(code)))",
                hint: "free memory, or split the text")
        }
        pthread_join(thread, nil)
        guard let answer = answer.withLock({ $0 }) else { preconditionFailure("the parser's thread ended without an answer") }
        return try answer.get()
    }
}
