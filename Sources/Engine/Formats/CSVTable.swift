// CSV files as text columns: for lookups such as `ads.csv`, and for answers that are compared.
//
// RFC 4180: fields by comma, records by CRLF or LF, quotes around fields that hold either, a quote inside doubled. The first
// record names the columns. A byte-order mark is skipped, a line without a byte is no record, the last record needs no
// line end. Everything else is an error with its line: another number of fields, a quote that is not closed or followed
// by text, a quote inside an unquoted field, text that is not UTF-8, a column name twice. Everything is held in memory.

import Glibc

package struct CSVTable: Sendable {
    package let header: [String]
    /// One per header name, all text, none NULL.
    package let columns: [TextColumn]
    package let rowCount: Int

    /// Reads a table from its bytes. `source` says in errors where they came from.
    package init(_ bytes: UnsafeBufferPointer<UInt8>, source: String) throws {
        var reader = CSVReader(bytes: bytes, source: source)
        guard let names = try reader.nextRecord() else {
            throw Failure(
                .fileInvalid, "\(source) cannot be read as CSV", why: "it is empty",
                now: "give a file whose first line names the columns")
        }
        header = names.map { String(decoding: $0, as: UTF8.self) }
        if Set(header).count < header.count {
            throw reader.broken("two columns have the same name", line: 1)
        }
        columns = header.map { _ in TextColumn() }
        var rows = 0
        while let fields = try reader.nextRecord() {
            guard fields.count == columns.count else {
                throw reader.broken(
                    "it has \(fields.count) fields, and the first line has \(columns.count)", line: reader.recordLine)
            }
            for (column, field) in zip(columns, fields) {
                guard column.byteCount + field.count <= Int(Int32.max) else {
                    throw Failure(
                        .limitExceeded, "\(source) is too large", why: "one of its columns holds more than 2 GiB",
                        now: "split the file")
                }
                field.withUnsafeBufferPointer { text in
                    if let base = text.baseAddress { column.append(base, text.count) } else { column.append("") }
                }
            }
            rows += 1
        }
        rowCount = rows
    }

    package init(_ bytes: [UInt8], source: String) throws {
        self = try bytes.withUnsafeBufferPointer { try CSVTable($0, source: source) }
    }

    /// Reads the file at `path`.
    package init(path: String) throws { try self.init(readWholeFile(path), source: "the file \(path)") }

    /// The column `name`; `fileInvalid` with the names there are when it is missing.
    package func column(_ name: String, source: String) throws -> TextColumn {
        guard let index = header.firstIndex(of: name) else {
            throw Failure(
                .fileInvalid, "\(source) has no column \(name)", why: "its columns are \(listed(header))",
                now: "add the column, or give another file")
        }
        return columns[index]
    }
}

/// Rows as CSV: a header line, LF line ends, times in RFC 3339, NULL as an empty field.
package func csvBytes(_ chunks: [Chunk], header: [String]) -> [UInt8] {
    var out: [UInt8] = []
    func append(_ fields: [String]) {
        for (index, field) in fields.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            // A single empty field would be an empty line, which is no record.
            let isQuoted =
                field.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
                || field.isEmpty && fields.count == 1
            if isQuoted { out.append(0x22) }
            for byte in field.utf8 {
                if byte == 0x22 { out.append(0x22) }
                out.append(byte)
            }
            if isQuoted { out.append(0x22) }
        }
        out.append(0x0A)
    }
    append(header)
    for chunk in chunks {
        chunk.forEachSelectedRow { row in
            append(
                chunk.values(row).map { value in
                    switch value {
                    case .null: ""
                    case .int64(let number): String(number)
                    case .timestamp(let millis): formatTime(millis)
                    case .float64(let number): String(number)
                    case .bool(let flag): flag ? "true" : "false"
                    case .text(let text): text
                    }
                })
        }
    }
    return out
}

