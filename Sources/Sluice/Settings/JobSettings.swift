// A job's settings as the catalog keeps them and workers get them: every resolved value in canonical form, no secrets.
//
// Secrets given as `file:PATH` stay paths; secrets out of variables are not kept at all: every process reads its own
// environment (protocol 13). Paths are made absolute, because driver and workers may stand in other directories.

import Engine
import Foundation

extension Settings {
    /// Values for `JobRecord.settings` and `EngineSettings`.
    package var jobValues: [String: String] {
        var values: [String: String] = [:]
        for entry in all {
            if entry.key.isSecret && !entry.text.hasPrefix("file:") { continue }
            // Where a driver listens and who may speak to it is the process's, not the job's.
            if entry.key.section == .access { continue }
            values[entry.key.name] = Self.absolute(entry)
        }
        return values
    }

    private static func isAddress(_ key: SettingKey) -> Bool { if case .address = key.type { true } else { false } }

    private static func absolute(_ entry: Entry) -> String {
        func path(_ text: String) -> String {
            text.isEmpty || text.hasPrefix("/") ? text : FileManager.default.currentDirectoryPath + "/" + text
        }
        if case .file = entry.key.type { return path(entry.text) }
        if case .schemaFiles = entry.key.type {
            guard let pairs = WriterSchemas.mapping(entry.text) else { return path(entry.text) }
            return pairs.map { "\($0.id ?? 0)=\(path($0.path))" }.joined(separator: ",")
        }
        for scheme in ["sqlite:", "file:"] where entry.text.hasPrefix(scheme) && Self.isAddress(entry.key) {
            return scheme + path(String(entry.text.dropFirst(scheme.count)))
        }
        return AddressPassword.removed(from: entry.value.canonical)
    }
}
