// The secret that driver, workers and commands share (protocol 13): where it comes from, and who may read it.
//
//   --secret-file FILE, or SLUICE_SECRET (what `sluice run` hands its workers), or secret_file of the configuration, or
//   a file beside the catalog, which the driver makes with mode 0600 and which commands and workers of the same user
//   find there. Where everybody has a certificate (`TLSFiles.swift`), workers and commands need none.

import Engine
import Foundation

enum SharedSecret {
    static let variable = "SLUICE_SECRET"

    /// 256 random bits.
    static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in hexadecimal(generator.next()) }.joined()
    }

    /// The secret of the catalog's drivers, by which commands of the same user find out what this process knows; one that nobody else
    /// knows where that cannot be read or made.
    static func forRun(_ settings: Settings) -> String {
        do { return try load(settings, mayMake: true) ?? make() } catch {
            Log.info("only this process knows its secret", [("why", failure(error).what)])
            return make()
        }
    }

    /// Where the driver of this catalog keeps its secret unless a file is named.
    static func path(besideCatalog catalog: String) -> String {
        guard catalog.hasPrefix("sqlite:") else { return ".sluice/secret" }
        let file = String(catalog.dropFirst("sqlite:".count))
        let folder = (file as NSString).deletingLastPathComponent
        return (folder.isEmpty ? "." : folder) + "/secret"
    }

    /// The secret to use, made when `mayMake` and there is none; nil when `mayLack` and there is none.
    static func load(_ settings: Settings, mayMake: Bool, mayLack: Bool = false) throws -> String? {
        let named = settings.optionalText(.secretFile)
        if let named, case .flag = settings.origin(of: .secretFile) { return try read(named) }
        if let given = ProcessInfo.processInfo.environment[variable], !given.isEmpty { return given }
        if let named { return try read(named) }
        let file = path(besideCatalog: settings.text(.catalog))
        if FileManager.default.fileExists(atPath: file) { return try read(file) }
        guard mayMake else {
            if mayLack { return nil }
            throw Failure(
                .fileMissing, "no secret was found", why: "\(file) is not there, and neither --secret-file nor \(variable) is given",
                now: "name the driver's secret with --secret-file, or a certificate with --tls-cert and --tls-key, or run this where the driver runs")
        }
        return try write(make(), to: file)
    }

    private static func read(_ file: String) throws -> String {
        var status = stat()
        guard stat(file, &status) == 0, let data = FileManager.default.contents(atPath: file) else {
            throw Failure(
                .fileMissing, "secret file \(file) cannot be read", why: String(cString: strerror(errno)),
                now: "check the path and that this user may read it")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw Failure(
                .notAllowed, "secret file \(file) can be read by others",
                why: "its mode is \(String(status.st_mode & 0o777, radix: 8))", now: "chmod 600 \(file)")
        }
        let secret = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard secret.utf8.count >= 16 else {
            throw Failure(
                .fileInvalid, "secret file \(file) holds no usable secret", why: "it has fewer than 16 characters",
                now: "write a long random line into it, for example from `openssl rand -hex 32`")
        }
        return secret
    }

    private static func write(_ secret: String, to file: String) throws -> String {
        let folder = (file as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor < 0 {
            // Another driver made it in between.
            if errno == EEXIST { return try read(file) }
            throw Failure(
                .notAllowed, "secret file \(file) cannot be made", why: String(cString: strerror(errno)),
                now: "check that this user may write there, or name one with --secret-file")
        }
        defer { close(descriptor) }
        let line = Array((secret + "\n").utf8)
        guard line.withUnsafeBytes({ Foundation.write(descriptor, $0.baseAddress, line.count) }) == line.count else {
            throw Failure(
                .diskFull, "secret file \(file) cannot be written", why: String(cString: strerror(errno)),
                now: "free space and start again")
        }
        return secret
    }
}
