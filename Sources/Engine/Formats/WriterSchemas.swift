// The Avro schemas that a job's records are written with, and how they travel: setting, text, digest.
//
//   schema=FILE                 one schema; `schema_id` may name the id that its records carry, else any is taken
//   schema=1=FILE,2=FILE        one for each id in the framing; a record with another id is rejected as `unknownSchema`
//
// The files are read once, at the start of a job. What goes to workers, and what the digest in each plan is taken of, is one
// text: the schema's own where there is one for any id (as it always was), else a JSON list of ids and schemas. A list is no
// schema of records, so the two cannot be mistaken for each other.
//
// A registry, when there is one, is a third form of the setting, read here into the same list.

import FoundationEssentials

package struct WriterSchemas: Sendable, Equatable {
    private struct Entry: Codable {
        var id: UInt32
        var schema: String
    }

    package struct Source: Sendable, Equatable {
        /// nil: for any id.
        package var id: UInt32?
        package var path: String

        package init(id: UInt32?, path: String) {
            self.id = id
            self.path = path
        }
    }

    /// Schemas with their ids; a single one may have none.
    private var entries: [(id: UInt32?, text: String)]

    package static func == (left: WriterSchemas, right: WriterSchemas) -> Bool { left.text == right.text }

    /// The files that the setting names.
    /// - Parameter id: the setting `schema_id`; nil where it is not set.
    /// - Throws: `invalidSetting`.
    package static func sources(_ setting: String, id: UInt32?) throws -> [Source] {
        if setting.isEmpty { return [] }
        guard let pairs = mapping(setting) else { return [Source(id: id, path: setting)] }
        guard id == nil else {
            throw Failure(
                .invalidSetting, "setting schema_id says \(id!), and schema says an id for each file",
                why: "schema_id names the id of a single file", now: "leave schema_id out")
        }
        guard Set(pairs.map(\.id)).count == pairs.count else {
            throw Failure(
                .invalidSetting, "setting schema names an id twice", why: "it is `\(setting)`", now: "give each id one file")
        }
        return pairs
    }

    /// `1=FILE,2=FILE`; nil for the path of one file, which may hold any character.
    package static func mapping(_ setting: String) -> [Source]? {
        var pairs: [Source] = []
        for part in setting.split(separator: ",", omittingEmptySubsequences: false) {
            guard let mark = part.firstIndex(of: "="), let id = UInt32(part[..<mark]), part.index(after: mark) < part.endIndex
            else { return nil }
            pairs.append(Source(id: id, path: String(part[part.index(after: mark)...])))
        }
        return pairs
    }

    /// Reads the files.
    /// - Throws: `fileMissing`, `fileInvalid`.
    /// - Parameter builtInID: the id of the built-in schema of ad events, where no file is named.
    package init(_ sources: [Source], builtInID: UInt32? = nil) throws {
        entries = try sources.map { source in
            let schema = try AvroSchema(path: source.path)
            return (source.id, schema.text)
        }
        if entries.isEmpty, let builtInID { entries = [(builtInID, AvroSchema.adEventText)] }
    }

    /// From what `text` gave; nil stands for the built-in schema of ad events, with any id.
    package init(text: String?) throws {
        guard let text else {
            entries = []
            return
        }
        if text.first(where: { !$0.isWhitespace }) == "[",
            let list = try? JSONDecoder().decode([Entry].self, from: Data(text.utf8)), !list.isEmpty
        {
            entries = list.map { ($0.id, $0.schema) }
        } else {
            entries = [(nil, text)]
        }
    }

    /// The one text of all; nil for the built-in schema.
    package var text: String? {
        if entries.isEmpty { return nil }
        if entries.count == 1, entries[0].id == nil { return entries[0].text }
        let list = entries.map { Entry(id: $0.id ?? 0, schema: $0.text) }.sorted { $0.id < $1.id }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(list), as: UTF8.self)
        } catch {
            preconditionFailure("ids and texts are not written as JSON: \(error)")
        }
    }

    func writers() throws -> [AvroDecoder.Writer] {
        if entries.isEmpty { return [AvroDecoder.Writer(id: nil, schema: .adEvent)] }
        return try entries.map { entry in
            let name = entry.id.map { "the schema with the id \($0)" } ?? "the schema file"
            return AvroDecoder.Writer(id: entry.id, schema: try AvroSchema(text: entry.text, source: name))
        }
    }
}