/// Writes rows to the file at `path`, replacing it.
package func writeCSV(_ chunks: [Chunk], header: [String], to path: String) throws {
    let bytes = csvBytes(chunks, header: header)
    func failed(_ code: Int32) -> Failure {
        Failure(
            code == ENOSPC ? .diskFull : .fileInvalid, "the file \(path) cannot be written",
            why: String(cString: strerror(code)), now: "check the path, its permissions and the free space")
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    if descriptor < 0 { throw failed(errno) }
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + written, bytes.count - written) }
        if count < 0 && errno == EINTR { continue }
        if count < 0 {
            let code = errno
            close(descriptor)
            throw failed(code)
        }
        written += count
    }
    if close(descriptor) != 0 { throw failed(errno) }
}

private func readWholeFile(_ path: String) throws -> [UInt8] {
    func failed(_ code: Int32) -> Failure {
        Failure(
            code == ENOENT ? .fileMissing : .fileInvalid, "the file \(path) cannot be read",
            why: String(cString: strerror(code)), now: "check the path and its permissions")
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw failed(errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 18)
    while true {
        let count = piece.withUnsafeMutableBytes { read(descriptor, $0.baseAddress!, $0.count) }
        if count < 0 && errno == EINTR { continue }
        if count < 0 { throw failed(errno) }
        if count == 0 { return bytes }
        bytes += piece[0..<count]
        if bytes.count > Limits.csvBytes {
            throw Failure(
                .limitExceeded, "the file \(path) is too large",
                why: "it has more than \(Limits.csvBytes >> 20) MiB, and is held in memory", now: "give a smaller file")
        }
    }
}

/// Cuts bytes into records.
private struct CSVReader {
    let bytes: UnsafeBufferPointer<UInt8>
    let source: String
    private var index = 0
    private var line = 1
    /// The line on which the last record began.
    private(set) var recordLine = 1

    init(bytes: UnsafeBufferPointer<UInt8>, source: String) {
        self.bytes = bytes
        self.source = source
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
    }

    func broken(_ why: String, line: Int) -> Failure {
        Failure(
            .fileInvalid, "\(source) cannot be read as CSV", why: "line \(line): \(why)",
            now: "correct the line; fields are split by commas and quoted with double quotes")
    }

    /// The fields of the next record; nil at the end.
    mutating func nextRecord() throws -> [[UInt8]]? {
        while index < bytes.count, isLineEnd(index) { skipLineEnd() }
        guard index < bytes.count else { return nil }
        recordLine = line
        var fields: [[UInt8]] = []
        while true {
            fields.append(try nextField())
            if index == bytes.count { return fields }
            if bytes[index] == UInt8(ascii: ",") {
                index += 1
                continue
            }
            skipLineEnd()
            return fields
        }
    }

    private mutating func nextField() throws -> [UInt8] {
        var field: [UInt8] = []
        if index < bytes.count, bytes[index] == 0x22 {
            let openedOn = line
            index += 1
            while true {
                guard index < bytes.count else { throw broken("a quote is not closed", line: openedOn) }
                let byte = bytes[index]
                index += 1
                if byte == 0x22 {
                    guard index < bytes.count, bytes[index] == 0x22 else { break }
                    index += 1
                }
                if byte == 0x0A { line += 1 }
                field.append(byte)
            }
            if index < bytes.count, bytes[index] != UInt8(ascii: ","), !isLineEnd(index) {
                throw broken("there is text behind a closing quote", line: line)
            }
        } else {
            let start = index
            while index < bytes.count, bytes[index] != UInt8(ascii: ","), !isLineEnd(index) {
                if bytes[index] == 0x22 { throw broken("there is a quote inside a field that is not quoted", line: line) }
                index += 1
            }
            field = Array(bytes[start..<index])
        }
        let isStorable = field.withUnsafeBufferPointer { $0.isEmpty || isText($0.baseAddress!, $0.count) }
        if !isStorable { throw broken("a field is not UTF-8, or holds U+0000", line: line) }
        return field
    }

    private func isLineEnd(_ at: Int) -> Bool {
        bytes[at] == 0x0A || bytes[at] == 0x0D && at + 1 < bytes.count && bytes[at + 1] == 0x0A
    }

    private mutating func skipLineEnd() {
        if bytes[index] == 0x0D { index += 1 }
        index += 1
        line += 1
    }
}
