// Commands that speak to a driver's API: where it is, the secret, and answers as they come.

import Driver
import Engine
import Foundation
import Wire

struct DriverClient {
    private let client: HTTPClient
    let url: String

    init(_ settings: Settings) throws {
        url = settings.text(.driver)
        client = HTTPClient(secret: try SharedSecret.load(settings, mayMake: false))
    }

    func get<Answer: Decodable>(_ path: String) throws -> Answer {
        try client.getJSON(url + path, timeoutMillis: 10_000, unreachable: .driverUnreachable)
    }

    func post<Answer: Decodable>(_ path: String, _ body: some Encodable, timeoutMillis: Int = 180_000) throws -> Answer {
        try client.sendJSON("POST", url + path, body, timeoutMillis: timeoutMillis, unreachable: .driverUnreachable)
    }
}
