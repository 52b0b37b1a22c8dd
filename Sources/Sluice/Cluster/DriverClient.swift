// Commands that speak to a driver's API: where it is, the secret, and answers as they come.

import Driver
import Engine
import Foundation
import Wire

struct DriverClient {
    private let client: HTTPClient
    let url: String

    /// - Parameter url: another driver than the one that the settings name.
    init(_ settings: Settings, url: String? = nil) throws {
        let url = url ?? settings.text(.driver)
        self.url = url
        let tls = try TLSFiles(settings).client
        // Whether a certificate is enough is the driver's to say; without one the secret must be there.
        let mayLack = url.hasPrefix("https:") && tls.certificateFile != nil
        client = HTTPClient(secret: try SharedSecret.load(settings, mayMake: false, mayLack: mayLack), tls: tls)
    }

    func get<Answer: Decodable>(_ path: String, timeoutMillis: Int = 10_000) throws -> Answer {
        try client.getJSON(url + path, timeoutMillis: timeoutMillis, unreachable: .driverUnreachable)
    }

    func post<Answer: Decodable>(_ path: String, _ body: some Encodable, timeoutMillis: Int = 180_000) throws -> Answer {
        try client.sendJSON("POST", url + path, body, timeoutMillis: timeoutMillis, unreachable: .driverUnreachable)
    }
}
