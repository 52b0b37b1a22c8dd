import Engine
import Foundation
import Testing
import Wire

@Suite struct `TLS` {
    @Test func `a server with a certificate talks to a client that trusts it`() throws {
        let server = try HTTPServer(port: 0, secret: "s", tls: tls) { HTTPResponse(body: $0.body) }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID().uuidString).pem")
        try Data(certificate.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let body = [UInt8](repeating: 7, count: 3_000_000)
        let reply = try HTTPClient(secret: "s", tls: ClientTLS(authoritiesFile: file.path)).send(
            "POST", "https://127.0.0.1:\(server.port)/x", body: body, timeoutMillis: 20_000)
        #expect(reply.status == 200)
        #expect(reply.body == body)
    }

    @Test func `a certificate that nobody vouches for is refused`() throws {
        let server = try HTTPServer(port: 0, secret: "s", tls: tls) { HTTPResponse(body: $0.body) }
        let failure = #expect(throws: Failure.self) {
            try HTTPClient(secret: "s").send("GET", "https://127.0.0.1:\(server.port)/x", timeoutMillis: 20_000)
        }
        #expect(failure?.code == .notAllowed)
    }

    @Test func `a certificate that is none stops the server from starting`() {
        let failure = #expect(throws: Failure.self) {
            _ = try HTTPServer(port: 0, secret: "s", tls: ServerTLS(certificate: "x", key: Secret("y"))) { _ in
                HTTPResponse()
            }
        }
        #expect(failure?.code == .fileInvalid)
    }
}

private let tls = ServerTLS(certificate: certificate, key: Secret(key))

/// Made for these tests, for 127.0.0.1, valid for a century, used nowhere else.
private let certificate = """
    -----BEGIN CERTIFICATE-----
    MIIBkzCCATqgAwIBAgIUEI1cORW4YbmrUokX3SFxyD1aWucwCgYIKoZIzj0EAwIw
    FjEUMBIGA1UEAwwLc2x1aWNlLXRlc3QwIBcNMjYxMTIxMTMxOTIzWhgPMjEyNjEw
    MjgxMzE5MjNaMBYxFDASBgNVBAMMC3NsdWljZS10ZXN0MFkwEwYHKoZIzj0CAQYI
    KoZIzj0DAQcDQgAEEafTgB+hxGgi7qXBeZh/vrKXBSk4BFDSd7R4nbUrDld7Fcc+
    K54RAPnz+QOlXsimPLkOK1S8dYlXTUH4HrGWDqNkMGIwHQYDVR0OBBYEFFDuPrx2
    SePDaFu89a6+UmuU+v2bMB8GA1UdIwQYMBaAFFDuPrx2SePDaFu89a6+UmuU+v2b
    MA8GA1UdEwEB/wQFMAMBAf8wDwYDVR0RBAgwBocEfwAAATAKBggqhkjOPQQDAgNH
    ADBEAiADB/FCBDcQmZNLW10EF5e3Bv186pb1j5SI0GPcYtZSrQIgaoB1FhSvB2BM
    q4fjsHoF8D5hexNyPRbWdtaNNH8HmhY=
    -----END CERTIFICATE-----

    """

private let key = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKrf8WhKEWS0Dlp3S
    uxqWNwtaSVW91AcQrcVshD6IEzWhRANCAAQRp9OAH6HEaCLupcF5mH++spcFKTgE
    UNJ3tHidtSsOV3sVxz4rnhEA+fP5A6VeyKY8uQ4rVLx1iVdNQfgesZYO
    -----END PRIVATE KEY-----

    """
