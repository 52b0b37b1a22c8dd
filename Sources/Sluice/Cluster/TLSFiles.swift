// The files behind `tls_cert`, `tls_key` and `tls_ca`, checked and read once at the start of a command (protocol 13).
//
//   tls_cert + tls_key   a server speaks HTTPS with them; a client shows them to a server that asks
//   tls_ca               a client believes these authorities; a server lets clients with their certificates in without
//                        the secret
//
// So one set of three files on every host is mutual TLS, and no secret has to be carried to any of them. Workers that a
// command starts get the paths in their environment; the key itself never leaves its file.

import Engine
import Foundation
import Wire

struct TLSFiles: Sendable {
    let server: ServerTLS?
    let client: ClientTLS
    /// What child processes need to find the same files.
    let environment: [String: String]

    /// Whether servers and clients know each other by certificates alone.
    var isMutual: Bool { server?.clientAuthorities != nil }

    init(_ settings: Settings) throws {
        let certificate = settings.optionalText(.tlsCert)
        let key = settings.optionalText(.tlsKey)
        let authorities = settings.optionalText(.tlsCA)
        guard (certificate == nil) == (key == nil) else {
            let (given, missing) = certificate == nil ? (SettingKey.tlsKey, SettingKey.tlsCert) : (.tlsCert, .tlsKey)
            throw Failure(
                .invalidSetting, "\(given.name) is of no use alone", why: "\(missing.name) is not set",
                now: "give \(missing.flag) too, or leave \(given.flag) out")
        }
        let trusted = try authorities.map { try Self.read($0, .tlsCA) }
        if let certificate, let key {
            try Self.requirePrivate(key)
            server = ServerTLS(
                certificate: try Self.read(certificate, .tlsCert), key: Secret(try Self.read(key, .tlsKey)),
                clientAuthorities: trusted)
        } else {
            server = nil
        }
        client = ClientTLS(authoritiesFile: authorities, certificateFile: certificate, keyFile: key)
        let paths: [(SettingKey, String?)] = [(.tlsCert, certificate), (.tlsKey, key), (.tlsCA, authorities)]
        environment = paths.reduce(into: [:]) { variables, path in variables[path.0.variable] = path.1 }
    }

    private static func read(_ path: String, _ key: SettingKey) throws -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure(
                .fileMissing, "the file of \(key.name) cannot be read", why: "\(path) is not there, or not for this user",
                now: "correct \(key.flag) or the file's permissions")
        }
        // A zero byte would end the text early for the C libraries.
        guard let text = String(bytes: data, encoding: .utf8), text.contains("-----BEGIN "), !text.utf8.contains(0) else {
            throw Failure(
                .fileInvalid, "the file of \(key.name) is not PEM", why: "\(path) has no line that begins with -----BEGIN",
                now: "name a PEM file; `openssl` turns other forms into it")
        }
        return text
    }

    private static func requirePrivate(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & 0o007 != 0 else { return }
        throw Failure(
            .notAllowed, "the key \(path) can be used by every user of this host",
            why: "its mode is \(String(status.st_mode & 0o777, radix: 8))", now: "chmod 600 \(path)")
    }
}

extension Credentials {
    /// Those of a driver, which makes the secret when there is none, or of a worker, which needs none under mutual TLS.
    init(_ settings: Settings, mayMakeSecret: Bool) throws {
        let files = try TLSFiles(settings)
        let secret = try SharedSecret.load(settings, mayMake: mayMakeSecret, mayLack: files.isMutual)
        self.init(secret: secret, server: files.server, client: files.client)
    }
}
