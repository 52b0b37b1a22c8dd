// Text to statements: PostgreSQL's own parser, and the reader of its tree. The sole owner of libpg_query.
//
// The library recurses by the depth of its tree, without a bound, and the trees of hostile or generated texts are deep: each `1+` is one
// level. So a parse runs on a thread of its own, whose stack has room for the longest text (only what is touched takes memory). Our own
// tree is bounded by `TreeReader.mostDepth`. It is one thread for the life of the process: see `ParserThread`.
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
            self.init(text: text, statements: try ParserThread.parse(filled))
        } catch {
            throw error.error(in: text)
        }
    }

    /// A level of the library's tree takes two bytes of text at least, and was measured to take less than 2,000 bytes of stack.
    fileprivate static let stackBytes = (16 << 20) + 1200 * mostBytes
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

/// The one thread of the process that parses, one text after the other.
///
/// The library takes a key of the process for each thread that parses, and never gives it back: there are 1,024, and without one no library
/// speaks TLS any more. Its stack has room for the longest text, and what a long one has touched is given back.
private final class ParserThread: @unchecked Sendable {
    private static let shared = Mutex<ParserThread?>(nil)

    private let stackBytes: Int
    private let asked = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let answered = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    // Belongs to who asks until `asked`, and to the thread until `answered`.
    private var text: FilledText?
    /// An address near the beginning of the thread's stack, which grows down.
    private var top: UnsafeRawPointer?
    private var answer: Result<[Statement], SQLFault>?

    /// Waits for the answer; whoever asks meanwhile waits, too.
    static func parse(_ text: FilledText) throws(SQLFault) -> [Statement] {
        let result = shared.withLock { shared -> Result<[Statement], SQLFault> in
            if shared == nil { shared = ParserThread() }
            guard let thread = shared else {
                return .failure(
                    SQLFault(
                        "the text cannot be parsed", at: Place(0), why: "no thread can be started for the parser", hint: "close other programs, or raise ulimit -u and ulimit -v"))
            }
            return thread.ask(text)
        }
        return try result.get()
    }

    private init?() {
        stackBytes = Self.wholePages(Script.stackBytes)
        sem_init(asked, 0, 0)
        sem_init(answered, 0, 0)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, self.stackBytes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { pointer in
            guard let pointer else { return nil }
            Unmanaged<ParserThread>.fromOpaque(pointer).takeUnretainedValue().work()
        }
        var thread = pthread_t()
        // The first one stays for the life of the process.
        let kept = Unmanaged.passRetained(self)
        guard pthread_create(&thread, &attributes, body, kept.toOpaque()) == 0 else {
            kept.release()
            return nil
        }
    }

    deinit {
        asked.deallocate()
        answered.deallocate()
    }

    private static func wholePages(_ bytes: Int) -> Int { (bytes + 4095) / 4096 * 4096 }

    private func ask(_ text: FilledText) -> Result<[Statement], SQLFault> {
        self.text = text
        sem_post(asked)
        while sem_wait(answered) != 0 {}
        defer { answer = nil }
        return answer!
    }

    private func work() -> Never {
        var mark: UInt8 = 0
        withUnsafePointer(to: &mark) { top = UnsafeRawPointer($0) }
        while true {
            while sem_wait(asked) != 0 {}
            let bytes = text!.bytes.count
            answer = SQLSyntax.parse(text!)
            text = nil
            if bytes > Self.longBytes { giveStackBack() }
            sem_post(answered)
        }
    }

    /// Texts up to this length leave what they touched.
    private static let longBytes = 16 << 10

    /// What lies below this call, but for the last mebibyte: whose end is not exactly known.
    private func giveStackBack() {
        var here: UInt8 = 0
        withUnsafeMutablePointer(to: &here) { here in
            let bottom = UInt(bitPattern: top) - UInt(stackBytes) + (1 << 20)
            let first = (bottom + 4095) / 4096 * 4096
            let end = (UInt(bitPattern: here) - (256 << 10)) / 4096 * 4096
            if first < end { madvise(UnsafeMutableRawPointer(bitPattern: first), Int(end - first), MADV_DONTNEED) }
        }
    }
}
