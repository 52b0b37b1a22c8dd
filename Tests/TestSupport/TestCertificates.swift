// Certificates for one test, made by `openssl` in a directory of the test's own: an authority, a host's certificate for
// 127.0.0.1 and localhost, a certificate of the same authority for no host, and the same again of another authority.

import Foundation

package struct TestCertificates: Sendable {
    private let directory: TemporaryDirectory

    package init() throws {
        directory = try TemporaryDirectory("sluice-tls")
        for authority in ["ca", "other-ca"] {
            try openssl(
                ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
                    + ["-keyout", file(authority + ".key"), "-out", file(authority + ".pem"), "-subj", "/CN=sluice \(authority)"])
        }
        try issue("host", names: "IP:127.0.0.1,DNS:localhost", authority: "ca")
        try issue("elsewhere", names: "DNS:elsewhere.example", authority: "ca")
        try issue("stranger", names: "IP:127.0.0.1,DNS:localhost", authority: "other-ca")
        try issue("expired", names: "IP:127.0.0.1,DNS:localhost", authority: "ca", days: -1)
    }

    /// `ca`, `other-ca`, `host`, `elsewhere`, `stranger`, `expired`, each with `.pem` and `.key`.
    package func file(_ name: String) -> String { directory.file(name) }

    package func text(_ name: String) throws -> String { try String(contentsOfFile: file(name), encoding: .utf8) }

    private func issue(_ name: String, names: String, authority: String, days: Int = 2) throws {
        try openssl(
            ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
                + ["-keyout", file(name + ".key"), "-out", file(name + ".csr"), "-subj", "/CN=\(name)"])
        try "subjectAltName=\(names)\n".write(toFile: file(name + ".ext"), atomically: true, encoding: .utf8)
        try openssl(
            ["x509", "-req", "-in", file(name + ".csr"), "-CA", file(authority + ".pem"), "-CAkey", file(authority + ".key")]
                + ["-CAcreateserial", "-days", "\(days)", "-extfile", file(name + ".ext"), "-out", file(name + ".pem")])
        guard chmod(file(name + ".key"), 0o600) == 0 else { throw ToolError(text: "chmod of \(name).key") }
    }

    private func openssl(_ arguments: [String]) throws {
        let result = try runTool("/usr/bin/openssl", arguments)
        guard result.status == 0 else { throw ToolError(text: "openssl \(arguments[0]): \(result.output)") }
    }
}
