// Who gets in over TLS: by the secret, by a verified certificate, or not at all.

import Engine
import Foundation
import TestSupport
import Testing
import Wire

@Suite(.waits) struct `Mutual TLS` {
    private static let made = Result { try TestCertificates() }
    private let files: TestCertificates

    init() throws { files = try Self.made.get() }

    private func server(secret: String? = "right secret", asks: Bool = true, certificate: String = "host") throws -> HTTPServer {
        let tls = ServerTLS(
            certificate: try files.text(certificate + ".pem"), key: Secret(try files.text(certificate + ".key")),
            clientAuthorities: asks ? try files.text("ca.pem") : nil)
        return try HTTPServer(port: 0, secret: secret, tls: tls) { HTTPResponse(body: $0.body) }
    }

    private func client(secret: String? = nil, trusts: String = "ca", shows: String? = nil) -> HTTPClient {
        HTTPClient(
            secret: secret,
            tls: ClientTLS(
                authoritiesFile: files.file(trusts + ".pem"), certificateFile: shows.map { files.file($0 + ".pem") },
                keyFile: shows.map { files.file($0 + ".key") }))
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var secret: String?
        var shows: String?
        var asks = true
        var status: Int
        var testDescription: String {
            "secret \(secret ?? "none"), certificate \(shows ?? "none")\(asks ? "" : " that nobody asked for"): \(status)"
        }
    }

    @Test(arguments: [
        Case(secret: nil, shows: nil, status: 401), Case(secret: "wrong", shows: nil, status: 401),
        Case(secret: "right secret", shows: nil, status: 200), Case(secret: nil, shows: "host", status: 200),
        Case(secret: nil, shows: "elsewhere", status: 200), Case(secret: "wrong", shows: "host", status: 200),
        Case(secret: nil, shows: "stranger", status: 401), Case(secret: nil, shows: "expired", status: 401),
        Case(secret: "right secret", shows: "stranger", status: 200),
        Case(secret: nil, shows: "host", asks: false, status: 401),
        Case(secret: "right secret", shows: "host", asks: false, status: 200),
    ])
    func `the secret or a verified certificate opens every route, and nothing else does`(_ one: Case) throws {
        let server = try server(asks: one.asks)
        let client = client(secret: one.secret, shows: one.shows)
        // Twice over one connection: what was found out of the peer holds for each request.
        for _ in 0..<2 {
            let reply = try client.send("POST", "https://127.0.0.1:\(server.port)/v1/x", body: [1, 2], timeoutMillis: 20_000)
            #expect(reply.status == one.status)
        }
        let open = try client.send("GET", "https://127.0.0.1:\(server.port)/v1/health", timeoutMillis: 20_000)
        #expect(open.status == 200)
    }

    @Test func `without a secret at all only certificates open`() throws {
        let server = try server(secret: nil)
        let url = "https://127.0.0.1:\(server.port)/v1/x"
        #expect(try client(secret: "any").send("GET", url, timeoutMillis: 20_000).status == 401)
        #expect(try client().send("GET", url, timeoutMillis: 20_000).status == 401)
        #expect(try client(shows: "host").send("GET", url, timeoutMillis: 20_000).status == 200)
    }

    @Test(arguments: [("other-ca", "host"), ("ca", "elsewhere"), ("ca", "stranger"), ("ca", "expired")])
    func `a server whose certificate does not stand is not spoken to`(trusts: String, certificate: String) throws {
        let server = try server(certificate: certificate)
        let failure = #expect(throws: Failure.self) {
            try client(secret: "right secret", trusts: trusts).send(
                "GET", "https://127.0.0.1:\(server.port)/v1/x", timeoutMillis: 20_000)
        }
        #expect(failure?.code == .notAllowed)
        #expect(failure?.now.contains("--tls-ca") == true)
    }

    @Test func `a key that is not the certificate's is said on this side`() throws {
        let server = try server()
        let client = HTTPClient(
            secret: nil,
            tls: ClientTLS(
                authoritiesFile: files.file("ca.pem"), certificateFile: files.file("host.pem"),
                keyFile: files.file("elsewhere.key")))
        let failure = #expect(throws: Failure.self) {
            try client.send("GET", "https://127.0.0.1:\(server.port)/v1/x", timeoutMillis: 20_000)
        }
        #expect(failure?.code == .notAllowed)
    }

    @Test func `versions before TLS 1_2 are not spoken`() throws {
        let server = try server()
        for (version, works) in [("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
            let result = try runTool(
                "/usr/bin/openssl",
                ["s_client", "-connect", "127.0.0.1:\(server.port)", version, "-cipher", "ALL:@SECLEVEL=0", "-CAfile", files.file("ca.pem")])
            #expect((result.status == 0) == works, "\(version): \(result.output.suffix(300))")
        }
    }

    @Test(arguments: ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
    func `authorities that cannot be read stop the server from starting`(text: String) throws {
        let failure = #expect(throws: Failure.self) {
            _ = try HTTPServer(
                port: 0, secret: "s",
                tls: ServerTLS(
                    certificate: try files.text("host.pem"), key: Secret(try files.text("host.key")), clientAuthorities: text)
            ) { _ in HTTPResponse() }
        }
        #expect(failure?.code == .fileInvalid)
    }
}
