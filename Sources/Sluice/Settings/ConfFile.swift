// The configuration file: YAML in, names and texts with their lines out.
//
// Sole owner of libyaml's parser. It knows nothing of settings: it flattens nested maps with dots (`kafka:` over
// `fetch.min.bytes:` is `kafka.fetch.min.bytes`) and keeps every scalar as the text that stands there, because YAML's
// own guesses (`no` is false, `1e3` is a number) are not ours; `SettingType` decides. What has no meaning for a
// setting (lists, anchors, several documents, a key twice) is an error with its line.

import CYaml
import Engine

package struct ConfFile: Sendable {
    package struct Line: Hashable, Sendable {
        package var name: String
        package var text: String
        /// Counted from 1.
        package var number: Int

        package init(name: String, text: String, number: Int) {
            self.name = name
            self.text = text
            self.number = number
        }
    }

    package var path: String
    package var lines: [Line]

    package init(path: String, lines: [Line]) {
        self.path = path
        self.lines = lines
    }

    /// - Parameter path: for messages only.
    package static func parse(_ bytes: [UInt8], path: String) throws -> [Line] {
        var reader = ConfReader(path: path)
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else {
            throw Failure(.internal, "no YAML parser", why: "libyaml found no memory for one", now: "try again")
        }
        defer { yaml_parser_delete(parser) }
        // libyaml keeps the pointer of its input, so everything happens inside the closure.
        try bytes.withUnsafeBufferPointer { input in
            yaml_parser_set_input_string(parser, input.baseAddress, input.count)
            while try step(parser, &reader) {}
        }
        return reader.lines
    }

    /// One event of the parser. Returns false after the last one.
    private static func step(_ parser: UnsafeMutablePointer<yaml_parser_t>, _ reader: inout ConfReader) throws -> Bool {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else {
            let problem = parser.pointee.problem.map { String(cString: $0) } ?? "it is not YAML"
            throw reader.failure(problem, line: Int(parser.pointee.problem_mark.line) + 1)
        }
        defer { yaml_event_delete(&event) }
        let line = Int(event.start_mark.line) + 1
        switch event.type {
        case YAML_STREAM_END_EVENT: return false
        case YAML_DOCUMENT_START_EVENT: try reader.documentStarted(line: line)
        case YAML_MAPPING_START_EVENT:
            if event.data.mapping_start.anchor != nil {
                throw reader.failure("an anchor has no meaning here", line: line)
            }
            try reader.mapStarted(line: line)
        case YAML_MAPPING_END_EVENT: reader.mapEnded()
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            if scalar.anchor != nil { throw reader.failure("an anchor has no meaning here", line: line) }
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            try reader.scalar(text, isNothing: isPlain && (text.isEmpty || text == "~" || text == "null"), line: line)
        case YAML_SEQUENCE_START_EVENT:
            throw reader.failure("a list has no meaning here; write several values as a,b", line: line)
        case YAML_ALIAS_EVENT: throw reader.failure("an alias has no meaning here", line: line)
        default: break
        }
        return true
    }
}

/// Puts names and values together while events arrive.
private struct ConfReader {
    let path: String
    var lines: [ConfFile.Line] = []
    /// The full names of the maps that we are inside of, outermost first; the file's own map has none.
    private var prefixes: [String] = []
    private var depth = 0
    private var documents = 0
    /// The key whose value comes next.
    private var pending: (name: String, line: Int)?
    private var lineOf: [String: Int] = [:]

    init(path: String) { self.path = path }

    mutating func documentStarted(line: Int) throws {
        documents += 1
        if documents > 1 { throw failure("a second document begins; one file is one set of settings", line: line) }
    }

    mutating func mapStarted(line: Int) throws {
        if let key = pending {
            prefixes.append(key.name)
            pending = nil
        } else if depth > 0 {
            throw failure("a map cannot be a name", line: line)
        }
        depth += 1
    }

    mutating func mapEnded() {
        depth -= 1
        if !prefixes.isEmpty { prefixes.removeLast() }
    }

    mutating func scalar(_ text: String, isNothing: Bool, line: Int) throws {
        guard depth > 0 else {
            // A file of comments alone gives one empty scalar.
            if isNothing { return }
            throw failure("a line of the form `name: value` is expected", line: line)
        }
        guard let key = pending else {
            if text.isEmpty { throw failure("a name is missing", line: line) }
            pending = ((prefixes.last.map { $0 + "." } ?? "") + text, line)
            return
        }
        pending = nil
        if isNothing {
            throw failure("\(key.name) has no value; put a # before the line to leave it out", line: key.line)
        }
        if let earlier = lineOf[key.name] {
            throw failure("\(key.name) is set twice, in line \(earlier) too", line: key.line)
        }
        lineOf[key.name] = key.line
        lines.append(ConfFile.Line(name: key.name, text: text, number: key.line))
    }

    func failure(_ why: String, line: Int) -> Failure {
        Failure(
            .fileInvalid, "the configuration file \(path) cannot be used", why: "line \(line): \(why)",
            now: "correct the line; `sluice settings --yaml` prints a whole file to begin with")
    }
}
