// Where the layers of settings come from: the variables of this process and a configuration file.
//
// The thin shell around `Settings.resolve`. `--conf` or `SLUICE_CONF` names a file that must then be there;
// `conf/sluice.yaml` under the current directory is read if it is there.

import Engine
import Foundation

package enum SettingsSource {
    package static let defaultPath = "conf/sluice.yaml"
    package static let fileVariable = "SLUICE_CONF"
    /// Says to a worker's program that it was started to try tasks (`ProbeProcess`).
    package static let probeVariable = "SLUICE_PROBE"

    package static func load(
        flags: [Settings.Flag], confPath: String?, jobDefaults: [String: String] = [:],
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> Settings {
        let named = confPath ?? environment[fileVariable]
        var file: ConfFile?
        if let path = named ?? (FileManager.default.fileExists(atPath: defaultPath) ? defaultPath : nil) {
            file = ConfFile(path: path, lines: try ConfFile.parse(read(path), path: path))
        }
        return try Settings.resolve(flags: flags, environment: environment, file: file, jobDefaults: jobDefaults)
    }

    private static func read(_ path: String) throws -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(filePath: path)))
        } catch {
            let isThere = FileManager.default.fileExists(atPath: path)
            throw Failure(
                isThere ? .fileInvalid : .fileMissing, "the configuration file \(path) cannot be read",
                why: isThere ? "it is there, but opening it failed" : "there is no such file",
                now: isThere ? "check its permissions" : "name another file with --conf, or leave --conf out")
        }
    }

    /// The properties for librdkafka, with each secret that is given as `file:PATH` read from its file.
    package static func kafkaProperties(_ settings: Settings) throws -> [String: String] {
        var properties = settings.kafkaProperties
        for (name, text) in properties where text.hasPrefix("file:") {
            guard settings["kafka." + name]?.key.isSecret == true else { continue }
            let path = String(text.dropFirst("file:".count))
            do {
                properties[name] = try String(contentsOf: URL(filePath: path), encoding: .utf8)
                    .trimmingCharacters(in: .newlines)
            } catch {
                throw Failure(
                    .fileMissing, "the secret for kafka.\(name) cannot be read",
                    why: "the file \(path) is missing or not readable as text",
                    now: "check the path and its permissions")
            }
        }
        return properties
    }
}
